// By which way each shard's bytes are best read: from its map, past the page cache, or by plain
// reads.
#ifndef FASTCKPT_BUNDLE_SHARD_ACCESS_H_
#define FASTCKPT_BUNDLE_SHARD_ACCESS_H_

#include <cstdint>
#include <vector>

#include "bundle/reader.h"

namespace fastckpt::bundle {

// Maps are looked through for missing pages when at least this much of a shard is wanted.
constexpr std::uint64_t kColdBytes = std::uint64_t{16} << 20;

// First every Want, then Choose, then the rest, which any thread may call.
class ShardAccess {
 public:
  explicit ShardAccess(const Reader& reader);

  // Says that an entry's bytes will be read. Malformed ones are no matter.
  void Want(std::uint32_t id);
  // Looks at the shards. Mapped ones of which most is missing from memory are read past the page
  // cache, the fastest way from the device, unless `keep_cached`.
  void Choose(bool keep_cached);

  // As Reader::SourceOf, but by the best way.
  const io::Source& SourceOf(std::uint32_t id) const;
  // Source::ExpectRead of the bytes from one entry to another, where they are read from a map.
  void ExpectRead(std::uint32_t first, std::uint32_t last) const;
  // Whether reads wait for the device rather than for memory.
  bool waits() const { return waits_; }

 private:
  struct Way {
    std::uint64_t begin = ~std::uint64_t{0};
    std::uint64_t end = 0;
    std::uint64_t wanted_bytes = 0;
    const io::Source* source = nullptr;  // null: the reader's
  };

  // Whether the entry is well-formed, and its shard there and long enough.
  bool IsInside(std::uint32_t id) const;

  const Reader& reader_;
  std::vector<Way> ways_;
  bool waits_ = false;
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_SHARD_ACCESS_H_
