#include "bundle/reader.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "coding/ordered.h"
#include "commit/names.h"
#include "crc/crc32c.h"
#include "table/table_reader.h"
#include "tensor/dtype.h"
#include "tensor/strings.h"
#include "tensor/variants.h"

namespace fastckpt::bundle {
namespace {

// Alignments of data shards are powers of two of at most a page; a longer gap is not padding.
constexpr std::uint64_t kMaxPadding = 4096;

// What one page fault brings in on small pages is twice this.
constexpr std::uint64_t kVerifyAheadBytes = std::uint64_t{32} << 10;

std::string Hex(std::uint32_t value) {
  std::array<char, 16> text;
  std::snprintf(text.data(), text.size(), "0x%08x", value);
  return text.data();
}

std::string Describe(const BlockRange& range) {
  return "the tensor's bytes " + std::to_string(range.begin) + " to " + std::to_string(range.end);
}

// Bytes of the shards that the header announces, as far as they are there. Bounded: a header may
// announce two billion.
std::uint64_t BytesOfShards(const std::string& prefix, const Header& header, io::Backend backend,
                            io::FileSystem& file_system) {
  constexpr std::int32_t kMaxProbed = 4096;
  std::uint64_t total = 0;
  for (std::int32_t i = 0; i < std::min(header.num_shards, kMaxProbed); ++i) {
    try {
      const std::string path = commit::DataFileName(prefix, i, header.num_shards);
      total += io::OpenSource(path, backend, file_system)->size();
    } catch (const Error&) {
      continue;  // Opening the shard for its tensors reports it.
    }
  }
  return total;
}

}  // namespace

std::shared_ptr<Reader> Reader::Open(const std::string& prefix, const ReaderOptions& options,
                                     io::FileSystem& file_system) {
  // Read, not mapped: the flat index replaces it, and its pages would count twice.
  auto source =
      io::OpenSource(commit::IndexFileName(prefix), io::Backend::kPositional, file_system);
  const table::TableReader table(source);
  IndexOptions index_options;
  index_options.skip_damage = options.skip_damage;
  index_options.data_bytes = [&](const Header& header) {
    return BytesOfShards(prefix, header, options.backend, file_system);
  };
  Index index = Index::Build(table, *source, index_options);
  std::shared_ptr<Reader> reader(new Reader(prefix, std::move(source), std::move(index),
                                            table.Fingerprint(), options.skip_damage));
  reader->OpenShards(options.backend, file_system);
  return reader;
}

Reader::Reader(std::string prefix, std::shared_ptr<const io::Source> index_source, Index index,
               std::uint32_t fingerprint, bool skip_damage)
    : prefix_(std::move(prefix)),
      index_source_(std::move(index_source)),
      index_(std::move(index)),
      blocks_(index_),
      fingerprint_(fingerprint),
      skip_damage_(skip_damage),
      verified_(new std::atomic<std::uint8_t>[index_.entries().size()]()) {}

void Reader::OpenShards(io::Backend backend, io::FileSystem& file_system) {
  for (const std::int32_t id : index_.shard_ids()) {
    Shard shard;
    shard.id = id;
    shard.path = commit::DataFileName(prefix_, id, index_.header().num_shards);
    try {
      shard.source = io::OpenSource(shard.path, backend, file_system);
    } catch (const Error& error) {
      shard.error = error;
    }
    shards_.push_back(std::move(shard));
  }
}

std::vector<table::DamagedRange> Reader::Damage() const {
  std::vector<table::DamagedRange> ranges = index_.damage();
  for (std::uint32_t id = 0; skip_damage_ && id < index_.entries().size(); ++id) {
    if (entry(id).status == EntryStatus::kOk) continue;
    const std::string key(name(id));
    ranges.push_back({EntryError(ErrorCode::kDataLoss, Explain(entry(id).status), id), key, key});
  }
  return ranges;
}

std::uint32_t Reader::Find(std::string_view name) const {
  const std::uint32_t guess = next_id_.load(std::memory_order_relaxed);
  const auto id = index_.Find(name, guess);
  if (!id) {
    throw Error(ErrorCode::kTensorNotFound, "no tensor of this name in the checkpoint")
        .At(index_source_->path())
        .ForKey(std::string(name));
  }
  next_id_.store(*id + 1, std::memory_order_relaxed);
  return *id;
}

std::string Reader::TensorName(std::uint32_t id) const {
  if (index_.IsHidden(id)) {
    const auto key = coding::DecodeSliceKey(AsBytes(name(id)));
    if (key) return key->name;
  }
  return std::string(name(id));
}

Error Reader::EntryError(ErrorCode code, std::string message, std::uint32_t id) const {
  const Entry& e = entry(id);
  Error error(code, std::move(message));
  const bool has_bytes = e.status == EntryStatus::kOk && !e.sliced;
  if (has_bytes) {
    return std::move(error).At(shards_[e.shard_slot].path, e.offset).ForKey(TensorName(id));
  }
  return std::move(error).At(index_source_->path()).ForKey(TensorName(id));
}

const Entry& Reader::CheckEntry(std::uint32_t id) const {
  const Entry& e = entry(id);
  if (e.status != EntryStatus::kOk) {
    throw EntryError(ErrorCode::kDataLoss,
                     std::string("the tensor cannot be read: ") + Explain(e.status), id);
  }
  return e;
}

const io::Source& Reader::SourceOf(std::uint32_t id) const {
  const Entry& e = CheckEntry(id);
  if (e.sliced) {
    throw EntryError(ErrorCode::kUnsupported,
                     "a partitioned tensor has no bytes of its own; read its parts", id);
  }
  const Shard& shard = shards_[e.shard_slot];
  // Nobody has ever written one; TensorFlow refuses it too.
  if (e.dtype == tensor::kVariant && index_.header().big_endian) {
    throw EntryError(ErrorCode::kUnsupported, "variants in foreign byte order are not supported",
                     id);
  }
  if (shard.error) throw Error(*shard.error).ForKey(TensorName(id));
  // An empty tensor may stand at any offset, past the end of the file included.
  if (e.size > 0 && !IsRange(e.offset, e.size, shard.source->size())) {
    throw EntryError(ErrorCode::kDataLoss,
                     "the data shard is too short: the tensor ends at byte " +
                         std::to_string(e.offset + e.size) + ", the file at " +
                         std::to_string(shard.source->size()),
                     id);
  }
  return *shard.source;
}

StoredBytes Reader::Fetch(std::uint32_t id) const {
  const io::Source& source = SourceOf(id);
  const Entry& e = entry(id);
  StoredBytes stored;
  if (e.size == 0) return stored;
  source.CheckPresent(e.offset, e.size);
  if (source.data() != nullptr) {
    stored.bytes = ByteView(source.data() + e.offset, static_cast<std::size_t>(e.size));
  } else {
    stored.owned.resize(static_cast<std::size_t>(e.size));
    source.ReadAt(e.offset, stored.owned);
    stored.bytes = stored.owned;
  }
  return stored;
}

void Reader::CompareCrc(std::uint32_t id, std::uint32_t actual) const {
  const std::uint32_t expected = entry(id).crc;
  if (actual == expected) return;
  throw DamageError("checksum does not match: the tensor's bytes are damaged (stored " +
                        Hex(expected) + ", computed " + Hex(actual) + ")",
                    id);
}

Error Reader::DamageError(std::string message, std::uint32_t id) const {
  const Entry& e = entry(id);
  std::optional<BlockDamage> damage;
  try {
    damage = blocks_.Locate(id, SourceOf(id));
  } catch (const Error&) {
    damage.reset();  // Bytes that cannot be read any more have no checksums.
  }
  if (!damage) return EntryError(ErrorCode::kDataLoss, std::move(message), id);
  CountRead(e.size);
  message += "; the damage begins in " + Describe(damage->first) + ", and concerns " +
             std::to_string(damage->num_damaged) + " of its " + std::to_string(damage->num_blocks) +
             " blocks";
  return EntryError(ErrorCode::kDataLoss, std::move(message), id)
      .At(shards_[e.shard_slot].path, e.offset + damage->first.begin);
}

void Reader::VerifyBlock(const BlockTable& table, std::uint32_t block) const {
  const std::uint32_t id = table.entry_id;
  const Entry& e = entry(id);
  const BlockRange range = RangeOf(table, e, block);
  const std::uint64_t offset = e.offset + range.begin;
  SourceOf(id).ExpectRead(offset, range.size());
  const std::uint32_t actual = CrcOfRange(SourceOf(id), offset, range.size());
  CountRead(range.size());
  const std::uint32_t expected = index_.block_crcs(table)[block];
  if (actual != expected) {
    throw EntryError(ErrorCode::kDataLoss,
                     "block checksum does not match: " + Describe(range) + " are damaged (stored " +
                         Hex(expected) + ", computed " + Hex(actual) +
                         "); parts of it in other blocks may still be read",
                     id)
        .At(shards_[e.shard_slot].path, offset);
  }
  if (blocks_.MarkVerified(table, block)) MarkVerified(id);
}

void Reader::Verify(std::uint32_t id) const {
  const Entry& e = entry(id);
  if (e.size > 0) SourceOf(id).ExpectRead(e.offset, e.size);
  const StoredBytes stored = Fetch(id);
  const auto elements =
      static_cast<std::uint64_t>(tensor::NumElements(index_.shape(e)).value_or(0));
  if (e.dtype == tensor::kString) {
    const auto layout =
        tensor::ParseStrings(stored.bytes, elements, index_.header().big_endian, true);
    if (layout.error == tensor::StringError::kLengths) {
      throw DamageError("the lengths of the strings are malformed", id);
    }
    if (layout.error == tensor::StringError::kLengthChecksum) {
      throw DamageError("the length checksum does not match", id);
    }
    CompareCrc(id, layout.crc);
  } else if (e.dtype == tensor::kVariant) {
    const auto layout = tensor::ParseVariants(stored.bytes, elements, true);
    if (layout.error != tensor::VariantError::kNone) {
      throw DamageError("the variant records are malformed or damaged", id);
    }
    CompareCrc(id, layout.crc);
  } else {
    CompareCrc(id, crc::Value(stored.bytes.data(), stored.bytes.size()));
  }
  CountRead(stored.bytes.size());
  MarkVerified(id);
}

void Reader::VerifyOnce(std::uint32_t id) const {
  if (IsVerified(id)) return;
  const io::Source& source = SourceOf(id);
  const Entry& first = entry(id);
  const std::uint64_t end = std::min(first.offset + kVerifyAheadBytes, source.size());
  const bool is_small = tensor::IsPlain(first.dtype) && first.size <= kVerifyAheadBytes;
  if (!is_small || first.size == 0 || source.data() == nullptr) return Verify(id);
  try {
    source.CheckPresent(first.offset, end - first.offset);
  } catch (const Error&) {
    return Verify(id);  // The file shrank, and may hold this tensor still.
  }
  for (std::uint32_t next = id; next < index_.entries().size(); ++next) {
    const Entry& e = entry(next);
    const bool follows = e.status == EntryStatus::kOk && !e.sliced && tensor::IsPlain(e.dtype) &&
                         e.shard_slot == first.shard_slot && e.offset >= first.offset &&
                         e.offset <= end && e.size <= end - e.offset;
    if (!follows) break;
    const std::uint32_t crc =
        crc::Value(source.data() + e.offset, static_cast<std::size_t>(e.size));
    if (next == id) CompareCrc(id, crc);
    if (crc == e.crc) MarkVerified(next);
    CountRead(e.size);
  }
}

void Reader::SortByFileOrder(std::vector<std::uint32_t>* ids) const {
  const auto before = [this](std::uint32_t a, std::uint32_t b) {
    const Entry& left = entry(a);
    const Entry& right = entry(b);
    return left.shard_slot != right.shard_slot ? left.shard_slot < right.shard_slot
                                               : left.offset < right.offset;
  };
  // Files written in name order are sorted already, which is cheap to see.
  if (!std::ranges::is_sorted(*ids, before)) std::ranges::stable_sort(*ids, before);
}

std::vector<std::uint32_t> Reader::PartitionedIds() const {
  std::vector<std::uint32_t> ids;
  for (std::uint32_t id = 0; id < index_.entries().size(); ++id) {
    if (entry(id).sliced && !index_.IsHidden(id)) ids.push_back(id);
  }
  return ids;
}

std::vector<std::uint32_t> Reader::StoredIds() const {
  std::vector<std::uint32_t> ids;
  for (std::uint32_t id = 0; id < index_.entries().size(); ++id) {
    if (!entry(id).sliced) ids.push_back(id);
  }
  SortByFileOrder(&ids);
  return ids;
}

std::uint64_t Reader::stored_bytes() const {
  std::uint64_t total = 0;
  for (const Entry& e : index_.entries()) total += e.sliced ? 0 : e.size;
  return total;
}

std::vector<Error> Reader::CheckFiles() const {
  std::vector<Error> findings;
  try {
    const table::TableReader table(index_source_);
    table.Scan([](std::string_view, ByteView) {},
               [&](const table::DamagedRange& damaged) { findings.push_back(damaged.error); });
    for (Error& finding : table.CheckUnread()) findings.push_back(std::move(finding));
    if (table.Fingerprint() != fingerprint_ && findings.empty()) {
      findings.push_back(Error(ErrorCode::kChanged, "the index is not the one that was opened")
                             .At(index_source_->path()));
    }
  } catch (const Error& error) {
    findings.push_back(error);
  }
  CheckAllPadding(&findings);
  return findings;
}

void Reader::CheckAllPadding(std::vector<Error>* findings) const {
  std::vector<std::vector<std::pair<std::uint64_t, std::uint64_t>>> used(shards_.size());
  for (const Entry& e : index_.entries()) {
    // Nobody knows where the bytes of a malformed entry lie.
    if (e.status != EntryStatus::kOk) return;
    if (!e.sliced && e.size > 0) {
      used[e.shard_slot].emplace_back(e.offset, e.offset + e.size);
    }
  }
  for (std::size_t slot = 0; slot < shards_.size(); ++slot) {
    if (!shards_[slot].source) continue;
    std::ranges::sort(used[slot]);
    std::uint64_t covered = 0;
    for (const auto& [begin, end] : used[slot]) {
      if (begin > covered) CheckPadding(shards_[slot], covered, begin, findings);
      covered = std::max(covered, end);
    }
    CheckPadding(shards_[slot], covered, shards_[slot].source->size(), findings);
  }
}

// Long gaps hold what other tools left behind; short ones are alignment, and alignment is zero.
void Reader::CheckPadding(const Shard& shard, std::uint64_t begin, std::uint64_t end,
                          std::vector<Error>* findings) const {
  if (end > shard.source->size() || begin >= end || end - begin > kMaxPadding) return;
  try {
    std::vector<std::uint8_t> gap(static_cast<std::size_t>(end - begin));
    shard.source->ReadAt(begin, gap);
    if (std::ranges::all_of(gap, [](std::uint8_t byte) { return byte == 0; })) return;
    throw Error(ErrorCode::kDataLoss, "padding between tensors is not zero").At(shard.path, begin);
  } catch (const Error& error) {
    findings->push_back(error);
  }
}

}  // namespace fastckpt::bundle
