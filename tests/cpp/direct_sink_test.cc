// Writing past the page cache: the same files as through it, whatever the file system takes.
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bundle/reader.h"
#include "bundle/writer.h"
#include "direct_files.h"
#include "faulty_file_system.h"
#include "harness.h"
#include "io/arena.h"
#include "io/direct.h"
#include "io/sink.h"
#include "io/source.h"
#include "saved_checkpoint.h"
#include "table_writer.h"
#include "tensor/input_list.h"

namespace fastckpt::io {
namespace {

using testing::Call;
using testing::FaultyFileSystem;
using testing::PatternBytes;
using testing::ReadFile;

constexpr std::size_t kBlock = static_cast<std::size_t>(kDirectAlignment);

std::string Path() {
  return testing::TemporaryDirectory() + "/file";
}

// Two aligned writes and an end, as the writer of bundles does it.
void Write(const std::string& content, FileSystem& files) {
  std::filesystem::remove(Path());
  const auto sink = Sink::Open(Path(), WriteMode::kCreateNew, files);
  sink->UseDirect();
  const auto arena = Arena::Allocate(2 * kBlock);
  std::size_t done = 0;
  if (content.size() >= 2 * kBlock) {
    sink->Reserve(2 * kBlock);
    std::copy_n(content.begin(), 2 * kBlock, arena->bytes().begin());
    for (; done < 2 * kBlock; done += kBlock)
      sink->WriteAt(done, arena->bytes().subspan(done, kBlock));
  }
  sink->WriteLast(done, AsBytes(content).subspan(done));
  sink->Sync();
  sink->Close();
}

TEST(direct_files_have_their_true_size) {
  for (const std::size_t base : {std::size_t{0}, kBlock, 2 * kBlock, 3 * kBlock}) {
    for (const std::size_t size : {base, base + 1, base + 511, base + 512, base + kBlock - 1}) {
      const std::string content = PatternBytes(size, size);
      Write(content, FileSystem::Posix());
      CHECK(ReadFile(Path()) == content);
    }
  }
}

TEST(direct_writes_leave_nothing_in_the_page_cache) {
  const std::string content = PatternBytes(100 * kBlock, 1);
  const auto arena = Arena::Allocate(content.size());
  std::copy(content.begin(), content.end(), arena->bytes().begin());
  const auto sink = Sink::Open(Path(), WriteMode::kCreateNew, FileSystem::Posix());
  sink->UseDirect();
  sink->WriteAt(0, arena->bytes());
  if (!testing::HasDirectMode(Path())) return;
  CHECK(OpenSource(Path(), Backend::kMapped)->IsCold(0, content.size()));
  CHECK(ReadFile(Path()) == content);
}

TEST(what_the_direct_mode_refuses_is_written_all_the_same) {
  const std::string content = PatternBytes(2 * kBlock + 100, 2);
  FaultyFileSystem refusing;
  refusing.RefuseDirect();
  Write(content, refusing);
  CHECK(ReadFile(Path()) == content);
  CHECK_EQ(refusing.calls(Call::kReserve), 0);
  for (int n = 1; n <= 3; ++n) {
    FaultyFileSystem files;
    files.FailNth(Call::kWrite, n, EINVAL);
    Write(content, files);
    CHECK(files.failed());
    CHECK(ReadFile(Path()) == content);
  }
  FaultyFileSystem unreserving;
  unreserving.FailNth(Call::kReserve, 1, EOPNOTSUPP);
  Write(content, unreserving);
  CHECK(ReadFile(Path()) == content);
}

TEST(unaligned_and_short_direct_writes_go_on) {
  const std::string content = PatternBytes(2 * kBlock + 100, 3);
  const auto sink = Sink::Open(Path(), WriteMode::kCreateNew, FileSystem::Posix());
  sink->UseDirect();
  sink->WriteAt(3, AsBytes(content));
  CHECK(ReadFile(Path()).substr(3) == content);
  FaultyFileSystem files;
  files.LimitWrites(700);
  files.InterruptOften();
  Write(content, files);
  CHECK(ReadFile(Path()) == content);
}

TEST(a_full_device_is_told_before_anything_is_written) {
  FaultyFileSystem files;
  files.FailNth(Call::kReserve, 1, ENOSPC);
  CHECK_ERROR(ErrorCode::kIo, Write(PatternBytes(3 * kBlock, 4), files));
  CHECK_EQ(files.calls(Call::kWrite), 0);
}

TEST(an_einval_that_the_page_cache_has_too_is_an_error) {
  FaultyFileSystem files;
  files.FailNth(Call::kWrite, 1, EINVAL, 2);
  CHECK_ERROR(ErrorCode::kIo, Write("x", files));
}

}  // namespace
}  // namespace fastckpt::io

