#include "bundle/region_check.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "harness.h"
#include "table_writer.h"

namespace fastckpt::bundle {
namespace {

using testing::BundleWriter;
using testing::EncodeBlockCrcs;
using testing::PatternBytes;
using testing::TemporaryDirectory;

constexpr io::Backend kBackends[] = {io::Backend::kMapped, io::Backend::kPositional};
constexpr std::uint64_t kBlock = 4096;
constexpr std::int64_t kRows = 64;
constexpr std::int64_t kColumns = 1000;

std::string Prefix() {
  return TemporaryDirectory() + "/m";
}

std::shared_ptr<Reader> Open(const BundleWriter& bundle, io::Backend backend) {
  bundle.Write(Prefix());
  return Reader::Open(Prefix(), {backend, false});
}

// Rows of 1000 bytes behind 100 others, in 16 blocks.
BundleWriter Sample() {
  const std::string bytes = PatternBytes(kRows * kColumns, 5);
  BundleWriter bundle;
  bundle.Add("first", 4, {100}, PatternBytes(100, 1));
  bundle.Add("w", 4, {kRows, kColumns}, bytes).extra = EncodeBlockCrcs(bytes, kBlock);
  return bundle;
}

std::vector<StridedDim> Rows(std::int64_t first, std::int64_t count, std::int64_t step = 1) {
  return {{first, count, step, kColumns}, {0, kColumns, 1, 1}};
}

// What RegionCheck::Add says; then all of it is done.
bool Check(const std::shared_ptr<Reader>& reader, const std::vector<StridedDim>& dims,
           int num_threads = 0) {
  RegionCheck check(reader);
  const bool is_taken = check.Add(reader->Find("w"), dims);
  check.Start(num_threads);
  while (!check.WaitFor(std::chrono::milliseconds(50))) {
  }
  return is_taken;
}

// The blocks of every single wanted element.
std::vector<std::uint32_t> PlainTouchedBlocks(const std::vector<std::int64_t>& shape,
                                              const std::vector<StridedDim>& dims,
                                              std::uint64_t item_size, std::uint64_t block_size) {
  std::set<std::uint32_t> blocks;
  const std::function<void(std::size_t, std::int64_t)> walk = [&](std::size_t d,
                                                                  std::int64_t position) {
    if (d == dims.size()) {
      for (std::uint64_t i = 0; i < item_size; ++i) {
        const auto byte = static_cast<std::uint64_t>(position) * item_size + i;
        blocks.insert(static_cast<std::uint32_t>(byte / block_size));
      }
      return;
    }
    for (std::int64_t i = 0; i < dims[d].count; ++i) {
      walk(d + 1, position * shape[d] + dims[d].start + i * dims[d].step);
    }
  };
  walk(0, 0);
  return {blocks.begin(), blocks.end()};
}

TEST(touched_blocks_are_those_of_the_wanted_elements) {
  std::mt19937 random(20260101);
  const auto below = [&](std::int64_t bound) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(bound));
  };
  const std::pair<std::int64_t, std::uint64_t> dtypes[] = {{4, 1}, {5, 2}, {1, 4}, {18, 16}};
  for (int round = 0; round < 300; ++round) {
    std::vector<std::int64_t> shape(static_cast<std::size_t>(below(5)));
    std::int64_t elements = 1;
    for (std::int64_t& extent : shape) elements *= extent = 1 + below(9);
    const auto [dtype, item_size] = dtypes[below(4)];
    BundleWriter bundle;
    bundle.Add("w", dtype, shape, std::string(static_cast<std::size_t>(elements) * item_size, 'w'));
    const auto reader = Open(bundle, io::Backend::kMapped);
    for (int turn = 0; turn < 20; ++turn) {
      std::vector<StridedDim> dims(shape.size());
      for (std::size_t d = 0; d < shape.size(); ++d) {
        dims[d].start = below(shape[d]);
        dims[d].step = 1 + below(shape[d]);
        dims[d].count = below((shape[d] - 1 - dims[d].start) / dims[d].step + 2);
        dims[d].stride_bytes = below(2) * static_cast<std::int64_t>(item_size);
        if (turn % 3 == 0) dims[d] = {0, shape[d], 1, 0};
      }
      const auto block_size = static_cast<std::uint64_t>(1 + below(200));
      CHECK(TouchedBlocks(*reader, 0, dims, block_size) ==
            PlainTouchedBlocks(shape, dims, item_size, block_size));
    }
  }
}

TEST(regions_outside_the_tensor_are_refused) {
  const auto reader = Open(Sample(), io::Backend::kMapped);
  CHECK_ERROR(ErrorCode::kInvalidArgument, Check(reader, Rows(60, 5)));
  CHECK_ERROR(ErrorCode::kInvalidArgument, Check(reader, Rows(-1, 1)));
  CHECK_ERROR(ErrorCode::kInvalidArgument, Check(reader, {{0, 1, 1, 0}}));
}

