// A checkpoint under construction: tensors are laid out and written as they come, and become
// visible together.
//
//   auto writer = Writer::Create(prefix, options);
//   WriteJob& job = writer->Add(inputs);  while (!job.WaitFor(50ms)) …
//   Job& flush = writer->Finish();        while (!flush.WaitFor(50ms)) …
//   writer->Commit();
#ifndef FASTCKPT_BUNDLE_WRITER_H_
#define FASTCKPT_BUNDLE_WRITER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "bundle/partitions.h"
#include "bundle/stored_items.h"
#include "bundle/write_job.h"
#include "commit/transaction.h"
#include "io/file_system.h"
#include "tensor/input.h"

namespace fastckpt::bundle {

struct WriterOptions {
  std::int32_t num_shards = 1;
  // Tensors of 4 KiB or more begin at multiples of this, smaller ones at multiples of their item
  // size as far as it allows; a power of two. 1 is TensorFlow's layout.
  std::uint64_t alignment = 1;
  bool block_crcs = false;
  // Commit survives a power cut.
  bool sync = true;
  // Partitioned tensors must have all their slices.
  bool complete_slices = true;
  // Past the page cache, with io::kDirectDepth requests under way; through it where the file system
  // has no such mode. The files are the same.
  bool direct = false;
  int num_threads = 1;
};

// For one thread at a time. A writer that threw, or of which a job was cancelled, can only be
// aborted.
class Writer {
 public:
  // Throws what commit::Transaction::Begin throws, and InvalidArgument for impossible options.
  static std::unique_ptr<Writer> Create(const std::string& prefix, const WriterOptions& options,
                                        io::FileSystem& file_system = io::FileSystem::Posix());
  // Aborts unless committed.
  ~Writer();

  // Says that so many tensors will be added: spares moves of what is remembered of them.
  void Expect(std::size_t num_tensors) { items_.Expect(num_tensors); }

  // Lays the tensors out in their order, each in its shard or in the emptiest, and starts writing
  // them. The inputs' data stays in use until the job is done; one job at a time. Throws
  // InvalidArgument, naming the tensor, before anything is written.
  WriteJob& Add(std::span<const tensor::Input> inputs);

  // `prefix` + `suffix` (".meta") appears with the checkpoint.
  void AddCompanion(const std::string& suffix, ByteView content);

  // Writes what is left and syncs the shards, on many threads. Checks the slices first.
  Job& Finish();

  // Writes the index and makes all of it visible; see commit::Transaction::Commit.
  void Commit();
  // Stops the job that is under way as soon as may be; the writer can only be aborted then.
  void Cancel() noexcept;
  // Removes everything; idempotent.
  void Abort() noexcept;

  const StoredItems& items() const { return items_; }
  std::size_t num_tensors() const;
  std::uint64_t stored_bytes() const;

 private:
  Writer(std::unique_ptr<commit::Transaction> transaction, const WriterOptions& options);
  void CheckUsable() const;
  WriteOptions JobOptions() const;
  void LayOut(const tensor::Input& input, WriteBatch* batch);
  StoredItem& AppendItem(const tensor::Input& input);
  void LayOutPlain(const tensor::Input& input, std::uint32_t item, WriteBatch* batch);
  void LayOutStrings(const tensor::Input& input, std::uint32_t item, WriteBatch* batch);
  void LayOutVariants(const tensor::Input& input, std::uint32_t item, WriteBatch* batch);
  std::uint32_t ChooseShard(const tensor::Input& input, const WriteBatch& batch) const;
  void Place(std::uint32_t item, std::uint64_t size, std::uint64_t item_size, WriteBatch* batch);

  std::unique_ptr<commit::Transaction> transaction_;
  const WriterOptions options_;
  const int process_;
  StoredItems items_;
  Partitions partitions_;
  std::vector<ShardFile> shards_;
  std::optional<WriteJob> job_;
  std::optional<Job> flush_;
  // Set while something is under way that, left unfinished, spoils the writer.
  bool is_broken_ = false;
  bool is_done_ = false;
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_WRITER_H_
