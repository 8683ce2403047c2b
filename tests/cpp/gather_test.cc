#include "tensor/gather.h"

#include <cstring>
#include <random>

#include "harness.h"
#include "tensor/dtype.h"

namespace fastckpt::tensor {
namespace {

using Shape = std::vector<std::int64_t>;

// Every element by its index, one at a time.
std::vector<std::uint8_t> GatherSlowly(const StridedArray& array) {
  std::vector<std::uint8_t> out;
  std::int64_t count = 1;
  for (const std::int64_t dim : array.shape) count *= dim;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint8_t* address = array.data;
    std::int64_t rest = i;
    for (std::size_t d = array.shape.size(); d-- > 0;) {
      address += rest % array.shape[d] * array.strides[d];
      rest /= array.shape[d];
    }
    for (std::uint32_t b = 0; b < array.item_size; ++b) {
      const std::uint32_t unit = array.swap_unit;
      out.push_back(
          address[b / unit * unit + (unit - 1 - b % unit) * (unit > 1) + b % unit * (unit == 1)]);
    }
  }
  return out;
}

// Element [0, …, 0] stands where every reachable address is inside `memory`.
const std::uint8_t* Origin(const std::vector<std::uint8_t>& memory, const StridedArray& array) {
  std::int64_t lowest = 0;
  for (std::size_t d = 0; d < array.shape.size(); ++d) {
    lowest += std::min<std::int64_t>(0, (array.shape[d] - 1) * array.strides[d]);
  }
  return memory.data() - lowest;
}

StridedArray RandomArray(std::mt19937* random, const std::vector<std::uint8_t>& memory) {
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>((*random)() % n); };
  StridedArray array;
  array.item_size = 1u << below(5);
  array.swap_unit = below(2) != 0 ? 1 : std::min(array.item_size, 8u);
  for (std::uint32_t d = below(5); d > 0; --d) {
    array.shape.push_back(1 + below(5));
    const std::int64_t step = static_cast<std::int64_t>(below(9)) - 4;
    array.strides.push_back(step * array.item_size);
  }
  array.data = Origin(memory, array);
  return array;
}

TEST(gather_gives_every_range_of_random_arrays) {
  std::vector<std::uint8_t> memory(8192);
  std::mt19937 random(7);
  for (std::uint8_t& byte : memory) byte = static_cast<std::uint8_t>(random());
  for (int round = 0; round < 400; ++round) {
    StridedArray array = RandomArray(&random, memory);
    const std::vector<std::uint8_t> expected = GatherSlowly(array);
    if (round % 2 == 0) Simplify(&array);
    for (int range = 0; range < 20; ++range) {
      const std::size_t begin = random() % expected.size();
      const std::size_t size = random() % (expected.size() - begin) + 1;
      std::vector<std::uint8_t> out(size);
      Gather(array, begin, out);
      CHECK(std::memcmp(out.data(), expected.data() + begin, size) == 0);
    }
  }
}

TEST(gather_contiguity_does_not_depend_on_dimensions_of_one) {
  CHECK(IsContiguous(Shape{2, 3}, Shape{12, 4}, 4));
  CHECK(IsContiguous(Shape{2, 1, 3}, Shape{12, 999, 4}, 4));
  CHECK(IsContiguous(Shape{}, Shape{}, 4));
  CHECK(IsContiguous(Shape{0, 3}, Shape{-5, 7}, 4));
  CHECK(!IsContiguous(Shape{2, 3}, Shape{4, 8}, 4));
  CHECK(!IsContiguous(Shape{2}, Shape{-4}, 4));
}

TEST(gather_simplify_joins_what_is_walked_as_one) {
  StridedArray array;
  array.item_size = 4;
  array.shape = {5, 1, 2, 3};
  array.strides = {48, 7, 12, 4};
  Simplify(&array);
  CHECK(array.shape == Shape({5, 6}));
  CHECK(array.strides == Shape({48, 4}));
}

}  // namespace
}  // namespace fastckpt::tensor
