#include "commit/transaction.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "commit/names.h"
#include "faulty_file_system.h"
#include "harness.h"
#include "io/recording_file_system.h"
#include "saved_checkpoint.h"
#include "table_writer.h"

namespace fastckpt::commit {
namespace {

using testing::Begin;
using testing::Call;
using testing::CheckSaved;
using testing::FaultyFileSystem;
using testing::Fill;
using testing::NamesThere;
using testing::Prefix;
using testing::ReadFile;
using testing::Save;
using testing::TakeSnapshot;
using testing::TemporaryDirectory;
using testing::WriteFile;

// --- What becomes visible ------------------------------------------------------------------------

TEST(a_saved_checkpoint_is_complete_and_nothing_else_is_left) {
  for (const bool sync : {true, false}) {
    CHECK_EQ(Save(Prefix(), {.seed = 1, .num_shards = 2, .sync = sync}), 2);
    CheckSaved(Prefix(), {.seed = 1, .num_shards = 2});
    CHECK_EQ(NamesThere(), "ck.data-00000-of-00002 ck.data-00001-of-00002 ck.index ck.meta ");
    std::filesystem::remove(Prefix() + ".index");
  }
}

TEST(nothing_is_visible_before_the_commit) {
  const auto transaction = Begin();
  Fill(transaction.get(), {.seed = 1});
  CHECK_EQ(NamesThere(), "ck.data-00000.tmp ck.index.lock.tmp ck.index.meta.tmp ck.index.tmp ");
  transaction->Commit();
  CheckSaved(Prefix(), {.seed = 1});
}

TEST(an_overwritten_checkpoint_never_shares_a_data_file_with_the_new_one) {
  for (std::uint64_t i = 0; i < 5; ++i) {
    const std::int32_t total = i % 2 == 0 ? 1 : 2;
    CHECK_EQ(Save(Prefix(), {.seed = i, .sync = i % 3 != 0}), total);
    CheckSaved(Prefix(), {.seed = i});
    const std::string data =
        total == 1 ? "ck.data-00000-of-00001 " : "ck.data-00000-of-00002 ck.data-00001-of-00002 ";
    CHECK_EQ(NamesThere(), data + "ck.index ck.meta ");
  }
}

TEST(totals_go_past_all_live_ones) {
  Save(Prefix(), {.seed = 1, .num_shards = 3});
  const auto transaction = Begin();
  CHECK_EQ(transaction->Settle(3), 4);
  transaction->Abort();
  CHECK_EQ(Begin()->Settle(2), 2);
  CHECK_EQ(Begin()->Settle(100000), 100000);
}

TEST(the_old_checkpoint_is_readable_until_the_new_one_is_there) {
  Save(Prefix(), {.seed = 1});
  const auto transaction = Begin();
  Fill(transaction.get(), {.seed = 2});
  CheckSaved(Prefix(), {.seed = 1});
  transaction->Commit();
  CheckSaved(Prefix(), {.seed = 2});
}

TEST(an_aborted_save_leaves_everything_as_it_was) {
  for (const bool by_destructor : {true, false}) {
    const auto before = TakeSnapshot(TemporaryDirectory());
    auto transaction = Begin();
    Fill(transaction.get(), {.seed = 2, .num_shards = 3});
    if (by_destructor) {
      transaction.reset();
    } else {
      transaction->Abort();
      transaction->Abort();
      CHECK_ERROR(ErrorCode::kClosed, transaction->Commit());
      CHECK_ERROR(ErrorCode::kClosed, transaction->CreateShard(5));
    }
    CHECK(TakeSnapshot(TemporaryDirectory()) == before);
    Save(Prefix(), {.seed = 1});
  }
}

TEST(data_is_synced_and_named_before_the_index_and_old_data_goes_last) {
  Save(Prefix(), {.seed = 1});
  io::RecordingFileSystem files;
  Save(Prefix(), {.seed = 2}, files);
  std::vector<std::string> steps;
  const std::string skipped = TemporaryDirectory() + "/";
  for (const io::ChangeRecord& record : files.trace()) {
    using io::Change;
    if (record.result < 0 || record.change == Change::kWrite) continue;
    const char* const verbs[] = {"create ", "",      "truncate ", "sync ",  "sync directory",
                                 "rename ", "link ", "unlink ",   "mkdir ", "rmdir "};
    std::string step = verbs[static_cast<std::size_t>(record.change)];
    if (record.change != Change::kSyncDirectory) step += record.path.substr(skipped.size());
    if (!record.new_path.empty()) step += " " + record.new_path.substr(skipped.size());
    steps.push_back(step);
  }
  const std::vector<std::string> expected = {
      "create ck.index.lock.tmp",
      "create ck.index.tmp",
      "create ck.data-00000.tmp",
      "create ck.index.meta.tmp",
      "sync ck.data-00000.tmp",
      "create ck.data-00001.tmp",
      "sync ck.data-00001.tmp",
      "sync ck.index.meta.tmp",
      "sync ck.index.tmp",
      "rename ck.data-00000.tmp ck.data-00000-of-00002",
      "rename ck.data-00001.tmp ck.data-00001-of-00002",
      "link ck.meta ck.index.old_meta.tmp",
      "rename ck.index.meta.tmp ck.meta",
      "sync directory",
      "link ck.index ck.index.old.tmp",
      "rename ck.index.tmp ck.index",
      "sync directory",
      "unlink ck.index.old.tmp",
      "unlink ck.index.old_meta.tmp",
      "unlink ck.data-00000-of-00001",
      "unlink ck.index.lock.tmp",
  };
  for (std::size_t i = 0; i < std::min(steps.size(), expected.size()); ++i) {
    CHECK_EQ(steps[i], expected[i]);
  }
  CHECK_EQ(steps.size(), expected.size());
}

TEST(without_sync_nothing_is_synced) {
  for (std::uint64_t seed = 0; seed < 2; ++seed) {
    FaultyFileSystem files;
    Save(Prefix(), {.seed = seed, .sync = false}, files);
    CHECK_EQ(files.calls(Call::kSync), 0);
    CHECK_EQ(files.open_files(), 0);
  }
}

// --- Shards --------------------------------------------------------------------------------------

TEST(shards_that_nobody_created_become_empty_files) {
  const auto transaction = Begin();
  transaction->CreateShard(1).WriteAt(0, AsBytes("data"));
  CHECK_EQ(transaction->Settle(3), 3);
  transaction->Commit();
  CHECK_EQ(ReadFile(DataFileName(Prefix(), 0, 3)), "");
  CHECK_EQ(ReadFile(DataFileName(Prefix(), 1, 3)), "data");
  CHECK_EQ(ReadFile(DataFileName(Prefix(), 2, 3)), "");
}

TEST(impossible_shards_and_totals_are_invalid) {
  const auto transaction = Begin();
  CHECK_ERROR(ErrorCode::kInvalidArgument, transaction->Settle(0));
  CHECK_ERROR(ErrorCode::kInvalidArgument, transaction->CreateShard(-1));
  transaction->CreateShard(2);
  CHECK_ERROR(ErrorCode::kInvalidArgument, transaction->CreateShard(2));
  CHECK_ERROR(ErrorCode::kInvalidArgument, transaction->Commit());
  CHECK_ERROR(ErrorCode::kInvalidArgument, transaction->Settle(2));
  CHECK_EQ(transaction->Settle(3), 3);
  CHECK_ERROR(ErrorCode::kInvalidArgument, transaction->Settle(3));
  CHECK_ERROR(ErrorCode::kInvalidArgument, transaction->CreateShard(3));
}

TEST(an_imported_shard_is_a_link_or_a_copy) {
  const std::string source = TemporaryDirectory() + "/part";
  const std::string content = testing::PatternBytes((std::size_t{2} << 20) + 5, 3);
  WriteFile(source, content);
  const auto transaction = Begin();
  transaction->ImportShard(0, source, false);
  transaction->ImportShard(1, source, true);
  transaction->Settle(2);
  transaction->Commit();
  CHECK(ReadFile(DataFileName(Prefix(), 0, 2)) == content);
  CHECK(ReadFile(DataFileName(Prefix(), 1, 2)) == content);
  CHECK(std::filesystem::equivalent(source, DataFileName(Prefix(), 0, 2)));
  CHECK(!std::filesystem::equivalent(source, DataFileName(Prefix(), 1, 2)));
}

TEST(an_imported_shard_is_on_the_device_before_its_name_is) {
  WriteFile(TemporaryDirectory() + "/part", "content");
  for (const bool sync : {true, false}) {
    for (const bool copy : {true, false}) {
      FaultyFileSystem files;
      const auto transaction = Transaction::Begin(Prefix(), {.sync = sync}, files);
      transaction->ImportShard(0, TemporaryDirectory() + "/part", copy);
      CHECK_EQ(files.calls(Call::kSync), sync ? 1 : 0);
    }
  }
}

TEST(an_import_copies_where_links_are_refused) {
  const std::string source = TemporaryDirectory() + "/part";
  WriteFile(source, "content");
  for (const int number : {EPERM, EOPNOTSUPP, EXDEV, EMLINK, ENOSYS, EACCES}) {
    FaultyFileSystem files;
    files.FailNth(Call::kLink, 1, number);
    const auto transaction = Transaction::Begin(Prefix(), {}, files);
    transaction->ImportShard(0, source, false);
    CHECK_EQ(ReadFile(TemporaryDataName(Prefix(), 0)), "content");
    CHECK_EQ(std::filesystem::hard_link_count(source), std::uintmax_t{1});
  }
}

TEST(an_import_of_a_missing_file_says_so) {
  CHECK_ERROR(ErrorCode::kNotFound, Begin()->ImportShard(0, TemporaryDirectory() + "/none", false));
  CHECK_ERROR(ErrorCode::kNotFound, Begin()->ImportShard(0, TemporaryDirectory() + "/none", true));
}

TEST(an_import_through_a_symbolic_link_takes_the_file) {
  WriteFile(TemporaryDirectory() + "/part", "content");
  std::filesystem::create_symlink("part", TemporaryDirectory() + "/link");
  const auto transaction = Begin();
  transaction->ImportShard(0, TemporaryDirectory() + "/link", false);
  CHECK(!std::filesystem::is_symlink(TemporaryDataName(Prefix(), 0)));
  CHECK_EQ(ReadFile(TemporaryDataName(Prefix(), 0)), "content");
}

TEST(companions_have_short_suffixes_and_appear_once) {
  const auto transaction = Begin();
  transaction->AddCompanion(".meta", {});
  CHECK_ERROR(ErrorCode::kInvalidArgument, transaction->AddCompanion(".meta", {}));
  CHECK_ERROR(ErrorCode::kInvalidArgument, transaction->AddCompanion(".index", {}));
  CHECK_ERROR(ErrorCode::kInvalidArgument, transaction->AddCompanion("/../x", {}));
}

}  // namespace
}  // namespace fastckpt::commit
