// What a save does before it begins: prefixes, missing directories, files of dead writers.
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>

#include "commit/names.h"
#include "commit/transaction.h"
#include "faulty_file_system.h"
#include "harness.h"
#include "saved_checkpoint.h"
#include "table_writer.h"

namespace fastckpt::commit {
namespace {

using testing::Begin;
using testing::Call;
using testing::CheckSaved;
using testing::Contains;
using testing::FaultyFileSystem;
using testing::MessageOf;
using testing::NamesThere;
using testing::Prefix;
using testing::ReadFile;
using testing::Save;
using testing::TakeSnapshot;
using testing::TemporaryDirectory;
using testing::WriteFile;

// --- Prefixes ------------------------------------------------------------------------------------

TEST(impossible_prefixes_are_invalid_and_leave_no_trace) {
  const std::string directory = TemporaryDirectory();
  for (const std::string& prefix :
       {std::string(), std::string("."), std::string(".."), directory + "/", directory + "/.",
        directory + "/..", directory + std::string("/a\0b", 4),
        directory + "/" + std::string(236, 'x'), directory + "/new/" + std::string(236, 'x'),
        directory + "/new/" + std::string(256, 'x') + "/ck",
        directory + "/" + std::string(5000, '/') + "ck"}) {
    CHECK_ERROR(ErrorCode::kInvalidArgument, Transaction::Begin(prefix, {}));
    CHECK_EQ(NamesThere(), "");
  }
  CHECK(Contains(
      MessageOf(ErrorCode::kInvalidArgument, [&] { Transaction::Begin(directory + "/.", {}); }),
      directory + "/./ckpt"));
}

TEST(a_directory_of_the_same_name_is_in_nobody_s_way) {
  std::filesystem::create_directory(Prefix());
  WriteFile(Prefix() + "/inside", "x");
  for (std::uint64_t seed = 0; seed < 2; ++seed) {
    Save(Prefix(), {.seed = seed});
    CheckSaved(Prefix(), {.seed = seed});
  }
  CHECK_EQ(ReadFile(Prefix() + "/inside"), "x");
}

TEST(the_longest_possible_name_is_saved) {
  const std::string prefix = TemporaryDirectory() + "/" + std::string(235, 'x');
  for (std::uint64_t seed = 0; seed < 2; ++seed) {
    Save(prefix, {.seed = seed});
    CheckSaved(prefix, {.seed = seed});
  }
}

TEST(missing_parents_are_made_and_their_names_synced) {
  FaultyFileSystem files;
  const std::string prefix = TemporaryDirectory() + "/a/b//c/ck";
  Save(prefix, {.seed = 1}, files);
  CheckSaved(prefix, {.seed = 1});
  FaultyFileSystem again;
  Save(prefix, {.seed = 1, .num_shards = 2}, again);
  // Its own directory, the parents of the three that were made, and for a prefix that is new all
  // that lie above, which a writer that died may have made; the second save made none.
  CHECK(files.calls(Call::kOpenDirectory) > 4);
  CHECK_EQ(again.calls(Call::kOpenDirectory), 1);
}

TEST(parents_of_an_aborted_save_go_unless_somebody_uses_them) {
  const std::string prefix = TemporaryDirectory() + "/a/b/c/ck";
  auto transaction = Transaction::Begin(prefix, {});
  CHECK(Contains(NamesThere(), "a/b/c/"));
  transaction.reset();
  CHECK_EQ(NamesThere(), "");
  transaction = Transaction::Begin(prefix, {});
  WriteFile(TemporaryDirectory() + "/a/other", "");
  transaction.reset();
  CHECK_EQ(NamesThere(), "a/ a/other ");
}

TEST(a_file_or_dangling_link_among_the_parents_is_an_io_error) {
  WriteFile(TemporaryDirectory() + "/file", "");
  std::filesystem::create_symlink("nowhere", TemporaryDirectory() + "/link");
  for (const char* const name : {"/file/ck", "/file/a/ck", "/link/ck", "/link/a/ck"}) {
    const auto message =
        MessageOf(ErrorCode::kIo, [&] { Transaction::Begin(TemporaryDirectory() + name, {}); });
    CHECK(Contains(message, "a file or dangling link stands"));
  }
  CHECK_EQ(NamesThere(), "file ");
}

TEST(relative_prefixes_work) {
  const auto old = std::filesystem::current_path();
  std::filesystem::current_path(TemporaryDirectory());
  Save("ck", {.seed = 1});
  Save("a/ck", {.seed = 2});
  Save("./ck", {.seed = 3});
  CheckSaved("a/ck", {.seed = 2});
  CheckSaved("ck", {.seed = 3});
  std::filesystem::current_path(old);
}

TEST(a_directory_in_place_of_the_index_is_invalid) {
  std::filesystem::create_directory(Prefix() + ".index");
  CHECK_ERROR(ErrorCode::kInvalidArgument, Begin());
  CHECK_EQ(NamesThere(), "ck.index/ ");
}

// --- Leftovers -----------------------------------------------------------------------------------

void LeaveTemporaries() {
  for (const std::string& path :
       {LockName(Prefix()), TemporaryIndexName(Prefix()), BackupIndexName(Prefix()),
        TemporaryDataName(Prefix(), 7), BackupCompanionName(Prefix(), ".meta")}) {
    WriteFile(path, "left");
  }
}

TEST(temporaries_of_dead_writers_are_removed) {
  LeaveTemporaries();
  WriteFile(Prefix() + ".keep", "");
  WriteFile(Prefix() + "2.index.tmp", "");
  auto transaction = Begin();
  CHECK_EQ(NamesThere(), "ck.index.lock.tmp ck.index.tmp ck.keep ck2.index.tmp ");
  CHECK_EQ(ReadFile(TemporaryIndexName(Prefix())), "");
  transaction.reset();
  CHECK_EQ(NamesThere(), "ck.keep ck2.index.tmp ");
}

TEST(data_files_that_no_index_mentions_are_removed) {
  WriteFile(DataFileName(Prefix(), 0, 1), "old");
  WriteFile(DataFileName(Prefix(), 1, 4), "old");
  CHECK_EQ(Begin()->Settle(1), 1);
  CHECK_EQ(NamesThere(), "");
  Save(Prefix(), {.seed = 1, .num_shards = 2});
  WriteFile(DataFileName(Prefix(), 0, 1), "old");
  WriteFile(DataFileName(Prefix(), 2, 3), "old");
  Begin();
  CHECK_EQ(NamesThere(), "ck.data-00000-of-00002 ck.data-00001-of-00002 ck.index ck.meta ");
  CheckSaved(Prefix(), {.seed = 1, .num_shards = 2});
}

TEST(beside_an_unreadable_index_all_data_counts_as_live_until_the_commit) {
  const std::string big_shards =
      testing::MakeTable({{"", testing::EncodeHeader({-1, 0, 1, 0, {}})}});
  for (const std::string& content :
       {std::string("no table"), std::string(), big_shards, testing::MakeTable({{"", "\xFF"}}),
        testing::MakeTable({}), testing::MakeTable({{"t", ""}})}) {
    WriteFile(Prefix() + ".index", content);
    WriteFile(DataFileName(Prefix(), 0, 1), "one");
    WriteFile(DataFileName(Prefix(), 0, 2), "two");
    const auto before = TakeSnapshot(TemporaryDirectory());
    Begin();
    CHECK(TakeSnapshot(TemporaryDirectory()) == before);
    CHECK_EQ(Save(Prefix(), {.seed = 1, .has_companion = false}), 3);
    CHECK_EQ(NamesThere(),
             "ck.data-00000-of-00003 ck.data-00001-of-00003 ck.data-00002-of-00003 ck.index ");
    std::filesystem::remove_all(TemporaryDirectory());
  }
}

TEST(leftovers_that_cannot_be_removed_keep_their_total) {
  WriteFile(DataFileName(Prefix(), 0, 1), "old");
  FaultyFileSystem files;
  files.FailNth(Call::kUnlink, 1, EPERM);
  CHECK_EQ(Save(Prefix(), {.seed = 1}, files), 2);
  CheckSaved(Prefix(), {.seed = 1});
  CHECK(!Contains(NamesThere(), "of-00001"));
}

}  // namespace
}  // namespace fastckpt::commit
