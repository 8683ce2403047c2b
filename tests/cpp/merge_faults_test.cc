// Every call of a merge failing once: inputs and destination as they were, or the result, whole.
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "bundle/merge.h"
#include "faulty_file_system.h"
#include "harness.h"
#include "saved_checkpoint.h"
#include "table_writer.h"

namespace fastckpt::bundle {
namespace {

using testing::BundleWriter;
using testing::Call;
using testing::FaultyFileSystem;
using testing::Names;
using testing::PatternBytes;
using testing::Snapshot;
using testing::TakeSnapshot;
using testing::TemporaryDirectory;

struct Scene {
  bool consume = false;
  bool overwrite = false;
  bool sync = true;
};

std::vector<Scene> Scenes() {
  std::vector<Scene> scenes;
  for (const bool consume : {false, true}) {
    for (const bool overwrite : {false, true}) {
      for (const bool sync : {true, false}) scenes.push_back({consume, overwrite, sync});
    }
  }
  return scenes;
}

std::string In(const char* name) {
  return TemporaryDirectory() + "/in/" + name;
}

std::string Destination() {
  return TemporaryDirectory() + "/out/ck";
}

// Two inputs, one of them in two shards, and a tensor of which both have slices.
Snapshot Prepare(const Scene& scene) {
  std::filesystem::remove_all(TemporaryDirectory());
  std::filesystem::create_directories(TemporaryDirectory() + "/in");
  BundleWriter a;
  a.header.num_shards = 2;
  a.Add("x", 4, {3000}, PatternBytes(3000, 1), 1);
  a.Add("y", 4, {70}, PatternBytes(70, 2), 0);
  a.AddSlice("rows", 4, {4, 5}, {{0, 2}, {0, 5}}, PatternBytes(10, 3));
  a.Write(In("a"), {100, 4, false});
  BundleWriter b;
  b.Add("w", 4, {500}, PatternBytes(500, 4));
  b.AddSlice("rows", 4, {4, 5}, {{2, 2}, {}}, PatternBytes(10, 5));
  b.Write(In("b"));
  if (scene.overwrite) {
    std::filesystem::create_directories(TemporaryDirectory() + "/out");
    testing::Save(Destination(), {.seed = 1, .num_shards = 3, .sync = false});
  }
  return TakeSnapshot(TemporaryDirectory());
}

void MergeAll(const Scene& scene, io::FileSystem& files) {
  const MergeOptions options{scene.consume, scene.sync, true, 2};
  const auto merger = Merger::Create({In("a"), In("b")}, Destination(), options, files);
  Job& job = merger->Start();
  while (!job.WaitFor(std::chrono::milliseconds(50))) {
  }
  merger->Commit();
}

// The files of a part of the directory, those of dead or failed writers excluded.
Snapshot Final(const Snapshot& all, const std::string& below) {
  Snapshot relevant;
  for (const auto& [name, content] : all) {
    if (name.starts_with(below) && !name.ends_with(".tmp") && !name.ends_with("/")) {
      relevant[name] = content;
    }
  }
  return relevant;
}

void CheckEqual(const Snapshot& found, const Snapshot& expected) {
  CHECK_EQ(Names(found), Names(expected));
  CHECK(found == expected);
}

bool MayLeaveFiles(Call call) {
  return call == Call::kUnlink || call == Call::kRemoveDirectory;
}

// Calls whose failures never surface, or that the scene does not make.
bool IsHarmless(Call call, const Scene& scene) {
  return MayLeaveFiles(call) || call == Call::kUnlock ||
         (call == Call::kMakeDirectory && scene.overwrite) ||
         (call == Call::kOpenDirectory && !scene.sync);
}

struct Outcome {
  int errors = 0;
  int successes = 0;
};

// What a merge leaves at the destination when nothing fails.
Snapshot Result(const Scene& scene) {
  Prepare(scene);
  MergeAll(scene, io::FileSystem::Posix());
  const Snapshot after = TakeSnapshot(TemporaryDirectory());
  CHECK_EQ(Final(after, "in").empty(), scene.consume);
  CHECK_EQ(std::filesystem::exists(TemporaryDirectory() + "/in"), !scene.consume);
  for (const auto& [name, content] : after) CHECK(!name.ends_with(".tmp"));
  return Final(after, "out");
}

bool MergeOnce(const Scene& scene, FaultyFileSystem& files, Call call, int error_number,
               const Snapshot& result, Outcome* outcome) {
  const Snapshot before = Prepare(scene);
  bool is_merged = true;
  try {
    MergeAll(scene, files);
  } catch (const Error& error) {
    is_merged = false;
    CHECK(files.failed());
    CHECK_EQ(error.system_error(), error_number);
    CHECK(error.path().starts_with(TemporaryDirectory()));
  }
  const Snapshot after = TakeSnapshot(TemporaryDirectory());
  if (is_merged) {
    ++outcome->successes;
    Snapshot found = Final(after, "out");
    // What could not be removed is in nobody's way.
    if (MayLeaveFiles(call)) {
      std::erase_if(found, [&](const auto& file) { return !result.contains(file.first); });
    }
    CheckEqual(found, result);
    if (!scene.consume) CheckEqual(Final(after, "in"), Final(before, "in"));
  } else {
    ++outcome->errors;
    CheckEqual(Final(after, ""), Final(before, ""));
  }
  CHECK_EQ(files.open_files(), 0);
  return files.failed();
}

Outcome FailEach(const Scene& scene, Call call, int error_number) {
  Outcome outcome;
  const Snapshot result = Result(scene);
  for (int n = 1;; ++n) {
    FaultyFileSystem files;
    if (!scene.sync) files.SkipSyncs();
    files.FailNth(call, n, error_number);
    if (!MergeOnce(scene, files, call, error_number, result, &outcome)) return outcome;
  }
}

TEST(merge_survives_every_failing_call) {
  constexpr Call kCalls[] = {
      Call::kOpen,   Call::kClose,  Call::kStat,          Call::kRead,     Call::kOpenWrite,
      Call::kWrite,  Call::kLock,   Call::kOpenDirectory, Call::kStatPath, Call::kRename,
      Call::kUnlink, Call::kUnlock, Call::kMakeDirectory, Call::kList,     Call::kRemoveDirectory};
  for (const Scene& scene : Scenes()) {
    for (const Call call : kCalls) {
      const Outcome outcome = FailEach(scene, call, EIO);
      CHECK(outcome.successes >= 1);
      CHECK_EQ(outcome.errors == 0, IsHarmless(call, scene));
    }
  }
}

TEST(merge_survives_every_failing_sync) {
  for (const Scene& scene : Scenes()) {
    if (!scene.sync) continue;
    const Outcome outcome = FailEach(scene, Call::kSync, ENOSPC);
    // Three data files, the index, the directory twice.
    CHECK(outcome.errors >= 6);
  }
}

TEST(merge_survives_every_failing_link) {
  for (const Scene& scene : Scenes()) {
    const Outcome refused = FailEach(scene, Call::kLink, EIO);
    if (scene.consume) CHECK(refused.errors >= 3);
    // A file system without links copies.
    const Outcome copied = FailEach(scene, Call::kLink, EPERM);
    CHECK_EQ(copied.errors, 0);
  }
}

TEST(merge_survives_full_disks) {
  for (const Scene& scene : Scenes()) {
    const Outcome outcome = FailEach(scene, Call::kWrite, ENOSPC);
    CHECK(outcome.errors >= (scene.consume ? 1 : 4));
  }
}

TEST(merge_goes_on_after_interrupts_and_short_calls) {
  for (const Scene& scene : Scenes()) {
    const Snapshot result = Result(scene);
    Prepare(scene);
    FaultyFileSystem files;
    files.InterruptOften();
    files.LimitReads(7);
    files.LimitWrites(5);
    MergeAll(scene, files);
    CheckEqual(Final(TakeSnapshot(TemporaryDirectory()), "out"), result);
  }
}

TEST(merge_that_is_dropped_leaves_everything) {
  for (const Scene& scene : Scenes()) {
    const Snapshot before = Prepare(scene);
    {
      const MergeOptions options{scene.consume, scene.sync, true, 2};
      const auto merger = Merger::Create({In("a"), In("b")}, Destination(), options);
      merger->Start();
    }
    CheckEqual(TakeSnapshot(TemporaryDirectory()), before);
  }
}

}  // namespace
}  // namespace fastckpt::bundle
