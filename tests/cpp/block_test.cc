#include "table/block.h"

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "harness.h"
#include "table_writer.h"

namespace fastckpt::table {
namespace {

using testing::BlockWriter;
using testing::Fixed32;
using testing::KeyValues;
using testing::Varint;

struct Walked {
  KeyValues entries;
  bool ok = false;
};

// Walks storage of exactly this size, so that AddressSanitizer sees every read past the end.
Walked Walk(const std::string& content) {
  const std::vector<std::uint8_t> exact = testing::Vector(content);
  Walked walked;
  BlockCursor cursor{ByteView(exact)};
  while (cursor.Next()) {
    walked.entries.emplace_back(std::string(cursor.key()), std::string(AsText(cursor.value())));
  }
  walked.ok = cursor.ok();
  CHECK(!cursor.Next());
  CHECK_EQ(cursor.ok(), walked.ok);
  return walked;
}

bool Fails(const std::string& content) {
  return !Walk(content).ok;
}

// One entry with these sizes and this text, then one restart.
std::string OneEntry(std::uint64_t shared, std::uint64_t unshared, std::uint64_t value_size,
                     const std::string& text) {
  BlockWriter block;
  block.AddRaw(shared, unshared, value_size, text);
  return block.Finish();
}

KeyValues SampleEntries(std::size_t count) {
  KeyValues entries;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string number = std::to_string(10000 + i);
    entries.emplace_back("layer/" + number.substr(0, 3) + "/kernel" + number,
                         std::string(i * 37 % 300, static_cast<char>('a' + i % 26)));
  }
  return entries;
}

TEST(entries_come_back_for_any_restart_interval) {
  for (const std::size_t count : {0u, 1u, 15u, 16u, 17u, 100u}) {
    const KeyValues entries = SampleEntries(count);
    for (const std::size_t interval : {1u, 2u, 3u, 16u, 1000u}) {
      BlockWriter block(interval);
      for (const auto& [key, value] : entries) block.Add(key, value);
      const Walked walked = Walk(block.Finish());
      CHECK(walked.ok);
      CHECK(walked.entries == entries);
    }
  }
}

TEST(the_empty_block_has_no_entries) {
  const Walked walked = Walk(std::string("\0\0\0\0\1\0\0\0", 8));
  CHECK(walked.ok);
  CHECK(walked.entries.empty());
}

TEST(empty_keys_and_values_are_entries) {
  const Walked walked = Walk(OneEntry(0, 0, 0, ""));
  CHECK(walked.ok);
  CHECK_EQ(walked.entries.size(), 1u);
}

TEST(sizes_of_several_varint_bytes_are_read) {
  const std::string key(200, 'k');
  const std::string value(70000, 'v');
  const Walked walked = Walk(OneEntry(0, key.size(), value.size(), key + value));
  CHECK(walked.ok);
  CHECK((walked.entries == KeyValues{{key, value}}));
}

TEST(blocks_without_room_for_their_restarts_are_bad) {
  for (std::size_t size = 0; size < 8; ++size) CHECK(Fails(std::string(size, '\1')));
  CHECK(Fails(BlockWriter().Finish(0)));
  CHECK(Fails(BlockWriter().Finish(2)));
  CHECK(Fails(BlockWriter().Finish(0x40000000)));
  CHECK(Fails(BlockWriter().Finish(0xFFFFFFFF)));
}

TEST(sizes_beyond_the_block_are_bad) {
  constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
  CHECK(!Fails(OneEntry(0, 1, 2, "kvv")));
  CHECK(Fails(OneEntry(0, 1, 3, "kvv")));
  CHECK(Fails(OneEntry(0, 4, 0, "kvv")));
  // The sum wraps around in 32 bits.
  CHECK(Fails(OneEntry(0, kMax32, 4, "kvv")));
  CHECK(Fails(OneEntry(0, 4, kMax32, "kvv")));
  CHECK(Fails(OneEntry(0, kMax32, kMax32, "kvv")));
  CHECK(Fails(OneEntry(0, kMax32 + 1, 0, "kvv")));
}

TEST(a_key_cannot_share_more_than_the_key_before_it_has) {
  CHECK(Fails(OneEntry(1, 1, 1, "kv")));
  BlockWriter block;
  block.Add("abc", "1");
  block.AddRaw(3, 1, 1, "d2");
  CHECK((Walk(block.Finish()).entries == KeyValues{{"abc", "1"}, {"abcd", "2"}}));
  block.AddRaw(5, 1, 1, "e3");
  const Walked walked = Walk(block.Finish());
  CHECK(!walked.ok);
  CHECK_EQ(walked.entries.size(), 2u);
}

TEST(every_cut_of_the_entries_keeps_those_before_it) {
  BlockWriter block(4);
  const KeyValues entries = SampleEntries(9);
  for (const auto& [key, value] : entries) block.Add(key, value);
  const std::string whole = block.Finish();
  const std::size_t entry_bytes = whole.size() - 4 * 4;
  std::size_t clean_cuts = 0;
  for (std::size_t size = 0; size < entry_bytes; ++size) {
    const Walked walked = Walk(whole.substr(0, size) + Fixed32(0) + Fixed32(1));
    clean_cuts += walked.ok ? 1 : 0;
    CHECK(walked.entries.size() < entries.size());
    for (std::size_t i = 0; i < walked.entries.size(); ++i) {
      CHECK(walked.entries[i] == entries[i]);
    }
  }
  CHECK_EQ(clean_cuts, entries.size());
}

TEST(random_blocks_never_leave_their_range) {
  std::mt19937 random(11);
  int well_formed = 0;
  for (int round = 0; round < 20000; ++round) {
    BlockWriter block;
    for (const auto& [key, value] : SampleEntries(3)) block.Add(key, value.substr(0, 20));
    std::string content = block.Finish();
    content[random() % content.size()] = static_cast<char>(random());
    well_formed += Walk(content).ok ? 1 : 0;
  }
  CHECK(well_formed > 1000 && well_formed < 19000);
}

}  // namespace
}  // namespace fastckpt::table
