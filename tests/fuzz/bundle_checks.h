// What must hold of any checkpoint that opens, checked on two readers of it: one whose shards are
// mapped, and one whose shards are read.
#ifndef FASTCKPT_TESTS_FUZZ_BUNDLE_CHECKS_H_
#define FASTCKPT_TESTS_FUZZ_BUNDLE_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bundle/reader.h"
#include "mutation.h"
#include "support.h"

namespace fastckpt::fuzz {

class BundleChecks {
 public:
  BundleChecks(std::shared_ptr<const bundle::Reader> mapped,
               std::shared_ptr<const bundle::Reader> positional, std::uint64_t seed)
      : mapped_(std::move(mapped)), positional_(std::move(positional)), random_(seed) {}

  // Names ascend, each is found, and just the slices that partitioned tensors mention are hidden.
  void CheckListing(bool skip_damage) const;
  // Verifying, fetching, partial reads and parts, entry by entry.
  void CheckEntries();
  // Everything that can be loaded at once comes verified and normalised, or as zeros. After
  // CheckEntries.
  void CheckLoad() const;
  // CheckFiles and Damage.
  void CheckFindings() const;

  std::size_t num_verified() const { return num_verified_; }

 private:
  void CheckBytes(std::uint32_t id);
  void CheckStrided(std::uint32_t id, const std::string& values);
  void CheckParts(std::uint32_t id) const;
  // Of those whose bytes are there, in file order, up to a limit of bytes.
  std::vector<std::uint32_t> IdsToLoad() const;
  // The values of a plain tensor, in native byte order and normal form, unverified.
  std::string Values(std::uint32_t id) const;

  const std::shared_ptr<const bundle::Reader> mapped_;
  const std::shared_ptr<const bundle::Reader> positional_;
  Random random_;
  // What verifying gave, by entry.
  std::vector<Outcome> verified_;
  std::vector<std::uint32_t> loadable_;
  std::size_t num_verified_ = 0;
};

}  // namespace fastckpt::fuzz

#endif  // FASTCKPT_TESTS_FUZZ_BUNDLE_CHECKS_H_
