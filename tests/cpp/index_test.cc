#include "bundle/index.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "harness.h"
#include "io/source.h"
#include "table_writer.h"

namespace fastckpt::bundle {
namespace {

using coding::Extent;
using testing::BundleWriter;
using testing::EncodeEntry;
using testing::EncodeHeader;
using testing::EntrySpec;
using testing::HeaderSpec;
using testing::KeyValues;
using testing::MakeTable;
using testing::TableFile;

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

Index Build(const std::string& table, const IndexOptions& options = {}) {
  const auto source = io::MemorySource("memory.index", testing::Vector(table));
  return Index::Build(table::TableReader(source), *source, options);
}

Index Build(const BundleWriter& bundle, const IndexOptions& options = {}) {
  return Build(MakeTable(bundle.IndexEntries()), options);
}

IndexOptions SkipDamage() {
  IndexOptions options;
  options.skip_damage = true;
  return options;
}

std::string Numbered(std::string name, std::int64_t number) {
  return name.append(std::to_string(number));
}

std::string Floats(std::int64_t count) {
  return std::string(static_cast<std::size_t>(count) * 4, 'f');
}

std::vector<std::string> VisibleNames(const Index& index) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < index.num_visible(); ++i) {
    names.emplace_back(index.name(index.entries()[index.visible(i)]));
  }
  return names;
}

TEST(entries_come_back_in_name_order) {
  BundleWriter bundle;
  bundle.header.num_shards = 3;
  bundle.Add("w", 1, {2, 3}, Floats(6), 2);
  bundle.Add("b", 1, {3}, Floats(3), 0);
  bundle.Add("scalar", 9, {}, "12345678", 2);
  bundle.Add("empty", 1, {0, 5}, "", 0);
  const Index index = Build(bundle);
  CHECK((VisibleNames(index) == std::vector<std::string>{"b", "empty", "scalar", "w"}));
  CHECK((index.shard_ids() == std::vector<std::int32_t>{0, 2}));
  for (const Entry& entry : index.entries()) {
    const EntrySpec& spec = bundle.entries.at(std::string(index.name(entry)));
    CHECK(entry.status == EntryStatus::kOk);
    CHECK_EQ(std::int64_t{entry.dtype}, spec.dtype);
    CHECK((std::vector<std::int64_t>(index.shape(entry).begin(), index.shape(entry).end()) ==
           spec.shape));
    CHECK_EQ(entry.offset, static_cast<std::uint64_t>(spec.offset));
    CHECK_EQ(entry.size, static_cast<std::uint64_t>(spec.size));
    CHECK_EQ(entry.crc, spec.crc);
    CHECK_EQ(index.shard_ids()[entry.shard_slot], spec.shard_id);
    CHECK(!entry.sliced);
  }
}

TEST(shard_slots_ascend_whatever_the_order_of_names) {
  BundleWriter bundle;
  bundle.header.num_shards = 100;
  for (std::int64_t i = 0; i < 100; i += 3) {
    bundle.Add(Numbered("n", 1000 - i), 4, {1}, "x", i);
  }
  const Index index = Build(bundle);
  CHECK(std::is_sorted(index.shard_ids().begin(), index.shard_ids().end()));
  for (const Entry& entry : index.entries()) {
    CHECK_EQ(index.shard_ids()[entry.shard_slot],
             bundle.entries.at(std::string(index.name(entry))).shard_id);
  }
}

TEST(an_index_without_tensors_is_valid) {
  const Index index = Build(BundleWriter());
  CHECK_EQ(index.num_visible(), 0u);
  CHECK(!index.Find("x"));
  CHECK(!index.Find(""));
}

