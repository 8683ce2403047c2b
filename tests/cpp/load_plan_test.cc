#include "bundle/load_plan.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commit/names.h"
#include "harness.h"
#include "table_writer.h"

namespace fastckpt::bundle {
namespace {

using commit::DataFileName;
using testing::BundleWriter;
using testing::TemporaryDirectory;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

std::string Prefix() {
  return TemporaryDirectory() + "/model.ckpt-1";
}

// A reader of tensors of these sizes, whose shard is sparse and as long as their sum.
std::shared_ptr<Reader> OpenSizes(const std::vector<std::int64_t>& sizes) {
  BundleWriter bundle;
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    auto& spec = bundle.Add(std::string("t").append(std::to_string(1000 + i)), 4, {sizes[i]}, "");
    spec.size = sizes[i];
    spec.offset = offset;
    offset += sizes[i];
  }
  bundle.Write(Prefix());
  std::filesystem::resize_file(DataFileName(Prefix(), 0, 1), static_cast<std::uintmax_t>(offset));
  return Reader::Open(Prefix(), {});
}

TEST(rooms_are_aligned_apart_and_inside_their_arena) {
  const std::vector<std::int64_t> sizes = {
      0, 1, 63, 64, 65, 5000, 30 * kMiB, 0, 34 * kMiB, 1, 64 * kMiB, 70 * kMiB, 64 * kMiB - 1,
      0, 3};
  const auto reader = OpenSizes(sizes);
  const std::vector<std::uint32_t> ids = reader->StoredIds();
  const LoadPlan plan(*reader, ids);
  CHECK_EQ(plan.placements.size(), ids.size());
  CHECK_EQ(plan.transfers.size(), ids.size());
  std::vector<std::pair<std::uintptr_t, std::uintptr_t>> rooms;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    CHECK_EQ(plan.transfers[i].id, ids[i]);
    const std::uint64_t size = reader->entry(ids[i]).size;
    const MutableBytes arena = plan.arenas[plan.placements[i].arena]->bytes();
    CHECK(IsRange(plan.placements[i].offset, size, arena.size()));
    CHECK_EQ(plan.placements[i].offset % 64, 0u);
    const auto room = reinterpret_cast<std::uintptr_t>(plan.transfers[i].destination);
    CHECK_EQ(room, reinterpret_cast<std::uintptr_t>(arena.data()) + plan.placements[i].offset);
    CHECK_EQ(room % 64, 0u);
    if (size > 0) rooms.emplace_back(room, room + size);
  }
  std::ranges::sort(rooms);
  for (std::size_t i = 1; i < rooms.size(); ++i) CHECK(rooms[i - 1].second <= rooms[i].first);
}

TEST(arenas_hold_at_most_64_mib_unless_one_tensor_is_larger) {
  const auto reader =
      OpenSizes({40 * kMiB, 30 * kMiB, 100 * kMiB, 1, 64 * kMiB, 20 * kMiB, 20 * kMiB, 20 * kMiB});
  const std::vector<std::uint32_t> ids = reader->StoredIds();
  const LoadPlan plan(*reader, ids);
  std::vector<int> tensors(plan.arenas.size());
  for (const Placement& placement : plan.placements) ++tensors[placement.arena];
  for (std::size_t i = 0; i < plan.arenas.size(); ++i) {
    CHECK(tensors[i] == 1 || plan.arenas[i]->bytes().size() <= 64 * kMiB);
  }
  // 40 | 30 | 100 | 1 | 64 | 20 20 20
  CHECK((tensors == std::vector<int>{1, 1, 1, 1, 1, 3}));
}

TEST(many_small_tensors_share_one_arena) {
  const auto reader = OpenSizes(std::vector<std::int64_t>(1000, 100));
  const LoadPlan plan(*reader, reader->StoredIds());
  CHECK_EQ(plan.arenas.size(), 1u);
  CHECK_EQ(plan.arenas[0]->bytes().size(), 128000u);
}

TEST(only_plain_tensors_get_room) {
  BundleWriter bundle;
  bundle.Add("plain", 4, {3}, "abc");
  bundle.Add("strings", 7, {1}, testing::StoreStrings({"abc"}));
  bundle.Add("variant", 21, {1}, testing::StoreVariants({"abc"}));
  bundle.Write(Prefix());
  const auto reader = Reader::Open(Prefix(), {});
  const LoadPlan plan(*reader, {2, 0, 1});
  CHECK_EQ(plan.arenas.size(), 1u);
  CHECK(plan.transfers[0].destination == nullptr);
  CHECK(plan.transfers[1].destination != nullptr);
  CHECK(plan.transfers[2].destination == nullptr);
  CHECK(LoadPlan(*reader, {}).arenas.empty());
}

TEST(partitioned_tensors_are_left_to_their_parts) {
  BundleWriter bundle;
  bundle.Add("plain", 4, {3}, "abc");
  bundle.AddSlice("part", 4, {4}, {{0, 2}}, "ab");
  bundle.Write(Prefix());
  const auto reader = Reader::Open(Prefix(), {});
  const std::uint32_t plain = reader->Find("plain");
  const LoadPlan plan(*reader, {reader->Find("part"), plain});
  CHECK_EQ(plan.placements.size(), 2u);
  CHECK_EQ(plan.transfers.size(), 1u);
  CHECK_EQ(plan.transfers[0].id, plain);
}

TEST(a_planned_load_fills_the_rooms) {
  BundleWriter bundle;
  for (int i = 0; i < 50; ++i) {
    const auto size = static_cast<std::size_t>(i * i * 100);
    bundle.Add(std::string("t").append(std::to_string(i)), 4, {i * i * 100},
               testing::PatternBytes(size, static_cast<std::uint64_t>(i)));
  }
  bundle.Write(Prefix());
  const auto reader = Reader::Open(Prefix(), {});
  const LoadPlan plan(*reader, reader->StoredIds());
  TransferJob job(reader, plan.transfers, {true, false, 3});
  while (!job.WaitFor(std::chrono::milliseconds(50))) {
  }
  for (const Transfer& transfer : plan.transfers) {
    const StoredBytes stored = reader->Fetch(transfer.id);
    CHECK_EQ(AsText(ByteView(transfer.destination, stored.bytes.size())), AsText(stored.bytes));
  }
}

TEST(what_cannot_be_there_is_refused_before_anything_is_allocated) {
  BundleWriter bundle;
  bundle.header.num_shards = 2;
  bundle.Add("good", 4, {3}, "abc");
  for (const char* const name : {"huge1", "huge2", "huge3"}) {
    bundle.Add(name, 4, {std::int64_t{1} << 62}, "").size = std::int64_t{1} << 62;
  }
  bundle.Add("malformed", 4, {3}, "abc").size = 2;
  bundle.Add("missing", 4, {3}, "abc", 1);
  bundle.Write(Prefix());
  std::filesystem::remove(DataFileName(Prefix(), 1, 2));
  const auto reader = Reader::Open(Prefix(), {});
  const auto plan = [&](const char* name) {
    return LoadPlan(*reader, {reader->Find("good"), reader->Find(name)}).arenas.size();
  };
  CHECK_ERROR(ErrorCode::kDataLoss, plan("huge1"));
  CHECK_ERROR(ErrorCode::kDataLoss, plan("malformed"));
  CHECK_ERROR(ErrorCode::kNotFound, plan("missing"));
  CHECK_EQ(plan("good"), 1u);
}

}  // namespace
}  // namespace fastckpt::bundle
