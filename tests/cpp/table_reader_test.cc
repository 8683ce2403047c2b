#include "table/table_reader.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness.h"
#include "io/source.h"
#include "table_writer.h"

namespace fastckpt::table {
namespace {

using testing::BlockWriter;
using testing::FooterFields;
using testing::KeyValues;
using testing::MakeTable;
using testing::SnappyLiteral;
using testing::SnappyRun;
using testing::TableFile;
using testing::TableOptions;

constexpr std::uint64_t kMax = ~std::uint64_t{0};

TableReader Open(const std::string& content) {
  return TableReader(io::MemorySource("memory", testing::Vector(content)));
}

struct Scanned {
  KeyValues entries;
  std::vector<DamagedRange> damage;
};

Scanned Scan(const TableReader& table) {
  Scanned scanned;
  table.Scan(
      [&](std::string_view key, ByteView value) {
        scanned.entries.emplace_back(std::string(key), std::string(AsText(value)));
      },
      [&](DamagedRange damaged) { scanned.damage.push_back(std::move(damaged)); });
  return scanned;
}

Scanned Scan(const std::string& content) {
  return Scan(Open(content));
}

std::string Key(std::size_t i) {
  return std::string("key").append(std::to_string(100000 + i));
}

KeyValues SampleEntries(std::size_t count) {
  KeyValues entries;
  for (std::size_t i = 0; i < count; ++i) {
    entries.emplace_back(Key(i), std::string(i % 50, 'v'));
  }
  return entries;
}

bool HasFinding(const std::string& content, std::string_view beginning) {
  for (const Error& finding : Open(content).CheckUnread()) {
    if (finding.message().starts_with(beginning)) return true;
  }
  return false;
}

TEST(tables_of_every_shape_come_back) {
  for (const std::size_t count : {0u, 1u, 16u, 17u, 3000u}) {
    const KeyValues entries = SampleEntries(count);
    for (const std::size_t block_bytes : {1u, 100u, 4096u, 262144u}) {
      for (const std::size_t interval : {1u, 16u, 1000u}) {
        for (const bool snappy : {false, true}) {
          const std::string content = MakeTable(entries, {block_bytes, interval, snappy});
          const Scanned scanned = Scan(content);
          CHECK(scanned.entries == entries);
          CHECK(scanned.damage.empty());
          CHECK(Open(content).CheckUnread().empty());
        }
      }
    }
  }
}

TEST(files_that_are_no_tables_are_data_loss) {
  for (const std::size_t size : {0u, 1u, 47u, 48u, 1000u}) {
    CHECK_ERROR(ErrorCode::kDataLoss, Open(std::string(size, '\0')));
    CHECK_ERROR(ErrorCode::kDataLoss, Open(testing::PatternBytes(size, 3)));
  }
}

TEST(every_truncation_is_data_loss) {
  const std::string content = MakeTable(SampleEntries(40), {200, 16, false});
  for (std::size_t size = 0; size < content.size(); ++size) {
    CHECK_ERROR(ErrorCode::kDataLoss, Open(content.substr(0, size)));
  }
}

TEST(every_flipped_bit_is_found_by_reading_or_by_checking) {
  const KeyValues entries = SampleEntries(12);
  const std::string content = MakeTable(entries, {100, 4, false});
  for (std::size_t bit = 0; bit < content.size() * 8; ++bit) {
    std::string damaged = content;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    try {
      const TableReader table = Open(damaged);
      const Scanned scanned = Scan(table);
      const bool noticed = !scanned.damage.empty() || !table.CheckUnread().empty();
      CHECK(noticed);
      CHECK(!scanned.damage.empty() || scanned.entries == entries);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kDataLoss);
    }
  }
}

TEST(intact_blocks_are_read_around_damaged_ones) {
  TableFile file;
  file.AppendDataBlock({{"a", "1"}, {"b", "2"}});
  const BlockHandle bad = file.AppendDataBlock({{"c", "3"}, {"d", "4"}}, 1);
  file.AppendDataBlock({{"e", "5"}});
  const Scanned scanned = Scan(file.Finish());
  CHECK((scanned.entries == KeyValues{{"a", "1"}, {"b", "2"}, {"e", "5"}}));
  CHECK_EQ(scanned.damage.size(), 1u);
  CHECK_EQ(scanned.damage[0].after, "b");
  CHECK_EQ(scanned.damage[0].up_to, "d");
  CHECK(scanned.damage[0].error.code() == ErrorCode::kDataLoss);
  CHECK_EQ(scanned.damage[0].error.path(), "memory");
  CHECK(scanned.damage[0].error.offset() == bad.offset);
}

TEST(damaged_neighbours_are_one_range) {
  TableFile file;
  file.AppendDataBlock({{"a", "1"}});
  file.AppendDataBlock({{"b", "2"}}, 1);
  file.AppendDataBlock({{"c", "3"}}, 1);
  file.AppendDataBlock({{"d", "4"}});
  file.AppendDataBlock({{"e", "5"}}, 1);
  const Scanned scanned = Scan(file.Finish());
  CHECK((scanned.entries == KeyValues{{"a", "1"}, {"d", "4"}}));
  CHECK_EQ(scanned.damage.size(), 2u);
  CHECK_EQ(scanned.damage[0].after, "a");
  CHECK_EQ(scanned.damage[0].up_to, "c");
  CHECK_EQ(scanned.damage[1].after, "d");
  CHECK_EQ(scanned.damage[1].up_to, "e");
}

TEST(entries_before_a_malformed_one_are_kept) {
  TableFile file;
  BlockWriter block;
  block.Add("a", "1");
  block.AddRaw(9, 1, 1, "b2");
  file.AppendIndexEntry("b", file.AppendBlock(block.Finish()));
  const Scanned scanned = Scan(file.Finish());
  CHECK((scanned.entries == KeyValues{{"a", "1"}}));
  CHECK_EQ(scanned.damage.size(), 1u);
  CHECK_EQ(scanned.damage[0].after, "a");
}

TEST(keys_must_ascend_inside_and_across_blocks) {
  for (const char* const second : {"a", "b"}) {
    TableFile inside;
    inside.AppendDataBlock({{"b", "1"}, {second, "2"}, {"c", "3"}});
    CHECK_EQ(Scan(inside.Finish()).damage.size(), 1u);
    CHECK((Scan(inside.Finish()).entries == KeyValues{{"b", "1"}}));
    TableFile across;
    across.AppendDataBlock({{"b", "1"}});
    across.AppendDataBlock({{second, "2"}});
    across.AppendDataBlock({{"c", "3"}});
    const Scanned scanned = Scan(across.Finish());
    CHECK((scanned.entries == KeyValues{{"b", "1"}, {"c", "3"}}));
    CHECK_EQ(scanned.damage.size(), 1u);
  }
}

TEST(the_empty_key_may_only_come_first) {
  TableFile file;
  file.AppendDataBlock({{"", "header"}, {"a", "1"}});
  file.AppendDataBlock({{"", "again"}});
  const Scanned scanned = Scan(file.Finish());
  CHECK_EQ(scanned.entries.size(), 2u);
  CHECK_EQ(scanned.damage.size(), 1u);
}

TEST(bytes_above_127_sort_as_unsigned) {
  const KeyValues entries = {{"a", "1"}, {"\x7f", "2"}, {"\x80", "3"}, {"\xff", "4"}};
  CHECK(Scan(MakeTable(entries)).entries == entries);
  CHECK(Scan(MakeTable(entries)).damage.empty());
}

TEST(a_loop_of_blocks_ends) {
  TableFile file;
  const BlockHandle block = file.AppendDataBlock({{"a", "1"}});
  const BlockHandle later = file.AppendDataBlock({{"b", "2"}});
  for (std::size_t i = 0; i < 1000; ++i) {
    file.AppendIndexEntry(Key(2 * i), block);
    file.AppendIndexEntry(Key(2 * i + 1), later);
  }
  const Scanned scanned = Scan(file.Finish());
  CHECK((scanned.entries == KeyValues{{"a", "1"}, {"b", "2"}}));
  CHECK_EQ(scanned.damage.size(), 1u);
}

TEST(handles_outside_the_file_are_damage) {
  for (const BlockHandle& handle :
       {BlockHandle{0, kMax}, BlockHandle{kMax, 8}, BlockHandle{kMax, kMax}, BlockHandle{0, 1000},
        BlockHandle{1 << 20, 8}, BlockHandle{kMax - 4, 0}}) {
    TableFile file;
    file.AppendDataBlock({{"a", "1"}});
    file.AppendIndexEntry("b", handle);
    const Scanned scanned = Scan(file.Finish());
    CHECK_EQ(scanned.entries.size(), 1u);
    CHECK_EQ(scanned.damage.size(), 1u);
    Open(file.Finish()).Fingerprint();
    Open(file.Finish()).CheckUnread();
    TableFile other;
    FooterFields footer;
    footer.index = handle;
    CHECK_ERROR(ErrorCode::kDataLoss, Open(other.Finish(footer)));
  }
}

TEST(a_block_may_not_reach_into_the_footer) {
  TableFile file;
  const std::string whole = file.Finish();
  FooterFields footer;
  footer.index = BlockHandle{whole.size() - kFooterSize - 4, 4};
  CHECK_ERROR(ErrorCode::kDataLoss, Open(TableFile().Finish(footer)));
}

TEST(malformed_handles_in_the_index_block_are_damage) {
  for (const std::string& value :
       {std::string(), std::string("\x80"), std::string("\1\x80"), std::string(10, '\xff')}) {
    TableFile file;
    file.AppendDataBlock({{"a", "1"}});
    file.AppendIndexEntry("b", value);
    const Scanned scanned = Scan(file.Finish());
    CHECK_EQ(scanned.entries.size(), 1u);
    CHECK_EQ(scanned.damage.size(), 1u);
    CHECK_EQ(scanned.damage[0].up_to, "b");
  }
}

TEST(bytes_after_a_handle_are_permitted) {
  TableFile file;
  const BlockHandle block = file.AppendBlock([] {
    BlockWriter writer;
    writer.Add("a", "1");
    return writer.Finish();
  }());
  file.AppendIndexEntry("a", testing::EncodeHandle(block) + "more");
  CHECK_EQ(Scan(file.Finish()).entries.size(), 1u);
}

TEST(a_malformed_index_block_is_damage_without_a_bound) {
  TableFile file;
  file.AppendDataBlock({{"a", "1"}});
  file.index().AddRaw(50, 1, 1, "xx");
  const Scanned scanned = Scan(file.Finish());
  CHECK_EQ(scanned.entries.size(), 1u);
  CHECK_EQ(scanned.damage.size(), 1u);
  CHECK_EQ(scanned.damage[0].after, "a");
  CHECK_EQ(scanned.damage[0].up_to, "");
}

TEST(an_index_block_without_restarts_is_damage) {
  TableFile file;
  FooterFields footer;
  footer.index = file.AppendBlock("abc");
  const Scanned scanned = Scan(file.Finish(footer));
  CHECK(scanned.entries.empty());
  CHECK_EQ(scanned.damage.size(), 1u);
}

TEST(block_types_other_than_raw_and_snappy_are_damage) {
  for (int type = 2; type < 256; ++type) {
    TableFile file;
    BlockWriter block;
    block.Add("a", "1");
    file.AppendIndexEntry("a", file.AppendBlock(block.Finish(), static_cast<std::uint8_t>(type)));
    CHECK_EQ(Scan(file.Finish()).damage.size(), 1u);
  }
}

TEST(snappy_index_blocks_are_read) {
  TableFile file;
  BlockWriter block;
  block.Add("a", "1");
  BlockWriter index(1);
  index.Add("a", testing::EncodeHandle(file.AppendBlock(SnappyLiteral(block.Finish()), 1)));
  FooterFields footer;
  footer.index = file.AppendBlock(SnappyLiteral(index.Finish()), 1);
  CHECK((Scan(file.Finish(footer)).entries == KeyValues{{"a", "1"}}));
}

TEST(damaged_snappy_streams_are_damage) {
  const std::string good = SnappyLiteral(BlockWriter().Finish());
  for (const std::string& stream :
       {std::string(), good.substr(1), good.substr(0, good.size() - 1), good + "x",
        std::string("\xff\xff\xff\xff\x0f", 5), SnappyRun('x', 100).substr(0, 8)}) {
    TableFile file;
    file.AppendIndexEntry("a", file.AppendBlock(stream, 1));
    CHECK_EQ(Scan(file.Finish()).damage.size(), 1u);
  }
}

TEST(snappy_bombs_are_refused_before_they_are_decoded) {
  // The largest block that the limit lets through, and the smallest that it does not.
  constexpr std::uint32_t kAllowance = 8 << 20;
  for (const std::uint32_t decoded : {kAllowance, 4 * kAllowance}) {
    TableFile file;
    file.AppendIndexEntry("a", file.AppendBlock(SnappyRun('\0', decoded), 1));
    const std::string content = file.Finish();
    if (decoded <= kAllowance + 2 * content.size()) {
      CHECK_EQ(Scan(content).damage.size(), 1u);  // zeros are no block
    } else {
      CHECK_ERROR(ErrorCode::kLimitExceeded, Scan(content));
    }
  }
}

TEST(what_no_reader_needs_is_checked) {
  TableFile padded;
  FooterFields footer;
  footer.padding.front() = '\1';
  CHECK(HasFinding(padded.Finish(footer), "footer padding is not zero"));

  TableFile gap;
  gap.AppendBytes(std::string(20, '\0'));
  CHECK(Open(gap.Finish()).CheckUnread().empty());
  gap.AppendDataBlock({{"a", "1"}});
  gap.AppendBytes("left behind");
  CHECK(HasFinding(gap.Finish(), "bytes between blocks are not zero"));

  TableFile metaindex;
  footer = FooterFields{};
  footer.metaindex = metaindex.AppendBlock(BlockWriter().Finish(), 0, 1);
  CHECK(HasFinding(metaindex.Finish(footer), "block checksum mismatch"));
  CHECK(Scan(metaindex.Finish(footer)).damage.empty());

  TableFile malformed;
  BlockWriter block;
  block.AddRaw(7, 0, 0, "");
  footer.metaindex = malformed.AppendBlock(block.Finish());
  CHECK(HasFinding(malformed.Finish(footer), "bad entry in metaindex block"));
}

TEST(fingerprints_tell_tables_apart) {
  const KeyValues entries = SampleEntries(100);
  const std::string content = MakeTable(entries, {300, 16, false});
  CHECK_EQ(Open(content).Fingerprint(), Open(content).Fingerprint());
  for (std::size_t i = 0; i < entries.size(); i += 7) {
    KeyValues changed = entries;
    changed[i].second += "x";
    const std::string other = MakeTable(changed, {300, 16, false});
    CHECK(Open(other).Fingerprint() != Open(content).Fingerprint());
    changed[i].second = std::string(entries[i].second.size(), 'w');
    if (changed == entries) continue;
    const std::string same_size = MakeTable(changed, {300, 16, false});
    CHECK_EQ(same_size.size(), content.size());
    CHECK(Open(same_size).Fingerprint() != Open(content).Fingerprint());
  }
}

}  // namespace
}  // namespace fastckpt::table
