#include "bundle_model.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "bundle/entry.h"
#include "coding/ordered.h"
#include "crc/crc32c.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace fastckpt::fuzz {
namespace {

constexpr std::uint32_t kSizeField = 5;
constexpr std::uint32_t kCrcField = 6;
constexpr std::uint32_t kSliceField = 7;
constexpr std::uint32_t kShapeField = 2;

struct Decoded {
  bundle::EntryFields fields;
  std::vector<std::int64_t> shape;
  std::vector<coding::Extent> extents;
};

std::optional<Decoded> Decode(const std::string& value) {
  Decoded entry;
  if (!bundle::DecodeEntry(AsBytes(value), &entry.fields, &entry.shape, &entry.extents)) {
    return std::nullopt;
  }
  return entry;
}

// The bytes of an entry inside its shard; null where there are none.
char* StoredBytes(Image* image, const Decoded& entry) {
  const bundle::EntryFields& fields = entry.fields;
  if (fields.shard_id < 0 || fields.shard_id >= kIndexName || fields.offset < 0 ||
      fields.size <= 0) {
    return nullptr;
  }
  ImageFile* const file = image->Find(static_cast<std::uint8_t>(fields.shard_id));
  if (file == nullptr || !IsRange(static_cast<std::uint64_t>(fields.offset),
                                  static_cast<std::uint64_t>(fields.size), file->bytes.size())) {
    return nullptr;
  }
  return file->bytes.data() + fields.offset;
}

std::uint32_t Crc(const std::string& bytes, std::uint32_t crc) {
  return crc::Extend(crc, bytes.data(), bytes.size());
}

std::string Number32(std::uint32_t value, bool big_endian) {
  return testing::Fixed32(big_endian ? __builtin_bswap32(value) : value);
}

// Both walk as far as the bytes are well-formed, set the checksums they meet, and return the
// tensor's.
std::uint32_t FixStrings(ByteView bytes, std::uint64_t count, bool big_endian, char* stored) {
  const ByteView all = bytes;
  std::uint32_t crc = 0;
  for (std::uint64_t length; count > 0 && TakeVarint(&bytes, &length); --count) {
    crc = Crc(Number32(static_cast<std::uint32_t>(length), big_endian), crc);
  }
  if (bytes.size() < 4) return 0;
  const std::string checksum = Number32(crc::Mask(crc), big_endian);
  std::ranges::copy(checksum, stored + (all.size() - bytes.size()));
  return crc::Extend(crc, bytes.data(), bytes.size());
}

std::uint32_t FixVariants(ByteView bytes, std::uint64_t count, char* stored) {
  const ByteView all = bytes;
  std::uint32_t crc = 0;
  for (std::uint64_t size; count > 0 && TakeVarint(&bytes, &size); --count) {
    if (bytes.size() < 4 || size > bytes.size() - 4) break;
    const ByteView record = bytes.first(static_cast<std::size_t>(size));
    crc = crc::Extend(crc, &size, sizeof size);
    crc = crc::Extend(crc, record.data(), record.size());
    bytes = bytes.subspan(record.size());
    const std::string checksum = testing::Fixed32(crc::Mask(crc));
    std::ranges::copy(checksum, stored + (all.size() - bytes.size()));
    crc = Crc(checksum, crc);
    bytes = bytes.subspan(4);
  }
  return crc;
}

std::uint32_t TensorCrc(const Decoded& entry, bool big_endian, char* stored) {
  const ByteView bytes =
      AsBytes({stored, stored == nullptr ? 0 : static_cast<std::size_t>(entry.fields.size)});
  const auto elements = tensor::NumElements(entry.shape).value_or(0);
  const auto count = static_cast<std::uint64_t>(elements);
  if (entry.fields.dtype == tensor::kString) return FixStrings(bytes, count, big_endian, stored);
  if (entry.fields.dtype == tensor::kVariant) return FixVariants(bytes, count, stored);
  return crc::Value(bytes.data(), bytes.size());
}

void SetField(WireMessage* message, const WireItem& item) {
  const auto is_old = [&](const WireItem& old) { return old.number == item.number; };
  std::erase_if(message->items, is_old);
  message->items.push_back(item);
}

void SetCrc(std::string* value, std::uint32_t crc) {
  WireMessage message = ParseMessage(AsBytes(*value));
  SetField(&message, {kCrcField, 5, crc::Mask(crc), {}});
  *value = EncodeMessage(message);
}

// One more extent along one dimension, near those that a real partition has.
void MoveExtent(Random& random, coding::Extent* extent, std::int64_t dim) {
  const auto bound = static_cast<std::size_t>(std::clamp<std::int64_t>(dim, 0, 64)) + 1;
  if (random.OneIn(4)) *extent = {0, coding::Extent::kFullExtent};
  if (random.OneIn(2)) extent->start = static_cast<std::int64_t>(random.Below(bound));
  if (random.OneIn(2)) extent->length = static_cast<std::int64_t>(random.Below(bound));
  if (random.OneIn(16)) extent->length = static_cast<std::int64_t>(HostileNumber(random));
}

// Gives the slice's entry the shape of its box, as far as that can be said.
void Reshape(const Decoded& whole, const std::vector<coding::Extent>& extents, std::string* value) {
  std::vector<std::int64_t> shape = whole.shape;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (!extents[d].is_full()) shape[d] = extents[d].length;
  }
  const auto elements = tensor::NumElements(shape);
  if (!elements || *elements > (1 << 20)) return;
  WireMessage message = ParseMessage(AsBytes(*value));
  SetField(&message, {kShapeField, 2, 0, testing::EncodeShape(shape)});
  const auto size = static_cast<std::uint64_t>(*elements) * tensor::ItemSize(whole.fields.dtype);
  SetField(&message, {kSizeField, 0, size, {}});
  *value = EncodeMessage(message);
}

