// Finding one key: inside a block, and in a whole table.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "harness.h"
#include "io/source.h"
#include "table/block.h"
#include "table/table_reader.h"
#include "table_writer.h"

namespace fastckpt::table {
namespace {

using testing::BlockWriter;
using testing::MakeTable;
using testing::TableFile;
using testing::Vector;

std::string Key(int i) {
  return "key" + std::to_string(1000 + 2 * i);
}

std::vector<std::uint8_t> Block(int count, std::size_t restart_interval) {
  BlockWriter writer(restart_interval);
  for (int i = 0; i < count; ++i) writer.Add(Key(i), std::to_string(i));
  return Vector(writer.Finish());
}

// The value of the entry that a seek finds; "end" where it finds none.
std::string SeekValue(const std::vector<std::uint8_t>& block, const std::string& target) {
  BlockCursor cursor{ByteView(block)};
  if (cursor.Seek(target)) return std::string(AsText(cursor.value()));
  return cursor.ok() ? "end" : "malformed";
}

TEST(seek_finds_every_key_and_every_gap) {
  for (const std::size_t interval : {1u, 2u, 16u, 1000u}) {
    for (const int count : {1, 2, 15, 16, 17, 100}) {
      const auto block = Block(count, interval);
      CHECK_EQ(SeekValue(block, ""), "0");
      for (int i = 0; i < count; ++i) {
        CHECK_EQ(SeekValue(block, Key(i)), std::to_string(i));
        CHECK_EQ(SeekValue(block, Key(i) + "x"), i + 1 < count ? std::to_string(i + 1) : "end");
      }
    }
  }
}

TEST(seek_starts_from_anywhere) {
  const auto block = Block(40, 4);
  BlockCursor cursor{ByteView(block)};
  for (const int i : {30, 3, 39, 0, 0, 20}) {
    CHECK(cursor.Seek(Key(i)));
    CHECK_EQ(cursor.key(), Key(i));
  }
  CHECK(!cursor.Seek("z"));
  CHECK(cursor.Seek(Key(5)));
}

TEST(seek_in_an_empty_block) {
  CHECK_EQ(SeekValue(Block(0, 16), "a"), "end");
}

TEST(seek_survives_restarts_that_lie) {
  const auto good = Block(40, 4);
  const std::size_t restarts = good.size() - 4 - 10 * 4;
  for (std::size_t i = 0; i < 10; ++i) {
    for (const std::uint32_t lie : {1u, 7u, 0x7FFFFFFFu, 0xFFFFFFFFu, std::uint32_t(restarts)}) {
      auto block = good;
      const std::string bytes = testing::Fixed32(lie);
      std::copy(bytes.begin(), bytes.end(), block.begin() + std::ptrdiff_t(restarts + 4 * i));
      for (int key = 0; key < 40; ++key) SeekValue(block, Key(key));
      if (i == 5) CHECK_EQ(SeekValue(block, Key(20)) == "20", false);
    }
  }
}

TEST(seek_tells_a_malformed_entry) {
  BlockWriter writer;
  writer.Add("a", "1");
  writer.AddRaw(0, 1, 100, "b");
  CHECK_EQ(SeekValue(Vector(writer.Finish()), "b"), "malformed");
  CHECK_EQ(SeekValue(Vector(std::string("abc")), "b"), "malformed");
}

TEST(table_finds_the_block_of_a_key) {
  testing::KeyValues entries;
  for (int i = 0; i < 500; ++i) entries.emplace_back(Key(i), std::string(20, 'v'));
  const std::string content = MakeTable(entries, {.block_bytes = 256});
  const TableReader table(io::MemorySource("memory", Vector(content)));
  for (int i = 0; i < 500; ++i) {
    const auto handle = table.FindBlock(Key(i));
    CHECK(handle.has_value());
    const auto block = table.ReadBlock(*handle);
    BlockCursor cursor{ByteView(block)};
    CHECK(cursor.Seek(Key(i)));
    CHECK_EQ(cursor.key(), Key(i));
  }
  CHECK(!table.FindBlock("z").has_value());
}

TEST(table_reads_compressed_blocks_alone) {
  const std::string content =
      MakeTable({{"a", std::string(3000, 'x')}, {"b", "y"}}, {.block_bytes = 256, .snappy = true});
  const TableReader table(io::MemorySource("memory", Vector(content)));
  const auto block = table.ReadBlock(*table.FindBlock("a"));
  BlockCursor cursor{ByteView(block)};
  CHECK(cursor.Next());
  CHECK_EQ(AsText(cursor.value()), std::string(3000, 'x'));
}

TEST(table_verifies_a_block_that_is_read_alone) {
  TableFile file;
  file.AppendDataBlock({{"a", "1"}});
  file.AppendDataBlock({{"b", "2"}}, 1);
  const TableReader table(io::MemorySource("memory", Vector(file.Finish())));
  CHECK(!table.ReadBlock(*table.FindBlock("a")).empty());
  CHECK_ERROR(ErrorCode::kDataLoss, table.ReadBlock(*table.FindBlock("b")));
}

TEST(table_tells_a_malformed_index) {
  TableFile file;
  file.AppendDataBlock({{"a", "1"}});
  file.AppendIndexEntry("b", std::string_view("\x80"));
  const TableReader table(io::MemorySource("memory", Vector(file.Finish())));
  CHECK_ERROR(ErrorCode::kDataLoss, table.FindBlock("b"));
}

}  // namespace
}  // namespace fastckpt::table
