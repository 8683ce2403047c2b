// What the system is told of reads from a map: enough for large requests, and nothing that would
// make it read what nobody wants.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "bundle/reader.h"
#include "bundle/transfer.h"
#include "faulty_file_system.h"
#include "harness.h"
#include "io/source.h"
#include "table_writer.h"
#include "transfer_rooms.h"

namespace fastckpt::io {
namespace {

using testing::BundleWriter;
using testing::Call;
using testing::FaultyFileSystem;
using testing::kMiB;
using testing::PatternBytes;
using testing::TemporaryDirectory;
using testing::WriteFile;

struct Range {
  std::uint64_t begin;
  std::uint64_t end;
  bool operator==(const Range&) const = default;
};

// A cold map of a file that takes no room, and what the system was told of it.
struct ColdMap {
  explicit ColdMap(std::uint64_t size) {
    const std::string path = TemporaryDirectory() + "/file";
    WriteFile(path, "x");
    std::filesystem::resize_file(path, size);
    files.MakeCold();
    files.OnExpectReads([this](const std::uint8_t* address, std::uint64_t bytes) {
      const auto begin = static_cast<std::uint64_t>(address - source->data());
      told.push_back({begin, begin + bytes});
    });
    source = OpenSource(path, Backend::kMapped, files);
  }

  // Bytes that the system was told of, each counted once.
  std::uint64_t Covered() {
    std::ranges::sort(told, {}, &Range::begin);
    std::uint64_t covered = 0;
    std::uint64_t end = 0;
    for (const Range& range : told) {
      covered += range.end - std::min(range.end, std::max(range.begin, end));
      end = std::max(end, range.end);
    }
    return covered;
  }

