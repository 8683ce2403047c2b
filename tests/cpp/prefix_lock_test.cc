#include "commit/prefix_lock.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "commit/transaction.h"
#include "faulty_file_system.h"
#include "harness.h"
#include "saved_checkpoint.h"

namespace fastckpt::commit {
namespace {

using testing::Begin;
using testing::Call;
using testing::CheckSaved;
using testing::Contains;
using testing::FaultyFileSystem;
using testing::Fill;
using testing::MessageOf;
using testing::NamesThere;
using testing::Prefix;
using testing::Save;
using testing::TakeSnapshot;
using testing::TemporaryDirectory;

TEST(a_second_writer_is_told_that_the_prefix_is_busy) {
  const auto first = Begin();
  Fill(first.get(), {.seed = 1});
  const auto before = TakeSnapshot(TemporaryDirectory());
  CHECK(Contains(MessageOf(ErrorCode::kBusy, [] { Begin(); }), Prefix()));
  CHECK(TakeSnapshot(TemporaryDirectory()) == before);
  const auto other = Transaction::Begin(Prefix() + "2", {});
  first->Commit();
  CheckSaved(Prefix(), {.seed = 1});
  Begin();
}

TEST(the_prefix_is_busy_until_the_old_data_is_gone) {
  Save(Prefix(), {.seed = 1});
  FaultyFileSystem files;
  files.SkipSyncs();
  // The first unlinks that fail are those after the commit.
  int busy = 0;
  auto first = Transaction::Begin(Prefix(), {}, files);
  Fill(first.get(), {.seed = 2});
  files.OnFault([&busy] {
    try {
      Begin();
    } catch (const Error& error) {
      busy += error.code() == ErrorCode::kBusy ? 1 : 0;
    }
  });
  files.FailNth(Call::kUnlink, 1, EIO, 1000);
  first->Commit();
  CHECK(busy >= 3);
  CheckSaved(Prefix(), {.seed = 2});
}

TEST(a_file_system_without_locks_lets_everybody_write) {
  for (const int number : {ENOLCK, ENOTSUP, EOPNOTSUPP, ENOSYS, EINVAL}) {
    FaultyFileSystem files;
    files.FailNth(Call::kLock, 1, number);
    Save(Prefix(), {.seed = 1}, files);
    CheckSaved(Prefix(), {.seed = 1});
  }
}

TEST(the_lock_dies_with_its_process) {
  int ready[2];
  int leave[2];
  CHECK(::pipe(ready) == 0 && ::pipe(leave) == 0);
  TemporaryDirectory();
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(leave[1]);  // Or a parent that fails would never be noticed.
    auto transaction = Begin();
    Fill(transaction.get(), {.seed = 1});
    char byte = 'r';
    const bool told = ::write(ready[1], &byte, 1) == 1 && ::read(leave[0], &byte, 1) == 1;
    ::_exit(told ? 0 : 1);
  }
  char byte = 'l';
  CHECK_EQ(::read(ready[0], &byte, 1), 1);
  CHECK_ERROR(ErrorCode::kBusy, Begin());
  CHECK_EQ(::write(leave[1], &byte, 1), 1);
  int status = 1;
  ::waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
  for (const int descriptor : {ready[0], ready[1], leave[0], leave[1]}) ::close(descriptor);
  CHECK(Contains(NamesThere(), "ck.data-00000.tmp"));
  Save(Prefix(), {.seed = 2});
  CheckSaved(Prefix(), {.seed = 2});
  CHECK_EQ(NamesThere(), "ck.data-00000-of-00001 ck.index ck.meta ");
}

TEST(a_forked_child_neither_removes_nor_commits_nor_unlocks) {
  auto transaction = Begin();
  Fill(transaction.get(), {.seed = 1});
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 1;
    try {
      transaction->Commit();
    } catch (const Error& error) {
      code = error.code() == ErrorCode::kInvalidArgument ? 0 : 2;
    }
    transaction.reset();
    ::_exit(code);
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
  CHECK_ERROR(ErrorCode::kBusy, Begin());
  transaction->Commit();
  CheckSaved(Prefix(), {.seed = 1});
}

TEST(a_forked_child_does_not_keep_the_prefix_busy) {
  int leave[2];
  CHECK(::pipe(leave) == 0);
  // The lock file itself stays, so that the child's descriptor is still that of the next lock.
  FaultyFileSystem files;
  files.FailNth(Call::kUnlink, 1, EPERM, 1000);
  auto transaction = Transaction::Begin(Prefix(), {}, files);
  Fill(transaction.get(), {.seed = 1});
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(leave[1]);  // Or a parent that fails would never be noticed.
    char byte = 0;
    ::_exit(::read(leave[0], &byte, 1) == 1 ? 0 : 1);
  }
  transaction->Commit();
  Save(Prefix(), {.seed = 2});
  const char byte = 'l';
  CHECK_EQ(::write(leave[1], &byte, 1), 1);
  int status = 1;
  ::waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
  for (const int descriptor : leave) ::close(descriptor);
}

// Each save is complete or busy; a reader opens whole checkpoints all the while.
TEST(many_writers_of_one_prefix_never_make_a_mix) {
  constexpr std::uint64_t kWriters = 4;
  Save(Prefix(), {.seed = 99, .sync = false, .has_companion = false});
  std::atomic<int> saved{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> writers;
  for (std::uint64_t seed = 0; seed < kWriters; ++seed) {
    writers.emplace_back([&, seed] {
      for (int i = 0; i < 50; ++i) {
        try {
          Save(Prefix(), {.seed = seed, .sync = false, .has_companion = false});
          ++saved;
        } catch (const Error& error) {
          wrong += error.code() == ErrorCode::kBusy ? 0 : 1;
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  CHECK_EQ(wrong.load(), 0);
  CHECK(saved > 0);
  int matches = 0;
  for (std::uint64_t seed = 0; seed < kWriters; ++seed) {
    try {
      CheckSaved(Prefix(), {.seed = seed, .has_companion = false});
      ++matches;
    } catch (const testing::Failure&) {
      continue;  // Another writer's.
    } catch (const Error&) {
      continue;  // Checksums, as a mix would show them; no writer then matches.
    }
  }
  CHECK_EQ(matches, 1);
}

}  // namespace
}  // namespace fastckpt::commit
