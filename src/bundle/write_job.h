// Puts the bytes of many tensors into shards, by many threads.
//
// Each shard is cut at multiples of a chunk size. A chunk of memory that nobody changes is written
// from where it lies. Any other is assembled in memory, whatever tensors
// or parts of tensors fall into it, and written in one call: small tensors cost no call of their
// own, large ones are shared among threads, and later maps of the file get large pages. Checksums
// are those of the assembled bytes, so that they hold even while another thread changes an array.
#ifndef FASTCKPT_BUNDLE_WRITE_JOB_H_
#define FASTCKPT_BUNDLE_WRITE_JOB_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "bundle/stored_items.h"
#include "io/direct.h"
#include "io/sink.h"
#include "tensor/gather.h"

namespace fastckpt::bundle {

// Through the page cache: large enough for later maps to get large pages.
constexpr std::uint64_t kChunkSize = std::uint64_t{1} << 20;
// Past it.
constexpr std::uint64_t kDirectChunkSize = io::kDirectRequest;

// A shard under construction.
struct ShardFile {
  io::Sink* sink = nullptr;
  // End of all that was laid out.
  std::uint64_t size = 0;
  // The chunk at the end that is not full yet, and where it begins.
  std::uint64_t tail_begin = 0;
  std::vector<std::uint8_t> tail;
};

// Consecutive bytes of a shard that come from one place in memory.
struct Span {
  static constexpr std::uint32_t kNone = 0xFFFFFFFFu;

  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  const std::uint8_t* data = nullptr;
  // The item whose CRC these bytes make, all of them; kNone where the CRC is known.
  std::uint32_t item = kNone;
  // Where the elements are not contiguous or not in native order: an index into WriteBatch::arrays.
  std::uint32_t array = kNone;
  // Nobody changes the bytes while the job runs.
  bool is_frozen = false;
  // Set by the job: where the CRCs of its pieces are collected.
  std::uint32_t first_slot = kNone;
};

// What one job writes. Bytes between spans become zeros.
struct WriteBatch {
  // For each shard, in ascending order of offset, from ShardFile::size on.
  std::vector<std::vector<Span>> spans;
  // For each shard, where it ends with this batch.
  std::vector<std::uint64_t> ends;
  std::vector<tensor::StridedArray> arrays;
  // Bytes that spans point to and nobody else owns.
  std::deque<std::string> owned;
};

struct WriteOptions {
  bool block_crcs = false;
  // Let the device begin while the job goes on.
  bool start_writeback = false;
  int num_threads = 1;
  // The same for all jobs that write a shard; each thread keeps one chunk of memory.
  std::uint64_t chunk_size = kChunkSize;
};

// Starts at construction; what the batch points to stays in use until the job is destroyed. After
// WaitFor returned true the items have their CRCs and the shards their new tails. A job that failed
// or was cancelled leaves shards and items unspecified.
class WriteJob {
 public:
  WriteJob(StoredItems* items, std::vector<ShardFile>* shards, WriteBatch batch,
           const WriteOptions& options);
  ~WriteJob();

  // True when all is written; throws the first failure.
  bool WaitFor(std::chrono::milliseconds timeout);
  void Cancel();

  std::uint64_t bytes_done() const { return bytes_done_.load(std::memory_order_relaxed); }
  // The item a worker touched last; Span::kNone before the first.
  std::uint32_t current_item() const { return current_item_.load(std::memory_order_relaxed); }

 private:
  struct Unit {
    std::uint32_t shard;
    std::uint64_t chunk;
  };
  struct PieceCrc {
    std::uint32_t crc = 0;
    std::uint32_t size = 0;
  };

  std::uint64_t PlanShard(std::uint32_t shard);
  void PlanSlots(std::vector<Span>* spans);
  std::uint64_t FirstChunk(const Span& span) const { return span.offset / chunk_size_; }
  std::uint64_t LastChunk(const Span& span) const {
    return (span.offset + span.size - 1) / chunk_size_;
  }
  bool IsSplit(const Span& span) const;
  void Run(const Unit& unit);
  MutableBytes ChunkOfThread() const;
  void WriteChunk(const Unit& unit, std::uint64_t begin, std::uint64_t end);
  const Span* FrozenSpan(std::uint32_t shard, std::uint64_t begin, std::uint64_t end) const;
  // Assembles bytes [begin, end) of a shard at `out`.
  void Assemble(std::uint32_t shard, std::uint64_t begin, std::uint64_t end, std::uint8_t* out);
  void AssembleSpan(const Span& span, std::uint64_t begin, std::uint64_t end, std::uint8_t* out);
  template <typename PieceCrcOf>
  void FillSlots(const Span& span, std::uint64_t begin, std::uint64_t end, PieceCrcOf crc_of);
  std::uint32_t Move(const Span& span, std::uint64_t begin, MutableBytes out) const;
  void CollectCrcs(const Span& span);
  void Complete();

  StoredItems* const items_;
  std::vector<ShardFile>* const shards_;
  WriteBatch batch_;
  const WriteOptions options_;
  const std::uint64_t chunk_size_;
  std::vector<Unit> units_;
  std::vector<std::vector<std::uint8_t>> old_tails_;
  std::vector<PieceCrc> slots_;
  std::atomic<std::uint64_t> bytes_done_{0};
  std::atomic<std::uint32_t> current_item_{Span::kNone};
  bool complete_ = false;
  std::optional<Job> job_;
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_WRITE_JOB_H_
