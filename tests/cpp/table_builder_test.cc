#include "table/table_builder.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "harness.h"
#include "hex.h"
#include "io/source.h"
#include "table/table_reader.h"
#include "table_writer.h"

namespace fastckpt::table {
namespace {

using testing::BlockWriter;
using testing::FromHex;
using testing::Hex;
using testing::KeyValues;
using testing::TableFile;
using testing::Vector;

std::string Build(const KeyValues& entries) {
  std::string file;
  TableBuilder builder([&](ByteView bytes) { file += AsText(bytes); });
  for (const auto& [key, value] : entries) builder.Add(key, value);
  builder.Finish();
  CHECK_EQ(builder.size(), file.size());
  return file;
}

// What the index block says about one data block.
struct IndexEntry {
  std::string key;
  BlockHandle handle;
};

std::vector<IndexEntry> ReadIndex(const std::string& file) {
  const ByteView bytes = AsBytes(file);
  Footer footer;
  CHECK(DecodeFooter(bytes.last(kFooterSize), &footer) == FooterError::kNone);
  CHECK(footer.is_canonical);
  std::vector<IndexEntry> index;
  BlockCursor cursor(bytes.subspan(footer.index.offset, footer.index.size));
  while (cursor.Next()) {
    index.push_back({std::string(cursor.key()), {}});
    const ByteView value = cursor.value();
    const std::uint8_t* const end = value.data() + value.size();
    CHECK(DecodeHandle(value.data(), end, &index.back().handle) == end);
  }
  CHECK(cursor.ok());
  return index;
}

KeyValues ReadBack(const std::string& file) {
  KeyValues entries;
  const TableReader reader(io::MemorySource("table", Vector(file)));
  reader.Scan(
      [&](std::string_view key, ByteView value) { entries.emplace_back(key, AsText(value)); },
      [](const DamagedRange& damaged) { throw damaged.error; });
  CHECK(reader.CheckUnread().empty());
  return entries;
}

// TensorFlow's TableBuilder, step by step, one byte at a time.
class TwinBuilder {
 public:
  void Add(const std::string& key, const std::string& value) {
    if (count_ > 0 && key.size() + value.size() >= 2 * std::size_t{262144}) Flush();
    if (pending_) {
      file_.AppendIndexEntry(Separator(last_key_, key), *pending_);
      pending_.reset();
    }
    last_key_ = key;
    ++count_;
    block_.Add(key, value);
    if (block_.size() >= 262144) Flush();
  }

  std::string Finish() {
    Flush();
    const BlockHandle metaindex = file_.AppendBlock(BlockWriter().Finish());
    if (pending_) file_.AppendIndexEntry(Successor(last_key_), *pending_);
    const BlockHandle index = file_.AppendBlock(file_.index().Finish());
    testing::FooterFields footer;
    footer.metaindex = metaindex;
    footer.index = index;
    // TableFile::Finish writes its own two blocks before the footer; only the footer is wanted.
    const std::string whole = file_.Finish(footer);
    const std::size_t end = index.offset + index.size + kTrailerSize;
    return whole.substr(0, end) + whole.substr(whole.size() - kFooterSize);
  }

 private:
  static int At(const std::string& text, std::size_t i) {
    return static_cast<unsigned char>(text[i]);
  }
  static std::string Separator(const std::string& a, const std::string& b) {
    std::size_t i = 0;
    while (i < a.size() && i < b.size() && a[i] == b[i]) ++i;
    if (i == a.size() || i == b.size()) return a;
    if (At(a, i) == 0xFF || At(a, i) + 1 >= At(b, i)) return a;
    return a.substr(0, i) + static_cast<char>(At(a, i) + 1);
  }
  static std::string Successor(const std::string& key) {
    for (std::size_t i = 0; i < key.size(); ++i) {
      if (At(key, i) != 0xFF) return key.substr(0, i) + static_cast<char>(At(key, i) + 1);
    }
    return key;
  }
  void Flush() {
    if (block_.empty()) return;
    pending_ = file_.AppendBlock(block_.Finish());
    block_ = BlockWriter();
  }

