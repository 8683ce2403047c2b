#include "tensor/snapshot.h"

#include <algorithm>
#include <utility>

#include "crc/crc32c.h"

namespace fastckpt::tensor {
namespace {

// Some huge pages, so that few are touched first by two threads at once.
constexpr std::uint64_t kPieceSize = std::uint64_t{4} << 20;
constexpr std::uint64_t kInlineBytes = std::uint64_t{1} << 20;

}  // namespace

CopyJob::CopyJob(std::vector<CopyTask> tasks, int num_threads) : tasks_(std::move(tasks)) {
  std::uint64_t total = 0;
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    StridedArray& source = tasks_[t].source;
    is_contiguous_.push_back(IsContiguous(source.shape, source.strides, source.item_size));
    if (!is_contiguous_.back()) Simplify(&source);
    const std::uint64_t size = tasks_[t].destination.size();
    for (std::uint64_t begin = 0; begin < size; begin += kPieceSize) {
      pieces_.push_back({t, begin, std::min(kPieceSize, size - begin)});
    }
    total += size;
  }
  job_.emplace(
      pieces_.size(), [this](std::size_t i) { Run(pieces_[i]); },
      total < kInlineBytes ? 0 : num_threads, Job::Caller::kHelps);
}

void CopyJob::Run(const Piece& piece) const {
  const CopyTask& task = tasks_[piece.task];
  std::uint8_t* const to = task.destination.data() + piece.begin;
  if (is_contiguous_[piece.task]) {
    // The checksum costs nothing over the copy, and the copy is faster than memcpy.
    static_cast<void>(crc::CopyExtend(0, to, task.source.data + piece.begin, piece.size));
    return;
  }
  Gather(task.source, piece.begin, {to, piece.size});
}

}  // namespace fastckpt::tensor
