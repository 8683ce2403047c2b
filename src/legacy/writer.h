// A V1 checkpoint under construction: all tensors are given at once, encoded in the order of keys,
// and become visible together, as far as that can be (commit/replace_file.h).
//
//   Writer writer(path, inputs, options);
//   while (!writer.WaitFor(50ms)) …
//   writer.Commit();
//
// The files are those of TensorFlow's SaveSlices op, given the same inputs in the same order.
#ifndef FASTCKPT_LEGACY_WRITER_H_
#define FASTCKPT_LEGACY_WRITER_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "commit/replace_file.h"
#include "io/file_system.h"
#include "legacy/encode.h"
#include "table/table_builder.h"

namespace fastckpt::legacy {

struct WriterOptions {
  // 0: one file, at the path itself. Otherwise files `path`-SSSSS-of-NNNNN, each a complete table
  // with the meta of its own tensors; those whose shard the caller leaves open go where the fewest
  // bytes are.
  std::int32_t num_shards = 0;
  // Commit survives a power cut.
  bool sync = true;
  // Shards that are written at once.
  int num_threads = 1;
};

// `path` + "-SSSSS-of-NNNNN", both numbers with five digits or more.
std::string ShardName(const std::string& path, std::int32_t shard, std::int32_t num_shards);

// For one thread at a time. Memory, for each thread: about three times the largest record.
class Writer {
 public:
  // Checks the inputs, takes the lock and starts writing. The inputs' memory, and `inputs` itself,
  // stay in use until WaitFor returns true or the writer is gone. Throws what CheckInputs and
  // commit::FileReplacement throw; nothing is written then.
  Writer(const std::string& path, std::span<const tensor::Input> inputs,
         const WriterOptions& options, io::FileSystem& file_system = io::FileSystem::Posix());
  // Removes everything unless committed.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // True when all is written, and with sync on the device; throws the first failure.
  bool WaitFor(std::chrono::milliseconds timeout);
  // Makes it visible, after WaitFor returned true; see commit::FileReplacement::Commit.
  void Commit() { files_.Commit(); }

  // Bytes of elements, and inputs, that were encoded so far, and the input encoded last.
  std::uint64_t bytes_done() const { return bytes_done_.load(std::memory_order_relaxed); }
  std::size_t inputs_done() const { return inputs_done_.load(std::memory_order_relaxed); }
  std::size_t current_input() const { return current_input_.load(std::memory_order_relaxed); }

 private:
  struct Shard {
    io::Sink* sink = nullptr;
    // In the order in which they were given.
    std::vector<const tensor::Input*> inputs;
  };

  void AssignShards(std::int32_t num_shards);
  void WriteShard(const Shard& shard);
  void WriteRecords(const Shard& shard, table::TableBuilder* table);

  const std::span<const tensor::Input> inputs_;
  const WriterOptions options_;
  commit::FileReplacement files_;
  std::vector<Shard> shards_;
  std::atomic<bool> is_cancelled_{false};
  std::atomic<std::uint64_t> bytes_done_{0};
  std::atomic<std::size_t> inputs_done_{0};
  std::atomic<std::size_t> current_input_{0};
  // Uses all of the above.
  std::optional<Job> job_;
};

}  // namespace fastckpt::legacy

#endif  // FASTCKPT_LEGACY_WRITER_H_
