// The messages of an index: the header and the entry, decoded and compared with a protobuf reader
// made from the encoding guide (mutation.h). Their bytes are the input.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bundle/entry.h"
#include "mutation.h"
#include "table_writer.h"
#include "tensor/messages.h"
#include "tensor/shape.h"
#include "tensor/variants.h"

namespace fastckpt::fuzz {
namespace {

using bundle::EntryFields;
using bundle::Header;
using coding::Extent;

constexpr std::uint8_t kVarint = 0;
constexpr std::uint8_t kBytes = 2;
constexpr std::uint8_t kFixed32 = 5;
constexpr std::uint32_t kBlockCrcsField = 1000;

// int32 fields keep the low 32 bits.
std::int32_t Int32(std::uint64_t value) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
}

struct EntryModel {
  bool ok = true;
  EntryFields fields;
  std::vector<std::int64_t> dims;
  std::vector<Extent> extents;
  // Of each slice.
  std::vector<std::size_t> ranks;
  // Block size and CRCs, where the field that holds them is sound and alone.
  std::optional<std::pair<std::uint64_t, std::string>> blocks;
};

std::vector<WireItem> Items(ByteView bytes, bool* ok) {
  WireMessage message = ParseMessage(bytes);
  *ok = *ok && message.ok;
  return std::move(message.items);
}

// The last number of this field, or `otherwise`.
std::uint64_t LastNumber(ByteView bytes, std::uint32_t number, std::uint64_t otherwise, bool* ok) {
  for (const WireItem& item : Items(bytes, ok)) {
    if (item.number == number && item.type == kVarint) otherwise = item.value;
  }
  return otherwise;
}

void AddShape(ByteView bytes, EntryModel* entry) {
  // Of more dimensions than a tensor may have, one more is kept.
  const std::size_t most = entry->dims.size() + tensor::kMaxRank + 1;
  for (const WireItem& item : Items(bytes, &entry->ok)) {
    if (item.number == 3 && item.type == kVarint) entry->fields.unknown_rank = item.value != 0;
    if (item.number != 2 || item.type != kBytes) continue;
    const std::uint64_t dim = LastNumber(AsBytes(item.bytes), 1, 0, &entry->ok);
    if (entry->dims.size() < most) entry->dims.push_back(static_cast<std::int64_t>(dim));
  }
}

void AddSlice(ByteView bytes, EntryModel* entry) {
  std::size_t rank = 0;
  for (const WireItem& item : Items(bytes, &entry->ok)) {
    if (item.number != 1 || item.type != kBytes) continue;
    const ByteView extent = AsBytes(item.bytes);
    const std::uint64_t start = LastNumber(extent, 1, 0, &entry->ok);
    const std::uint64_t length = LastNumber(extent, 2, ~std::uint64_t{0}, &entry->ok);
    entry->extents.push_back({static_cast<std::int64_t>(start), static_cast<std::int64_t>(length)});
    ++rank;
  }
  entry->ok = entry->ok && rank <= tensor::kMaxRank;
  entry->ranks.push_back(rank);
}

// A malformed field, or a second one, makes the entry one without; never a bad one.
void SetBlocks(const std::vector<WireItem>& items, EntryModel* entry) {
  const auto stands_in = [](std::uint32_t number) {
    return [=](const WireItem& item) { return item.number == number; };
  };
  if (std::ranges::count_if(items, stands_in(kBlockCrcsField)) != 1) return;
  const WireItem& field = *std::ranges::find_if(items, stands_in(kBlockCrcsField));
  bool ok = field.type == kBytes;
  if (!ok) return;
  std::vector<std::uint64_t> sizes;
  std::vector<std::string> lists;
  for (const WireItem& item : Items(AsBytes(field.bytes), &ok)) {
    if (item.number == 1 && item.type == kVarint) sizes.push_back(item.value);
    if (item.number == 2 && item.type == kBytes) lists.push_back(item.bytes);
  }
  if (ok && sizes.size() == 1 && lists.size() == 1) entry->blocks.emplace(sizes[0], lists[0]);
}

EntryModel ModelOf(ByteView bytes) {
  EntryModel entry;
  EntryFields& fields = entry.fields;
  const std::vector<WireItem> items = Items(bytes, &entry.ok);
  for (const WireItem& item : items) {
    if (item.type == kVarint && item.number == 1) fields.dtype = Int32(item.value);
    if (item.type == kVarint && item.number == 3) fields.shard_id = Int32(item.value);
    if (item.type == kVarint && item.number == 4) {
      fields.offset = static_cast<std::int64_t>(item.value);
    }
    if (item.type == kVarint && item.number == 5) {
      fields.size = static_cast<std::int64_t>(item.value);
    }
    if (item.type == kFixed32 && item.number == 6) {
      fields.masked_crc = static_cast<std::uint32_t>(item.value);
    }
    if (item.type == kBytes && item.number == 2) AddShape(AsBytes(item.bytes), &entry);
    if (item.type == kBytes && item.number == 7) AddSlice(AsBytes(item.bytes), &entry);
  }
  SetBlocks(items, &entry);
  fields.num_dims = entry.dims.size();
  fields.num_slices = entry.ranks.size();
  for (const std::size_t rank : entry.ranks) entry.ok = entry.ok && rank == entry.dims.size();
  return entry;
}

bool Equal(const EntryFields& a, const EntryFields& b) {
  return a.dtype == b.dtype && a.unknown_rank == b.unknown_rank && a.shard_id == b.shard_id &&
         a.offset == b.offset && a.size == b.size && a.masked_crc == b.masked_crc &&
         a.num_dims == b.num_dims && a.num_slices == b.num_slices;
}

bool EqualBlocks(const EntryFields& fields, const EntryModel& model) {
  if (!fields.block_crcs || !model.blocks) return !fields.block_crcs && !model.blocks;
  return fields.block_crcs->block_size == model.blocks->first &&
         AsText(fields.block_crcs->masked_crcs) == model.blocks->second;
}

void CheckEntry(ByteView bytes) {
  EntryFields fields;
  // What was there before stays.
  std::vector<std::int64_t> dims{7};
  std::vector<Extent> extents{{7, 7}};
  const bool ok = bundle::DecodeEntry(bytes, &fields, &dims, &extents);
  const EntryModel model = ModelOf(bytes);
  REQUIRE(ok == model.ok);
  if (!ok) return;
  REQUIRE(Equal(fields, model.fields));
  REQUIRE(EqualBlocks(fields, model));
  REQUIRE(dims.front() == 7 && std::ranges::equal(std::span(dims).subspan(1), model.dims));
  REQUIRE(extents.front() == Extent({7, 7}) &&
          std::ranges::equal(std::span(extents).subspan(1), model.extents));
  CountAccepted();
}

void AddVersion(ByteView bytes, tensor::VersionDef* version, bool* ok) {
  for (const WireItem& item : Items(bytes, ok)) {
    if (item.type == kVarint && item.number == 1) version->producer = Int32(item.value);
    if (item.type == kVarint && item.number == 2) version->min_consumer = Int32(item.value);
    if (item.type == kVarint && item.number == 3) {
      version->bad_consumers.push_back(Int32(item.value));
    }
    ByteView packed = AsBytes(item.bytes);
    while (item.type == kBytes && item.number == 3 && !packed.empty() && *ok) {
      std::uint64_t number;
      *ok = TakeVarint(&packed, &number);
      version->bad_consumers.push_back(Int32(number));
    }
  }
}

Header HeaderModel(ByteView bytes, bool* ok) {
  Header header;
  std::int32_t endianness = 0;
  for (const WireItem& item : Items(bytes, ok)) {
    if (item.type == kVarint && item.number == 1) header.num_shards = Int32(item.value);
    if (item.type == kVarint && item.number == 2) endianness = Int32(item.value);
    if (item.type == kBytes && item.number == 3) {
      AddVersion(AsBytes(item.bytes), &header.version, ok);
    }
  }
  header.big_endian = endianness == 1;
  *ok = *ok && (endianness == 0 || endianness == 1);
  return header;
}

void CheckHeader(ByteView bytes) {
  bool model_ok = true;
  const Header model = HeaderModel(bytes, &model_ok);
  Header header;
  const bool ok = bundle::DecodeHeader(bytes, &header);
  REQUIRE(ok == model_ok);
  if (!ok) return;
  REQUIRE(header.num_shards == model.num_shards && header.big_endian == model.big_endian);
  REQUIRE(header.version.producer == model.version.producer);
  REQUIRE(header.version.min_consumer == model.version.min_consumer);
  REQUIRE(header.version.bad_consumers == model.version.bad_consumers);
}

void CheckTypeName(ByteView bytes) {
  const WireMessage message = ParseMessage(bytes);
  std::string name;
  for (const WireItem& item : message.items) {
    if (item.number == 1 && item.type == kBytes && message.ok) name = item.bytes;
  }
  REQUIRE(AsText(tensor::VariantTypeName(bytes)) == (message.ok ? name : ""));
}

std::string ChangeEntryBytes(Random& random, ByteView input) {
  std::string message(AsText(input));
  for (std::size_t i = 1 + random.Below(3); i > 0; --i) MutateMessage(random, &message);
  return message;
}

}  // namespace
}  // namespace fastckpt::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fastckpt;
  const fuzz::MemoryBound bound(size);
  const ByteView bytes(data, size);
  fuzz::CheckEntry(bytes);
  fuzz::CheckHeader(bytes);
  fuzz::CheckTypeName(bytes);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return fastckpt::fuzz::MutateInput(data, size, max_size, seed, fastckpt::fuzz::ChangeEntryBytes);
}
