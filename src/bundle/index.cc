#include "bundle/index.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "coding/fixed.h"
#include "crc/crc32c.h"
#include "tensor/dtype.h"

namespace fastckpt::bundle {
namespace {

constexpr std::uint64_t kLimitAllowance = std::uint64_t{4} << 20;
// In halves: 2.5 times the bytes that are there.
constexpr std::uint64_t kLimitHalves = 5;
constexpr std::uint64_t kMaxReserve = std::uint64_t{1} << 30;

// A table, and what a reader remembers of its blocks; TableState in blocks.h.
constexpr std::uint64_t kBytesPerBlockTable = sizeof(BlockTable) + 24;

// Every stored string element has a length byte, and all of them share one checksum.
constexpr std::uint64_t kMinStringOverhead = 4;

bool IsStorable(std::int32_t dtype) {
  return tensor::IsPlain(dtype) || dtype == tensor::kString || dtype == tensor::kVariant;
}

bool SizeMatches(std::int32_t dtype, std::uint64_t elements, std::uint64_t size) {
  if (dtype == tensor::kVariant) return size >= elements;
  if (dtype == tensor::kString)
    return size >= kMinStringOverhead && size - kMinStringOverhead >= elements;
  const auto expected = CheckedMul(elements, tensor::ItemSize(dtype));
  return expected && *expected == size;
}

}  // namespace

const char* Explain(EntryStatus status) {
  switch (status) {
    case EntryStatus::kOk:
      return "";
    case EntryStatus::kBadMessage:
      return "its index entry cannot be parsed";
    case EntryStatus::kBadDtype:
      return "its dtype number is not a storable type";
    case EntryStatus::kBadShape:
      return "its shape is invalid (negative, unknown or overflowing dimensions, or rank > 254)";
    case EntryStatus::kBadShard:
      return "its shard number is outside the checkpoint's shards";
    case EntryStatus::kBadOffset:
      return "its offset or size is negative";
    case EntryStatus::kBadSize:
      return "its stored size does not match its shape and dtype";
    case EntryStatus::kBadSlices:
      return "its slices do not fit its shape";
  }
  return "";
}

class IndexBuilder {
 public:
  IndexBuilder(const io::Source& source, const IndexOptions& options)
      : source_(source), options_(options) {
    // Reserved memory is not resident until it is used; growing by copying would be.
    const auto bytes = static_cast<std::size_t>(std::min(source.size(), kMaxReserve));
    index_.entries_.reserve(bytes / 32);
    index_.names_.reserve(bytes);
    index_.dims_.reserve(bytes / 16);
    limit_bytes_ = kLimitAllowance + source.size() / 2 * kLimitHalves;
  }

  Index Build(const table::TableReader& table) {
    table.Scan([this](std::string_view key, ByteView value) { Add(key, value); },
               [this](table::DamagedRange damaged) { Report(std::move(damaged)); });
    if (!has_header_) Throw(ErrorCode::kDataLoss, "the index is empty; it has no header entry");
    SortShards();
    Hide();
    return std::move(index_);
  }

 private:
  [[noreturn]] void Throw(ErrorCode code, std::string message) const {
    throw Error(code, std::move(message)).At(source_.path());
  }

  void Report(table::DamagedRange damaged) {
    // Without the header nothing tells the number of shards or their byte order.
    if (!options_.skip_damage || !has_header_) throw std::move(damaged.error);
    damage_bytes_ += sizeof damaged + damaged.error.message().size() + damaged.after.size() +
                     damaged.up_to.size();
    index_.damage_.push_back(std::move(damaged));
    if (UsedBytes() > limit_bytes_) RaiseLimit();
  }

  void Add(std::string_view key, ByteView value) {
    if (!has_header_) return TakeHeader(key, value);
    EntryFields fields;
    Entry entry;
    entry.name_offset = static_cast<std::uint32_t>(index_.names_.size());
    entry.name_size = static_cast<std::uint32_t>(key.size());
    entry.first_dim = static_cast<std::uint32_t>(index_.dims_.size());
    const std::size_t first_extent = index_.extents_.size();
    const bool parsed = DecodeEntry(value, &fields, &index_.dims_, &index_.extents_);
    entry.status = parsed ? Fill(fields, first_extent, &entry) : EntryStatus::kBadMessage;
    if (entry.status != EntryStatus::kOk) Reset(first_extent, &entry);
    // Growing by copying would hold old and new at once; the limit itself is only reserved.
    if (index_.names_.size() + key.size() > index_.names_.capacity()) {
      index_.names_.reserve(static_cast<std::size_t>(std::min(limit_bytes_, kMaxReserve)) +
                            key.size());
    }
    if (fields.block_crcs && entry.status == EntryStatus::kOk && !entry.sliced) {
      AddBlockCrcs(*fields.block_crcs, entry.size);
    }
    index_.names_.append(key);
    index_.entries_.push_back(entry);
    if (UsedBytes() > limit_bytes_ || PastOffsets()) RaiseLimit();
  }

