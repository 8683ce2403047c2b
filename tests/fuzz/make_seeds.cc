// Writes the seeds of the fuzz corpus: make_seeds GOLDEN_DIRECTORY CORPUS_DIRECTORY
//
// The checkpoints of the golden directory, packed; and small generated ones for what they lack.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "bundle/entry_encoder.h"
#include "bundle/stored_items.h"
#include "coding/ordered.h"
#include "legacy_writer.h"
#include "memory_files.h"
#include "table_model.h"
#include "table_writer.h"

namespace fastckpt::fuzz {
namespace {

namespace fs = std::filesystem;
using testing::BundleWriter;
using testing::PatternBytes;

std::string corpus;

void Write(const std::string& target, const std::string& name, const std::string& input) {
  const fs::path folder = fs::path(corpus) / target;
  fs::create_directories(folder);
  testing::WriteFile((folder / ("seed-" + name)).string(), input);
}

void WriteParts(const std::string& name, const testing::KeyValues& entries) {
  std::size_t number = 0;
  for (const auto& [key, value] : entries) {
    Write("fuzz_entry", name + "-" + std::to_string(number), value);
    if (key.starts_with('\0')) {
      Write("fuzz_slice", name + "-" + std::to_string(number), std::string(1, '\0') + key);
    }
    ++number;
  }
}

// Entries with block checksums: sound, cut off, without a size, twice.
void WriteBlockCrcs() {
  const std::vector<std::int64_t> shape{3, 1 << 20};
  const std::vector<std::uint32_t> crcs{1, 2, 3};
  bundle::EncodedEntry entry{.dtype = 1, .shape = shape, .size = 12 << 20, .masked_crc = 9};
  std::string plain;
  bundle::AppendEntry(plain, entry);
  entry.masked_block_crcs = crcs;
  entry.block_size = bundle::kCrcBlockSize;
  std::string sound;
  bundle::AppendEntry(sound, entry);
  entry.block_size = 0;
  std::string without;
  bundle::AppendEntry(without, entry);
  Write("fuzz_entry", "blocks-sound", sound);
  Write("fuzz_entry", "blocks-cut", sound.substr(0, sound.size() - 5));
  Write("fuzz_entry", "blocks-without-size", without);
  Write("fuzz_entry", "blocks-twice", sound + sound.substr(plain.size()));
}

// The checkpoint whose index this is, from its folder.
void PackGolden(const fs::path& index) {
  const std::string prefix = index.stem().string();
  Image image;
  image.index() = testing::ReadFile(index.string());
  std::vector<fs::path> shards;
  for (const auto& file : fs::directory_iterator(index.parent_path())) {
    if (file.path().filename().string().starts_with(prefix + ".data-")) {
      shards.push_back(file.path());
    }
  }
  std::ranges::sort(shards);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    image.files.push_back({static_cast<std::uint8_t>(i), testing::ReadFile(shards[i].string())});
  }
  const std::string name = index.parent_path().filename().string();
  Write("fuzz_bundle", "golden-" + name, EncodeImage(image));
  Write("fuzz_table", "golden-" + name, image.index());
  if (name != "types") WriteParts("golden-" + name, DecodeTable(AsBytes(image.index())).Entries());
}

Image ImageOf(const BundleWriter& bundle, const testing::TableOptions& options) {
  Image image;
  image.index() = testing::MakeTable(bundle.IndexEntries(), options);
  for (const auto& [id, bytes] : bundle.shards) {
    image.files.push_back({static_cast<std::uint8_t>(id), bytes});
  }
  return image;
}

void WriteBundles() {
  BundleWriter mixed;
  mixed.header.num_shards = 3;
  mixed.Add("w", 1, {5, 4}, PatternBytes(80, 1), 0);
  mixed.Add("b", 9, {3}, PatternBytes(24, 2), 2, 64);
  mixed.Add("flags", 10, {4}, std::string("\0\1\2\xFF", 4), 2);
  mixed.Add("empty", 1, {0, 3}, "", 0);
  mixed.Add("names", 7, {3}, testing::StoreStrings({"a", "", std::string(130, 'z')}), 2);
  mixed.Add("variant", 21, {2}, testing::StoreVariants({"\n\3int", ""}), 0);
  Write("fuzz_bundle", "mixed", EncodeImage(ImageOf(mixed, {})));
  Write("fuzz_bundle", "small-blocks", EncodeImage(ImageOf(mixed, {64, 2, true})));
  WriteParts("mixed", mixed.IndexEntries());

  BundleWriter foreign;
  foreign.header.endianness = 1;
  foreign.Add("c", 18, {2}, PatternBytes(32, 3));
  foreign.Add("h", 19, {3, 1}, PatternBytes(6, 4));
  foreign.Add("s", 7, {}, testing::StoreStrings({"text"}, true));
  Write("fuzz_bundle", "foreign", EncodeImage(ImageOf(foreign, {})));

  BundleWriter parts;
  parts.AddSlice("p", 1, {4, 3}, {{0, 2}, {}}, PatternBytes(24, 5));
  parts.AddSlice("p", 1, {4, 3}, {{2, 2}, {0, 1}}, PatternBytes(8, 6));
  parts.AddSlice("p", 1, {4, 3}, {{2, 2}, {1, 2}}, PatternBytes(16, 7));
  Write("fuzz_bundle", "parts", EncodeImage(ImageOf(parts, {})));
  WriteParts("parts", parts.IndexEntries());
}

void WriteTables() {
  testing::KeyValues entries;
  for (int i = 0; i < 40; ++i) entries.emplace_back("key/" + std::to_string(100 + i), "v");
  Write("fuzz_table", "blocks", testing::MakeTable(entries, {100, 4, false}));
  Write("fuzz_table", "snappy", testing::MakeTable(entries, {200, 16, true}));
  Write("fuzz_table", "empty", testing::MakeTable({}));
  testing::TableFile run;
  testing::BlockWriter block;
  block.Add("a", std::string(300, '\0'));
  run.AppendIndexEntry("a", run.AppendBlock(testing::SnappyLiteral(block.Finish()), 1));
  Write("fuzz_table", "literal", run.Finish());
}

void WriteStreams() {
  Write("fuzz_snappy", "literal", testing::SnappyLiteral("a literal of some length"));
  Write("fuzz_snappy", "run", testing::SnappyRun('x', 700));
  Write("fuzz_snappy", "empty", testing::SnappyLiteral(""));
  // "abcdefgh", then copies with offsets of one, two and four bytes, and literals with lengths of
  // one and two bytes.
  Write("fuzz_snappy", "copies",
        std::string("\x1c\x1c"
                    "abcdefgh"
                    "\x11\x08\x0e\x04\0\x0f\x02\0\0\0",
                    20));
  Write("fuzz_snappy", "literals", std::string("\x03\xf0\0x\xf4\0\0y\xf8\0\0\0z", 13));
  Write("fuzz_snappy", "too-far", std::string("\x05\0x\x01\x02", 5));
}

void WriteElements() {
  const auto input = [](char options, std::size_t count, const std::string& bytes) {
    return std::string{options, static_cast<char>(count), '\0'} + bytes;
  };
  const std::vector<std::string> texts = {"a", "", std::string(200, 'z'), "end"};
  Write("fuzz_strings", "little", input(0, 4, testing::StoreStrings(texts).bytes));
  Write("fuzz_strings", "big", input(1, 4, testing::StoreStrings(texts, true).bytes));
  Write("fuzz_strings", "none", input(0, 0, testing::StoreStrings({}).bytes));
  Write("fuzz_strings", "variants", input(2, 4, testing::StoreVariants(texts).bytes));
  Write("fuzz_strings", "no-variants", input(2, 0, ""));
}

// Descriptions as fuzz_slice.cc takes them.
void WriteSliceKeys() {
  std::string key("\1\4name\2", 7);
  for (const int number : {0, -1, 100, 64}) {
    key += std::string(1, static_cast<char>(number)) + std::string(7, number < 0 ? '\xFF' : '\0');
  }
  Write("fuzz_slice", "key", key);
  Write("fuzz_slice", "keys", key + key.substr(1));
  // An empty box inside another.
  const std::string inside = std::string("\0\1\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18);
  const std::string around = std::string("\0\1\1\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0", 18);
  Write("fuzz_slice", "empty-box", "\1" + around + inside);
  Write("fuzz_slice", "escapes", std::string("\1\4\0\xFF\0\1\0", 7));
}

// A tensor of one value field, whole.
struct Values {
  std::string name;
  std::vector<std::int64_t> shape;
  std::uint64_t dtype;
  std::string tensor;
};

std::string LegacyFile(const std::vector<Values>& tensors, const testing::TableOptions& options) {
  std::vector<std::string> items;
  testing::KeyValues entries;
  for (const auto& [name, shape, dtype, tensor] : tensors) {
    const std::vector<coding::Extent> whole(shape.size());
    items.push_back(testing::EncodeItem(name, shape, dtype, {whole}));
    entries.emplace_back(coding::EncodeSliceKey(name, whole), testing::EncodeRecord(tensor));
  }
  entries.emplace(entries.begin(), "", testing::EncodeMeta(items));
  return testing::MakeTable(entries, options);
}

void WriteLegacy() {
  using testing::BytesField;
  const std::vector<Values> first = {
      {"b", {3}, 10, BytesField(11, std::string("\1\0\2", 3))},
      {"c", {1}, 8, BytesField(9, "realimag")},
      {"d", {2}, 2, BytesField(6, PatternBytes(16, 8))},
      {"f", {1, 2}, 1, BytesField(5, PatternBytes(8, 9))},
      {"h", {}, 19, testing::VarintField(13, 0xC000)},
      {"i",
       {2, 2},
       3,
       BytesField(7, "\1\2") + testing::VarintField(7, ~std::uint64_t{0}) + BytesField(7, "\5")},
      {"s", {2}, 7, BytesField(8, "text") + BytesField(8, "")}};
  const std::vector<Values> second = {{"z", {0, 4}, 9, BytesField(10, "")},
                                      {"zz", {1}, 18, BytesField(12, PatternBytes(16, 10))}};
  Write("fuzz_legacy", "one", EncodeImage({0, {{0, LegacyFile(first, {})}}}));
  Write("fuzz_legacy", "two",
        EncodeImage({1, {{0, LegacyFile(first, {64, 2, true})}, {1, LegacyFile(second, {})}}}));
  const auto slice = [](std::int64_t start) { return std::vector<coding::Extent>{{start, 1}}; };
  const std::string item = testing::EncodeItem("p", {2}, 1, {slice(0), slice(1)});
  testing::KeyValues entries{{"", testing::EncodeMeta({item}, "")}};
  for (const std::int64_t start : {0, 1}) {
    entries.emplace_back(coding::EncodeSliceKey("p", slice(start)),
                         testing::EncodeRecord(BytesField(5, "1234")));
  }
  Write("fuzz_legacy", "parts", EncodeImage({0, {{0, testing::MakeTable(entries)}}}));
}

}  // namespace
}  // namespace fastckpt::fuzz

int main(int argc, char** argv) {
  using namespace fastckpt::fuzz;
  if (argc != 3) {
    std::fprintf(stderr, "usage: make_seeds GOLDEN_DIRECTORY CORPUS_DIRECTORY\n");
    return 2;
  }
  corpus = argv[2];
  for (const auto& file : std::filesystem::recursive_directory_iterator(argv[1])) {
    if (file.path().extension() == ".index") PackGolden(file.path());
  }
  WriteBundles();
  WriteBlockCrcs();
  WriteTables();
  WriteStreams();
  WriteElements();
  WriteSliceKeys();
  WriteLegacy();
  return 0;
}
