#include "base/bytes.h"

#include <array>
#include <cstdint>
#include <limits>
#include <string>

#include "harness.h"

namespace fastckpt {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
constexpr std::array<std::uint64_t, 12> kEdges = {
    0, 1, 2, 3, 0xFFFFFFFF, 0x100000000, kMax / 2, kMax / 2 + 1, kMax - 2, kMax - 1, kMax, 48};

TEST(checked_sums_and_products_equal_128_bit_arithmetic) {
  __extension__ using Wide = unsigned __int128;
  for (const std::uint64_t a : kEdges) {
    for (const std::uint64_t b : kEdges) {
      const Wide sum = Wide{a} + b;
      CHECK_EQ(CheckedAdd(a, b).has_value(), sum <= kMax);
      if (sum <= kMax) CHECK(CheckedAdd(a, b) == a + b);
      const Wide product = Wide{a} * b;
      CHECK_EQ(CheckedMul(a, b).has_value(), product <= kMax);
      if (product <= kMax) CHECK(CheckedMul(a, b) == a * b);
    }
  }
}

TEST(is_range_equals_128_bit_arithmetic) {
  __extension__ using Wide = unsigned __int128;
  for (const std::uint64_t offset : kEdges) {
    for (const std::uint64_t size : kEdges) {
      for (const std::uint64_t total : kEdges) {
        CHECK_EQ(IsRange(offset, size, total), Wide{offset} + size <= total);
      }
    }
  }
}

TEST(text_and_bytes_are_the_same_memory) {
  const std::string text("a\0\xff", 3);
  const ByteView bytes = AsBytes(text);
  CHECK_EQ(bytes.size(), 3u);
  CHECK_EQ(int{bytes[1]}, 0);
  CHECK_EQ(int{bytes[2]}, 255);
  CHECK(AsText(bytes).data() == text.data());
  CHECK_EQ(AsText(bytes), text);
  CHECK(AsText(ByteView()).empty());
}

}  // namespace
}  // namespace fastckpt
