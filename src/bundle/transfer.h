// Many tensors at once: check their stored bytes, and copy them where a destination is given.
//
// Large tensors are cut into pieces whose CRCs are combined, small ones are taken together, so that
// threads share the work whatever the sizes. Bytes are checked while they are copied, in one pass.
// Bytes that are not in memory are read as ShardAccess says.
#ifndef FASTCKPT_BUNDLE_TRANSFER_H_
#define FASTCKPT_BUNDLE_TRANSFER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "bundle/reader.h"
#include "bundle/shard_access.h"

namespace fastckpt::bundle {

// Tensors below this are handled on the calling thread: waking a worker costs more.
constexpr std::uint64_t kInlineBytes = std::uint64_t{4} << 20;

struct Transfer {
  std::uint32_t id = 0;
  // Room for the entry's size in bytes, or null to check only. Plain dtypes only: strings and
  // variants are checked, never copied.
  std::uint8_t* destination = nullptr;
};

struct TransferFailure {
  std::uint32_t id;
  Error error;
};

struct TransferOptions {
  // Compare checksums. Without it bytes are copied as they are, and check-only transfers do
  // nothing.
  bool verify = true;
  // Collect failures and go on, instead of stopping at the first.
  bool keep_going = false;
  // The caller of WaitFor is one of them, unless in_background. At least io::kDirectDepth where
  // bytes come from the device, unless 0: all is then done at once on the calling thread.
  int num_threads = 1;
  // Make progress while nobody waits.
  bool in_background = false;
  // The bytes will be looked at through the map next: they are to stay in memory.
  bool keep_cached = false;
};

// Starts at construction. The destinations and the reader's files stay in use until the job is
// destroyed. Copied values are in native byte order and normal form (tensor/dtype.h).
class TransferJob {
 public:
  TransferJob(std::shared_ptr<const Reader> reader, std::vector<Transfer> transfers,
              const TransferOptions& options);
  ~TransferJob();

  // True when all is done. Throws the first failure then, unless keep_going.
  bool WaitFor(std::chrono::milliseconds timeout);
  void Cancel();

  // Progress so far; may be read at any time.
  std::uint64_t bytes_done() const { return bytes_done_.load(std::memory_order_relaxed); }
  // Without what could not be read.
  std::uint64_t bytes_read() const { return bytes_read_.load(std::memory_order_relaxed); }
  std::uint64_t tensors_done() const { return tensors_done_.load(std::memory_order_relaxed); }
  // The entry a worker touched last.
  std::uint32_t current_id() const { return current_id_.load(std::memory_order_relaxed); }

  // In the order of the transfers; complete once WaitFor returned true.
  std::vector<TransferFailure> TakeFailures();

 private:
  struct Unit;        // what a worker takes at a time
  struct SplitState;  // a large tensor whose pieces are under way
  // Bytes of a shard that are in memory already.
  struct Window {
    std::uint64_t offset = 0;
    ByteView bytes;
  };

  void Plan();
  bool IsSplit(std::uint32_t id) const;
  void Run(const Unit& unit);
  bool RunTogether(const Unit& unit);
  void RunWhole(const Transfer& transfer, const Window& window);
  void RunPiece(const Unit& unit);
  std::uint32_t Move(const Transfer& transfer, std::uint64_t begin, std::uint64_t size,
                     const Window& window);
  std::uint32_t MoveFrom(std::uint32_t crc, ByteView stored, std::uint8_t* destination) const;
  std::uint32_t Copy(const io::Source& source, std::uint64_t offset, std::uint8_t* destination,
                     std::size_t size) const;
  std::uint32_t CopyRead(const io::Source& source, std::uint64_t offset, std::uint8_t* destination,
                         std::size_t size) const;
  void Finish(const Transfer& transfer, std::uint32_t crc);
  void Fail(std::uint32_t id, const Error& error);

  const std::shared_ptr<const Reader> reader_;
  const std::vector<Transfer> transfers_;
  const TransferOptions options_;
  ShardAccess access_;
  std::vector<Unit> units_;
  std::vector<std::unique_ptr<SplitState>> splits_;
  std::mutex mutex_;
  std::vector<TransferFailure> failures_;
  std::atomic<std::uint64_t> bytes_done_{0};
  std::atomic<std::uint64_t> bytes_read_{0};
  std::atomic<std::uint64_t> tensors_done_{0};
  std::atomic<std::uint32_t> current_id_{0};
  std::optional<Job> job_;
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_TRANSFER_H_