TEST(a_row_costs_its_blocks_and_each_only_once) {
  for (const io::Backend backend : kBackends) {
    const auto reader = Open(Sample(), backend);
    CHECK(Check(reader, Rows(0, 1)));
    CHECK_EQ(reader->bytes_read(), kBlock);
    CHECK(Check(reader, Rows(1, 3)));
    CHECK_EQ(reader->bytes_read(), kBlock);
    CHECK(Check(reader, Rows(4, 1)));  // bytes 4000 to 5000
    CHECK_EQ(reader->bytes_read(), 2 * kBlock);
    CHECK(Check(reader, Rows(0, 2, 63)));  // the last block is shorter
    CHECK_EQ(reader->bytes_read(), 2 * kBlock + kRows * kColumns - 15 * kBlock);
    CHECK(!reader->IsVerified(reader->Find("w")));
  }
}

TEST(all_blocks_at_once_are_the_whole_entry) {
  for (const io::Backend backend : kBackends) {
    const auto reader = Open(Sample(), backend);
    CHECK(!Check(reader, Rows(0, kRows)));
    CHECK(!Check(reader, {{0, kRows, 1, 0}, {3, 1, 1, 0}}));
    CHECK_EQ(reader->bytes_read(), 0u);
    for (std::int64_t row = 0; row < kRows; ++row) CHECK(Check(reader, Rows(row, 1)));
    CHECK_EQ(reader->bytes_read(), static_cast<std::uint64_t>(kRows * kColumns));
    CHECK(reader->IsVerified(reader->Find("w")));
    CHECK(Check(reader, Rows(0, kRows)));
    CHECK_EQ(reader->bytes_read(), static_cast<std::uint64_t>(kRows * kColumns));
  }
}

TEST(without_block_crcs_the_whole_entry_is_verified) {
  BundleWriter bundle = Sample();
  bundle.entries["w"].extra.clear();
  CHECK(!Check(Open(bundle, io::Backend::kMapped), Rows(0, 1)));
  bundle.entries["w"].extra = testing::EncodeBlockField(kBlock, std::string(64, 'x'));
  CHECK(!Check(Open(bundle, io::Backend::kMapped), Rows(0, 1)));
}

TEST(nothing_wanted_costs_nothing) {
  const auto reader = Open(Sample(), io::Backend::kMapped);
  CHECK(Check(reader, Rows(5, 0)));
  CHECK_EQ(reader->bytes_read(), 0u);
}

TEST(damage_concerns_the_regions_of_its_block) {
  for (const io::Backend backend : kBackends) {
    BundleWriter bundle = Sample();
    bundle.shards[0][100 + 5 * kBlock] ^= 1;  // byte 480 of row 20
    const auto reader = Open(bundle, backend);
    for (std::int64_t row = 0; row < kRows; ++row) {
      const bool is_touched = (row + 1) * kColumns > 5 * static_cast<std::int64_t>(kBlock) &&
                              row * kColumns < 6 * static_cast<std::int64_t>(kBlock);
      for (int turn = 0; turn < 2; ++turn) {
        if (is_touched) {
          CHECK_ERROR(ErrorCode::kDataLoss, Check(reader, Rows(row, 1)));
        } else {
          CHECK(Check(reader, Rows(row, 1)));
        }
      }
    }
    CHECK(!reader->IsVerified(reader->Find("w")));
    CHECK_ERROR(ErrorCode::kDataLoss, reader->Verify(reader->Find("w")));
  }
}

// Units are of at most 4 MiB; these regions have several.
TEST(many_threads_verify_many_blocks) {
  const std::size_t size = std::size_t{24} << 20;
  const std::string bytes = PatternBytes(size, 9);
  BundleWriter bundle;
  const auto add = [&](std::uint64_t block_size) {
    bundle.Add("w", 4, {static_cast<std::int64_t>(size)}, bytes).extra =
        EncodeBlockCrcs(bytes, block_size);
  };
  for (const std::uint64_t block_size : {std::uint64_t{5000}, std::uint64_t{3} << 20}) {
    bundle = {};
    add(block_size);
    for (const io::Backend backend : kBackends) {
      const auto reader = Open(bundle, backend);
      const auto most = static_cast<std::int64_t>(size - block_size - 1);
      std::vector<std::thread> threads;
      for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&] { CHECK(Check(reader, {{0, most, 1, 1}}, 2)); });
      }
      for (std::thread& thread : threads) thread.join();
      CHECK(!reader->IsVerified(0));
      CHECK(Check(reader, {{0, static_cast<std::int64_t>(size), 1, 1}}, 2));
      CHECK(reader->IsVerified(0));
    }
    bundle.shards[0][size / 2] ^= 1;
    const auto damaged = Open(bundle, io::Backend::kMapped);
    CHECK_ERROR(ErrorCode::kDataLoss,
                Check(damaged, {{0, static_cast<std::int64_t>(size - block_size - 1), 1, 1}}, 2));
  }
}

}  // namespace
}  // namespace fastckpt::bundle
