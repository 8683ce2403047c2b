#include "io/recording_file_system.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "faulty_file_system.h"
#include "harness.h"
#include "io/sink.h"
#include "saved_checkpoint.h"
#include "table_writer.h"

namespace fastckpt::io {
namespace {

using testing::Call;
using testing::FaultyFileSystem;
using testing::TemporaryDirectory;

std::string At(const std::string& name) {
  return TemporaryDirectory() + "/" + name;
}

// One call of each kind that is recorded, in the order of Change.
void ChangeEverything(FileSystem& files) {
  const int file = files.OpenWrite(At("a"), WriteMode::kCreateNew);
  files.WriteAt(file, "hello", 5, 2);
  files.Truncate(file, 4);
  files.Sync(file);
  const int directory = files.OpenDirectory(TemporaryDirectory());
  files.Sync(directory);
  files.Close(directory);
  files.Rename(At("a"), At("b"));
  files.Link(At("b"), At("c"));
  files.Unlink(At("b"));
  files.MakeDirectory(At("d"));
  files.RemoveDirectory(At("d"));
  files.Close(file);
}

constexpr std::size_t kNumChanges = static_cast<std::size_t>(Change::kRemoveDirectory) + 1;

TEST(every_change_is_recorded_in_order) {
  RecordingFileSystem files;
  ChangeEverything(files);
  const std::vector<ChangeRecord> trace = files.trace();
  CHECK_EQ(trace.size(), kNumChanges);
  CHECK_EQ(files.calls(), kNumChanges);
  for (std::size_t i = 0; i < trace.size(); ++i) {
    CHECK(trace[i].change == static_cast<Change>(i));
    CHECK(trace[i].result >= 0);
    CHECK(trace[i].file != 0);
  }
  const auto& [create, write, truncate, sync] = std::tie(trace[0], trace[1], trace[2], trace[3]);
  CHECK_EQ(create.path, At("a"));
  CHECK_EQ(write.offset, std::uint64_t{2});
  CHECK_EQ(AsText(write.bytes), "hello");
  CHECK_EQ(truncate.offset, std::uint64_t{4});
  for (const std::size_t i : {1u, 2u, 3u, 5u, 6u, 7u}) CHECK_EQ(trace[i].file, create.file);
  CHECK_EQ(sync.path, At("a"));
  CHECK_EQ(trace[4].path, TemporaryDirectory());
  CHECK(trace[4].file != create.file);
  CHECK_EQ(trace[5].path, At("a"));
  CHECK_EQ(trace[5].new_path, At("b"));
  CHECK_EQ(trace[6].new_path, At("c"));
  CHECK_EQ(trace[8].file, trace[9].file);
}

TEST(reads_locks_and_looks_are_not_recorded) {
  testing::WriteFile(At("a"), "content");
  RecordingFileSystem files;
  FileStatus status;
  std::vector<std::string> names;
  const int file = files.OpenRead(At("a"));
  char byte = 0;
  CHECK_EQ(files.ReadAt(file, &byte, 1, 0), 1);
  CHECK_EQ(files.Stat(file, &status), 0);
  CHECK_EQ(files.StatPath(At("a"), &status), 0);
  CHECK_EQ(files.Lock(file), 0);
  CHECK_EQ(files.Unlock(file), 0);
  CHECK_EQ(files.StartWriteback(file, 0, 1), 0);
  CHECK_EQ(files.List(TemporaryDirectory(), &names), 0);
  CHECK_EQ(names.size(), std::size_t{1});
  CHECK_EQ(files.Close(file), 0);
  CHECK_EQ(files.calls(), std::size_t{0});
}

TEST(a_new_file_on_an_old_inode_has_a_number_of_its_own) {
  RecordingFileSystem files;
  for (int i = 0; i < 10; ++i) {
    files.Close(files.OpenWrite(At("a"), WriteMode::kCreateNew));
    files.Unlink(At("a"));
  }
  const auto trace = files.trace();
  for (std::size_t i = 2; i < trace.size(); ++i) {
    CHECK_EQ(trace[i].file, trace[i - 2].file + 1);
  }
}

TEST(an_existing_file_keeps_its_number_when_opened_again) {
  RecordingFileSystem files;
  files.Close(files.OpenWrite(At("a"), WriteMode::kLock));
  files.Close(files.OpenWrite(At("a"), WriteMode::kLock));
  const auto trace = files.trace();
  CHECK_EQ(trace[0].file, trace[1].file);
}

TEST(failures_and_short_writes_are_recorded_as_they_came) {
  FaultyFileSystem faulty;
  faulty.LimitWrites(3);
  RecordingFileSystem files(faulty);
  const int file = files.OpenWrite(At("a"), WriteMode::kCreateNew);
  CHECK_EQ(files.WriteAt(file, "hello", 5, 0), 3);
  faulty.FailNth(Call::kWrite, 1, ENOSPC);
  CHECK_EQ(files.WriteAt(file, "lo", 2, 3), -ENOSPC);
  CHECK_EQ(files.Unlink(At("none")), -ENOENT);
  files.Close(file);
  const auto trace = files.trace();
  CHECK_EQ(AsText(trace[1].bytes), "hel");
  CHECK(trace[2].bytes.empty());
  CHECK_EQ(trace[2].result, -ENOSPC);
  CHECK_EQ(trace[3].file, std::uint64_t{0});
}

TEST(threads_may_write_at_once) {
  RecordingFileSystem files;
  const auto sink = Sink::Open(At("a"), WriteMode::kCreateNew, files);
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 100; ++i) sink->WriteAt(4 * i + t, AsBytes("x"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(files.calls(), std::size_t{401});
}

// How a child that makes every change ends; `plan` says where it is to die.
template <typename Plan>
int StatusOfChild(Plan plan) {
  const pid_t child = ::fork();
  if (child == 0) {
    RecordingFileSystem files;
    plan(files);
    ChangeEverything(files);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

std::string NamesLeft() {
  const std::string names = testing::Names(testing::TakeSnapshot(TemporaryDirectory()));
  for (const char* const name : {"a", "b", "c", "d"}) {
    FileSystem::Posix().Unlink(At(name));
    FileSystem::Posix().RemoveDirectory(At(name));
  }
  return names;
}

TEST(the_process_dies_right_before_or_after_the_nth_change) {
  TemporaryDirectory();
  const std::string after[] = {"a ", "a ", "a ", "a ", "a ", "b ", "b c ", "c ", "c d/ ", "c "};
  for (std::size_t n = 1; n <= kNumChanges; ++n) {
    const int before_status = StatusOfChild([n](auto& files) { files.KillBefore(n); });
    CHECK(WIFSIGNALED(before_status) && WTERMSIG(before_status) == SIGKILL);
    CHECK_EQ(NamesLeft(), n == 1 ? "" : after[n - 2]);
    const int after_status = StatusOfChild([n](auto& files) { files.KillAfter(n); });
    CHECK(WIFSIGNALED(after_status) && WTERMSIG(after_status) == SIGKILL);
    CHECK_EQ(NamesLeft(), after[n - 1]);
  }
  CHECK_EQ(StatusOfChild([](auto& files) { files.KillBefore(kNumChanges + 1); }), 0);
}

}  // namespace
}  // namespace fastckpt::io