  // The name stays; what does not hold together is dropped.
  void Reset(std::size_t first_extent, Entry* entry) {
    index_.dims_.resize(entry->first_dim);
    index_.extents_.resize(first_extent);
    entry->rank = 0;
    entry->sliced = false;
    entry->offset = entry->size = 0;
  }

  EntryStatus Fill(const EntryFields& fields, std::size_t first_extent, Entry* entry) {
    if (!IsStorable(fields.dtype)) return EntryStatus::kBadDtype;
    entry->dtype = static_cast<std::int8_t>(fields.dtype);
    const auto shape = tensor::ShapeView(index_.dims_).subspan(entry->first_dim);
    const auto elements = tensor::NumElements(shape);
    if (fields.unknown_rank || !elements) return EntryStatus::kBadShape;
    entry->rank = static_cast<std::uint8_t>(shape.size());
    if (fields.num_slices > 0) return FillSliced(fields, first_extent, shape, entry);
    if (fields.shard_id < 0 || fields.shard_id >= index_.header_.num_shards) {
      return EntryStatus::kBadShard;
    }
    if (fields.offset < 0 || fields.size < 0) return EntryStatus::kBadOffset;
    entry->offset = static_cast<std::uint64_t>(fields.offset);
    entry->size = static_cast<std::uint64_t>(fields.size);
    entry->crc = crc::Unmask(fields.masked_crc);
    if (!SizeMatches(fields.dtype, static_cast<std::uint64_t>(*elements), entry->size)) {
      return EntryStatus::kBadSize;
    }
    entry->shard_slot = ShardSlot(fields.shard_id);
    return EntryStatus::kOk;
  }

  // Leaves out what does not fit the entry: a block size or a number of CRCs that cannot be. One
  // block is what the entry's own CRC covers.
  void AddBlockCrcs(const BlockCrcFields& fields, std::uint64_t size) {
    const ByteView masked = fields.masked_crcs;
    if (fields.block_size < kMinBlockSize || fields.block_size >= size) return;
    const std::uint64_t count = (size - 1) / fields.block_size + 1;
    if (masked.size() % 4 != 0 || masked.size() / 4 != count) return;
    Column<std::uint32_t>& crcs = index_.block_crcs_;
    // Without Snappy they are never more than the file.
    if (crcs.empty())
      crcs.reserve(static_cast<std::size_t>(std::min(source_.size(), kMaxReserve) / 4));
    const auto id = static_cast<std::uint32_t>(index_.entries_.size());
    index_.block_tables_.push_back(
        {id, static_cast<std::uint32_t>(count), fields.block_size, crcs.size()});
    for (std::size_t i = 0; i < masked.size(); i += 4) {
      crcs.push_back(crc::Unmask(coding::LoadFixed32(masked.data() + i)));
    }
  }

  EntryStatus FillSliced(const EntryFields& fields, std::size_t first_extent,
                         tensor::ShapeView shape, Entry* entry) {
    // A scalar has no extents to tell slices apart; TensorFlow refuses to store such a slice.
    if (shape.empty()) return EntryStatus::kBadSlices;
    for (std::size_t i = first_extent; i < index_.extents_.size(); ++i) {
      if (!tensor::IsInside(index_.extents_[i], shape[(i - first_extent) % shape.size()])) {
        return EntryStatus::kBadSlices;
      }
    }
    entry->sliced = true;
    entry->offset = first_extent;
    entry->size = fields.num_slices;
    return EntryStatus::kOk;
  }

  void TakeHeader(std::string_view key, ByteView value) {
    if (!key.empty()) Throw(ErrorCode::kDataLoss, "the first entry of the index is not the header");
    Header& header = index_.header_;
    if (!DecodeHeader(value, &header) || header.num_shards < 0) {
      Throw(ErrorCode::kDataLoss, "the header of the index is malformed");
    }
    const tensor::VersionDef& version = header.version;
    if (!version.is_supported()) {
      Throw(ErrorCode::kInvalidArgument,
            "the checkpoint's format version is not supported (producer " +
                std::to_string(version.producer) + ", min_consumer " +
                std::to_string(version.min_consumer) + "); this reader implements version 1");
    }
    has_header_ = true;
  }

  std::uint32_t ShardSlot(std::int32_t shard_id) {
    if (shard_id == last_shard_id_) return last_shard_slot_;
    const auto fresh = static_cast<std::uint32_t>(index_.shard_ids_.size());
    const auto [found, is_fresh] = slots_.try_emplace(shard_id, fresh);
    if (is_fresh) index_.shard_ids_.push_back(shard_id);
    last_shard_id_ = shard_id;
    last_shard_slot_ = found->second;
    return last_shard_slot_;
  }

