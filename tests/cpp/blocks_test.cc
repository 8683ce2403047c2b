#include "bundle/blocks.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "bundle/reader.h"
#include "bundle/transfer.h"
#include "crc/crc32c.h"
#include "harness.h"
#include "table_writer.h"

namespace fastckpt::bundle {
namespace {

using testing::BundleWriter;
using testing::EncodeBlockCrcs;
using testing::EncodeBlockField;
using testing::EntrySpec;
using testing::PatternBytes;
using testing::TemporaryDirectory;

constexpr io::Backend kBackends[] = {io::Backend::kMapped, io::Backend::kPositional};
constexpr std::size_t kSize = 20000;
constexpr std::uint64_t kBlock = 4096;

std::string Prefix() {
  return TemporaryDirectory() + "/m";
}

// uint8 bytes with this extra field, behind seven other bytes.
BundleWriter Sample(const std::string& extra) {
  BundleWriter bundle;
  bundle.Add("first", 4, {7}, "1234567");
  bundle.Add("w", 4, {kSize}, PatternBytes(kSize, 1)).extra = extra;
  return bundle;
}

std::shared_ptr<Reader> Open(const BundleWriter& bundle,
                             io::Backend backend = io::Backend::kMapped) {
  bundle.Write(Prefix());
  return Reader::Open(Prefix(), {backend, false});
}

std::size_t NumTables(const std::string& extra) {
  return Open(Sample(extra))->index().block_tables().size();
}

TEST(the_index_holds_the_crcs_of_blocks) {
  const auto reader = Open(Sample(EncodeBlockCrcs(PatternBytes(kSize, 1), kBlock)));
  CHECK_EQ(reader->index().block_tables().size(), 1u);
  const BlockTable* const table = reader->blocks().Find(reader->Find("w"));
  CHECK(table != nullptr);
  CHECK_EQ(table->count, 5u);
  CHECK_EQ(table->block_size, kBlock);
  CHECK(reader->blocks().Find(reader->Find("first")) == nullptr);
  const Entry& entry = reader->entry(table->entry_id);
  const std::string bytes = PatternBytes(kSize, 1);
  for (std::uint32_t block = 0; block < 5; ++block) {
    const BlockRange range = RangeOf(*table, entry, block);
    CHECK_EQ(range.begin, block * kBlock);
    CHECK_EQ(range.size(), block == 4 ? kSize - 4 * kBlock : kBlock);
    CHECK_EQ(reader->index().block_crcs(*table)[block],
             crc::Value(bytes.data() + range.begin, static_cast<std::size_t>(range.size())));
  }
}

TEST(fields_that_do_not_fit_the_entry_are_left_out) {
  const std::string bytes = PatternBytes(kSize, 1);
  for (const std::uint64_t size : {kMinBlockSize, kMinBlockSize + 1, std::uint64_t{kSize - 1}}) {
    CHECK_EQ(NumTables(EncodeBlockCrcs(bytes, size)), 1u);
  }
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{1}, kMinBlockSize - 1, std::uint64_t{kSize},
        std::uint64_t{1} << 40, std::numeric_limits<std::uint64_t>::max()}) {
    for (const std::size_t count : {0u, 1u, 4u, 5u, 20000u}) {
      CHECK_EQ(NumTables(EncodeBlockField(size, std::string(count * 4, 'x'))), 0u);
    }
  }
  for (const std::size_t packed : {0u, 16u, 19u, 21u, 24u, 40000u}) {
    CHECK_EQ(NumTables(EncodeBlockField(kBlock, std::string(packed, 'x'))), 0u);
  }
  CHECK_EQ(NumTables(EncodeBlockField(kBlock, std::string(20, 'x'))), 1u);
}

TEST(malformed_sliced_and_empty_entries_have_no_blocks) {
  const std::string field = EncodeBlockCrcs(PatternBytes(kSize, 1), kBlock);
  BundleWriter bundle = Sample(field);
  bundle.entries["w"].size += 1;
  bundle.Add("empty", 4, {0}, "").extra = field;
  bundle.AddSlice("part", 4, {2 * kSize}, {{0, kSize}}, PatternBytes(kSize, 1));
  bundle.entries["part"].extra = field;
  CHECK(Open(bundle)->index().block_tables().empty());
}

