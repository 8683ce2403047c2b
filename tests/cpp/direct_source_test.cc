// Reading past the page cache. Where the file system has no direct mode the same must come out, so
// that only what looks at the mode itself is left out there.
#include "io/direct_source.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bundle/transfer.h"
#include "direct_files.h"
#include "faulty_file_system.h"
#include "harness.h"
#include "io/direct.h"
#include "table_writer.h"
#include "transfer_rooms.h"

namespace fastckpt::io {
namespace {

using testing::Call;
using testing::FaultyFileSystem;
using testing::HasDirectMode;
using testing::PatternBytes;
using testing::TemporaryDirectory;
using testing::WriteFile;

constexpr std::size_t kRequest = static_cast<std::size_t>(kDirectRequest);
constexpr std::size_t kBlock = static_cast<std::size_t>(kDirectAlignment);
// Three requests, and an end in the middle of a block.
constexpr std::size_t kSize = 3 * kRequest + 1234;

std::string TestFile(const std::string& content) {
  const std::string path = TemporaryDirectory() + "/file";
  WriteFile(path, content);
  return path;
}

std::string Read(const Source& source, std::uint64_t offset, std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  source.ReadAt(offset, bytes);
  return std::string(AsText(bytes));
}

// Everything around the places where requests, blocks and the file end.
void CheckEveryPlace(const Source& source, const std::string& content) {
  std::vector<std::size_t> places;
  for (const std::size_t edge : {std::size_t{0}, kBlock, kRequest, 2 * kRequest, kSize}) {
    for (const std::size_t place : {edge - 1, edge, edge + 1}) {
      if (place <= kSize) places.push_back(place);
    }
  }
  for (const std::size_t begin : places) {
    for (const std::size_t end : places) {
      if (begin > end) continue;
      CHECK(Read(source, begin, end - begin) == content.substr(begin, end - begin));
    }
  }
}

TEST(direct_reads_hide_blocks_and_requests) {
  const std::string content = PatternBytes(kSize, 1);
  CheckEveryPlace(*OpenSource(TestFile(content), Backend::kDirect), content);
}

TEST(direct_reads_leave_nothing_in_the_page_cache) {
  const std::string content = PatternBytes(kSize, 2);
  const std::string path = TestFile(content);
  if (!HasDirectMode(path)) return;
  testing::DropFromCache(path);
  const auto mapped = OpenSource(path, Backend::kAuto);
  CHECK(Read(*OpenSource(path, Backend::kDirect), 0, kSize) == content);
  CHECK(mapped->IsCold(0, kSize));
  CHECK(Read(*mapped->direct(), 0, kSize) == content);
  CHECK(mapped->IsCold(0, kSize));
  CHECK(Read(*mapped, 0, kSize) == content);
  CHECK(!mapped->IsCold(0, kSize));
}

TEST(direct_reads_at_once_from_many_threads) {
  const std::string content = PatternBytes(kSize, 3);
  const auto source = OpenSource(TestFile(content), Backend::kDirect);
  std::vector<std::string> read(8);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < read.size(); ++i) {
    threads.emplace_back([&, i] { read[i] = Read(*source, i * 1000, kSize - i * 2000); });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < read.size(); ++i) {
    CHECK(read[i] == content.substr(i * 1000, kSize - i * 2000));
  }
}

TEST(refused_direct_reads_go_through_the_page_cache) {
  const std::string content = PatternBytes(kSize, 4);
  const std::string path = TestFile(content);
  FaultyFileSystem refusing;
  refusing.RefuseDirect();
  CheckEveryPlace(*OpenSource(path, Backend::kDirect, refusing), content);
  for (int n = 1; n <= 4; ++n) {
    FaultyFileSystem files;
    files.FailNth(Call::kRead, n, EINVAL);
    CHECK(Read(*OpenSource(path, Backend::kDirect, files), 5, kSize - 5) == content.substr(5));
    CHECK(files.failed());
    CHECK_EQ(files.calls(Call::kSetDirect), 2);
  }
}

TEST(short_and_interrupted_direct_reads_go_on) {
  const std::string content = PatternBytes(kSize, 5);
  const std::string path = TestFile(content);
  for (const std::size_t step : {std::size_t{777}, kBlock, 3 * kBlock + 1}) {
    FaultyFileSystem files;
    files.LimitReads(step);
    files.InterruptOften();
    CHECK(Read(*OpenSource(path, Backend::kDirect, files), 3, kSize - 3) == content.substr(3));
  }
}

TEST(failing_direct_reads_are_io_errors) {
  const std::string path = TestFile(PatternBytes(kSize, 6));
  for (int n = 1; n <= 4; ++n) {
    FaultyFileSystem files;
    const auto source = OpenSource(path, Backend::kDirect, files);
    files.FailNth(Call::kRead, n, EIO);
    CHECK_ERROR(ErrorCode::kIo, Read(*source, 0, kSize));
  }
}

TEST(pages_nobody_can_tell_about_count_as_being_in_memory) {
  const std::string path = TestFile(PatternBytes(kSize, 7));
  FaultyFileSystem files;
  const auto mapped = OpenSource(path, Backend::kMapped, files);
  CHECK(!mapped->IsCold(0, kSize));
  files.FailNth(Call::kIsResident, 1, ENOSYS, 100);
  CHECK(!mapped->IsCold(0, kSize));
  files.MakeCold();
  files.FailNth(Call::kIsResident, 1, ENOSYS, 0);
  CHECK(mapped->IsCold(0, kSize));
  CHECK(mapped->IsCold(kSize - 1, 1));
}

}  // namespace
}  // namespace fastckpt::io

