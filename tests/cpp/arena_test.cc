#include "io/arena.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>

#include "harness.h"

namespace fastckpt::io {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

bool IsAligned(const void* address, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(address) % alignment == 0;
}

TEST(arenas_are_zero_writable_and_aligned) {
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{63}, std::size_t{4096}, std::size_t{4097}, kHugePage - 1,
        kHugePage, kHugePage + 1, 3 * kHugePage - 5}) {
    const auto arena = Arena::Allocate(size);
    const MutableBytes bytes = arena->bytes();
    CHECK_EQ(bytes.size(), size);
    CHECK(IsAligned(bytes.data(), 64));
    if (size >= kHugePage) CHECK(IsAligned(bytes.data(), kHugePage));
    CHECK(std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; }));
    std::ranges::fill(bytes, std::uint8_t{0xA5});
    CHECK_EQ(int{bytes.back()}, 0xA5);
  }
}

TEST(arenas_do_not_overlap) {
  const auto first = Arena::Allocate(kHugePage);
  const auto second = Arena::Allocate(kHugePage);
  std::ranges::fill(first->bytes(), std::uint8_t{1});
  std::ranges::fill(second->bytes(), std::uint8_t{2});
  CHECK(std::ranges::all_of(first->bytes(), [](std::uint8_t byte) { return byte == 1; }));
}

TEST(an_empty_arena_is_no_error) {
  CHECK(Arena::Allocate(0)->bytes().empty());
}

TEST(impossible_sizes_are_bad_alloc) {
  for (const std::size_t size : {std::numeric_limits<std::size_t>::max(),
                                 std::numeric_limits<std::size_t>::max() - kHugePage,
                                 std::numeric_limits<std::size_t>::max() / 2}) {
    bool refused = false;
    try {
      Arena::Allocate(size);
    } catch (const std::bad_alloc&) {
      refused = true;
    }
    CHECK(refused);
  }
}

}  // namespace
}  // namespace fastckpt::io
