// Copies of many arrays, taken together by many threads.
#ifndef FASTCKPT_TENSOR_SNAPSHOT_H_
#define FASTCKPT_TENSOR_SNAPSHOT_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/thread_pool.h"
#include "tensor/gather.h"

namespace fastckpt::tensor {

// Elements to be copied in row-major order, and room for all of them.
struct CopyTask {
  StridedArray source;
  MutableBytes destination;
};

// Starts at construction; sources and destinations stay in use until the job is destroyed. Large
// arrays are shared among threads; bytes go past the cache.
class CopyJob {
 public:
  CopyJob(std::vector<CopyTask> tasks, int num_threads);

  // True when all is copied.
  bool WaitFor(std::chrono::milliseconds timeout) { return job_->WaitFor(timeout); }
  void Cancel() { job_->Cancel(); }

 private:
  struct Piece {
    std::size_t task;
    std::uint64_t begin;
    std::uint64_t size;
  };
  void Run(const Piece& piece) const;

  std::vector<CopyTask> tasks_;
  std::vector<bool> is_contiguous_;
  std::vector<Piece> pieces_;
  std::optional<Job> job_;
};

}  // namespace fastckpt::tensor

#endif  // FASTCKPT_TENSOR_SNAPSHOT_H_
