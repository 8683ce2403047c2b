// Every call of a save failing once: the old checkpoint or the new one, whole, and no third thing.
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "commit/names.h"
#include "commit/transaction.h"
#include "faulty_file_system.h"
#include "harness.h"
#include "io/recording_file_system.h"
#include "saved_checkpoint.h"
#include "table_writer.h"

namespace fastckpt::commit {
namespace {

using testing::Call;
using testing::CheckpointSpec;
using testing::CheckSaved;
using testing::FaultyFileSystem;
using testing::Names;
using testing::Save;
using testing::Snapshot;
using testing::TakeSnapshot;
using testing::TemporaryDirectory;

// One way of saving: over nothing (and into directories to be made) or over a checkpoint.
struct Scene {
  bool overwrite = false;
  std::int32_t num_shards = 1;
  bool sync = true;
};

std::vector<Scene> Scenes() {
  std::vector<Scene> scenes;
  for (const bool overwrite : {false, true}) {
    for (const std::int32_t num_shards : {1, 3}) {
      for (const bool sync : {true, false}) scenes.push_back({overwrite, num_shards, sync});
    }
  }
  return scenes;
}

std::string Prefix(const Scene& scene) {
  return TemporaryDirectory() + (scene.overwrite ? "/ck" : "/new/dir/ck");
}

constexpr const char* kLeftover = "/ck.data-00009.tmp";

// Puts the scene into the test's directory, which is emptied first.
Snapshot Prepare(const Scene& scene) {
  std::filesystem::remove_all(TemporaryDirectory());
  TemporaryDirectory();
  if (scene.overwrite) {
    Save(Prefix(scene), {.seed = 1, .num_shards = 2, .sync = false});
    // What a dead writer left, so that the clean-up has something to do.
    testing::WriteFile(TemporaryDirectory() + kLeftover, "left");
  }
  return TakeSnapshot(TemporaryDirectory());
}

CheckpointSpec NewSpec(const Scene& scene) {
  return {.seed = 2, .num_shards = scene.num_shards, .sync = scene.sync};
}

// Calls whose failure may leave a file behind that no reader looks at.
bool MayLeaveTemporaries(Call call) {
  switch (call) {
    case Call::kUnlink:
    case Call::kRemoveDirectory:
    // Nobody may remove a lock file that another may hold.
    case Call::kLock:
    case Call::kStat:
    case Call::kStatPath:
      return true;
    default:
      return false;
  }
}

// The files that are not temporaries, or all but those of the dead writer: they stay where the save
// does not get as far as the clean-up.
Snapshot Relevant(const Snapshot& snapshot, bool with_temporaries) {
  Snapshot relevant;
  for (const auto& [name, content] : snapshot) {
    const bool is_final = !name.ends_with(".tmp") && !name.ends_with("/");
    if (is_final || (with_temporaries && name != kLeftover + 1)) relevant[name] = content;
  }
  return relevant;
}

void CheckError(const Error& error, const FaultyFileSystem& files, int error_number) {
  CHECK(files.failed());
  CHECK_EQ(static_cast<int>(error.code()), static_cast<int>(ErrorCode::kIo));
  CHECK_EQ(error.system_error(), error_number);
  CHECK(!error.message().empty());
  CHECK(error.path().starts_with(TemporaryDirectory()));
}

// A save after it finds nothing in its way and leaves nothing but itself.
void CheckNextSave(const Scene& scene) {
  Save(Prefix(scene), {.seed = 3, .sync = false});
  CheckSaved(Prefix(scene), {.seed = 3});
  std::size_t files = 0;
  for (const auto& [name, content] : TakeSnapshot(TemporaryDirectory())) {
    CHECK(!name.ends_with(".tmp"));
    files += name.ends_with("/") ? 0 : 1;
  }
  const auto live = TakeSnapshot(std::filesystem::path(Prefix(scene)).parent_path().string());
  CHECK(files == 4 || files == 3 || files == 5);
  CHECK(live.contains("ck.index") && live.contains("ck.meta"));
}

struct Outcome {
  int errors = 0;
  int successes = 0;
};

// Saves once with this fault planned and checks what is there afterwards; whether the fault was
// met.
bool SaveOnce(const Scene& scene, FaultyFileSystem& files, Call call, int error_number,
              Outcome* outcome) {
  const Snapshot before = Prepare(scene);
  const bool strict = !MayLeaveTemporaries(call);
  try {
    Save(Prefix(scene), NewSpec(scene), files);
    ++outcome->successes;
    CheckSaved(Prefix(scene), NewSpec(scene));
  } catch (const Error& error) {
    ++outcome->errors;
    CheckError(error, files, error_number);
    const Snapshot after = TakeSnapshot(TemporaryDirectory());
    CHECK_EQ(Names(Relevant(after, strict)), Names(Relevant(before, strict)));
    CHECK(Relevant(after, strict) == Relevant(before, strict));
  }
  CHECK_EQ(files.open_files(), 0);
  const bool met = files.failed();
  CheckNextSave(scene);
  return met;
}

// n = 1, 2, … until the n-th call is never made.
Outcome FailEach(const Scene& scene, Call call, int error_number, int repeats = 1,
                 bool carry_out = false) {
  Outcome outcome;
  for (int n = 1;; ++n) {
    FaultyFileSystem files;
    files.SkipSyncs();
    if (carry_out) files.CarryOutFaults();
    files.FailNth(call, n, error_number, repeats);
    try {
      if (!SaveOnce(scene, files, call, error_number, &outcome)) return outcome;
    } catch (const testing::Failure& failure) {
      testing::Fail(__FILE__, __LINE__,
                    std::string(Name(call)) + " number " + std::to_string(n) + ", errno " +
                        std::to_string(error_number) + (scene.overwrite ? ", overwrite" : "") +
                        (scene.sync ? ", sync, " : ", ") + std::to_string(scene.num_shards) +
                        " shards: " + failure.message);
    }
  }
}

constexpr int kErrors[] = {ENOSPC, EIO, EDQUOT};

// Calls that a save cannot do without, each time it makes one.
TEST(every_failing_change_is_an_error_or_a_complete_save) {
  for (const Scene& scene : Scenes()) {
    for (const int error_number : kErrors) {
      const int shards = scene.num_shards;
      // Index, lock, companion and shards.
      CHECK(FailEach(scene, Call::kOpenWrite, error_number).errors >= 3 + shards);
      CHECK(FailEach(scene, Call::kWrite, error_number).errors >= 2 + shards);
      // Shards, companion, index.
      CHECK(FailEach(scene, Call::kRename, error_number).errors >= 2 + shards);
      CHECK_EQ(FailEach(scene, Call::kTruncate, error_number).errors, 0);
      const int syncs = FailEach(scene, Call::kSync, error_number).errors;
      CHECK(scene.sync ? syncs >= 4 + shards : syncs == 0);
      CHECK(FailEach(scene, Call::kClose, error_number).errors >= 2 + shards);
      CHECK_EQ(FailEach(scene, Call::kMakeDirectory, error_number).errors, scene.overwrite ? 0 : 2);
      FailEach(scene, Call::kOpenDirectory, error_number);
    }
  }
}

TEST(every_failing_look_is_an_error_or_a_complete_save) {
  for (const Scene& scene : Scenes()) {
    for (const int error_number : {EIO, EACCES}) {
      for (const Call call : {Call::kStat, Call::kStatPath, Call::kList, Call::kLock}) {
        CHECK(FailEach(scene, call, error_number).errors >= 1);
      }
      // Of the old index, which then counts as unreadable.
      CHECK_EQ(FailEach(scene, Call::kOpen, error_number).errors, 0);
      CHECK_EQ(FailEach(scene, Call::kRead, error_number).errors, 0);
    }
  }
}

TEST(failing_clean_up_and_failing_links_are_no_errors) {
  for (const Scene& scene : Scenes()) {
    for (const int error_number : kErrors) {
      for (const Call call : {Call::kUnlink, Call::kLink, Call::kUnlock, Call::kRemoveDirectory}) {
        CHECK_EQ(FailEach(scene, call, error_number).errors, 0);
      }
      CHECK_EQ(FailEach(scene, Call::kUnlink, error_number, 1000).errors, 0);
      CHECK_EQ(FailEach(scene, Call::kLink, error_number, 1000).errors, 0);
    }
  }
}

TEST(failures_that_persist_are_errors_too) {
  for (const Scene& scene : Scenes()) {
    for (const Call call : {Call::kWrite, Call::kOpenWrite, Call::kSync, Call::kClose}) {
      FailEach(scene, call, ENOSPC, 1000);
    }
  }
}

TEST(interrupted_calls_are_made_again) {
  for (const Scene& scene : Scenes()) {
    for (const Call call :
         {Call::kOpen, Call::kOpenWrite, Call::kOpenDirectory, Call::kRead, Call::kWrite,
          Call::kTruncate, Call::kSync, Call::kLock, Call::kList, Call::kClose}) {
      CHECK_EQ(FailEach(scene, call, EINTR).errors, 0);
    }
    Outcome outcome;
    FaultyFileSystem files;
    files.InterruptOften();
    files.LimitWrites(100);
    files.LimitReads(100);
    SaveOnce(scene, files, Call::kWrite, EINTR, &outcome);
    CHECK_EQ(outcome.successes, 1);
  }
}

// Network file systems report the failure of what they did, when the answer got lost.
TEST(calls_that_fail_after_they_did_their_work_make_no_mix) {
  for (const Scene& scene : Scenes()) {
    for (const Call call : {Call::kRename, Call::kSync, Call::kUnlink}) {
      const Outcome outcome = FailEach(scene, call, EIO, 1, true);
      CHECK(outcome.successes >= 1);
    }
    // All but the rename of the index.
    const Outcome outcome = FailEach(scene, Call::kRename, EIO, 1, true);
    CHECK_EQ(outcome.errors, scene.num_shards + 1);
  }
}

// --- The way back --------------------------------------------------------------------------------

constexpr Scene kOverwrite{.overwrite = true, .num_shards = 1, .sync = true};
constexpr Scene kNew{.overwrite = false, .num_shards = 1, .sync = true};

// Fails the last sync, that of the directory after the rename of the index, and the calls of one
// kind from then on; the message.
std::string MessageWithoutWayBack(const Scene& scene, Call call) {
  Prepare(scene);
  FaultyFileSystem counting;
  counting.SkipSyncs();
  Save(Prefix(scene), NewSpec(scene), counting);
  Prepare(scene);
  FaultyFileSystem files;
  files.SkipSyncs();
  files.OnFault([&files, call] {
    files.OnFault({});
    files.FailNth(call, 1, EIO, 1000);
  });
  files.FailNth(Call::kSync, counting.calls(Call::kSync), EIO);
  try {
    Save(Prefix(scene), NewSpec(scene), files);
  } catch (const Error& error) {
    CHECK_EQ(static_cast<int>(error.code()), static_cast<int>(ErrorCode::kIo));
    return error.message();
  }
  testing::Fail(__FILE__, __LINE__, "no error");
}

TEST(without_a_way_back_both_checkpoints_keep_their_data) {
  const std::string message = MessageWithoutWayBack(kOverwrite, Call::kRename);
  CHECK(message.find("may not survive a power cut") != std::string::npos);
  CheckSaved(Prefix(kOverwrite), NewSpec(kOverwrite));
  const Snapshot after = TakeSnapshot(TemporaryDirectory());
  CHECK(after.contains("ck.data-00000-of-00002") && after.contains("ck.data-00001-of-00002"));
  CHECK(!after.contains("ck.index.lock.tmp"));
  CheckNextSave(kOverwrite);
}

TEST(a_new_checkpoint_that_cannot_be_removed_keeps_its_data) {
  const std::string message = MessageWithoutWayBack(kNew, Call::kUnlink);
  CHECK(message.find("may not survive a power cut") != std::string::npos);
  CheckSaved(Prefix(kNew), NewSpec(kNew));
  CheckNextSave(kNew);
}

TEST(the_way_back_says_that_nothing_changed) {
  const std::string message = MessageWithoutWayBack(kOverwrite, Call::kSync);
  CHECK(message.find("intact") != std::string::npos);
  CheckSaved(Prefix(kOverwrite), {.seed = 1, .num_shards = 2});
  CheckNextSave(kOverwrite);
}

TEST(the_way_back_is_synced_before_the_new_data_goes) {
  Prepare(kOverwrite);
  FaultyFileSystem counting;
  counting.SkipSyncs();
  Save(Prefix(kOverwrite), NewSpec(kOverwrite), counting);
  Prepare(kOverwrite);
  FaultyFileSystem faulty;
  faulty.SkipSyncs();
  faulty.FailNth(Call::kSync, counting.calls(Call::kSync), EIO);
  io::RecordingFileSystem files(faulty);
  CHECK_ERROR(ErrorCode::kIo, Save(Prefix(kOverwrite), NewSpec(kOverwrite), files));
  const auto trace = files.trace();
  const auto is_failure = [](const io::ChangeRecord& record) { return record.result == -EIO; };
  const auto failed = std::ranges::find_if(trace, is_failure) - trace.begin();
  const auto step = [&](std::ptrdiff_t i) {
    return trace.at(static_cast<std::size_t>(failed + i));
  };
  CHECK(step(1).change == io::Change::kRename);
  CHECK_EQ(step(1).new_path, IndexFileName(Prefix(kOverwrite)));
  CHECK(step(2).change == io::Change::kSyncDirectory);
  CHECK(step(3).change == io::Change::kUnlink);
  CHECK_EQ(step(3).path, DataFileName(Prefix(kOverwrite), 0, 1));
}

TEST(an_index_that_can_neither_be_linked_nor_copied_is_replaced_all_the_same) {
  Prepare(kOverwrite);
  const std::string index = IndexFileName(Prefix(kOverwrite));
  FaultyFileSystem files;
  files.SkipSyncs();
  files.OnFault([&files] {
    files.OnFault({});
    files.FailNth(Call::kOpen, 1, EACCES, 1000);
  });
  files.FailNth(Call::kLink, 2, EPERM);
  Save(Prefix(kOverwrite), NewSpec(kOverwrite), files);
  CheckSaved(Prefix(kOverwrite), NewSpec(kOverwrite));
}

TEST(directories_that_cannot_be_synced_count_as_synced) {
  for (const int number : {EINVAL, ENOTSUP, EBADF}) {
    Prepare(kOverwrite);
    FaultyFileSystem counting;
    counting.SkipSyncs();
    Save(Prefix(kOverwrite), NewSpec(kOverwrite), counting);
    for (const int before_last : {0, 1}) {
      Prepare(kOverwrite);
      FaultyFileSystem files;
      files.SkipSyncs();
      files.FailNth(Call::kSync, counting.calls(Call::kSync) - before_last, number);
      Save(Prefix(kOverwrite), NewSpec(kOverwrite), files);
      CHECK(files.failed());
      CheckSaved(Prefix(kOverwrite), NewSpec(kOverwrite));
    }
  }
}

}  // namespace
}  // namespace fastckpt::commit
