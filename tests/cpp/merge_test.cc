// What a merge takes, what it refuses, and what it leaves alone. The bytes of its results are
// compared with TensorFlow's in tests/interop/test_merge_tf.py.
#include "bundle/merge.h"

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "bundle/entry_message.h"
#include "bundle/reader.h"
#include "commit/discard.h"
#include "commit/prefix_lock.h"
#include "harness.h"
#include "saved_checkpoint.h"
#include "table_writer.h"

namespace fastckpt::bundle {
namespace {

using testing::BundleWriter;
using testing::PatternBytes;
using testing::Snapshot;
using testing::TakeSnapshot;
using testing::TemporaryDirectory;

const MergeOptions kCopy = {false, false, false, 1};
const MergeOptions kConsume = {true, false, false, 1};

std::string At(const std::string& name) {
  return TemporaryDirectory() + "/" + name;
}

BundleWriter Plain(const std::vector<std::string>& names) {
  BundleWriter bundle;
  bundle.shards[0];
  for (const std::string& name : names) bundle.Add(name, 4, {9}, PatternBytes(9, name.size()));
  return bundle;
}

std::string WritePlain(const std::string& name, const std::vector<std::string>& names) {
  Plain(names).Write(At(name));
  return At(name);
}

void Merge(std::vector<std::string> inputs, const std::string& destination,
           const MergeOptions& options = {}) {
  const auto merger = Merger::Create(std::move(inputs), destination, options);
  Job& job = merger->Start();
  while (!job.WaitFor(std::chrono::milliseconds(50))) {
  }
  CHECK_EQ(merger->bytes_done(), merger->bytes_total());
  merger->Commit();
}

// The merge is refused, by an error of this code that has these words, and nothing has changed.
Error Refused(ErrorCode code, const std::vector<std::string>& inputs, const std::string& words,
              bool complete_slices = false) {
  const Snapshot before = TakeSnapshot(TemporaryDirectory());
  for (const bool consume : {false, true}) {
    try {
      Merge(inputs, At("out"), {consume, false, complete_slices, 1});
    } catch (const Error& error) {
      CHECK_EQ(static_cast<int>(error.code()), static_cast<int>(code));
      CHECK(error.message().find(words) != std::string::npos);
      CHECK(TakeSnapshot(TemporaryDirectory()) == before);
      if (consume) return error;
    }
  }
  testing::Fail(__FILE__, __LINE__, "the merge was not refused: " + words);
}

testing::EntrySpec Spec(std::vector<std::int64_t> shape, std::int64_t shard_id = 0) {
  testing::EntrySpec spec;
  spec.shape = std::move(shape);
  spec.shard_id = shard_id;
  return spec;
}

std::string Canonical(const std::string& message) {
  std::string out;
  AppendCanonicalEntry(out, AsBytes(message));
  return out;
}

// --- Entries -------------------------------------------------------------------------------------

TEST(merge_entries_that_are_canonical_stay_as_they_are) {
  testing::EntrySpec spec = Spec({3, 0}, 2);
  spec.offset = 9;
  spec.size = 300;
  spec.crc = 77;
  spec.extra = testing::EncodeBlockCrcs(PatternBytes(9000, 1), 4096);
  CHECK_EQ(Canonical(testing::EncodeEntry(spec)), testing::EncodeEntry(spec));
  spec.slices = {{{0, 2}, {}}, {{2, 1}, {0, 0}}};
  spec.extra.clear();
  CHECK_EQ(Canonical(testing::EncodeEntry(spec)), testing::EncodeEntry(spec));
}

TEST(merge_entries_take_the_last_number_and_join_what_repeats) {
  std::string message = testing::EncodeEntry(Spec({3}, 4));
  AppendShardId(message, 0);
  CHECK_EQ(Canonical(message), testing::EncodeEntry(Spec({3})));
  AppendShardId(message, 70000);
  CHECK_EQ(Canonical(message), testing::EncodeEntry(Spec({3}, 70000)));
  // A second shape adds its dimensions.
  const std::string shape = testing::EncodeShape({300});
  message.append("\x12").append(1, static_cast<char>(shape.size())).append(shape);
  CHECK_EQ(Canonical(message), testing::EncodeEntry(Spec({3, 300}, 70000)));
}

TEST(merge_entries_take_over_slices) {
  testing::EntrySpec first = Spec({4});
  testing::EntrySpec second = first;
  first.slices = {{{2, 2}}};
  second.slices = {{{0, 1}}, {{1, 1}}};
  std::string message = testing::EncodeEntry(first);
  AppendSlicesOf(message, AsBytes(testing::EncodeEntry(second)));
  first.slices = {{{2, 2}}, {{0, 1}}, {{1, 1}}};
  CHECK_EQ(Canonical(message), testing::EncodeEntry(first));
}

// --- Results -------------------------------------------------------------------------------------

TEST(merge_numbers_data_files_by_first_mention) {
  BundleWriter a;
  a.header.num_shards = 3;
  a.Add("x", 4, {1}, "x", 2);
  a.Add("y", 4, {1}, "y", 0);
  a.Write(At("a"));
  // A shard that no entry mentions stays behind.
  testing::WriteFile(At("a.data-00001-of-00003"), "unused");
  WritePlain("b", {"w"});
  Merge({At("a"), At("b")}, At("out"), kCopy);
  CHECK_EQ(testing::ReadFile(At("out.data-00000-of-00003")), "x");
  CHECK_EQ(testing::ReadFile(At("out.data-00001-of-00003")), "y");
  CHECK_EQ(testing::ReadFile(At("out.data-00002-of-00003")), PatternBytes(9, 1));
  const auto reader = Reader::Open(At("out"), {});
  CHECK_EQ(reader->index().header().num_shards, 3);
  CHECK_EQ(reader->index().entries().size(), std::size_t{3});
}

TEST(merge_of_nothing_but_headers_is_an_empty_checkpoint) {
  WritePlain("a", {});
  WritePlain("b", {});
  Merge({At("a"), At("b")}, At("out"), kConsume);
  const auto reader = Reader::Open(At("out"), {});
  CHECK_EQ(reader->index().header().num_shards, 1);
  CHECK_EQ(testing::Names(TakeSnapshot(TemporaryDirectory())),
           "out.data-00000-of-00001 out.index ");
}

TEST(merge_replaces_what_is_at_the_destination) {
  testing::Save(At("out"), {.seed = 1, .num_shards = 2, .sync = false, .has_companion = false});
  Merge({WritePlain("a", {"x"}), WritePlain("b", {"y"})}, At("out"), kCopy);
  const auto reader = Reader::Open(At("out"), {});
  CHECK_EQ(reader->index().header().num_shards, 3);
  CHECK(!std::filesystem::exists(At("out.data-00000-of-00002")));
}

TEST(merge_removes_only_what_it_consumed) {
  std::filesystem::create_directories(At("in1"));
  std::filesystem::create_directories(At("in2"));
  WritePlain("in1/a", {"x"});
  WritePlain("in2/b", {"y"});
  testing::WriteFile(At("in2/notes"), "kept");
  Merge({At("in1/a"), At("in2/b")}, At("out"), kConsume);
  CHECK_EQ(testing::Names(TakeSnapshot(TemporaryDirectory())),
           "in2/ in2/notes out.data-00000-of-00002 out.data-00001-of-00002 out.index ");
}

TEST(merge_links_what_it_consumes) {
  WritePlain("a", {"x"});
  io::FileStatus before;
  io::FileStatus after;
  io::FileSystem::Posix().StatPath(At("a.data-00000-of-00001"), &before);
  Merge({At("a")}, At("out"), kConsume);
  io::FileSystem::Posix().StatPath(At("out.data-00000-of-00001"), &after);
  CHECK_EQ(before.inode, after.inode);
}

// --- Refusals ------------------------------------------------------------------------------------

TEST(merge_refuses_inputs_that_are_missing_and_names_them) {
  const Error error =
      Refused(ErrorCode::kNotFound, {WritePlain("a", {"x"}), At("none"), At("no/such")}, "2 of 3");
  CHECK(error.message().find(At("none")) != std::string::npos);
  CHECK(error.message().find(At("no/such")) != std::string::npos);
  Refused(ErrorCode::kInvalidArgument, {}, "no checkpoint to merge");
}

TEST(merge_refuses_the_destination_and_repeated_inputs_under_any_name) {
  WritePlain("a", {"x"});
  WritePlain("out", {"y"});
  std::filesystem::create_directory_symlink(TemporaryDirectory(), At("link"));
  Refused(ErrorCode::kInvalidArgument, {At("a"), At("out")}, "one of the checkpoints");
  Refused(ErrorCode::kInvalidArgument, {At("a"), At("link/out")}, "one of the checkpoints");
  Refused(ErrorCode::kInvalidArgument, {At("a"), At("./a")}, "twice");
}

TEST(merge_refuses_tensors_that_are_stored_twice) {
  WritePlain("a", {"w", "x"});
  WritePlain("b", {"x", "y"});
  const Error error =
      Refused(ErrorCode::kInvalidArgument, {At("a"), At("b")}, At("a") + " and in " + At("b"));
  CHECK_EQ(error.key().value_or(""), "x");
}

BundleWriter Slices(std::int64_t first_row, std::int64_t rows, std::int64_t dtype = 4,
                    std::int64_t columns = 3) {
  BundleWriter bundle;
  const auto size = static_cast<std::size_t>(rows * columns);
  bundle.AddSlice("t", dtype, {8, columns}, {{first_row, rows}, {0, columns}},
                  PatternBytes(size, 1));
  return bundle;
}

TEST(merge_refuses_slices_that_do_not_go_together) {
  Slices(0, 4).Write(At("a"));
  Slices(6, 2).Write(At("b"));
  Slices(2, 3).Write(At("c"));
  Slices(0, 4).Write(At("same"));
  Slices(4, 4, 6).Write(At("dtype"));
  Slices(4, 4, 4, 2).Write(At("shape"));
  WritePlain("whole", {"t"});
  const auto refused = [](const char* second, const std::string& words) {
    const Error error = Refused(ErrorCode::kInvalidArgument, {At("a"), At("b"), At(second)}, words);
    CHECK_EQ(error.key().value_or(""), "t");
    CHECK(error.message().find(At("a") + " and in " + At(second)) != std::string::npos);
  };
  refused("c", "overlap");
  refused("same", "one slice");
  refused("dtype", "different dtypes");
  refused("shape", "different full shapes");
  refused("whole", "once in slices");
  Refused(ErrorCode::kInvalidArgument, {At("whole"), At("a")}, "once in slices");
  Refused(ErrorCode::kInvalidArgument, {At("a"), At("b")}, "missing slices", true);
}

TEST(merge_refuses_headers_that_differ) {
  WritePlain("a", {"x"});
  BundleWriter big = Plain({"y"});
  big.header.endianness = 1;
  big.Write(At("big"));
  BundleWriter version = Plain({"y"});
  version.header.bad_consumers = {9};
  version.Write(At("version"));
  BundleWriter newer = Plain({"y"});
  newer.header.min_consumer = 2;
  newer.Write(At("newer"));
  Refused(ErrorCode::kInvalidArgument, {At("a"), At("big")}, "byte orders");
  Refused(ErrorCode::kInvalidArgument, {At("a"), At("version")}, "format versions");
  Refused(ErrorCode::kInvalidArgument, {At("newer")}, "not supported");
}

TEST(merge_refuses_damaged_indexes) {
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) names.push_back("n" + std::to_string(100 + i));
  Plain(names).Write(At("a"), {200, 4, false});
  const std::string index = testing::ReadFile(At("a.index"));
  WritePlain("b", {"z"});
  for (std::size_t at = 3; at + 60 < index.size(); at += 97) {
    std::string damaged = index;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    testing::WriteFile(At("a.index"), damaged);
    Refused(ErrorCode::kDataLoss, {At("b"), At("a")}, "");
  }
  testing::WriteFile(At("a.index"), testing::MakeTable({}));
  Refused(ErrorCode::kDataLoss, {At("b"), At("a")}, "no header entry");
  testing::WriteFile(At("a.index"), testing::MakeTable({{"x", "\x08\x01"}}));
  Refused(ErrorCode::kDataLoss, {At("a")}, "not the header");
}

TEST(merge_refuses_entries_that_cannot_be) {
  const auto refused = [](const std::string& words, auto change) {
    BundleWriter bundle = Plain({"x"});
    change(bundle.entries["x"]);
    bundle.Write(At("a"));
    const Error error = Refused(ErrorCode::kDataLoss, {At("a")}, words);
    CHECK_EQ(error.key().value_or(""), "x");
    CHECK_EQ(error.path(), At("a.index"));
  };
  refused("shard number", [](testing::EntrySpec& entry) { entry.shard_id = 1; });
  refused("shard number", [](testing::EntrySpec& entry) { entry.shard_id = -1; });
  refused("offset or size", [](testing::EntrySpec& entry) { entry.size = -1; });
  refused("offset or size", [](testing::EntrySpec& entry) { entry.offset = INT64_MAX; });
  refused("cannot be parsed", [](testing::EntrySpec& entry) { entry.extra = "\x0a"; });
  refused("slices", [](testing::EntrySpec& entry) { entry.slices = {{{0, 10}}}; });
}

TEST(merge_refuses_data_that_is_not_there) {
  WritePlain("a", {"x"});
  WritePlain("b", {"y", "z"});
  const std::string data = At("b.data-00000-of-00001");
  testing::WriteFile(data, PatternBytes(17, 1));
  CHECK_EQ(std::string(Refused(ErrorCode::kDataLoss, {At("a"), At("b")}, "too short").path()),
           data);
  std::filesystem::remove(data);
  CHECK_EQ(std::string(Refused(ErrorCode::kNotFound, {At("a"), At("b")}, "missing").path()), data);
  std::filesystem::create_directory(data);
  Refused(ErrorCode::kInvalidArgument, {At("a"), At("b")}, "no regular file");
}

TEST(merge_refuses_indexes_that_are_bombs) {
  // Keys of 200 000 bytes that cost a few bytes each.
  BundleWriter bundle;
  const std::string stem(200000, 'k');
  for (int i = 0; i < 200; ++i) {
    bundle.entries[stem + std::to_string(1000 + i)] = Spec({0});
  }
  bundle.shards[0];
  bundle.Write(At("a"), {std::size_t{1} << 30, 1000, false});
  CHECK(std::filesystem::file_size(At("a.index")) < 500000);
  Refused(ErrorCode::kLimitExceeded, {At("a")}, "too large in memory");
}

TEST(merge_consumes_nothing_that_a_writer_holds) {
  WritePlain("a", {"x"});
  WritePlain("b", {"y"});
  commit::PrefixLock lock(io::FileSystem::Posix());
  lock.Take(At("b"));
  CHECK_ERROR(ErrorCode::kBusy, Merge({At("a"), At("b")}, At("out"), kConsume));
  Merge({At("a"), At("b")}, At("out"), kCopy);
}

TEST(merge_notices_inputs_that_are_replaced_meanwhile) {
  WritePlain("a", {"x"});
  const auto merger = Merger::Create({At("a")}, At("out"), kConsume);
  // Twice, so that data files of the old names are there again.
  for (const std::uint64_t seed : {5, 6}) {
    testing::Save(At("a"), {.seed = seed, .sync = false, .has_companion = false});
  }
  const Snapshot before = TakeSnapshot(TemporaryDirectory());
  Job& job = merger->Start();
  while (!job.WaitFor(std::chrono::milliseconds(50))) {
  }
  CHECK_ERROR(ErrorCode::kChanged, merger->Commit());
  merger->Abort();
  CHECK(TakeSnapshot(TemporaryDirectory()) == before);
}

TEST(discard_removes_a_checkpoint_and_its_leftovers_alone) {
  testing::Save(At("a"), {.seed = 1, .num_shards = 2, .sync = false, .has_companion = false});
  testing::WriteFile(At("a.data-00000.tmp"), "left");
  testing::WriteFile(At("a.data-00000-of-00009"), "left");
  WritePlain("ab", {"x"});
  const Snapshot before = TakeSnapshot(TemporaryDirectory());
  io::FileStatus other;
  io::FileSystem::Posix().StatPath(At("ab.index"), &other);
  commit::Discard(At("a"), &other);
  CHECK(TakeSnapshot(TemporaryDirectory()) == before);
  {
    commit::PrefixLock lock(io::FileSystem::Posix());
    lock.Take(At("a"));
    CHECK_ERROR(ErrorCode::kBusy, commit::Discard(At("a"), nullptr));
  }
  commit::Discard(At("a"), nullptr);
  CHECK_EQ(testing::Names(TakeSnapshot(TemporaryDirectory())), "ab.data-00000-of-00001 ab.index ");
  commit::Discard(At("a"), nullptr);
}

}  // namespace
}  // namespace fastckpt::bundle