TEST(crcs_that_do_not_combine_to_that_of_the_entry_are_not_relied_on) {
  const std::string bytes = PatternBytes(kSize, 1);
  const std::string good = EncodeBlockCrcs(bytes, kBlock);
  // Every bit of every CRC; the field ends with them.
  for (std::size_t bit = 0; bit < 5 * 32; ++bit) {
    std::string flipped = good;
    char& byte = flipped[flipped.size() - 20 + bit / 8];
    byte = static_cast<char>(byte ^ (1 << (bit % 8)));
    const auto reader = Open(Sample(flipped));
    CHECK_EQ(reader->index().block_tables().size(), 1u);
    CHECK(reader->blocks().Find(reader->Find("w")) == nullptr);
    reader->Verify(reader->Find("w"));
  }
  std::string swapped = good;
  std::swap_ranges(swapped.end() - 8, swapped.end() - 4, swapped.end() - 20);
  const auto reader = Open(Sample(swapped));
  CHECK(reader->blocks().Find(reader->Find("w")) == nullptr);
}

TEST(ranges_have_one_crc_whatever_the_backend) {
  const std::string bytes = PatternBytes(std::size_t{1} << 20, 3);
  BundleWriter bundle;
  bundle.Add("w", 4, {1 << 20}, bytes);
  for (const io::Backend backend : kBackends) {
    const auto reader = Open(bundle, backend);
    const io::Source& source = reader->SourceOf(0);
    for (const std::size_t begin : {0u, 1u, 300000u}) {
      for (const std::size_t size : {0u, 1u, 262144u, 262145u, 700000u}) {
        CHECK_EQ(CrcOfRange(source, begin, size), crc::Value(bytes.data() + begin, size));
      }
    }
    CHECK_ERROR(ErrorCode::kDataLoss, CrcOfRange(source, 1, 1 << 20));
  }
}

TEST(the_last_block_makes_the_entry_complete_and_only_once) {
  const std::size_t count = 100;
  const std::string bytes = PatternBytes(count * kBlock, 1);
  BundleWriter bundle;
  bundle.Add("w", 4, {static_cast<std::int64_t>(bytes.size())}, bytes).extra =
      EncodeBlockCrcs(bytes, kBlock);
  const auto reader = Open(bundle);
  const BlockChecks& checks = reader->blocks();
  const BlockTable& table = *checks.Find(0);
  std::atomic<int> completed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::uint32_t block = 0; block < count; ++block) {
        if (checks.MarkVerified(table, block)) ++completed;
        if (!checks.IsVerified(table, block)) completed += 1000;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(completed.load(), 1);
}

TEST(every_block_verified_is_the_entry_verified) {
  for (const io::Backend backend : kBackends) {
    const auto reader = Open(Sample(EncodeBlockCrcs(PatternBytes(kSize, 1), kBlock)), backend);
    const std::uint32_t id = reader->Find("w");
    const BlockTable& table = *reader->blocks().Find(id);
    for (const std::uint32_t block : {3u, 0u, 4u, 1u, 2u}) {
      CHECK(!reader->IsVerified(id));
      CHECK(!reader->blocks().IsVerified(table, block));
      reader->VerifyBlock(table, block);
      CHECK(reader->blocks().IsVerified(table, block));
    }
    CHECK(reader->IsVerified(id));
    CHECK_EQ(reader->bytes_read(), kSize);
  }
}

// The error of damaged bytes, wherever it is found.
template <typename Work>
void CheckDamage(const Work& work, std::uint64_t offset, const std::string& text) {
  try {
    work();
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kDataLoss);
    CHECK_EQ(*error.key(), "w");
    CHECK_EQ(error.offset().value_or(0), offset);
    if (error.message().find(text) == std::string::npos) CHECK_EQ(error.message(), text);
  }
}

