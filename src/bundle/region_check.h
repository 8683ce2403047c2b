// Verifying no more of large entries than what is wanted of them.
#ifndef FASTCKPT_BUNDLE_REGION_CHECK_H_
#define FASTCKPT_BUNDLE_REGION_CHECK_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "bundle/reader.h"
#include "bundle/strided.h"

namespace fastckpt::bundle {

// Collects the blocks that regions of entries touch, then compares their CRCs, each once. To be
// used from one thread.
class RegionCheck {
 public:
  explicit RegionCheck(std::shared_ptr<const Reader> reader) : reader_(std::move(reader)) {}

  // Takes a region as ReadStrided does. False where the whole entry has to be verified instead: it
  // has no block CRCs to rely on, or all of its blocks are wanted.
  bool Add(std::uint32_t id, std::span<const StridedDim> dims);

  // Starts the work; nothing is added after it. Little work is done at once.
  void Start(int num_threads);

  // True when all is done. Throws the first failure then.
  bool WaitFor(std::chrono::milliseconds timeout) { return job_->WaitFor(timeout); }

 private:
  // What a worker takes at a time: neighbours in `blocks_`.
  struct Unit {
    const BlockTable* table = nullptr;
    std::size_t first = 0;
    std::size_t count = 0;
    std::uint64_t size = 0;
  };

  void AddBlock(const BlockTable& table, std::uint32_t block);
  void Run(const Unit& unit) const;

  const std::shared_ptr<const Reader> reader_;
  std::vector<std::uint32_t> blocks_;
  std::vector<Unit> units_;
  std::optional<Job> job_;
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_REGION_CHECK_H_
