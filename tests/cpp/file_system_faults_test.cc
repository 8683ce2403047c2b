// Every read path, with each of its calls to the system failing once.
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bundle/load_plan.h"
#include "bundle/reader.h"
#include "bundle/transfer.h"
#include "faulty_file_system.h"
#include "harness.h"
#include "table_writer.h"

namespace fastckpt::bundle {
namespace {

using testing::BundleWriter;
using testing::Call;
using testing::FaultyFileSystem;
using testing::PatternBytes;
using testing::TemporaryDirectory;

std::string Prefix() {
  return TemporaryDirectory() + "/model.ckpt-1";
}

void WriteSample() {
  BundleWriter bundle;
  bundle.header.num_shards = 3;
  for (int i = 0; i < 9; ++i) {
    const std::size_t size = i == 4 ? 600000 : 700;
    bundle.Add(std::string("t").append(std::to_string(i)), 4, {static_cast<std::int64_t>(size)},
               PatternBytes(size, static_cast<std::uint64_t>(i)), i % 3, 64);
  }
  bundle.Add("strings", 7, {2}, testing::StoreStrings({"ab", "c"}), 1);
  bundle.Write(Prefix(), {100, 4, false});
}

// All that a caller can do with a checkpoint; everything read, in one string.
std::string ReadEverything(FaultyFileSystem& files, io::Backend backend, int num_threads) {
  const auto reader = Reader::Open(Prefix(), {backend, false}, files);
  std::string all;
  for (std::uint32_t id = 0; id < reader->index().entries().size(); ++id) {
    reader->Verify(id);
    const StoredBytes stored = reader->Fetch(id);
    all.append(reader->name(id)).append(AsText(stored.bytes));
  }
  const LoadPlan plan(*reader, reader->StoredIds());
  TransferJob job(reader, plan.transfers, {true, false, num_threads});
  while (!job.WaitFor(std::chrono::milliseconds(50))) {
  }
  for (const Transfer& transfer : plan.transfers) {
    if (transfer.destination == nullptr) continue;
    const auto size = static_cast<std::size_t>(reader->entry(transfer.id).size);
    all.append(AsText(ByteView(transfer.destination, size)));
  }
  for (const Error& finding : reader->CheckFiles()) throw finding;
  return all;
}

std::string Expected() {
  FaultyFileSystem files;
  return ReadEverything(files, io::Backend::kMapped, 1);
}

bool LeftOpen(const FaultyFileSystem& files) {
  return files.open_files() != 0 || files.live_maps() != 0 || files.mapped_bytes() != 0;
}

// How often a fault surfaced as an error, over n = 1, 2, … until the n-th call is never made.
// Whatever happens, nothing stays open; without an error the result is right.
int CountErrors(io::Backend backend, Call call, int error_number, ErrorCode code) {
  const std::string expected = Expected();
  int errors = 0;
  for (int n = 1;; ++n) {
    FaultyFileSystem files;
    files.FailNth(call, n, error_number);
    try {
      CHECK(ReadEverything(files, backend, n % 3) == expected);
    } catch (const Error& error) {
      ++errors;
      CHECK(files.failed());
      CHECK(error.code() == code);
      CHECK_EQ(error.system_error(), error_number);
      CHECK(error.path().starts_with(Prefix() + "."));
      CHECK(!error.message().empty());
    }
    CHECK(!LeftOpen(files));
    if (!files.failed()) return errors;
  }
}

constexpr io::Backend kBackends[] = {io::Backend::kMapped, io::Backend::kPositional,
                                     io::Backend::kDirect, io::Backend::kAuto};
constexpr int kFiles = 4;  // the index and three shards

TEST(every_failing_open_is_an_error_of_its_kind) {
  WriteSample();
  for (const io::Backend backend : kBackends) {
    CHECK_EQ(CountErrors(backend, Call::kOpen, EACCES, ErrorCode::kIo), kFiles);
    CHECK_EQ(CountErrors(backend, Call::kOpen, EMFILE, ErrorCode::kIo), kFiles);
    CHECK_EQ(CountErrors(backend, Call::kOpen, ENOENT, ErrorCode::kNotFound), kFiles);
    CHECK_EQ(CountErrors(backend, Call::kOpen, ENOTDIR, ErrorCode::kNotFound), kFiles);
  }
}

TEST(every_failing_stat_is_an_io_error) {
  WriteSample();
  for (const io::Backend backend : kBackends) {
    CHECK(CountErrors(backend, Call::kStat, EIO, ErrorCode::kIo) >= kFiles);
  }
}

TEST(every_failing_read_is_an_io_error) {
  WriteSample();
  // Footer, index block and data blocks at least.
  CHECK(CountErrors(io::Backend::kMapped, Call::kRead, EIO, ErrorCode::kIo) > 4);
  // And each tensor, three times over.
  CHECK(CountErrors(io::Backend::kPositional, Call::kRead, EIO, ErrorCode::kIo) > 30);
  CHECK(CountErrors(io::Backend::kPositional, Call::kRead, ESTALE, ErrorCode::kIo) > 30);
  CHECK(CountErrors(io::Backend::kDirect, Call::kRead, EIO, ErrorCode::kIo) > 20);
}

TEST(a_failing_map_is_an_error_only_where_a_map_was_asked_for) {
  WriteSample();
  for (const int number : {ENODEV, ENOMEM}) {
    CHECK_EQ(CountErrors(io::Backend::kMapped, Call::kMap, number, ErrorCode::kIo), kFiles - 1);
    CHECK_EQ(CountErrors(io::Backend::kAuto, Call::kMap, number, ErrorCode::kIo), 0);
    CHECK_EQ(CountErrors(io::Backend::kPositional, Call::kMap, number, ErrorCode::kIo), 0);
  }
}

TEST(failing_close_unmap_and_kind_of_file_system_are_no_errors) {
  WriteSample();
  for (const io::Backend backend : kBackends) {
    CHECK_EQ(CountErrors(backend, Call::kClose, EIO, ErrorCode::kIo), 0);
    CHECK_EQ(CountErrors(backend, Call::kClose, EINTR, ErrorCode::kIo), 0);
    CHECK_EQ(CountErrors(backend, Call::kUnmap, EINVAL, ErrorCode::kIo), 0);
    CHECK_EQ(CountErrors(backend, Call::kIsRemote, EIO, ErrorCode::kIo), 0);
    CHECK_EQ(CountErrors(backend, Call::kSetDirect, EINVAL, ErrorCode::kIo), 0);
  }
}

TEST(interrupted_calls_are_made_again) {
  WriteSample();
  for (const io::Backend backend : kBackends) {
    CHECK_EQ(CountErrors(backend, Call::kOpen, EINTR, ErrorCode::kIo), 0);
    CHECK_EQ(CountErrors(backend, Call::kRead, EINTR, ErrorCode::kIo), 0);
    FaultyFileSystem files;
    files.InterruptOften();
    CHECK(ReadEverything(files, backend, 2) == Expected());
    CHECK(!LeftOpen(files));
  }
}

TEST(short_reads_are_continued) {
  WriteSample();
  for (const std::size_t size : {7u, 4096u}) {
    for (const io::Backend backend : kBackends) {
      FaultyFileSystem files;
      files.LimitReads(size);
      files.InterruptOften();
      CHECK(ReadEverything(files, backend, 2) == Expected());
      CHECK(!LeftOpen(files));
    }
  }
}

TEST(too_many_open_files_says_what_to_do) {
  WriteSample();
  FaultyFileSystem files;
  files.FailNth(Call::kOpen, 1, EMFILE);
  try {
    Reader::Open(Prefix(), {}, files);
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.message().find("ulimit") != std::string::npos);
  }
}

}  // namespace
}  // namespace fastckpt::bundle
