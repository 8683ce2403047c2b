// An open V1 checkpoint: one string table, or several, that hold the slices of every tensor as
// protobuf records.
//
// Opening reads what the files say of their tensors and no values. A slice is found by its encoded
// key each time it is read, and the checksum of the block that holds it is verified each time that
// block is read: V1 has no other checksum.
#ifndef FASTCKPT_LEGACY_READER_H_
#define FASTCKPT_LEGACY_READER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "io/file_system.h"
#include "io/source.h"
#include "legacy/meta.h"
#include "legacy/values.h"
#include "table/table_reader.h"

namespace fastckpt::legacy {

struct ReaderOptions {
  // Damaged files are listed in damage() and left out as long as one is intact, and malformed
  // tensors are not visible; otherwise the first damaged file is thrown, and a malformed tensor is
  // an error for itself only.
  bool skip_damage = false;
};

// The record of one slice, checked to hold as many elements as the slice has.
struct Record {
  // Owns `value`.
  std::shared_ptr<const std::vector<std::uint8_t>> block;
  // The SavedTensorSlices message.
  ByteView value;
  std::int32_t dtype = 0;
  std::uint64_t count = 0;
};

// Immutable but for a memory of what was read last; safe to use from many threads.
class Reader {
 public:
  // Opens one file or all shards of one checkpoint. Throws NotFound when a file is missing,
  // DataLoss when one is no V1 file or damaged, InvalidArgument when one demands a newer reader,
  // LimitExceeded when the tensors would take more than 4 MiB + the size of the files to list.
  static std::shared_ptr<Reader> Open(const std::vector<std::string>& paths,
                                      const ReaderOptions& options,
                                      io::FileSystem& file_system = io::FileSystem::Posix());

  // The tensors, in name order. Names and numbers of malformed ones are valid.
  std::size_t num_tensors() const { return first_items_.size() - 1; }
  std::string_view name(std::uint32_t id) const { return items_[first_items_[id]].name(); }
  // The tensors that a listing shows: all, or with skip_damage the well-formed ones.
  const std::vector<std::uint32_t>& visible() const { return visible_; }
  // Throws TensorNotFound.
  std::uint32_t Find(std::string_view name) const;

  // Throws DataLoss when what the files say of the tensor is malformed.
  std::shared_ptr<const Layout> Describe(std::uint32_t id) const;
  // Throws, besides, DataLoss when a slice is there twice, InvalidArgument when slices overlap
  // otherwise, LimitExceeded when telling that would take too long.
  std::shared_ptr<const Layout> DescribeDisjoint(std::uint32_t id) const;

  // Throws DataLoss when the record is missing, damaged or holds another number of elements,
  // Unsupported for a dtype or a form of record that V1 readers do not accept.
  Record Fetch(std::uint32_t id, std::size_t part) const;
  // Fetches a slice of a plain dtype and copies its elements to `out`, which has exactly their
  // size.
  void ReadPart(std::uint32_t id, std::size_t part, MutableBytes out) const;
  // Bytes of a slice's elements; those of strings are looked up, and 0 where they cannot be read.
  std::uint64_t PartSize(std::uint32_t id, std::size_t part) const;
  // Bytes of the blocks that were read for values so far.
  std::uint64_t bytes_read() const { return bytes_read_.load(std::memory_order_relaxed); }
  // Lets go of the block that was read last, if it is a large one.
  void Release() const;

  const std::vector<std::string>& paths() const { return paths_; }
  // Bytes of all files.
  std::uint64_t file_bytes() const { return file_bytes_; }
  // A CRC over every block's checksum in every file.
  std::uint32_t fingerprint() const { return fingerprint_; }
  // Files that skip_damage left out, then malformed tensors.
  const std::vector<table::DamagedRange>& damage() const { return damage_; }

  // Re-reads the files: every block, the metaindex, footer padding, gaps; and looks for tensors
  // whose slices do not cover them. One error for each finding.
  std::vector<Error> CheckFiles() const;

 private:
  // Empty where skip_damage left it out.
  struct File {
    std::shared_ptr<const io::Source> source;
    std::unique_ptr<table::TableReader> table;
    // Holds the record at the empty key, which items point into.
    std::vector<std::uint8_t> block;
    ByteView meta;
    std::uint32_t fingerprint = 0;
  };
  struct CachedBlock {
    std::uint32_t file = 0;
    std::uint64_t offset = 0;
    std::shared_ptr<const std::vector<std::uint8_t>> bytes;
  };

  Reader() = default;
  static File OpenFile(const std::string& path, io::FileSystem& file_system);
  void AddFiles(const ReaderOptions& options, io::FileSystem& file_system);
  void CollectItems();
  void ListVisible(bool skip_damage);
  std::shared_ptr<const std::vector<std::uint8_t>> ReadBlock(
      std::uint32_t file, const table::BlockHandle& handle) const;
  // Empty when there is no such record.
  Record FindRecord(std::uint32_t file, const std::string& key) const;
  std::uint64_t CountOf(const Layout& layout, std::size_t part) const;
  void CheckFile(const File& file, std::vector<Error>* findings) const;
  bool IsCovered(const Layout& layout) const;
  Error TensorError(ErrorCode code, std::string message, std::uint32_t id,
                    const std::string& path) const;

  std::vector<std::string> paths_;
  // One for each path.
  std::vector<File> files_;
  std::uint64_t file_bytes_ = 0;
  std::uint32_t fingerprint_ = 0;
  std::vector<table::DamagedRange> damage_;
  // Sorted by name; tensor i has the items from first_items_[i] to first_items_[i + 1].
  std::vector<Item> items_;
  std::vector<std::uint32_t> first_items_;
  std::vector<std::uint32_t> visible_;

  mutable std::atomic<std::uint64_t> bytes_read_{0};
  mutable std::mutex mutex_;
  mutable CachedBlock last_block_;
  mutable std::uint32_t last_layout_id_ = 0;
  mutable std::shared_ptr<const Layout> last_layout_;
};

}  // namespace fastckpt::legacy

#endif  // FASTCKPT_LEGACY_READER_H_
