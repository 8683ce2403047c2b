// One suite over every kernel of the registry that this machine supports.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "crc/crc32c.h"
#include "crc_reference.h"
#include "harness.h"

namespace {

using fastckpt::crc::Kernel;
using fastckpt::testing::RandomBytes;
using fastckpt::testing::ReferenceExtend;

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kAlignments = 64;
constexpr std::size_t kLongest = 4096;
// Starting values: none, one with every byte different, and the the complement of none.
constexpr std::uint32_t kSeeds[] = {0, 0x01234567, 0xFFFFFFFF};

std::vector<const Kernel*> SupportedKernels() {
  std::vector<const Kernel*> supported;
  for (const Kernel* kernel : fastckpt::crc::Kernels()) {
    if (kernel->supported()) supported.push_back(kernel);
  }
  return supported;
}

// Stands for a mismatch in a loop of millions, where CHECK_EQ alone would not say where.
void CheckAt(const Kernel& kernel, std::size_t alignment, std::size_t size, bool condition) {
  if (condition) return;
  fastckpt::testing::Fail(__FILE__, __LINE__,
                          std::string(kernel.name) + " differs at alignment " +
                              std::to_string(alignment) + ", length " + std::to_string(size));
}

// Memory whose first byte has address 0 modulo 64.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size, unsigned seed = 1)
      : storage_(RandomBytes(size + 64, seed)) {
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
    start_ = storage_.data() + (64 - address % 64) % 64;
  }
  std::uint8_t* data() { return start_; }

 private:
  Bytes storage_;
  std::uint8_t* start_;
};

// expected[n] = the CRC of the first n bytes after `seed`, each from the one before.
std::vector<std::uint32_t> ReferencePrefixes(std::uint32_t seed, const std::uint8_t* data,
                                             std::size_t longest) {
  std::vector<std::uint32_t> expected = {seed};
  for (std::size_t i = 0; i < longest; ++i) {
    expected.push_back(ReferenceExtend(expected.back(), data[i]));
  }
  return expected;
}

}  // namespace

TEST(kernels_agree_with_the_reference_at_every_alignment_and_length) {
  AlignedBytes bytes(kAlignments + kLongest);
  for (std::size_t alignment = 0; alignment < kAlignments; ++alignment) {
    const std::uint8_t* data = bytes.data() + alignment;
    const std::uint32_t seed = kSeeds[alignment % 3];
    const auto expected = ReferencePrefixes(seed, data, kLongest);
    for (const Kernel* kernel : SupportedKernels()) {
      for (std::size_t size = 0; size <= kLongest; ++size) {
        CheckAt(*kernel, alignment, size, kernel->extend(seed, data, size) == expected[size]);
      }
    }
  }
}

// Every seed where it is treated specially: in the first bytes, and below the scalar limits.
TEST(kernels_agree_with_the_reference_for_every_seed_at_short_lengths) {
  const Bytes bytes = RandomBytes(700, 3);
  for (const std::uint32_t seed : kSeeds) {
    const auto expected = ReferencePrefixes(seed, bytes.data(), bytes.size());
    for (const Kernel* kernel : SupportedKernels()) {
      for (std::size_t size = 0; size <= bytes.size(); ++size) {
        CheckAt(*kernel, 0, size, kernel->extend(seed, bytes.data(), size) == expected[size]);
      }
    }
  }
}

TEST(kernels_agree_with_the_reference_at_long_lengths) {
  constexpr std::size_t kMegabyte = 1 << 20;
  const Bytes bytes = RandomBytes(kMegabyte + 200, 4);
  const auto expected = ReferencePrefixes(0, bytes.data(), bytes.size());
  std::mt19937 random(9);
  std::vector<std::size_t> sizes = {kMegabyte, kMegabyte + 1, kMegabyte + 77, bytes.size()};
  for (int i = 0; i < 40; ++i) sizes.push_back(kLongest + random() % (bytes.size() - kLongest));
  for (const Kernel* kernel : SupportedKernels()) {
    for (const std::size_t size : sizes) {
      CheckAt(*kernel, 0, size, kernel->extend(0, bytes.data(), size) == expected[size]);
    }
  }
}