TEST(find_ignores_a_wrong_guess) {
  BundleWriter bundle;
  for (int i = 0; i < 30; ++i) bundle.Add(Numbered("t", i * 7), 4, {1}, "x");
  const Index index = Build(bundle);
  const auto count = static_cast<std::uint32_t>(index.entries().size());
  for (std::uint32_t id = 0; id < count; ++id) {
    const std::string name(index.name(index.entries()[id]));
    for (std::uint32_t guess = 0; guess < count + 3; ++guess) {
      CHECK(index.Find(name, guess) == id);
      CHECK(!index.Find(name + "x", guess));
      CHECK(!index.Find("", guess));
    }
    CHECK(index.Find(name, 0xFFFFFFFF) == id);
  }
}

// The status of one entry beside a good one; the good one stays usable.
EntryStatus StatusOf(const EntrySpec& spec) {
  BundleWriter bundle;
  bundle.header.num_shards = 2;
  bundle.Add("good", 1, {2}, Floats(2));
  bundle.entries["bad"] = spec;
  const Index index = Build(bundle);
  CHECK_EQ(index.num_visible(), 2u);
  CHECK(index.entries()[1].status == EntryStatus::kOk);
  CHECK_EQ(index.shape(index.entries()[1]).size(), 1u);
  const Entry& entry = index.entries()[0];
  if (entry.status != EntryStatus::kOk) {
    CHECK_EQ(entry.size, 0u);
    CHECK(*Explain(entry.status) != '\0');
  }
  // The same entry is left out with skip_damage.
  const Index skipping = Build(bundle, SkipDamage());
  CHECK_EQ(skipping.num_visible(), entry.status == EntryStatus::kOk ? 2u : 1u);
  return entry.status;
}

EntrySpec Spec(std::int64_t dtype, std::vector<std::int64_t> shape, std::int64_t size) {
  EntrySpec spec;
  spec.dtype = dtype;
  spec.shape = std::move(shape);
  spec.size = size;
  return spec;
}

TEST(sizes_must_match_shape_and_dtype) {
  CHECK(StatusOf(Spec(1, {2, 3}, 24)) == EntryStatus::kOk);
  CHECK(StatusOf(Spec(1, {2, 3}, 23)) == EntryStatus::kBadSize);
  CHECK(StatusOf(Spec(1, {2, 3}, 25)) == EntryStatus::kBadSize);
  CHECK(StatusOf(Spec(1, {2, 0}, 1)) == EntryStatus::kBadSize);
  CHECK(StatusOf(Spec(29, {5}, 5)) == EntryStatus::kOk);
  // elements x item size overflows 64 bits to the stated size.
  CHECK(StatusOf(Spec(18, {std::int64_t{1} << 60}, 0)) == EntryStatus::kBadSize);
  CHECK(StatusOf(Spec(2, {kMax}, 0)) == EntryStatus::kBadSize);
  CHECK(StatusOf(Spec(4, {kMax}, kMax)) == EntryStatus::kOk);
  // A string takes one byte at least, beside the checksum; a variant record one.
  CHECK(StatusOf(Spec(7, {3}, 7)) == EntryStatus::kOk);
  CHECK(StatusOf(Spec(7, {3}, 6)) == EntryStatus::kBadSize);
  CHECK(StatusOf(Spec(7, {0}, 3)) == EntryStatus::kBadSize);
  CHECK(StatusOf(Spec(7, {kMax}, 100)) == EntryStatus::kBadSize);
  CHECK(StatusOf(Spec(21, {3}, 2)) == EntryStatus::kBadSize);
  CHECK(StatusOf(Spec(21, {0}, 0)) == EntryStatus::kOk);
}

TEST(dtypes_that_cannot_be_stored_are_told) {
  for (const std::int64_t dtype : {-1, 0, 20, 34, 101, 257, 1 << 30}) {
    CHECK(StatusOf(Spec(dtype, {1}, 1)) == EntryStatus::kBadDtype);
  }
}