  FaultyFileSystem files;
  std::vector<Range> told;
  std::shared_ptr<const Source> source;
};

TEST(medium_reads_here_and_there_are_kept_to_themselves) {
  ColdMap map(256 * kMiB);
  for (const std::uint64_t at : {0, 100, 50, 200, 150, 10, 250, 49}) {
    map.source->ExpectRead(at * kMiB, 2 * kMiB);
  }
  CHECK(map.told.empty());
  CHECK_EQ(map.files.calls(Call::kIsResident), 0);
}

TEST(of_large_reads_here_and_there_the_system_hears_no_more_than_they_are) {
  ColdMap map(256 * kMiB);
  map.source->ExpectRead(100 * kMiB + 64, 9 * kMiB);
  map.source->ExpectRead(50 * kMiB, 8 * kMiB);
  map.source->ExpectRead(200 * kMiB, 20 * kMiB);
  const std::vector<Range> expected = {
      {100 * kMiB + 64, 109 * kMiB + 64}, {50 * kMiB, 58 * kMiB}, {200 * kMiB, 220 * kMiB}};
  CHECK(map.told == expected);
}

TEST(sequences_are_told_of_a_little_ahead_and_seldom) {
  for (const std::uint64_t size : {kMiB / 8, kMiB, 2 * kMiB, 20 * kMiB}) {
    ColdMap map(256 * kMiB);
    const std::uint64_t first = 64 * kMiB;
    std::uint64_t end = first;
    for (int i = 0; i < 6; ++i) {
      map.source->ExpectRead(end + 64, size);
      end += 64 + size;
    }
    // From the second on, at the latest, everything is covered.
    CHECK(map.Covered() >= end - first - size - 64);
    CHECK(map.told.front().begin >= first && map.told.back().end <= end + 8 * kMiB);
    CHECK(map.told.size() <= (end - first) / (8 * kMiB) + 2);
  }
}

TEST(sequences_end_with_the_file) {
  ColdMap map(20 * kMiB + 5);
  map.source->ExpectRead(0, 10 * kMiB);
  map.source->ExpectRead(10 * kMiB, 10 * kMiB + 5);
  const std::vector<Range> expected = {{0, 10 * kMiB}, {10 * kMiB, 20 * kMiB + 5}};
  CHECK(map.told == expected);
}

TEST(maps_in_memory_are_looked_at_seldom_and_the_system_is_told_nothing) {
  ColdMap map(256 * kMiB);
  // Where the system does not say, maps count as being in memory.
  map.files.FailNth(Call::kIsResident, 1, ENOSYS, 1000);
  for (std::uint64_t at = 0; at < 200 * kMiB; at += kMiB / 8) {
    map.source->ExpectRead(at, kMiB / 8);
  }
  CHECK(map.told.empty());
  CHECK(map.files.calls(Call::kIsResident) <= 200 / 8 + 1);
}

TEST(the_ranges_of_a_huge_map_are_large) {
  ColdMap map(std::uint64_t{128} << 30);
  map.source->ExpectRead(kMiB * 1000, 15 * kMiB);
  CHECK(map.told.empty());
  map.source->ExpectRead(kMiB * 5000, 16 * kMiB);
  map.source->ExpectRead(kMiB * 6000, kMiB);
  map.source->ExpectRead(kMiB * 6001, kMiB);
  const std::vector<Range> expected = {{5000 * kMiB, 5016 * kMiB}, {6001 * kMiB, 6018 * kMiB}};
  CHECK(map.told == expected);
}

TEST(threads_announce_reads_at_once) {
  const std::string path = TemporaryDirectory() + "/file";
  WriteFile(path, "x");
  std::filesystem::resize_file(path, 256 * kMiB);
  const auto source = OpenSource(path, Backend::kMapped);
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 32; ++i) source->ExpectRead((t * 32 + i) * 2 * kMiB, 2 * kMiB);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(any_part_of_a_map_may_be_expected_to_be_read) {
  const std::string path = TemporaryDirectory() + "/file";
  WriteFile(path, PatternBytes(100000, 1));
  const auto source = OpenSource(path, Backend::kMapped);
  // Systems without large pages refuse all of them.
  const int result = FileSystem::Posix().ExpectReads(source->data(), 1);
  CHECK(result == 0 || result == -EINVAL);
  CHECK_EQ(FileSystem::Posix().ExpectReads(source->data() + 5, 99995), result);
  CHECK_EQ(FileSystem::Posix().ExpectReads(source->data() + 99999, 1), result);
}

// Sixteen tensors of 1 MiB, which are checked one after the other; what the system is told.
std::vector<std::uint64_t> ToldOfTensors(std::uint32_t step) {
  BundleWriter bundle;
  for (char c = 'a'; c < 'a' + 16; ++c) {
    bundle.Add(std::string(1, c), 4, {static_cast<std::int64_t>(kMiB)}, PatternBytes(kMiB, 1));
  }
  const std::string prefix = TemporaryDirectory() + "/model.ckpt-1";
  bundle.Write(prefix);
  FaultyFileSystem files;
  files.MakeCold();
  std::vector<std::uint64_t> sizes;
  files.OnExpectReads([&](const std::uint8_t*, std::uint64_t size) { sizes.push_back(size); });
  const auto reader = bundle::Reader::Open(prefix, {Backend::kMapped, false}, files);
  const std::vector<std::uint32_t> ids = reader->StoredIds();
  for (std::uint32_t i = 0; i < ids.size(); ++i) {
    reader->VerifyOnce(ids[i * step % ids.size()]);
    CHECK(reader->IsVerified(ids[i * step % ids.size()]));
  }
  return sizes;
}

TEST(tensors_that_are_checked_in_file_order_are_a_sequence) {
  const std::vector<std::uint64_t> in_order = ToldOfTensors(1);
  CHECK_EQ(in_order.size(), 2u);
  CHECK_EQ(in_order[0], 9 * kMiB);
  CHECK_EQ(ToldOfTensors(7).size(), 0u);
}

}  // namespace
}  // namespace fastckpt::io