  TableFile file_;
  BlockWriter block_;
  std::size_t count_ = 0;
  std::string last_key_;
  std::optional<BlockHandle> pending_;
};

std::string BuildTwin(const KeyValues& entries) {
  TwinBuilder builder;
  for (const auto& [key, value] : entries) builder.Add(key, value);
  return builder.Finish();
}

TEST(a_table_without_entries_has_74_bytes) {
  CHECK_EQ(Hex(Build({})), Hex(FromHex("00000000 01000000 00 c0f2a1b0"
                                       "00000000 01000000 00 c0f2a1b0"
                                       "00 08 0d 08") +
                               std::string(36, '\0') + FromHex("57fb808b247547db")));
  CHECK_EQ(Build({}).size(), 74u);
  CHECK(ReadBack(Build({})).empty());
}

TEST(the_documented_index_without_tensors_is_made) {
  const std::string file = Build({{"", FromHex("08 01 1a 02 08 01")}});
  CHECK_EQ(Hex(file), Hex(FromHex("00 00 06 08 01 1a 02 08 01 00000000 01000000 00 629457f9"
                                  "00000000 01000000 00 c0f2a1b0"
                                  "00 00 02 00 11 00000000 01000000 00 ccbf8b5d"
                                  "16 08 23 0d") +
                          std::string(36, '\0') + FromHex("57fb808b247547db")));
  CHECK_EQ(file.size(), 101u);
}

TEST(sixteen_entries_share_one_restart_and_the_seventeenth_begins_another) {
  KeyValues entries;
  for (const std::uint32_t restarts : {1u, 2u, 3u}) {
    while (entries.size() < 16 * restarts) {
      entries.emplace_back("key" + std::string(1, static_cast<char>('A' + entries.size())), "v");
    }
    const std::string file = Build(entries);
    const BlockHandle block = ReadIndex(file).at(0).handle;
    CHECK_EQ(Hex(file.substr(block.size - 4, 4)), Hex(testing::Fixed32(restarts)));
    CHECK_EQ(file, BuildTwin(entries));
  }
}

// A value for `key`, the first of its block, that gives the block this size.
std::string ValueForBlockSize(const std::string& key, std::size_t block_size) {
  const std::size_t sizes = 1 + testing::Varint(key.size()).size() + 3;
  return std::string(block_size - 8 - sizes - key.size(), 'v');
}

TEST(a_block_ends_at_262144_bytes_and_not_before) {
  KeyValues entries{{"a", ValueForBlockSize("a", 262143)}, {"b", ""}};
  auto index = ReadIndex(Build(entries));
  CHECK_EQ(index.size(), 1u);
  CHECK_EQ(index[0].handle.size, 262147u);
  entries[0].second += 'v';
  index = ReadIndex(Build(entries));
  CHECK_EQ(index.size(), 2u);
  CHECK_EQ(index[0].handle.size, 262144u);
  CHECK_EQ(Build(entries), BuildTwin(entries));
}

TEST(an_entry_of_524288_bytes_gets_a_block_of_its_own) {
  for (const std::size_t size : {std::size_t{524287}, std::size_t{524288}}) {
    const KeyValues entries{{"", "header"}, {"big", std::string(size - 3, 'v')}, {"c", "after"}};
    const std::string file = Build(entries);
    const auto index = ReadIndex(file);
    CHECK_EQ(index.size(), size == 524288 ? 3u : 2u);
    // The key of the header's block cannot be shortened.
    if (size == 524288) CHECK_EQ(index[0].key, "");
    CHECK_EQ(index[index.size() - 2].key, "big");
    CHECK_EQ(index.back().key, "d");
    CHECK_EQ(file, BuildTwin(entries));
    CHECK(ReadBack(file) == entries);
  }
}

TEST(a_large_first_entry_makes_no_empty_block) {
  const KeyValues entries{{"big", std::string(524288, 'v')}};
  CHECK_EQ(ReadIndex(Build(entries)).size(), 1u);
  CHECK_EQ(Build(entries), BuildTwin(entries));
}

// The index key between two blocks, the first of which ends with `last`.
std::string KeyBetween(const std::string& last, const std::string& next) {
  return ReadIndex(Build({{last, std::string(262144, 'v')}, {next, ""}})).at(0).key;
}

TEST(index_keys_are_shortened_at_the_first_difference_only) {
  const std::string tail(40, '!');
  CHECK_EQ(KeyBetween("abc" + tail, "abd"), "abc" + tail);
  CHECK_EQ(KeyBetween("abc" + tail, "abe"), "abd");
  CHECK_EQ(KeyBetween("ab" + tail, "abz"), "ab\"");
  CHECK_EQ(KeyBetween("a\x7f" + tail, "a\x90"), "a\x80");
  CHECK_EQ(KeyBetween("a\xfe" + tail, "a\xff"), "a\xfe" + tail);
  // One key begins with the other.
  CHECK_EQ(KeyBetween("ab", "ab" + tail), "ab");
  CHECK_EQ(KeyBetween("", "b"), "");
  // The difference lies behind a word of eight bytes, and in its last byte.
  CHECK_EQ(KeyBetween("0123456789a" + tail, "0123456789c"), "0123456789b");
  CHECK_EQ(KeyBetween("0123456a" + tail, "0123456c" + tail), "0123456b");
}

// The index key of the last block, which ends with `last`.
std::string KeyAfter(const std::string& last) {
  return ReadIndex(Build({{last, "v"}})).at(0).key;
}

TEST(the_last_index_key_is_a_short_successor) {
  CHECK_EQ(KeyAfter("w"), "x");
  CHECK_EQ(KeyAfter("scope/weights"), "t");
  CHECK_EQ(KeyAfter("\xff\xfeq"), "\xff\xff");
  CHECK_EQ(KeyAfter("\xff\xff"), "\xff\xff");
  CHECK_EQ(KeyAfter("\xffz"), "\xff{");
  CHECK_EQ(KeyAfter(""), "");
  CHECK_EQ(KeyAfter(std::string("\0slice", 6)), "\1");
}

TEST(keys_with_a_first_byte_of_ff_come_back) {
  const KeyValues entries{{"", "header"},
                          {"\xfe", std::string(262144, 'a')},
                          {"\xff", std::string(262144, 'b')},
                          {"\xff\xff", std::string(262144, 'c')},
                          {"\xff\xff\xff", "d"}};
  const std::string file = Build(entries);
  CHECK_EQ(file, BuildTwin(entries));
  CHECK(ReadBack(file) == entries);
  const auto index = ReadIndex(file);
  CHECK_EQ(index.size(), 4u);
  CHECK_EQ(index[0].key, "\xfe");
  CHECK_EQ(index.back().key, "\xff\xff\xff");
}

// Sorted keys over few letters, so that they share much, and values of mixed sizes.
KeyValues RandomEntries(std::mt19937_64& random, std::size_t count, std::size_t largest) {
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random()) % limit; };
  constexpr std::string_view kLetters("\0a/\xfe\xff", 5);
  std::set<std::string> keys;
  while (keys.size() < count) {
    std::string key = below(2) == 0 || keys.empty() ? "" : *keys.begin();
    for (std::size_t left = below(30); left > 0; --left) key += kLetters[below(kLetters.size())];
    keys.insert(key);
  }
  KeyValues entries;
  for (const std::string& key : keys) {
    entries.emplace_back(key, testing::PatternBytes(below(below(20) == 0 ? largest : 100), 1));
  }
  return entries;
}

