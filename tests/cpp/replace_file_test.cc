// Files that become visible by their own rename: whole, or not at all, whatever call fails.
#include "commit/replace_file.h"

#include <cerrno>
#include <filesystem>
#include <map>
#include <string>

#include "commit/names.h"
#include "faulty_file_system.h"
#include "harness.h"
#include "saved_checkpoint.h"
#include "table_writer.h"

namespace fastckpt::commit {
namespace {

using testing::Call;
using testing::FaultyFileSystem;
using testing::ReadFile;
using testing::Snapshot;
using testing::TakeSnapshot;
using testing::TemporaryDirectory;
using testing::WriteFile;

std::string Path(const std::string& name = "state") {
  return TemporaryDirectory() + "/" + name;
}

void Fill(FileReplacement* files, const std::string& path, const std::string& content) {
  files->Create(path).WriteAt(0, AsBytes(content));
}

void Replace(const std::string& path, const std::string& content, const Options& options = {},
             io::FileSystem& file_system = io::FileSystem::Posix()) {
  ReplaceFile(path, AsBytes(content), options, file_system);
}

TEST(replace_file_makes_and_replaces) {
  Replace(Path(), "old content");
  CHECK_EQ(ReadFile(Path()), "old content");
  Replace(Path(), "new", {.sync = false});
  CHECK(TakeSnapshot(TemporaryDirectory()) == (Snapshot{{"state", "new"}}));
}

TEST(replace_file_shows_nothing_before_the_commit) {
  Replace(Path(), "old");
  {
    FileReplacement files(Path(), {});
    Fill(&files, Path(), "new");
    CHECK_EQ(ReadFile(Path()), "old");
  }
  CHECK(TakeSnapshot(TemporaryDirectory()) == (Snapshot{{"state", "old"}}));
}

TEST(replace_file_makes_directories_and_takes_them_back) {
  const std::string path = Path("a/b/state");
  {
    FileReplacement files(path, {});
    Fill(&files, path, "new");
  }
  CHECK(TakeSnapshot(TemporaryDirectory()).empty());
  Replace(path, "new");
  CHECK_EQ(ReadFile(path), "new");
}

TEST(replace_file_has_one_writer) {
  FileReplacement files(Path(), {});
  CHECK_ERROR(ErrorCode::kBusy, Replace(Path(), "second"));
  Fill(&files, Path(), "first");
  files.Commit();
  CHECK_ERROR(ErrorCode::kClosed, files.Commit());
  CHECK_ERROR(ErrorCode::kClosed, files.Create(Path()));
  Replace(Path(), "second");
  CHECK_EQ(ReadFile(Path()), "second");
}

TEST(replace_file_takes_over_from_dead_writers) {
  WriteFile(Path() + ".tmp", "longer than what comes");
  WriteFile(Path() + ".old.tmp", "left");
  WriteFile(LockName(Path()), "");
  Replace(Path(), "new");
  CHECK(TakeSnapshot(TemporaryDirectory()) == (Snapshot{{"state", "new"}}));
}

TEST(replace_file_refuses_what_is_no_file_name) {
  CHECK_ERROR(ErrorCode::kInvalidArgument, Replace("", "x"));
  CHECK_ERROR(ErrorCode::kInvalidArgument, Replace(Path() + "/", "x"));
  CHECK_ERROR(ErrorCode::kInvalidArgument, Replace(Path() + std::string("\0", 1), "x"));
  CHECK_ERROR(ErrorCode::kInvalidArgument, Replace(TemporaryDirectory(), "x"));
  WriteFile(Path("plain"), "");
  CHECK_ERROR(ErrorCode::kIo, Replace(Path("plain/state"), "x"));
  FileReplacement files(Path(), {});
  Fill(&files, Path(), "x");
  CHECK_ERROR(ErrorCode::kInvalidArgument, files.Create(Path()));
}

TEST(replace_file_renames_all_or_undoes) {
  Replace(Path("s-0"), "old 0");
  Replace(Path("s-2"), "old 2");
  const Snapshot before = TakeSnapshot(TemporaryDirectory());
  for (int n = 1; n <= 3; ++n) {
    for (const bool carried_out : {false, true}) {
      FaultyFileSystem faulty;
      FileReplacement files(Path("s"), {}, faulty);
      for (const char* name : {"s-0", "s-1", "s-2"}) Fill(&files, Path(name), "new");
      faulty.FailNth(Call::kRename, n, EIO);
      if (carried_out) faulty.CarryOutFaults();
      CHECK_ERROR(ErrorCode::kIo, files.Commit());
      CHECK(TakeSnapshot(TemporaryDirectory()) == before);
    }
  }
  FileReplacement files(Path("s"), {});
  for (const char* name : {"s-0", "s-1", "s-2"}) Fill(&files, Path(name), "new");
  files.Commit();
  CHECK(TakeSnapshot(TemporaryDirectory()) ==
        (Snapshot{{"s-0", "new"}, {"s-1", "new"}, {"s-2", "new"}}));
}

TEST(replace_file_believes_a_rename_that_happened) {
  Replace(Path(), "old");
  FaultyFileSystem faulty;
  faulty.FailNth(Call::kRename, 1, EIO);
  faulty.CarryOutFaults();
  Replace(Path(), "new", {}, faulty);
  CHECK(faulty.failed());
  CHECK(TakeSnapshot(TemporaryDirectory()) == (Snapshot{{"state", "new"}}));
}

TEST(replace_file_says_when_it_may_not_survive) {
  Replace(Path(), "old");
  FaultyFileSystem faulty;
  FileReplacement files(Path(), {}, faulty);
  Fill(&files, Path(), "new");
  faulty.FailNth(Call::kSync, 2, EIO);  // the file's is the first
  CHECK_ERROR(ErrorCode::kIo, files.Commit());
  CHECK(TakeSnapshot(TemporaryDirectory()) == (Snapshot{{"state", "new"}}));
}

TEST(replace_file_syncs_only_when_asked) {
  for (const bool sync : {false, true}) {
    FaultyFileSystem counting;
    Replace(Path(), "x", {.sync = sync}, counting);
    CHECK_EQ(counting.calls(Call::kSync), sync ? 2 : 0);
    CHECK_EQ(counting.open_files(), 0);
  }
}

// One fault; whether it was met.
bool SurvivesFault(Call call, int n) {
  Replace(Path(), "old");
  FaultyFileSystem faulty;
  faulty.FailNth(call, n, EIO);
  bool is_saved = true;
  try {
    Replace(Path(), "new", {}, faulty);
  } catch (const Error& error) {
    is_saved = error.message().find("is visible and complete") != std::string::npos;
    CHECK(error.code() == ErrorCode::kIo);
    CHECK_EQ(error.system_error(), EIO);
  }
  CHECK_EQ(ReadFile(Path()), is_saved ? "new" : "old");
  CHECK_EQ(faulty.open_files(), 0);
  return faulty.failed();
}

TEST(replace_file_survives_every_fault) {
  int met = 0;
  for (std::size_t call = 0; call < testing::kNumCalls; ++call) {
    for (int n = 1; SurvivesFault(static_cast<Call>(call), n); ++n) ++met;
  }
  CHECK(met >= 12);
  Replace(Path(), "last");
  CHECK(TakeSnapshot(TemporaryDirectory()) == (Snapshot{{"state", "last"}}));
}

}  // namespace
}  // namespace fastckpt::commit
