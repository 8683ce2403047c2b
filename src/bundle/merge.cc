#include "bundle/merge.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "bundle/entry_encoder.h"
#include "commit/directories.h"
#include "commit/discard.h"
#include "commit/prefix_lock.h"

namespace fastckpt::bundle {

std::unique_ptr<Merger> Merger::Create(std::vector<std::string> prefixes,
                                       const std::string& destination, const MergeOptions& options,
                                       io::FileSystem& file_system) {
  std::unique_ptr<Merger> merger(
      new Merger(std::move(prefixes), destination, options, file_system));
  if (options.consume) merger->CheckIdle();
  return merger;
}

Merger::Merger(std::vector<std::string> prefixes, const std::string& destination,
               const MergeOptions& options, io::FileSystem& file_system)
    : destination_(destination),
      options_(options),
      file_system_(file_system),
      inputs_(std::move(prefixes), destination, options.complete_slices, file_system) {}

Merger::~Merger() {
  Abort();
}

// One lock after the other: held all at once they would be as many open files.
void Merger::CheckIdle() const {
  for (const std::string& prefix : inputs_.prefixes()) {
    commit::PrefixLock lock(file_system_);
    lock.Take(prefix);
  }
}

std::uint64_t Merger::bytes_total() const {
  std::uint64_t total = 0;
  for (const InputData& data : inputs_.data()) total += data.size_bytes;
  return total;
}

Job& Merger::Start() {
  transaction_ = commit::Transaction::Begin(destination_, {.sync = options_.sync}, file_system_);
  const std::size_t num_shards = inputs_.data().size();
  WriteIndex(transaction_->Settle(std::max(static_cast<std::int32_t>(num_shards), 1)));
  job_.emplace(num_shards, [this](std::size_t shard) { Import(shard); }, options_.num_threads);
  return *job_;
}

void Merger::WriteIndex(std::int32_t num_shards) {
  const Header& header = inputs_.header();
  io::Sink& index = transaction_->index();
  std::uint64_t offset = 0;
  inputs_.entries().Write(EncodeHeader(num_shards, header.big_endian, header.version),
                          [&](ByteView bytes) {
                            index.WriteAt(offset, bytes);
                            offset += bytes.size();
                          });
}

void Merger::Import(std::size_t shard) {
  const InputData& data = inputs_.data()[shard];
  std::uint64_t copied = 0;
  const auto on_copied = [&](std::uint64_t bytes) {
    copied += bytes;
    bytes_done_.fetch_add(bytes, std::memory_order_relaxed);
    if (!is_cancelled_.load(std::memory_order_relaxed)) return;
    throw Error(ErrorCode::kClosed, "the merge was cancelled").At(destination_);
  };
  transaction_->ImportShard(static_cast<std::int32_t>(shard), data.path, !options_.consume,
                            on_copied);
  // A linked file was not copied.
  if (copied == 0) bytes_done_.fetch_add(data.size_bytes, std::memory_order_relaxed);
}

void Merger::Commit() {
  inputs_.CheckUnchanged();
  transaction_->Commit();
  if (options_.consume) RemoveInputs();
}

void Merger::RemoveInputs() noexcept {
  std::set<std::string> directories;
  for (std::size_t i = 0; i < inputs_.prefixes().size(); ++i) {
    const std::string& prefix = inputs_.prefixes()[i];
    directories.insert(commit::ParentOf(prefix));
    try {
      commit::Discard(prefix, &inputs_.index_status(i), file_system_);
    } catch (const Error&) {
      // The result is complete without it.
    }
  }
  // Fails for those in which anything is left, the destination's among them.
  for (const std::string& directory : directories) file_system_.RemoveDirectory(directory);
}

void Merger::Abort() noexcept {
  is_cancelled_ = true;
  if (job_) job_->Cancel();
  job_.reset();
  if (transaction_) transaction_->Abort();
}

}  // namespace fastckpt::bundle