TEST(impossible_shapes_are_told) {
  CHECK(StatusOf(Spec(4, {-1}, 1)) == EntryStatus::kBadShape);
  CHECK(StatusOf(Spec(4, {kMax, kMax}, 1)) == EntryStatus::kBadShape);
  CHECK(StatusOf(Spec(4, {kMax, kMax, 0}, 0)) == EntryStatus::kBadShape);
  CHECK(StatusOf(Spec(4, std::vector<std::int64_t>(254, 1), 1)) == EntryStatus::kOk);
  CHECK(StatusOf(Spec(4, std::vector<std::int64_t>(255, 1), 1)) == EntryStatus::kBadShape);
  EntrySpec unknown = Spec(4, {}, 1);
  unknown.unknown_rank = true;
  CHECK(StatusOf(unknown) == EntryStatus::kBadShape);
}

TEST(shards_and_offsets_outside_are_told) {
  EntrySpec spec = Spec(4, {1}, 1);
  for (const std::int64_t shard : {-1, 2, 1 << 30}) {
    spec.shard_id = shard;
    CHECK(StatusOf(spec) == EntryStatus::kBadShard);
  }
  spec.shard_id = 1;
  CHECK(StatusOf(spec) == EntryStatus::kOk);
  spec.offset = -1;
  CHECK(StatusOf(spec) == EntryStatus::kBadOffset);
  spec.offset = kMax;
  CHECK(StatusOf(spec) == EntryStatus::kOk);
  CHECK(StatusOf(Spec(4, {1}, -1)) == EntryStatus::kBadOffset);
}

TEST(slices_outside_the_shape_are_told) {
  EntrySpec spec = Spec(1, {4, 3}, 0);
  for (const Extent& bad : {Extent{-1, 2}, Extent{0, -2}, Extent{3, 2}, Extent{5, 0},
                            Extent{kMax, kMax}, Extent{1, Extent::kFullExtent}}) {
    spec.slices = {{{0, 4}, {}}, {bad, {}}};
    CHECK(StatusOf(spec) == EntryStatus::kBadSlices);
  }
  spec.slices = {{{0, 4}, {}}, {{4, 0}, {0, 3}}};
  CHECK(StatusOf(spec) == EntryStatus::kOk);
  EntrySpec scalar = Spec(1, {}, 0);
  scalar.slices = {{}};
  CHECK(StatusOf(scalar) == EntryStatus::kBadSlices);
}

TEST(entries_that_are_no_messages_are_told) {
  const KeyValues entries = {{"", EncodeHeader({})},
                             {"a", std::string("\x12\x7f", 2)},
                             {"b", EncodeEntry(Spec(4, {1}, 1))}};
  const Index index = Build(MakeTable(entries));
  CHECK(index.entries()[0].status == EntryStatus::kBadMessage);
  CHECK_EQ(index.name(index.entries()[0]), "a");
  CHECK(index.entries()[1].status == EntryStatus::kOk);
  CHECK((VisibleNames(Build(MakeTable(entries), SkipDamage())) == std::vector<std::string>{"b"}));
}

TEST(stored_slices_of_a_sliced_entry_are_hidden) {
  BundleWriter bundle;
  const std::vector<Extent> first = {{0, 2}, {}};
  const std::vector<Extent> second = {{2, 2}, {0, 3}};
  bundle.AddSlice("part", 1, {4, 3}, first, Floats(6));
  bundle.AddSlice("part", 1, {4, 3}, second, Floats(6));
  bundle.Add("plain", 1, {1}, Floats(1));
  // A slice that no entry lists is shown.
  bundle.Add(coding::EncodeSliceKey("other", first), 1, {6}, Floats(6));
  const Index index = Build(bundle);
  CHECK((VisibleNames(index) ==
         std::vector<std::string>{coding::EncodeSliceKey("other", first), "part", "plain"}));
  const auto id = index.Find("part");
  CHECK(id.has_value());
  const Entry& part = index.entries()[*id];
  CHECK(part.sliced);
  CHECK_EQ(part.size, 2u);
  CHECK((std::vector<Extent>(index.slice(part, 1).begin(), index.slice(part, 1).end()) == second));
  const auto hidden = index.Find(coding::EncodeSliceKey("part", second));
  CHECK(hidden.has_value());
  CHECK_EQ(index.entries()[*hidden].size, 24u);
}