namespace fastckpt::bundle {
namespace {

using testing::BundleWriter;
using testing::Call;
using testing::CheckOnly;
using testing::FaultyFileSystem;
using testing::kMiB;
using testing::PatternBytes;
using testing::Rooms;
using testing::TransfersInto;
using testing::WaitForEnd;

std::string Prefix() {
  return testing::TemporaryDirectory() + "/model.ckpt-1";
}

// One tensor in pieces and many small ones, 21 MiB in all.
BundleWriter LargeAndSmall() {
  BundleWriter bundle;
  bundle.Add("large", 4, {static_cast<std::int64_t>(20 * kMiB)}, PatternBytes(20 * kMiB, 1));
  for (std::uint64_t i = 0; i < 1000; ++i) {
    bundle.Add("s" + std::to_string(i), 4, {1000}, PatternBytes(1000, i), 0, 64);
  }
  return bundle;
}

struct Counts {
  int reads = 0;
  int readaheads = 0;
};

// Copies, or checks, everything through a map; how often the system was asked for bytes.
Counts Transfer(const BundleWriter& bundle, bool cold, TransferOptions options, bool copies,
                io::Backend backend = io::Backend::kAuto) {
  FaultyFileSystem files;
  if (cold) files.MakeCold();
  const auto reader = Reader::Open(Prefix(), {backend, false}, files);
  const std::vector<std::uint32_t> ids = reader->StoredIds();
  Rooms rooms(*reader, ids);
  const int before = files.calls(Call::kRead);
  TransferJob job(reader, copies ? TransfersInto(rooms, ids) : CheckOnly(ids), options);
  WaitForEnd(job);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto& spec = bundle.entries.at(std::string(reader->name(ids[i])));
    const auto size = static_cast<std::size_t>(spec.size);
    const auto stored = bundle.shards.at(0).substr(static_cast<std::size_t>(spec.offset), size);
    CHECK(!copies || rooms.value(i, size) == stored);
    CHECK_EQ(reader->IsVerified(ids[i]), options.verify);
  }
  CHECK_EQ(job.bytes_read(), reader->stored_bytes());
  return {files.calls(Call::kRead) - before, files.calls(Call::kExpectReads)};
}

TEST(warm_maps_are_neither_read_nor_read_ahead) {
  const BundleWriter bundle = LargeAndSmall();
  bundle.Write(Prefix());
  const Counts counts = Transfer(bundle, false, {}, true);
  CHECK_EQ(counts.reads, 0);
  CHECK_EQ(counts.readaheads, 0);
}

TEST(cold_maps_are_read_past_the_cache_in_few_requests) {
  const BundleWriter bundle = LargeAndSmall();
  bundle.Write(Prefix());
  for (const int threads : {0, 1, 4}) {
    for (const bool copies : {true, false}) {
      const Counts counts = Transfer(bundle, true, {true, false, threads}, copies);
      // Pieces of 8 MiB take two each, the small ones together one or two.
      CHECK(counts.reads >= 6 && counts.reads <= 8);
      CHECK_EQ(counts.readaheads, 0);
    }
  }
}

TEST(cold_maps_are_read_ahead_when_their_bytes_are_to_stay) {
  const BundleWriter bundle = LargeAndSmall();
  bundle.Write(Prefix());
  const Counts counts = Transfer(bundle, true, {true, false, 2, false, true}, false);
  CHECK_EQ(counts.reads, 0);
  CHECK(counts.readaheads > 0);
  // Nobody who asks for a map wants the page cache left out.
  const Counts mapped = Transfer(bundle, true, {true, false, 2}, true, io::Backend::kMapped);
  CHECK_EQ(mapped.reads, 0);
  CHECK(mapped.readaheads > 0);
}

TEST(little_is_not_looked_at) {
  BundleWriter bundle;
  bundle.Add("little", 4, {1000}, PatternBytes(1000, 1));
  bundle.Write(Prefix());
  CHECK_EQ(Transfer(bundle, true, {}, true).reads, 0);
}

TEST(small_tensors_that_cannot_be_read_together_get_errors_of_their_own) {
  BundleWriter bundle = LargeAndSmall();
  bundle.Write(Prefix());
  FaultyFileSystem files;
  const auto reader = Reader::Open(Prefix(), {io::Backend::kDirect, false}, files);
  std::vector<std::uint32_t> ids = reader->StoredIds();
  std::erase_if(ids, [&](std::uint32_t id) { return reader->name(id) == "large"; });
  Rooms rooms(*reader, ids);
  files.FailNth(Call::kRead, 1, EIO, 3);
  TransferJob job(reader, TransfersInto(rooms, ids), {true, true, 0});
  WaitForEnd(job);
  const std::vector<TransferFailure> failures = job.TakeFailures();
  CHECK_EQ(failures.size(), 2u);
  CHECK_EQ(failures[0].id, ids[0]);
  CHECK_EQ(failures[1].id, ids[1]);
  CHECK(reader->IsVerified(ids[2]));
}

}  // namespace
}  // namespace fastckpt::bundle