// The s-th occurrence of a field.
WireItem* FindField(WireMessage* message, std::uint32_t number, std::size_t s) {
  for (WireItem& item : message->items) {
    if (item.number == number && s-- == 0) return &item;
  }
  return nullptr;
}

void MoveSliceOf(Random& random, const std::string& name, const Decoded& whole, std::string* value,
                 TableModel* table) {
  const std::size_t rank = whole.shape.size();
  const std::size_t s = random.Below(static_cast<std::size_t>(whole.fields.num_slices));
  const auto first = whole.extents.begin() + static_cast<std::ptrdiff_t>(s * rank);
  std::vector<coding::Extent> extents(first, first + static_cast<std::ptrdiff_t>(rank));
  const std::string old_key = coding::EncodeSliceKey(name, extents);
  const std::size_t d = random.Below(rank);
  MoveExtent(random, &extents[d], whole.shape[d]);
  WireMessage message = ParseMessage(AsBytes(*value));
  WireItem* const slice = FindField(&message, kSliceField, s);
  if (slice == nullptr) return;
  slice->bytes = testing::EncodeSlice(extents);
  *value = EncodeMessage(message);
  for (BlockModel& block : table->blocks) {
    for (auto& [key, slice_value] : block.entries) {
      if (key != old_key) continue;
      key = coding::EncodeSliceKey(name, extents);
      Reshape(whole, extents, &slice_value);
    }
  }
}

}  // namespace

void FixTensorChecksums(Image* image, TableModel* table) {
  bundle::Header header;
  const std::string* const header_value = table->Find("");
  if (header_value == nullptr) return;
  // A malformed header is refused whatever its entries say.
  bundle::DecodeHeader(AsBytes(*header_value), &header);
  for (BlockModel& block : table->blocks) {
    for (auto& [key, value] : block.entries) {
      const auto entry = Decode(value);
      if (key.empty() || !entry || entry->fields.num_slices > 0) continue;
      SetCrc(&value, TensorCrc(*entry, header.big_endian, StoredBytes(image, *entry)));
    }
  }
}

void MoveSlice(Random& random, TableModel* table) {
  const std::size_t skipped = random.Below(4);
  std::size_t seen = 0;
  for (BlockModel& block : table->blocks) {
    for (auto& [key, value] : block.entries) {
      const auto entry = Decode(value);
      if (!entry || entry->fields.num_slices == 0 || entry->shape.empty()) continue;
      if (seen++ < skipped && !random.OneIn(3)) continue;
      const std::string name = key;
      return MoveSliceOf(random, name, *entry, &value, table);
    }
  }
}

void MutateShard(Random& random, Image* image) {
  if (image->files.empty()) return;
  ImageFile& file = image->files[random.Below(image->files.size())];
  if (file.name == kIndexName) return;
  switch (random.Below(8)) {
    case 0:
      file.name = static_cast<std::uint8_t>(random.Below(4));
      break;
    case 1:
      image->files.push_back({static_cast<std::uint8_t>(random.Below(4)), file.bytes});
      break;
    default:
      MutateText(random, &file.bytes);
      break;
  }
}

}  // namespace fastckpt::fuzz
