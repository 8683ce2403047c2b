#include "tensor/dtype.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "harness.h"
#include "table_writer.h"
#include "tensor/shape.h"

namespace fastckpt::tensor {
namespace {

constexpr std::int64_t kMaxInt64 = std::numeric_limits<std::int64_t>::max();

// Bytes an element takes in a shard, by DataType number (types.proto).
constexpr int kSizes[] = {0, 4,  8, 4, 1, 2, 1, 0, 8, 8, 1, 1, 1, 4, 2, 2, 2,
                          2, 16, 2, 0, 0, 4, 8, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

TEST(item_sizes_are_those_of_the_format) {
  for (std::int32_t dtype = 0; dtype < kNumDataTypes; ++dtype) {
    CHECK_EQ(static_cast<int>(ItemSize(dtype)), kSizes[dtype]);
    CHECK_EQ(IsPlain(dtype), kSizes[dtype] != 0);
    const bool is_complex = dtype == kComplex64 || dtype == kComplex128;
    CHECK_EQ(static_cast<int>(SwapUnit(dtype)), is_complex ? kSizes[dtype] / 2 : kSizes[dtype]);
  }
  for (const std::int32_t dtype : {-1, 34, 101, std::numeric_limits<std::int32_t>::min(),
                                   std::numeric_limits<std::int32_t>::max()}) {
    CHECK_EQ(ItemSize(dtype), 0u);
    CHECK(!IsPlain(dtype));
  }
}

// One byte, from the format's text: nonzero bools are true, sub-byte types ignore the upper bits.
std::uint8_t NormalByte(std::int32_t dtype, std::uint8_t byte) {
  if (dtype == 10) return byte == 0 ? 0 : 1;
  if (dtype == 29 || dtype == 30 || dtype == 33) return byte % 16;
  if (dtype == 31 || dtype == 32) return byte % 4;
  return byte;
}

TEST(normalising_equals_the_byte_at_a_time_rule) {
  for (std::int32_t dtype = 1; dtype < kNumDataTypes; ++dtype) {
    if (!IsPlain(dtype)) continue;
    for (std::size_t size = 0; size <= 40; ++size) {
      std::vector<std::uint8_t> bytes = testing::Vector(testing::PatternBytes(size, size + 1));
      std::vector<std::uint8_t> expected = bytes;
      for (std::uint8_t& byte : expected) byte = NormalByte(dtype, byte);
      CHECK_EQ(IsNormal(dtype, bytes), bytes == expected);
      Normalise(dtype, bytes);
      CHECK(bytes == expected);
      CHECK(IsNormal(dtype, bytes));
    }
  }
}

TEST(one_byte_out_of_form_is_seen_at_every_place) {
  for (const std::int32_t dtype : {10, 29, 30, 31, 32, 33}) {
    for (int value = 0; value < 256; ++value) {
      const auto byte = static_cast<std::uint8_t>(value);
      for (std::size_t at = 0; at < 19; ++at) {
        std::vector<std::uint8_t> bytes(19);
        bytes[at] = byte;
        CHECK_EQ(IsNormal(dtype, bytes), NormalByte(dtype, byte) == byte);
      }
    }
  }
}

TEST(swapping_reverses_each_unit) {
  for (const std::uint32_t unit : {1u, 2u, 4u, 8u}) {
    for (std::size_t units = 0; units <= 9; ++units) {
      std::vector<std::uint8_t> bytes = testing::Vector(testing::PatternBytes(unit * units, 5));
      std::vector<std::uint8_t> expected = bytes;
      for (std::size_t i = 0; i < units; ++i) {
        const auto first = expected.begin() + static_cast<std::ptrdiff_t>(i * unit);
        std::reverse(first, first + unit);
      }
      SwapBytes(unit, bytes);
      CHECK(bytes == expected);
    }
  }
}

std::optional<std::int64_t> Count(const std::vector<std::int64_t>& shape) {
  return NumElements(shape);
}

TEST(element_counts) {
  CHECK(Count({}) == 1);
  CHECK(Count({0}) == 0);
  CHECK(Count({7, 5, 3}) == 105);
  CHECK(Count({kMaxInt64}) == kMaxInt64);
  CHECK(Count({kMaxInt64, 0}) == 0);
  CHECK(!Count({-1}));
  CHECK(!Count({0, -1}));
  CHECK(!Count({std::numeric_limits<std::int64_t>::min()}));
  CHECK(!Count({kMaxInt64, 2}));
  CHECK(!Count({std::int64_t{1} << 32, std::int64_t{1} << 31}));
  CHECK(Count({std::int64_t{1} << 31, std::int64_t{1} << 31}) == std::int64_t{1} << 62);
}

TEST(zeros_do_not_excuse_an_overflow) {
  CHECK(!Count({kMaxInt64, 2, 0}));
  CHECK(!Count({0, kMaxInt64, 2}));
}

TEST(rank_is_limited_as_in_tensorflow) {
  CHECK(Count(std::vector<std::int64_t>(254, 1)) == 1);
  CHECK(!Count(std::vector<std::int64_t>(255, 1)));
}

}  // namespace
}  // namespace fastckpt::tensor