TEST(slices_that_are_missing_hide_nothing) {
  BundleWriter bundle;
  bundle.AddSlice("part", 1, {4}, {{0, 2}}, Floats(2));
  bundle.AddSlice("part", 1, {4}, {{2, 2}}, Floats(2));
  bundle.entries.erase(coding::EncodeSliceKey("part", {{2, 2}}));
  bundle.Add("part2", 1, {1}, Floats(1));
  CHECK((VisibleNames(Build(bundle)) == std::vector<std::string>{"part", "part2"}));
  // Nor is a slice hidden that no entry lists, though it stands where a missing one would.
  const std::string stray = coding::EncodeSliceKey("part", {{3, 1}});
  bundle.Add(stray, 1, {1}, Floats(1));
  CHECK((VisibleNames(Build(bundle)) == std::vector<std::string>{stray, "part", "part2"}));
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

ErrorCode HeaderError(const HeaderSpec& spec) {
  return BuildError(MakeTable({{"", EncodeHeader(spec)}}));
}

TEST(the_version_rules_are_those_of_tensorflow) {
  HeaderSpec spec;
  spec.producer = -1;
  CHECK(HeaderError(spec) == ErrorCode::kInvalidArgument);
  spec = HeaderSpec{};
  spec.min_consumer = 2;
  CHECK(HeaderError(spec) == ErrorCode::kInvalidArgument);
  spec = HeaderSpec{};
  spec.bad_consumers = {5, 1};
  CHECK(HeaderError(spec) == ErrorCode::kInvalidArgument);
  spec = HeaderSpec{};
  spec.producer = 2;
  spec.min_consumer = 1;
  spec.bad_consumers = {2, 0};
  const Index newer = Build(MakeTable({{"", EncodeHeader(spec)}}));
  CHECK_EQ(newer.header().version.producer, 2);
  // No version at all: files of before September 2016.
  const Index old = Build(MakeTable({{"", "\x08\x01"}}));
  CHECK_EQ(old.header().num_shards, 1);
}

TEST(a_missing_or_malformed_header_is_data_loss) {
  for (const bool skip : {false, true}) {
    IndexOptions options;
    options.skip_damage = skip;
    CHECK(BuildError(MakeTable({}), options) == ErrorCode::kDataLoss);
    CHECK(BuildError(MakeTable({{"a", EncodeEntry(Spec(4, {1}, 1))}}), options) ==
          ErrorCode::kDataLoss);
    CHECK(BuildError(MakeTable({{"", "\x08"}}), options) == ErrorCode::kDataLoss);
    TableFile file;
    file.AppendDataBlock({{"", EncodeHeader({})}}, 1);
    file.AppendDataBlock({{"a", EncodeEntry(Spec(4, {1}, 1))}});
    CHECK(BuildError(file.Finish(), options) == ErrorCode::kDataLoss);
  }
  HeaderSpec negative;
  negative.num_shards = -1;
  CHECK(HeaderError(negative) == ErrorCode::kDataLoss);
}

TEST(damaged_blocks_are_thrown_or_listed) {
  TableFile file;
  file.AppendDataBlock({{"", EncodeHeader({})}, {"a", EncodeEntry(Spec(4, {1}, 1))}});
  file.AppendDataBlock({{"b", EncodeEntry(Spec(4, {1}, 1))}}, 1);
  file.AppendDataBlock({{"c", EncodeEntry(Spec(4, {1}, 1))}});
  const std::string table = file.Finish();
  CHECK(BuildError(table) == ErrorCode::kDataLoss);
  const Index index = Build(table, SkipDamage());
  CHECK((VisibleNames(index) == std::vector<std::string>{"a", "c"}));
  CHECK_EQ(index.damage().size(), 1u);
  CHECK_EQ(index.damage()[0].after, "a");
  CHECK_EQ(index.damage()[0].up_to, "b");
}

}  // namespace
}  // namespace fastckpt::bundle
