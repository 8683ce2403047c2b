// Transfers that fail, are cut short, cancelled or abandoned.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <latch>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "bundle/transfer.h"
#include "commit/names.h"
#include "faulty_file_system.h"
#include "harness.h"
#include "table_writer.h"
#include "transfer_rooms.h"

namespace fastckpt::bundle {
namespace {

using commit::DataFileName;
using std::chrono::milliseconds;
using testing::BundleWriter;
using testing::CheckOnly;
using testing::EntrySpec;
using testing::FaultyFileSystem;
using testing::kMiB;
using testing::PatternBytes;
using testing::Rooms;
using testing::SizesAroundThePiece;
using testing::TemporaryDirectory;
using testing::TransfersInto;
using testing::WaitForEnd;

constexpr io::Backend kBackends[] = {io::Backend::kMapped, io::Backend::kPositional};

std::string Prefix() {
  return TemporaryDirectory() + "/model.ckpt-1";
}
std::string Shard() {
  return DataFileName(Prefix(), 0, 1);
}

TEST(entries_that_cannot_be_read_fail_one_by_one) {
  BundleWriter bundle;
  bundle.header.num_shards = 2;
  bundle.Add("good", 4, {3}, "abc");
  bundle.Add("malformed", 4, {3}, "abc").size = 2;
  bundle.Add("missing", 4, {3}, "abc", 1);
  bundle.AddSlice("sliced", 4, {4}, {{0, 4}}, "abcd");
  // A size that no file backs must not be planned for, piece by piece.
  EntrySpec& huge = bundle.Add("huge", 4, {std::int64_t{1} << 62}, "");
  huge.size = std::int64_t{1} << 62;
  EntrySpec& strings = bundle.Add("strings", 7, {1}, "");
  strings.size = std::int64_t{1} << 62;
  bundle.Write(Prefix());
  std::filesystem::remove(DataFileName(Prefix(), 1, 2));
  const auto reader = Reader::Open(Prefix(), {});
  std::vector<std::uint32_t> ids(reader->index().entries().size());
  std::iota(ids.begin(), ids.end(), 0u);
  for (const int threads : {0, 1, 3}) {
    TransferJob job(reader, CheckOnly(ids), {true, true, threads});
    WaitForEnd(job);
    std::vector<std::pair<std::string, ErrorCode>> failures;
    for (const TransferFailure& failure : job.TakeFailures()) {
      failures.emplace_back(reader->name(failure.id), failure.error.code());
    }
    CHECK((failures ==
           std::vector<std::pair<std::string, ErrorCode>>{{"huge", ErrorCode::kDataLoss},
                                                          {"malformed", ErrorCode::kDataLoss},
                                                          {"missing", ErrorCode::kNotFound},
                                                          {"sliced", ErrorCode::kUnsupported},
                                                          {"strings", ErrorCode::kDataLoss}}));
  }
}

TEST(no_transfers_are_done_at_once) {
  BundleWriter().Write(Prefix());
  for (const int threads : {0, 1, 4}) {
    TransferJob job(Reader::Open(Prefix(), {}), {}, {true, false, threads});
    WaitForEnd(job);
    CHECK_EQ(job.tensors_done(), 0u);
  }
}

TEST(a_tensor_may_be_copied_twice) {
  BundleWriter bundle;
  bundle.Add("a", 4, {3}, "abc");
  bundle.Write(Prefix());
  const auto reader = Reader::Open(Prefix(), {});
  Rooms rooms(*reader, {0, 0});
  TransferJob job(reader, TransfersInto(rooms, {0, 0}), {true, true, 2});
  WaitForEnd(job);
  CHECK_EQ(rooms.value(0, 3), "abc");
  CHECK_EQ(rooms.value(1, 3), "abc");
}

TEST(truncation_under_a_live_map_is_data_loss_and_no_signal) {
  for (const io::Backend backend : kBackends) {
    for (const int threads : {0, 3}) {
      const BundleWriter bundle = SizesAroundThePiece();
      bundle.Write(Prefix());
      const auto reader = Reader::Open(Prefix(), {backend, false});
      const std::vector<std::uint32_t> ids = reader->StoredIds();
      constexpr std::size_t kLeft = 30 * kMiB;
      std::filesystem::resize_file(Shard(), kLeft);
      Rooms rooms(*reader, ids);
      TransferJob job(reader, TransfersInto(rooms, ids), {true, true, threads});
      WaitForEnd(job);
      std::vector<std::uint32_t> cut;
      for (const std::uint32_t id : ids) {
        const Entry& entry = reader->entry(id);
        if (entry.size > 0 && entry.offset + entry.size > kLeft) cut.push_back(id);
      }
      std::vector<std::uint32_t> failed;
      for (const TransferFailure& failure : job.TakeFailures()) {
        CHECK(failure.error.code() == ErrorCode::kDataLoss);
        failed.push_back(failure.id);
      }
      CHECK(cut.size() > 1 && cut.size() < ids.size());
      CHECK(failed == cut);
      TransferJob check(reader, CheckOnly(ids), {true, false, threads});
      CHECK_ERROR(ErrorCode::kDataLoss, WaitForEnd(check));
    }
  }
}

TEST(a_cancelled_job_starts_nothing_more) {
  BundleWriter bundle;
  for (int i = 0; i < 20; ++i) {
    bundle.Add(std::string("t").append(std::to_string(i)), 4, {5 * kMiB},
               PatternBytes(5 * kMiB, static_cast<std::uint64_t>(i)));
  }
  bundle.Write(Prefix());
  FaultyFileSystem files;
  const auto reader = Reader::Open(Prefix(), {io::Backend::kPositional, false}, files);
  std::latch reading(1);
  std::latch release(1);
  std::atomic<bool> first{true};
  files.BeforeReads([&] {
    if (!first.exchange(false)) return;
    reading.count_down();
    release.wait();
  });
  TransferOptions options;
  options.in_background = true;
  TransferJob job(reader, CheckOnly(reader->StoredIds()), options);
  reading.wait();
  CHECK(!job.WaitFor(milliseconds(0)));
  job.Cancel();
  release.count_down();
  WaitForEnd(job);
  CHECK_EQ(job.tensors_done(), 1u);
  CHECK_EQ(job.bytes_done(), 5 * kMiB);
  // The same where the caller is the only thread: a wait of no time does one unit.
  TransferJob waiting(reader, CheckOnly(reader->StoredIds()), {true, false, 1});
  CHECK_EQ(waiting.tensors_done(), 0u);
  CHECK(!waiting.WaitFor(milliseconds(0)));
  waiting.Cancel();
  WaitForEnd(waiting);
  CHECK_EQ(waiting.tensors_done(), 1u);
}

TEST(destruction_ends_a_job_that_nobody_waits_for) {
  SizesAroundThePiece().Write(Prefix());
  FaultyFileSystem files;
  {
    const auto reader = Reader::Open(Prefix(), {io::Backend::kMapped, false}, files);
    for (int round = 0; round < 20; ++round) {
      const TransferJob job(reader, CheckOnly(reader->StoredIds()), {true, false, 4});
    }
  }
  CHECK_EQ(files.open_files(), 0);
  CHECK_EQ(files.live_maps(), 0);
}

}  // namespace
}  // namespace fastckpt::bundle
