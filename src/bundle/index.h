// The whole index of a tensor bundle in flat arrays: about 90 bytes a tensor, built in one pass.
#ifndef FASTCKPT_BUNDLE_INDEX_H_
#define FASTCKPT_BUNDLE_INDEX_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "bundle/entry.h"
#include "coding/ordered.h"
#include "io/large_allocator.h"
#include "io/source.h"
#include "table/table_reader.h"
#include "tensor/shape.h"

namespace fastckpt::bundle {

// Why an entry cannot be used. Other entries are not affected.
enum class EntryStatus : std::uint8_t {
  kOk,
  kBadMessage,  // not a BundleEntryProto
  kBadDtype,    // a number that is no storable type
  kBadShape,    // negative, overflowing or unknown dimensions, or rank > 254
  kBadShard,    // shard_id outside [0, num_shards)
  kBadOffset,   // negative offset or size
  kBadSize,     // size differs from elements x item size
  kBadSlices,   // a slice outside the shape
};

// The rest of a sentence that begins "the tensor cannot be read: ".
const char* Explain(EntryStatus status);

// One tensor, or one stored slice of a partitioned one. 40 bytes.
struct Entry {
  // Where the bytes lie in the shard. In a sliced entry: first_extent and the number of slices.
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint32_t name_offset = 0;
  std::uint32_t name_size = 0;
  std::uint32_t first_dim = 0;
  // Unmasked CRC-32C of the stored bytes.
  std::uint32_t crc = 0;
  // Index into Index::shard_ids.
  std::uint32_t shard_slot = 0;
  std::int8_t dtype = 0;
  std::uint8_t rank = 0;
  EntryStatus status = EntryStatus::kOk;
  // The value is stored as slices under encoded keys.
  bool sliced = false;
};
static_assert(sizeof(Entry) == 40);

// The block CRCs of one entry: `count` of them, from `first` on in the index's list.
struct BlockTable {
  std::uint32_t entry_id = 0;
  std::uint32_t count = 0;
  std::uint64_t block_size = 0;
  std::uint64_t first = 0;
};

// Smaller blocks would cost more checksums than they save reading.
constexpr std::uint64_t kMinBlockSize = 4096;

// One value for each entry, or a few.
template <typename T>
using Column = std::vector<T, io::LargeAllocator<T>>;

struct IndexOptions {
  // Damaged blocks are listed in Index::damage and left out, and malformed entries are not visible;
  // otherwise the first damaged block is thrown, and a malformed entry is an error for its tensor.
  bool skip_damage = false;
  // Size of the data shards that belong to this header. Called at most once, and only when the size
  // of the index alone does not justify the memory that its names take.
  std::function<std::uint64_t(const Header&)> data_bytes;
};

// Immutable once built; safe to use from many threads.
class Index {
 public:
  // Reads the whole table. Throws DataLoss when the header is missing or malformed or a block is
  // damaged, InvalidArgument when the file demands a newer reader, LimitExceeded when the flat
  // arrays would outgrow 4 MiB + 2.5 x (size of the index + size of the data shards).
  static Index Build(const table::TableReader& table, const io::Source& source,
                     const IndexOptions& options);

  const Header& header() const { return header_; }
  // All entries in key order, stored slices included, the header excluded.
  const Column<Entry>& entries() const { return entries_; }
  // The shard numbers that entries mention, ascending; Entry::shard_slot points here.
  const std::vector<std::int32_t>& shard_ids() const { return shard_ids_; }
  // The entries that have CRCs for two or more blocks of at least kMinBlockSize bytes, as many as
  // their size calls for; by entry id. Whether they agree with the entry's CRC is not known here.
  const std::vector<BlockTable>& block_tables() const { return block_tables_; }
  // Unmasked CRC of each block.
  std::span<const std::uint32_t> block_crcs(const BlockTable& table) const {
    return std::span(block_crcs_).subspan(static_cast<std::size_t>(table.first), table.count);
  }
  // What skip_damage left out, apart from malformed entries.
  const std::vector<table::DamagedRange>& damage() const { return damage_; }

  // Number of tensors that a listing shows: stored slices that a sliced entry refers to are hidden.
  std::size_t num_visible() const { return all_visible_ ? entries_.size() : visible_.size(); }
  // The entry id of the i-th of them, in name order.
  std::uint32_t visible(std::size_t i) const {
    return all_visible_ ? static_cast<std::uint32_t>(i) : visible_[i];
  }

  // Whether the entry is left out of listings.
  bool IsHidden(std::uint32_t id) const {
    return !all_visible_ && !std::binary_search(visible_.begin(), visible_.end(), id);
  }

  // The id of the entry of this exact key, visible or not. Successive lookups in key order cost
  // O(1), others a binary search. `guess` is the id to try first.
  std::optional<std::uint32_t> Find(std::string_view key, std::uint32_t guess = 0) const;

  std::string_view name(const Entry& entry) const {
    return std::string_view(names_).substr(entry.name_offset, entry.name_size);
  }
  tensor::ShapeView shape(const Entry& entry) const {
    return tensor::ShapeView(dims_).subspan(entry.first_dim, entry.rank);
  }
  // Extents of the s-th slice of a sliced entry, one for each dimension.
  std::span<const coding::Extent> slice(const Entry& entry, std::size_t s) const {
    return std::span(extents_).subspan(static_cast<std::size_t>(entry.offset) + s * entry.rank,
                                       entry.rank);
  }

 private:
  friend class IndexBuilder;
  Index() = default;

  Header header_;
  Column<Entry> entries_;
  std::basic_string<char, std::char_traits<char>, io::LargeAllocator<char>> names_;
  std::vector<std::int64_t> dims_;
  std::vector<coding::Extent> extents_;
  std::vector<std::int32_t> shard_ids_;
  std::vector<BlockTable> block_tables_;
  Column<std::uint32_t> block_crcs_;
  bool all_visible_ = true;
  std::vector<std::uint32_t> visible_;
  std::vector<table::DamagedRange> damage_;
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_INDEX_H_