namespace fastckpt::bundle {
namespace {

using testing::Call;
using testing::FaultyFileSystem;
using testing::PatternBytes;
using testing::TemporaryDirectory;

template <typename JobLike>
void Wait(JobLike& job) {
  while (!job.WaitFor(std::chrono::milliseconds(50))) {
  }
}

// Tensors of these sizes, in batches of three.
void Save(const std::string& prefix, const std::vector<std::size_t>& sizes,
          const WriterOptions& options, io::FileSystem& files = io::FileSystem::Posix(),
          bool frozen = false) {
  auto writer = Writer::Create(prefix, options, files);
  for (std::size_t first = 0; first < sizes.size(); first += 3) {
    tensor::InputList inputs;
    std::vector<std::string> names;
    std::vector<std::string> values;
    for (std::size_t i = first; i < std::min(first + 3, sizes.size()); ++i) {
      names.push_back("t" + std::to_string(i));
      values.push_back(PatternBytes(sizes[i], i));
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto count = static_cast<std::int64_t>(values[i].size());
      inputs.AddPlain(names[i], 4, 1, &count, nullptr, values[i].data(), false);
      if (frozen) inputs.SetFrozen();
    }
    Wait(writer->Add(inputs.inputs()));
  }
  Wait(writer->Finish());
  writer->Commit();
}

WriterOptions Direct(int num_threads, std::int32_t num_shards) {
  WriterOptions options;
  options.num_shards = num_shards;
  options.block_crcs = true;
  options.num_threads = num_threads;
  return options;
}

constexpr std::size_t kChunk = static_cast<std::size_t>(kDirectChunkSize);
const std::vector<std::vector<std::size_t>> kSizes = {
    {},
    {0},
    {1},
    {4096},
    {kChunk},
    {kChunk - 1, 1, 1, kChunk - 1},
    {kChunk + 1, 17, 3 * kChunk + 5},
    {100, 200, 300, 9 * kChunk + 1234, 5, 0, 8192, kChunk},
};

TEST(direct_checkpoints_equal_buffered_ones_byte_for_byte) {
  const std::string root = TemporaryDirectory();
  for (const std::vector<std::size_t>& sizes : kSizes) {
    for (const int num_threads : {1, 2, 3, 4}) {
      const std::int32_t num_shards = num_threads % 3;
      WriterOptions options = Direct(num_threads, std::max(1, num_shards));
      std::filesystem::remove_all(root + "/a");
      std::filesystem::remove_all(root + "/b");
      Save(root + "/a/ckpt", sizes, options);
      options.direct = true;
      Save(root + "/b/ckpt", sizes, options);
      CHECK(testing::TakeSnapshot(root + "/a") == testing::TakeSnapshot(root + "/b"));
    }
  }
}

TEST(frozen_tensors_are_stored_like_all_others) {
  const std::string root = TemporaryDirectory();
  for (const std::vector<std::size_t>& sizes : kSizes) {
    for (const bool direct : {false, true}) {
      WriterOptions options = Direct(2, 1);
      std::filesystem::remove_all(root + "/a");
      std::filesystem::remove_all(root + "/b");
      Save(root + "/a/ckpt", sizes, options);
      options.direct = direct;
      Save(root + "/b/ckpt", sizes, options, io::FileSystem::Posix(), true);
      CHECK(testing::TakeSnapshot(root + "/a") == testing::TakeSnapshot(root + "/b"));
    }
  }
}

// Chunks of frozen memory go to the system from where they lie, others do not: a change while the
// bytes are under way is seen in the file in the one case, and never makes a wrong checksum in the
// other.
TEST(only_frozen_memory_is_written_in_place) {
  for (const bool frozen : {false, true}) {
    std::string value(3 * kChunk, 'a');
    FaultyFileSystem files;
    // Runs after the checksums of the first chunk are taken.
    files.FailNth(Call::kWrite, 1, EINTR);
    files.OnFault([&] { std::fill(value.begin(), value.end(), 'b'); });
    WriterOptions options = Direct(1, 1);
    options.sync = false;
    const std::string prefix = TemporaryDirectory() + (frozen ? "/frozen" : "/assembled");
    auto writer = Writer::Create(prefix, options, files);
    tensor::InputList inputs;
    const auto count = static_cast<std::int64_t>(value.size());
    inputs.AddPlain("t", 4, 1, &count, nullptr, value.data(), false);
    if (frozen) inputs.SetFrozen();
    Wait(writer->Add(inputs.inputs()));
    Wait(writer->Finish());
    writer->Commit();
    CHECK(files.failed());
    const auto reader = Reader::Open(prefix, {});
    if (frozen) {
      CHECK_ERROR(ErrorCode::kDataLoss, reader->Verify(0));
    } else {
      reader->Verify(0);
      const StoredBytes stored = reader->Fetch(0);
      CHECK(stored.bytes.front() == 'a' && stored.bytes.back() == 'b');
    }
  }
}

// For n = 1, 2, … until the n-th call is never made: an error and nothing left, or the whole.
void FailEach(Call call, int error_number) {
  const std::string root = TemporaryDirectory();
  const std::vector<std::size_t> sizes = {3 * kChunk + 5, 100, kChunk, 7};
  WriterOptions options = Direct(2, 2);
  std::filesystem::remove_all(root + "/a");
  Save(root + "/a/ckpt", sizes, options);
  options.direct = true;
  for (int n = 1;; ++n) {
    std::filesystem::remove_all(root + "/b");
    std::filesystem::create_directory(root + "/b");
    FaultyFileSystem files;
    files.FailNth(call, n, error_number);
    try {
      Save(root + "/b/ckpt", sizes, options, files);
      CHECK(testing::TakeSnapshot(root + "/a") == testing::TakeSnapshot(root + "/b"));
    } catch (const Error& error) {
      CHECK_EQ(error.system_error(), error_number);
      CHECK(testing::TakeSnapshot(root + "/b").empty());
    }
    CHECK_EQ(files.open_files(), 0);
    if (!files.failed()) return;
  }
}

TEST(every_failing_call_of_a_direct_save_is_an_error_or_of_no_matter) {
  for (const Call call : {Call::kWrite, Call::kTruncate, Call::kReserve, Call::kSetDirect}) {
    FailEach(call, ENOSPC);
  }
  for (const Call call : {Call::kWrite, Call::kReserve, Call::kSetDirect}) FailEach(call, EINVAL);
}

}  // namespace
}  // namespace fastckpt::bundle
