// A V1 checkpoint of one file or several: opened, listed, described, read; with and without
// skip_damage.
//
// Input: an image (memory_files.h) whose files are the shards in their order, names unused. Bit 0
// of its options asks for skip_damage.

#include <algorithm>
#include <iterator>
#include <memory>
#include <vector>

#include "coding/wire.h"
#include "legacy/reader.h"
#include "memory_files.h"
#include "mutation.h"
#include "table_model.h"
#include "tensor/dtype.h"

namespace fastckpt::fuzz {
namespace {

using legacy::Layout;
using legacy::Reader;

constexpr std::uint64_t kMaxRead = std::uint64_t{1} << 20;
constexpr std::size_t kMaxFiles = 8;
constexpr std::uint8_t kBytes = 2;

std::vector<std::string> Paths(const Image& image) {
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < std::min(image.files.size(), kMaxFiles); ++i) {
    paths.push_back("p-0000" + std::to_string(i) + "-of-00008");
  }
  if (paths.empty()) paths.emplace_back("p-00000-of-00001");
  return paths;
}

std::shared_ptr<Reader> Open(MemoryFiles& files, const std::vector<std::string>& paths,
                             std::size_t input_bytes, bool skip_damage, Outcome* outcome) {
  std::shared_ptr<Reader> reader;
  const MemoryBound bound(input_bytes);
  *outcome = Try([&] { reader = Reader::Open(paths, {skip_damage}, files); });
  REQUIRE(outcome->ok() || !outcome->path.empty());
  return reader;
}

void CheckListing(const Reader& reader) {
  for (std::uint32_t id = 0; id < reader.num_tensors(); ++id) {
    REQUIRE(id == 0 || reader.name(id - 1) < reader.name(id));
    REQUIRE(reader.Find(reader.name(id)) == id);
  }
  REQUIRE(std::ranges::is_sorted(reader.visible()));
  for (const std::uint32_t id : reader.visible()) REQUIRE(id < reader.num_tensors());
}

// Whether a reader of tables made from the text of the format finds the record, too. Where the
// table is malformed, the two may find other things.
bool IsStored(const TableModel& table, ByteView record) {
  if (!table.ok || !table.restarts_ok) return true;
  return std::ranges::any_of(table.Entries(),
                             [&](const auto& entry) { return entry.second == AsText(record); });
}

// The fields of the TensorProto in a record: SavedTensorSlices.data (2), SavedSlice.data (3).
std::vector<WireItem> TensorItems(ByteView record) {
  std::vector<WireItem> items;
  for (const WireItem& outer : ParseMessage(record).items) {
    if (outer.number != 2 || outer.type != kBytes) continue;
    for (const WireItem& slice : ParseMessage(AsBytes(outer.bytes)).items) {
      if (slice.number != 3 || slice.type != kBytes) continue;
      std::ranges::move(ParseMessage(AsBytes(slice.bytes)).items, std::back_inserter(items));
    }
  }
  return items;
}

// Field number and bytes on disk of one unit, by DataType, from the table in docs/format.md; the
// width is 0 for varints.
struct ValueField {
  std::uint32_t number;
  std::size_t width;
};

ValueField FieldOf(std::int32_t dtype) {
  switch (dtype) {
    case 1:
      return {5, 4};
    case 2:
      return {6, 8};
    case 8:
      return {9, 4};
    case 9:
      return {10, 0};
    case 10:
      return {11, 0};
    case 18:
      return {12, 8};
    case 19:
      return {13, 0};
    default:
      return {7, 0};
  }
}

std::string LittleEndian(std::uint64_t value, std::size_t width) {
  std::string out;
  for (std::size_t i = 0; i < width; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

std::string PlainElements(const legacy::Record& record) {
  const ValueField field = FieldOf(record.dtype);
  const std::size_t item_size = tensor::ItemSize(record.dtype);
  std::string out;
  const auto append = [&](std::uint64_t value) {
    if (record.dtype == tensor::kBool) value = value != 0;
    out += LittleEndian(value, field.width == 0 ? item_size : field.width);
  };
  for (const WireItem& item : TensorItems(record.value)) {
    if (item.number != field.number) continue;
    const std::uint8_t unpacked = field.width == 0 ? 0 : field.width == 4 ? 5 : 1;
    if (item.type == unpacked) append(item.value);
    if (item.type != kBytes) continue;
    ByteView packed = AsBytes(item.bytes);
    if (field.width != 0) out += item.bytes;
    for (std::uint64_t value; field.width == 0 && TakeVarint(&packed, &value);) append(value);
  }
  return out;
}

void CheckStrings(const legacy::Record& record) {
  legacy::StringValues values(record.value);
  std::vector<std::string> elements;
  for (ByteView element; values.Next(&element);) elements.emplace_back(AsText(element));
  REQUIRE(elements.size() == record.count);
  std::vector<std::string> expected;
  for (WireItem& item : TensorItems(record.value)) {
    if (item.number == 8 && item.type == kBytes) expected.push_back(std::move(item.bytes));
  }
  REQUIRE(elements == expected);
}

// Whether the slice could be read.
bool CheckPart(const Reader& reader, std::uint32_t id, std::size_t part,
               const std::vector<TableModel>& tables) {
  const std::shared_ptr<const Layout> layout = reader.Describe(id);
  legacy::Record record;
  const std::uint64_t size = reader.PartSize(id, part);
  const Outcome fetched = Try([&] { record = reader.Fetch(id, part); });
  REQUIRE(fetched.ok() || fetched.key == reader.name(id));
  if (!fetched.ok()) return false;
  REQUIRE(legacy::IsStorable(record.dtype));
  REQUIRE(IsStored(tables[layout->files[part]], record.value));
  if (!tensor::IsPlain(record.dtype)) {
    CheckStrings(record);
    return true;
  }
  REQUIRE(size == record.count * tensor::ItemSize(record.dtype));
  // Every element takes a byte of the record at least.
  REQUIRE(record.count <= record.value.size());
  if (size > kMaxRead) return true;
  ExactCopy out(static_cast<std::size_t>(size));
  reader.ReadPart(id, part, out.bytes());
  REQUIRE(AsText(out.view()) == PlainElements(record));
  return true;
}

// How many of its slices could be read.
std::size_t CheckTensor(const Reader& reader, std::uint32_t id, std::size_t input_bytes,
                        const std::vector<TableModel>& tables) {
  std::shared_ptr<const Layout> layout;
  {
    const MemoryBound bound(input_bytes);
    const Outcome described = Try([&] { layout = reader.Describe(id); });
    REQUIRE(described.ok() || described.key == reader.name(id));
  }
  if (!layout) return 0;
  std::size_t num_read = 0;
  REQUIRE(layout->extents.size() == layout->num_parts() * layout->shape.size());
  const Outcome disjoint = Try([&] { reader.DescribeDisjoint(id); });
  REQUIRE(disjoint.ok() || disjoint.key == reader.name(id));
  for (std::size_t part = 0; part < layout->num_parts(); ++part) {
    const tensor::Box box = layout->box(part);
    for (std::size_t d = 0; d < layout->shape.size(); ++d) {
      REQUIRE(box.starts[d] >= 0 && box.sizes[d] >= 0 && box.starts[d] <= layout->shape[d]);
      REQUIRE(box.sizes[d] <= layout->shape[d] - box.starts[d]);
    }
    num_read += CheckPart(reader, id, part, tables) ? 1 : 0;
  }
  return num_read;
}

void CheckCheckpoint(ByteView input) {
  const Image image = ParseImage(input);
  MemoryFiles files(image);
  const std::vector<std::string> paths = Paths(image);
  const bool skip_damage = (image.options & 1) != 0;
  Outcome outcome;
  const auto reader = Open(files, paths, input.size(), skip_damage, &outcome);
  if (!reader) return;
  CheckListing(*reader);
  std::vector<TableModel> tables;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    tables.push_back(DecodeTable(AsBytes(image.files[i].bytes)));
  }
  std::size_t num_read = 0;
  for (const std::uint32_t id : reader->visible()) {
    num_read += CheckTensor(*reader, id, input.size(), tables);
  }
  if (num_read > 0) CountAccepted();
  const std::vector<Error> findings = reader->CheckFiles();
  REQUIRE(skip_damage || reader->damage().empty());
  Outcome other_outcome;
  const auto other = Open(files, paths, input.size(), !skip_damage, &other_outcome);
  REQUIRE(other || skip_damage);
  if (!other) return;
  REQUIRE(other->fingerprint() == reader->fingerprint());
  REQUIRE(other->num_tensors() == reader->num_tensors());
}

void ChangeRecord(Random& random, std::pair<std::string, std::string>* entry) {
  if (random.OneIn(8)) return MutateText(random, &entry->first);
  MutateMessage(random, &entry->second);
}

std::string ChangeCheckpoint(Random& random, ByteView input) {
  Image image = ParseImage(input);
  if (image.files.empty()) image.index();
  if (random.OneIn(4)) image.options = static_cast<std::uint8_t>(random.Next());
  if (random.OneIn(32)) image.files.push_back(image.files.front());
  ImageFile& file = image.files[random.Below(image.files.size())];
  TableModel table = DecodeTable(AsBytes(file.bytes));
  for (std::size_t i = 1 + random.Below(3); i > 0; --i) MutateTable(random, &table, ChangeRecord);
  file.bytes = EncodeTable(table);
  return EncodeImage(image);
}

}  // namespace
}  // namespace fastckpt::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fastckpt::fuzz::CheckCheckpoint(fastckpt::ByteView(data, size));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return fastckpt::fuzz::MutateInput(data, size, max_size, seed, fastckpt::fuzz::ChangeCheckpoint);
}