TEST(kernels_chain) {
  const Bytes bytes = RandomBytes(100000, 5);
  const std::uint32_t whole = ReferenceExtend(0, bytes.data(), bytes.size());
  std::mt19937 random(13);
  for (const Kernel* kernel : SupportedKernels()) {
    for (int i = 0; i < 20; ++i) {
      std::uint32_t crc = 0;
      std::size_t done = 0;
      while (done < bytes.size()) {
        const std::size_t step =
            std::min<std::size_t>(random() % (1u << (random() % 15)), bytes.size() - done);
        crc = kernel->extend(crc, bytes.data() + done, step);
        done += step;
      }
      CHECK_EQ(crc, whole);
    }
  }
}

// Allocations of exactly the size: the address sanitizer sees any read or write beside them.
TEST(kernels_touch_nothing_beside_the_range) {
  for (std::size_t size = 0; size <= 1100; ++size) {
    const auto source = std::make_unique<std::uint8_t[]>(size);
    const auto destination = std::make_unique<std::uint8_t[]>(size);
    for (const Kernel* kernel : SupportedKernels()) {
      const std::uint32_t crc = kernel->extend(0, source.get(), size);
      CheckAt(*kernel, 0, size,
              kernel->copy_extend(0, destination.get(), source.get(), size) == crc);
    }
  }
}

namespace {

// Copies with guard bytes on both sides and compares CRC, copy and guards.
void CheckCopy(const Kernel& kernel, const std::uint8_t* source, AlignedBytes& destination,
               std::size_t alignment, std::size_t size, std::uint32_t expected) {
  constexpr std::uint8_t kGuard = 0xA5;
  constexpr std::size_t kGuards = 64;
  std::uint8_t* to = destination.data() + kGuards + alignment;
  std::memset(to - kGuards, kGuard, size + 2 * kGuards);
  const std::uint32_t crc = kernel.copy_extend(0, to, source, size);
  bool guards_kept = true;
  for (std::size_t i = 1; i <= kGuards; ++i) {
    guards_kept = guards_kept && *(to - i) == kGuard && to[size + i - 1] == kGuard;
  }
  CheckAt(kernel, alignment, size, crc == expected);
  CheckAt(kernel, alignment, size, size == 0 || std::memcmp(to, source, size) == 0);
  CheckAt(kernel, alignment, size, guards_kept);
}

}  // namespace

TEST(copy_extend_writes_the_range_and_nothing_else) {
  AlignedBytes source(kAlignments + 2 * kLongest, 6);
  AlignedBytes destination(4 * kAlignments + 2 * kLongest, 7);
  for (std::size_t alignment = 0; alignment < kAlignments; ++alignment) {
    // 29 is prime to 64, so source and destination meet in many relative alignments.
    const std::uint8_t* from = source.data() + alignment * 29 % kAlignments;
    const auto expected = ReferencePrefixes(0, from, 2 * kLongest);
    for (const Kernel* kernel : SupportedKernels()) {
      for (std::size_t size = 0; size <= 2 * kLongest; size += size < 400 ? 1 : 97) {
        CheckCopy(*kernel, from, destination, alignment, size, expected[size]);
      }
    }
  }
}

// The sanitizer for data races would rightly report the race that this test is about.
#if !defined(__SANITIZE_THREAD__)

namespace {

// Copies `size` bytes again and again while another thread changes them.
bool CrcIsThatOfTheCopy(const Kernel& kernel, std::size_t size, int rounds) {
  Bytes source = RandomBytes(size, 8);
  AlignedBytes memory(size + 1);
  std::uint8_t* destination = memory.data() + 1;  // neither end is aligned
  std::atomic<bool> stop = false;
  std::thread changer([&] {
    for (std::size_t i = 0; !stop.load(std::memory_order_relaxed); i = (i + 61) % size) {
      std::atomic_ref<std::uint8_t>(source[i]).fetch_add(1, std::memory_order_relaxed);
    }
  });
  bool equal = true;
  for (int i = 0; i < rounds && equal; ++i) {
    const std::uint32_t crc = kernel.copy_extend(0, destination, source.data(), size);
    equal = crc == kernel.extend(0, destination, size);
  }
  stop = true;
  changer.join();
  return equal;
}

}  // namespace

TEST(copy_extend_returns_the_crc_of_what_it_wrote_while_the_source_changes) {
  for (const Kernel* kernel : SupportedKernels()) {
    CheckAt(*kernel, 1, 50, CrcIsThatOfTheCopy(*kernel, 50, 100000));
    CheckAt(*kernel, 1, 500, CrcIsThatOfTheCopy(*kernel, 500, 100000));
    CheckAt(*kernel, 1, 1 << 16, CrcIsThatOfTheCopy(*kernel, 1 << 16, 200));
  }
}

#endif  // !defined(__SANITIZE_THREAD__)