TEST(tables_equal_those_of_the_twin_and_come_back) {
  std::mt19937_64 random(20);
  for (int round = 0; round < 30; ++round) {
    const KeyValues entries =
        RandomEntries(random, 1 + random() % 500, round % 3 == 0 ? 70 : 600000);
    const std::string file = Build(entries);
    CHECK(file == BuildTwin(entries));
    CHECK(ReadBack(file) == entries);
  }
}

TEST(many_small_entries_fill_several_blocks) {
  KeyValues entries{{"", "header"}};
  for (int i = 100000; i < 120000; ++i) {
    entries.emplace_back("model/layer_" + std::to_string(i) + "/kernel", std::string(40, 'v'));
  }
  const std::string file = Build(entries);
  CHECK(file == BuildTwin(entries));
  CHECK(ReadBack(file) == entries);
  const auto index = ReadIndex(file);
  CHECK(index.size() > 3);
  // A block exceeds the limit by its last entry at most.
  for (std::size_t i = 0; i + 1 < index.size(); ++i) {
    CHECK(index[i].handle.size >= 262144 && index[i].handle.size < 262144 + 100);
  }
}

TEST(the_file_is_given_away_in_large_pieces) {
  std::vector<std::size_t> pieces;
  TableBuilder builder([&](ByteView bytes) { pieces.push_back(bytes.size()); });
  const std::string value(1000, 'v');
  std::uint64_t before = builder.size();
  for (int i = 100000; i < 105000; ++i) {
    builder.Add(std::to_string(i), value);
    CHECK(builder.size() >= before);
    before = builder.size();
  }
  builder.Finish();
  CHECK_EQ(pieces.size(), 5u);
  for (std::size_t i = 0; i + 1 < pieces.size(); ++i) {
    CHECK(pieces[i] >= 1 << 20 && pieces[i] < (1 << 20) + (1 << 19));
  }
}

TEST(what_the_receiver_throws_passes_through) {
  TableBuilder builder([](ByteView) { throw std::runtime_error("disk full"); });
  builder.Add("key", "value");
  bool is_thrown = false;
  try {
    builder.Finish();
  } catch (const std::runtime_error&) {
    is_thrown = true;
  }
  CHECK(is_thrown);
}

}  // namespace
}  // namespace fastckpt::table
