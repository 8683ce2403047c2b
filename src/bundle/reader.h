// An open tensor bundle: its index, its shards, and the checks that stand between bytes and
// callers.
#ifndef FASTCKPT_BUNDLE_READER_H_
#define FASTCKPT_BUNDLE_READER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "bundle/blocks.h"
#include "bundle/index.h"
#include "io/source.h"

namespace fastckpt::bundle {

struct ReaderOptions {
  io::Backend backend = io::Backend::kAuto;
  bool skip_damage = false;
};

// One data shard. A missing one is an error for the tensors in it only.
struct Shard {
  std::int32_t id = 0;
  std::string path;
  std::shared_ptr<const io::Source> source;  // null when it could not be opened
  std::optional<Error> error;                // why
};

// The stored bytes of one tensor; they live as long as this object, and mapped ones as long as the
// source.
struct StoredBytes {
  ByteView bytes;
  std::vector<std::uint8_t> owned;
};

// Immutable but for the memory of which entries were verified; safe to use from many threads.
class Reader {
 public:
  // Opens index and shards. Throws NotFound when there is no index, DataLoss when it is damaged
  // (only when it is beyond use with skip_damage), and what Index::Build throws.
  static std::shared_ptr<Reader> Open(const std::string& prefix, const ReaderOptions& options,
                                      io::FileSystem& file_system = io::FileSystem::Posix());

  const std::string& prefix() const { return prefix_; }
  const Index& index() const { return index_; }
  const Entry& entry(std::uint32_t id) const { return index_.entries()[id]; }
  std::string_view name(std::uint32_t id) const { return index_.name(entry(id)); }
  // The tensor that an entry belongs to: its name, or for a stored slice that of the whole tensor.
  std::string TensorName(std::uint32_t id) const;
  const std::vector<Shard>& shards() const { return shards_; }
  const io::Source& index_source() const { return *index_source_; }
  // Equal for equal content of the index.
  std::uint32_t fingerprint() const { return fingerprint_; }

  // What skip_damage left out: damaged blocks, then malformed entries; empty without it.
  std::vector<table::DamagedRange> Damage() const;

  // The id of a listed or hidden entry. Throws TensorNotFound.
  std::uint32_t Find(std::string_view name) const;

  // Throws the entry's own error unless it is well-formed; says nothing about its bytes.
  const Entry& CheckEntry(std::uint32_t id) const;

  // The source that holds the entry's bytes, after checking that the entry is well-formed, not
  // sliced, its shard is there and was long enough when it was opened. Throws DataLoss, NotFound,
  // Unsupported.
  const io::Source& SourceOf(std::uint32_t id) const;

  // The entry's stored bytes: borrowed from the map, or read into memory. Sizes are re-checked.
  StoredBytes Fetch(std::uint32_t id) const;

  // Bytes of tensors that were read or checked so far, by whatever way.
  std::uint64_t bytes_read() const { return bytes_read_.load(std::memory_order_relaxed); }
  void CountRead(std::uint64_t bytes) const {
    bytes_read_.fetch_add(bytes, std::memory_order_relaxed);
  }

  // Whether the entry's checksum was compared and found right before.
  bool IsVerified(std::uint32_t id) const {
    return verified_[id].load(std::memory_order_acquire) != 0;
  }
  void MarkVerified(std::uint32_t id) const { verified_[id].store(1, std::memory_order_release); }

  // Compares a tensor's checksum with the entry's. Throws DataLoss naming tensor, file and offset:
  // that of the first damaged block where block CRCs tell, which reads the entry again.
  void CompareCrc(std::uint32_t id, std::uint32_t actual) const;

  // The entry's block CRCs and which blocks were verified.
  const BlockChecks& blocks() const { return blocks_; }
  // Reads one block and compares its CRC, whether or not that was done before; with the last block
  // the entry is verified. Throws DataLoss naming the block's bytes and offset.
  void VerifyBlock(const BlockTable& table, std::uint32_t block) const;

  // Reads the entry's bytes and compares every checksum it has, on the calling thread.
  void Verify(std::uint32_t id) const;

  // Verifies an entry unless that was done, and with it the small tensors that follow it in index
  // and file: looking at the file's size costs more than checking 32 KiB. Says nothing of damage in
  // those.
  void VerifyOnce(std::uint32_t id) const;

  // Sorts ids by the place of their bytes: by shard, then offset.
  void SortByFileOrder(std::vector<std::uint32_t>* ids) const;
  // Every listed tensor that is stored as slices.
  std::vector<std::uint32_t> PartitionedIds() const;
  // Every entry that has bytes of its own, stored slices included, in file order.
  std::vector<std::uint32_t> StoredIds() const;
  // Bytes of all of them.
  std::uint64_t stored_bytes() const;

  // Re-reads the index from the file and checks what opening does not need: the metaindex, footer
  // padding, and padding between tensors. One error for each finding.
  std::vector<Error> CheckFiles() const;

  // An error about this entry, with its file, offset and name.
  Error EntryError(ErrorCode code, std::string message, std::uint32_t id) const;

 private:
  Reader(std::string prefix, std::shared_ptr<const io::Source> index_source, Index index,
         std::uint32_t fingerprint, bool skip_damage);
  // DataLoss in the entry's bytes, with what block CRCs tell of the place.
  Error DamageError(std::string message, std::uint32_t id) const;
  void OpenShards(io::Backend backend, io::FileSystem& file_system);
  void CheckPadding(const Shard& shard, std::uint64_t begin, std::uint64_t end,
                    std::vector<Error>* findings) const;
  void CheckAllPadding(std::vector<Error>* findings) const;

  std::string prefix_;
  std::shared_ptr<const io::Source> index_source_;
  Index index_;
  BlockChecks blocks_;
  std::uint32_t fingerprint_;
  std::vector<Shard> shards_;
  bool skip_damage_;
  std::unique_ptr<std::atomic<std::uint8_t>[]> verified_;
  mutable std::atomic<std::uint32_t> next_id_{0};
  mutable std::atomic<std::uint64_t> bytes_read_{0};
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_READER_H_