void Transfer1(const std::shared_ptr<Reader>& reader, std::uint32_t id) {
  std::vector<std::uint8_t> room(static_cast<std::size_t>(reader->entry(id).size));
  TransferJob job(reader, {{id, room.data()}}, {true, false, 0});
  job.WaitFor(std::chrono::milliseconds(0));
}

TEST(damage_is_located) {
  for (const io::Backend backend : kBackends) {
    BundleWriter bundle = Sample(EncodeBlockCrcs(PatternBytes(kSize, 1), kBlock));
    bundle.shards[0][7 + 4096] ^= 1;
    bundle.shards[0][7 + 8191] ^= 1;
    bundle.shards[0][7 + kSize - 1] ^= 1;
    const auto reader = Open(bundle, backend);
    const std::uint32_t id = reader->Find("w");
    const BlockTable& table = *reader->blocks().Find(id);
    const std::string whole =
        "; the damage begins in the tensor's bytes 4096 to 8192, and concerns 2 of its 5 blocks";
    CheckDamage([&] { reader->Verify(id); }, 7 + 4096, whole);
    CheckDamage([&] { reader->VerifyOnce(id); }, 7 + 4096, whole);
    CheckDamage([&] { Transfer1(reader, id); }, 7 + 4096, whole);
    CheckDamage([&] { reader->VerifyBlock(table, 1); }, 7 + 4096, "bytes 4096 to 8192 are");
    CheckDamage([&] { reader->VerifyBlock(table, 4); }, 7 + 16384, "bytes 16384 to 20000 are");
    for (const std::uint32_t block : {0u, 2u, 3u}) reader->VerifyBlock(table, block);
    CHECK(!reader->blocks().IsVerified(table, 1));
    CHECK(!reader->IsVerified(id));
  }
}

TEST(damage_is_not_located_by_crcs_that_are_wrong_themselves) {
  BundleWriter bundle = Sample(EncodeBlockField(kBlock, std::string(20, 'x')));
  bundle.shards[0][7 + 5000] ^= 1;
  const auto reader = Open(bundle);
  try {
    reader->Verify(reader->Find("w"));
    CHECK(false);
  } catch (const Error& error) {
    CHECK_EQ(error.offset().value_or(0), 7u);
    CHECK(error.message().ends_with(")"));
  }
}

TEST(damage_in_strings_and_variants_is_located) {
  const std::string long_text(9000, 's');
  for (const bool is_string : {true, false}) {
    const auto stored = is_string ? testing::StoreStrings({"a", long_text})
                                  : testing::StoreVariants({"a", long_text});
    for (const std::size_t at : {std::size_t{4}, std::size_t{8500}}) {
      BundleWriter bundle;
      bundle.Add("w", is_string ? 7 : 21, {2}, stored).extra =
          EncodeBlockCrcs(stored.bytes, kBlock);
      const auto good = Open(bundle);
      good->Verify(0);
      CHECK(good->blocks().Find(0) != nullptr);
      bundle.shards[0][at] ^= 1;
      const auto reader = Open(bundle);
      CheckDamage([&] { reader->Verify(0); }, at / kBlock * kBlock, "1 of its 3 blocks");
    }
  }
}

TEST(block_tables_count_against_the_limit_of_the_index) {
  testing::KeyValues pairs = {{"", testing::EncodeHeader({})}};
  EntrySpec spec;
  spec.dtype = 4;
  spec.shape = {4097};
  spec.size = 4097;
  const auto open = [&](const std::string& extra) {
    spec.extra = extra;
    testing::KeyValues all = pairs;
    const std::string value = testing::EncodeEntry(spec);
    const std::string prefix(16, 'p');
    for (int i = 0; i < 200000; ++i) all.emplace_back(prefix + std::to_string(1000000 + i), value);
    const auto source = io::MemorySource("memory", testing::Vector(testing::MakeTable(all)));
    return Index::Build(table::TableReader(source), *source, {}).block_tables().size();
  };
  CHECK_EQ(open(""), 0u);
  CHECK_ERROR(ErrorCode::kLimitExceeded, open(EncodeBlockField(kBlock, "12345678")));
}

}  // namespace
}  // namespace fastckpt::bundle
