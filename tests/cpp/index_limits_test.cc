// Index files that ask for more memory or time than their bytes are worth.
#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "bundle/index.h"
#include "harness.h"
#include "io/source.h"
#include "table_writer.h"

namespace fastckpt::bundle {
namespace {

using testing::BundleWriter;
using testing::EncodeEntry;
using testing::EncodeHeader;
using testing::EntrySpec;
using testing::KeyValues;
using testing::MakeTable;
using testing::TableFile;

Index Build(const std::string& table, const IndexOptions& options = {}) {
  const auto source = io::MemorySource("memory.index", testing::Vector(table));
  return Index::Build(table::TableReader(source), *source, options);
}

IndexOptions SkipDamage() {
  IndexOptions options;
  options.skip_damage = true;
  return options;
}

ErrorCode BuildError(const std::string& table, const IndexOptions& options = {}) {
  try {
    Build(table, options);
  } catch (const Error& error) {
    CHECK_EQ(error.path(), "memory.index");
    return error.code();
  }
  testing::Fail(__FILE__, __LINE__, "no error");
}

// The entry of one byte.
EntrySpec Byte() {
  EntrySpec spec;
  spec.dtype = 4;
  spec.shape = {1};
  spec.size = 1;
  return spec;
}

TEST(a_long_name_with_many_slices_costs_no_more_than_its_bytes) {
  // Encoding the name once for each slice would take minutes.
  const std::string name(std::size_t{1} << 20, 'n');
  BundleWriter bundle;
  EntrySpec& spec = bundle.entries[name];
  spec.shape = {1 << 20};
  spec.slices.resize(200000);
  for (std::size_t i = 0; i < spec.slices.size(); ++i) {
    spec.slices[i] = {{static_cast<std::int64_t>(i), 1}};
  }
  bundle.Add("plain", 1, {1}, "1234");
  for (const std::int64_t start : {0, 7, 199999}) {
    const std::vector<coding::Extent> slice = {{start, 1}};
    bundle.Add(coding::EncodeSliceKey(name, slice), 1, {1}, "1234");
  }
  CHECK_EQ(Build(MakeTable(bundle.IndexEntries())).num_visible(), 2u);
}

// `count` entries whose names share their first `shared` bytes, in little more than 10 bytes each.
std::string PrefixBomb(std::size_t shared, std::size_t count) {
  const std::string value = EncodeEntry(Byte());
  KeyValues entries = {{"", EncodeHeader({})}};
  const std::string prefix(shared, 'p');
  for (std::size_t i = 0; i < count; ++i) {
    entries.emplace_back(prefix + std::to_string(100000 + i), value);
  }
  return MakeTable(entries, {std::size_t{1} << 30, std::size_t{1} << 30, false});
}

TEST(names_that_outgrow_their_file_are_refused) {
  const std::string bomb = PrefixBomb(10000, 3000);
  CHECK(bomb.size() < 200000);
  CHECK(BuildError(bomb) == ErrorCode::kLimitExceeded);
  CHECK(BuildError(bomb, SkipDamage()) == ErrorCode::kLimitExceeded);
  CHECK_EQ(Build(PrefixBomb(10000, 100)).num_visible(), 100u);
}

TEST(the_size_of_the_data_justifies_long_names) {
  const std::string bomb = PrefixBomb(10000, 3000);
  for (const std::uint64_t bytes : {std::uint64_t{1} << 10, std::uint64_t{1} << 30}) {
    int calls = 0;
    IndexOptions options;
    options.data_bytes = [&](const Header& header) {
      ++calls;
      CHECK_EQ(header.num_shards, 1);
      return bytes;
    };
    if (bytes > bomb.size() * 100) {
      CHECK_EQ(Build(bomb, options).num_visible(), 3000u);
    } else {
      CHECK(BuildError(bomb, options) == ErrorCode::kLimitExceeded);
    }
    CHECK_EQ(calls, 1);
  }
  IndexOptions unasked;
  unasked.data_bytes = [](const Header&) -> std::uint64_t { throw std::bad_alloc(); };
  CHECK_EQ(Build(PrefixBomb(100, 1000), unasked).num_visible(), 1000u);
}

TEST(data_of_any_size_reserves_no_memory_for_names) {
  IndexOptions options;
  options.data_bytes = [](const Header&) { return std::uint64_t{1} << 50; };
  CHECK_EQ(Build(PrefixBomb(10000, 5000), options).num_visible(), 5000u);
}

TEST(ranges_of_damage_count_against_the_limit) {
  // Each empty block ends a run of damage, so that each bad handle is a range with two long keys.
  TableFile file;
  file.AppendDataBlock({{"", EncodeHeader({})}});
  const std::string empty = testing::BlockWriter().Finish();
  const std::string key(20000, 'k');
  file.AppendIndexEntry(key, std::string("\x80"));
  std::string table;
  for (int i = 0; i < 2000; ++i) {
    const std::string good = testing::EncodeHandle(file.AppendBlock(empty));
    file.index().AddRaw(key.size(), 0, good.size(), good);
    file.index().AddRaw(key.size(), 0, 1, "\x80");
  }
  table = file.Finish();
  CHECK(table.size() < 150000);
  CHECK(BuildError(table, SkipDamage()) == ErrorCode::kLimitExceeded);
}

}  // namespace
}  // namespace fastckpt::bundle