  // Slots in the order of shard numbers, so that sorting by slot is file order.
  void SortShards() {
    std::vector<std::int32_t> sorted = index_.shard_ids_;
    std::ranges::sort(sorted);
    if (sorted == index_.shard_ids_) return;
    std::vector<std::uint32_t> rank;
    for (const std::int32_t id : index_.shard_ids_) {
      rank.push_back(
          static_cast<std::uint32_t>(std::ranges::lower_bound(sorted, id) - sorted.begin()));
    }
    for (Entry& entry : index_.entries_) {
      if (entry.status == EntryStatus::kOk && !entry.sliced) {
        entry.shard_slot = rank[entry.shard_slot];
      }
    }
    index_.shard_ids_ = std::move(sorted);
  }

  std::uint64_t UsedBytes() const {
    return index_.names_.size() + index_.entries_.size() * sizeof(Entry) +
           index_.dims_.size() * sizeof(std::int64_t) +
           index_.extents_.size() * sizeof(coding::Extent) +
           index_.block_tables_.size() * kBytesPerBlockTable +
           index_.block_crcs_.size() * sizeof(std::uint32_t) + damage_bytes_;
  }

  // Entries point into names and dimensions with 32 bits.
  bool PastOffsets() const {
    return std::max(index_.names_.size(), index_.dims_.size()) > 0xFFFFFFFFu;
  }

  // Prefix compression lets a few bytes of file claim a long name, so memory is bounded by what
  // is there: first by the index alone, then by the data that the names belong to.
  void RaiseLimit() {
    if (!limit_is_final_ && options_.data_bytes) {
      limit_bytes_ += options_.data_bytes(index_.header_) / 2 * kLimitHalves;
    }
    limit_is_final_ = true;
    if (UsedBytes() > limit_bytes_ || PastOffsets()) {
      Throw(ErrorCode::kLimitExceeded,
            "the index is too large in memory: it needs more than 4 MiB + 2.5 x the bytes of the "
            "checkpoint");
    }
  }

  // Hides what TensorFlow hides: entries whose key encodes a slice that a sliced entry lists; and,
  // with skip_damage, entries that cannot be used.
  void Hide() {
    std::vector<bool> hidden;
    for (std::size_t i = 0; i < index_.entries_.size(); ++i) {
      const Entry& entry = index_.entries_[i];
      if (options_.skip_damage && entry.status != EntryStatus::kOk) {
        hidden.resize(index_.entries_.size());
        hidden[i] = true;
      }
      if (entry.sliced) HideSlices(entry, &hidden);
    }
    if (hidden.empty()) return;
    index_.all_visible_ = false;
    for (std::uint32_t i = 0; i < hidden.size(); ++i) {
      if (!hidden[i]) index_.visible_.push_back(i);
    }
  }

  // The keys of one tensor's slices differ in their extents only and stand together, so that its
  // name, which may be long, is encoded and looked for once.
  void HideSlices(const Entry& entry, std::vector<bool>* hidden) const {
    std::string stem;
    coding::AppendOrderedNum(stem, 0);
    coding::AppendOrderedString(stem, index_.name(entry));
    coding::AppendOrderedNum(stem, entry.rank);
    const auto name = [this](const Entry& e) { return index_.name(e); };
    const auto& entries = index_.entries_;
    const auto first = std::ranges::lower_bound(entries, std::string_view(stem), {}, name);
    const auto last = std::partition_point(
        first, entries.end(), [&](const Entry& e) { return name(e).starts_with(stem); });
    const auto ending = [&](const Entry& e) { return name(e).substr(stem.size()); };
    for (std::size_t s = 0; first != last && s < entry.size; ++s) {
      std::string extents;
      for (const coding::Extent& extent : index_.slice(entry, s)) {
        coding::AppendOrderedSignedNum(extents, extent.start);
        coding::AppendOrderedSignedNum(extents, extent.length);
      }
      const auto found =
          std::ranges::lower_bound(first, last, std::string_view(extents), {}, ending);
      if (found == last || ending(*found) != extents) continue;
      hidden->resize(entries.size());
      (*hidden)[static_cast<std::size_t>(found - entries.begin())] = true;
    }
  }

  const io::Source& source_;
  const IndexOptions& options_;
  Index index_;
  bool has_header_ = false;
  std::uint64_t damage_bytes_ = 0;
  std::uint64_t limit_bytes_ = 0;
  bool limit_is_final_ = false;
  std::unordered_map<std::int32_t, std::uint32_t> slots_;
  std::int32_t last_shard_id_ = -1;
  std::uint32_t last_shard_slot_ = 0;
};

Index Index::Build(const table::TableReader& table, const io::Source& source,
                   const IndexOptions& options) {
  return IndexBuilder(source, options).Build(table);
}

std::optional<std::uint32_t> Index::Find(std::string_view key, std::uint32_t guess) const {
  if (guess < entries_.size() && name(entries_[guess]) == key) return guess;
  const auto found = std::ranges::lower_bound(entries_, key, {},
                                              [this](const Entry& entry) { return name(entry); });
  if (found == entries_.end() || name(*found) != key) return std::nullopt;
  return static_cast<std::uint32_t>(found - entries_.begin());
}

}  // namespace fastckpt::bundle
