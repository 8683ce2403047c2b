#include "io/sink.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "faulty_file_system.h"
#include "harness.h"
#include "table_writer.h"

namespace fastckpt::io {
namespace {

using testing::Call;
using testing::FaultyFileSystem;
using testing::PatternBytes;
using testing::ReadFile;
using testing::WriteFile;

std::string Path() {
  return testing::TemporaryDirectory() + "/file";
}

// What is thrown; fails when nothing is.
template <typename Action>
Error Caught(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  testing::Fail(__FILE__, __LINE__, "no error");
}

TEST(bytes_land_where_they_are_put) {
  const auto sink = Sink::Open(Path(), WriteMode::kCreateNew, FileSystem::Posix());
  sink->WriteAt(4, AsBytes("efgh"));
  sink->WriteAt(0, AsBytes("abcd"));
  sink->WriteAt(10, AsBytes("kl"));
  sink->WriteAt(3, {});
  sink->StartWriteback(0, 12);
  sink->Sync();
  CHECK_EQ(ReadFile(Path()), std::string("abcdefgh\0\0kl", 12));
  sink->Truncate(2);
  sink->Close();
  sink->Close();
  CHECK_EQ(ReadFile(Path()), "ab");
}

TEST(create_new_refuses_what_exists_and_lock_keeps_it) {
  WriteFile(Path(), "content");
  const Error error =
      Caught([] { Sink::Open(Path(), WriteMode::kCreateNew, FileSystem::Posix()); });
  CHECK(error.code() == ErrorCode::kIo);
  CHECK_EQ(error.system_error(), EEXIST);
  CHECK_EQ(error.path(), Path());
  Sink::Open(Path(), WriteMode::kLock, FileSystem::Posix());
  CHECK_EQ(ReadFile(Path()), "content");
}

TEST(a_lock_is_never_taken_through_a_symbolic_link) {
  WriteFile(Path(), "content");
  std::filesystem::create_symlink(Path(), Path() + ".link");
  const Error error =
      Caught([] { Sink::Open(Path() + ".link", WriteMode::kLock, FileSystem::Posix()); });
  CHECK_EQ(error.system_error(), ELOOP);
}

TEST(permissions_are_what_the_umask_leaves) {
  const mode_t old = ::umask(027);
  Sink::Open(Path(), WriteMode::kCreateNew, FileSystem::Posix());
  ::umask(old);
  CHECK(std::filesystem::status(Path()).permissions() == std::filesystem::perms{0640});
}

TEST(disjoint_ranges_may_be_written_at_once) {
  const std::string content = PatternBytes(400000, 1);
  const auto sink = Sink::Open(Path(), WriteMode::kCreateNew, FileSystem::Posix());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (std::size_t at = i * 1000; at < content.size(); at += 4000) {
        sink->WriteAt(at, AsBytes(content).subspan(at, 1000));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  sink->Close();
  CHECK(ReadFile(Path()) == content);
}

TEST(short_and_interrupted_writes_go_on) {
  const std::string content = PatternBytes(5000, 2);
  FaultyFileSystem files;
  files.LimitWrites(7);
  files.InterruptOften();
  const auto sink = Sink::Open(Path(), WriteMode::kCreateNew, files);
  sink->WriteAt(0, AsBytes(content));
  sink->Truncate(content.size());
  sink->Sync();
  sink->Close();
  CHECK(ReadFile(Path()) == content);
  CHECK(files.calls(Call::kWrite) > 1000);
}

TEST(a_write_of_no_bytes_is_an_error_and_no_endless_loop) {
  FaultyFileSystem files;
  files.LimitWrites(0);
  const auto sink = Sink::Open(Path(), WriteMode::kCreateNew, files);
  CHECK_EQ(Caught([&] { sink->WriteAt(0, AsBytes("x")); }).system_error(), EIO);
}

TEST(a_refused_write_says_where_and_what_to_do) {
  FaultyFileSystem files;
  files.LimitWrites(100);
  files.FailNth(Call::kWrite, 3, ENOSPC);
  const auto sink = Sink::Open(Path(), WriteMode::kCreateNew, files);
  const std::string content(1000, 'x');
  const Error error = Caught([&] { sink->WriteAt(50, AsBytes(content)); });
  CHECK(error.code() == ErrorCode::kIo);
  CHECK_EQ(error.system_error(), ENOSPC);
  CHECK_EQ(error.path(), Path());
  CHECK_EQ(error.offset().value_or(0), std::uint64_t{250});
  CHECK(error.message().find("free some space") != std::string::npos);
}

TEST(the_other_refusals_are_io_errors_too) {
  for (const Call call : {Call::kOpenWrite, Call::kTruncate, Call::kSync, Call::kClose}) {
    std::filesystem::remove(Path());
    FaultyFileSystem files;
    files.FailNth(call, 1, EDQUOT);
    const Error error = Caught([&] {
      const auto sink = Sink::Open(Path(), WriteMode::kCreateNew, files);
      sink->Truncate(10);
      sink->Sync();
      sink->Close();
    });
    CHECK(error.code() == ErrorCode::kIo);
    CHECK_EQ(error.system_error(), EDQUOT);
    CHECK_EQ(error.path(), Path());
    CHECK_EQ(files.open_files(), 0);
  }
}

TEST(a_clean_sink_is_not_synced_again) {
  FaultyFileSystem files;
  const auto sink = Sink::Open(Path(), WriteMode::kCreateNew, files);
  sink->Sync();
  sink->Sync();
  CHECK_EQ(files.calls(Call::kSync), 1);
  sink->WriteAt(0, AsBytes("x"));
  sink->Sync();
  sink->Truncate(0);
  sink->Sync();
  sink->Sync();
  CHECK_EQ(files.calls(Call::kSync), 3);
}

TEST(a_failed_sync_leaves_the_sink_dirty) {
  FaultyFileSystem files;
  const auto sink = Sink::Open(Path(), WriteMode::kCreateNew, files);
  files.FailNth(Call::kSync, 1, EIO);
  CHECK_ERROR(ErrorCode::kIo, sink->Sync());
  sink->Sync();
  CHECK_EQ(files.calls(Call::kSync), 2);
}

TEST(failing_writeback_and_interrupted_close_are_no_errors) {
  FaultyFileSystem files;
  const auto sink = Sink::Open(Path(), WriteMode::kCreateNew, files);
  files.FailNth(Call::kStartWriteback, 1, EIO);
  sink->StartWriteback(0, 10);
  CHECK(files.failed());
  files.FailNth(Call::kClose, 1, EINTR);
  sink->Close();
  CHECK(files.failed());
}

TEST(a_dropped_sink_closes_its_file) {
  FaultyFileSystem files;
  Sink::Open(Path(), WriteMode::kCreateNew, files)->WriteAt(0, AsBytes("x"));
  CHECK_EQ(files.calls(Call::kClose), 1);
  CHECK_EQ(files.open_files(), 0);
}

}  // namespace
}  // namespace fastckpt::io
