// Several checkpoints become one, with the numbering of TensorFlow's MergeV2Checkpoints and the
// same bytes. Data files are copied or linked, never read for what is in them.
//
//   auto merger = Merger::Create(prefixes, destination, options);
//   Job& job = merger->Start();  while (!job.WaitFor(50ms)) …
//   merger->Commit();
#ifndef FASTCKPT_BUNDLE_MERGE_H_
#define FASTCKPT_BUNDLE_MERGE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "bundle/merge_inputs.h"
#include "commit/transaction.h"
#include "io/file_system.h"

namespace fastckpt::bundle {

struct MergeOptions {
  // The inputs become the result: their data files get a second name, where the file system has
  // links, and after the commit the inputs are removed, with their directories where these are
  // empty then.
  bool consume = false;
  // Commit survives a power cut.
  bool sync = true;
  // Partitioned tensors must have all their slices.
  bool complete_slices = false;
  int num_threads = 1;
};

// For one thread at a time.
class Merger {
 public:
  // Reads and checks all that a merge needs, and changes nothing. Throws what MergeInputs throws,
  // and with `consume` Busy while a live writer holds one of the inputs.
  static std::unique_ptr<Merger> Create(std::vector<std::string> prefixes,
                                        const std::string& destination, const MergeOptions& options,
                                        io::FileSystem& file_system = io::FileSystem::Posix());
  // Aborts unless committed.
  ~Merger();
  Merger(const Merger&) = delete;
  Merger& operator=(const Merger&) = delete;

  // Writes the index under a temporary name, and starts linking or copying. Throws what
  // commit::Transaction::Begin throws. Once.
  Job& Start();
  // After the job: makes the result visible, in place of what was at the destination; see
  // commit::Transaction::Commit. Throws Changed when an input was replaced meanwhile. Inputs that
  // cannot be removed then stay.
  void Commit();
  // Stops the job as soon as may be and removes what it made; idempotent.
  void Abort() noexcept;

  // Entries of the result, its slices included, and bytes of its data files.
  std::size_t num_entries() const { return inputs_.entries().size(); }
  std::uint64_t bytes_total() const;
  std::uint64_t bytes_done() const { return bytes_done_.load(std::memory_order_relaxed); }

 private:
  Merger(std::vector<std::string> prefixes, const std::string& destination,
         const MergeOptions& options, io::FileSystem& file_system);
  void CheckIdle() const;
  void WriteIndex(std::int32_t num_shards);
  void Import(std::size_t shard);
  void RemoveInputs() noexcept;

  const std::string destination_;
  const MergeOptions options_;
  io::FileSystem& file_system_;
  MergeInputs inputs_;
  std::unique_ptr<commit::Transaction> transaction_;
  std::atomic<std::uint64_t> bytes_done_{0};
  std::atomic<bool> is_cancelled_{false};
  std::optional<Job> job_;
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_MERGE_H_
