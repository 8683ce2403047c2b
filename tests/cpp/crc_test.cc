// CRC-32C: published values, masking, Combine, CopyExtend and the choice of a kernel.
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "crc/crc32c.h"
#include "crc_reference.h"
#include "harness.h"

namespace {

using fastckpt::crc::ChooseKernel;
using fastckpt::crc::Combine;
using fastckpt::crc::CopyExtend;
using fastckpt::crc::Extend;
using fastckpt::crc::Kernel;
using fastckpt::crc::Kernels;
using fastckpt::crc::Mask;
using fastckpt::crc::Unmask;
using fastckpt::crc::Value;
using fastckpt::testing::RandomBytes;
using fastckpt::testing::ReferenceExtend;

using Bytes = std::vector<std::uint8_t>;

std::uint32_t ValueOf(const Bytes& bytes) {
  return Value(bytes.data(), bytes.size());
}

std::uint32_t ValueOf(std::string_view text) {
  return Value(text.data(), text.size());
}

// The CRC of `count` zero bytes, by doubling: zeros(2n) = zeros(n) zeros(n).
std::uint32_t CrcOfZeros(int log2_count) {
  const std::uint8_t zero = 0;
  std::uint32_t crc = ReferenceExtend(0, zero);
  for (int i = 0; i < log2_count; ++i) crc = Combine(crc, crc, std::uint64_t{1} << i);
  return crc;
}

// A registry whose fastest kernel this machine lacks.
constexpr Kernel kFirst = {"first", nullptr, nullptr, [] { return false; }};
constexpr Kernel kSecond = {"second", nullptr, nullptr, [] { return true; }};
constexpr Kernel kThird = {"third", nullptr, nullptr, [] { return true; }};
constexpr const Kernel* kFakes[] = {&kFirst, &kSecond, &kThird};

}  // namespace

TEST(rfc_3720_vectors) {
  Bytes ascending(32);
  Bytes descending(32);
  for (std::uint8_t i = 0; i < 32; ++i) {
    ascending[i] = i;
    descending[i] = static_cast<std::uint8_t>(31 - i);
  }
  CHECK_EQ(ValueOf(Bytes(32, 0x00)), 0x8A9136AAu);
  CHECK_EQ(ValueOf(Bytes(32, 0xFF)), 0x62A8AB43u);
  CHECK_EQ(ValueOf(ascending), 0x46DD794Eu);
  CHECK_EQ(ValueOf(descending), 0x113FDB5Cu);
  const Bytes read_command = {0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
                              0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
                              0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0};
  CHECK_EQ(ValueOf(read_command), 0xD9963A56u);
}

TEST(well_known_values) {
  CHECK_EQ(ValueOf(""), 0u);
  CHECK_EQ(ValueOf("a"), 0xC1D04330u);
  CHECK_EQ(ValueOf("123456789"), 0xE3069283u);
  CHECK_EQ(Value(nullptr, 0), 0u);
  CHECK_EQ(Extend(0xE3069283u, nullptr, 0), 0xE3069283u);
}

TEST(the_reference_twin_knows_the_published_value) {
  const std::string_view digits = "123456789";
  const auto* data = reinterpret_cast<const std::uint8_t*>(digits.data());
  CHECK_EQ(ReferenceExtend(0, data, digits.size()), 0xE3069283u);
}

TEST(mask_vectors) {
  CHECK_EQ(Mask(0), 0xA282EAD8u);
  CHECK_EQ(Mask(0xE3069283u), 0xC78AB0E5u);
  // An empty block and its type byte, as stored in the trailer of every empty table.
  CHECK_EQ(Mask(Value("\0\0\0\0\1\0\0\0\0", 9)), 0xB0A1F2C0u);
}

TEST(unmask_inverts_mask) {
  std::mt19937 random(7);
  CHECK_EQ(Unmask(0xC78AB0E5u), 0xE3069283u);
  for (int i = 0; i < 1000; ++i) {
    const auto crc = static_cast<std::uint32_t>(random());
    CHECK_EQ(Unmask(Mask(crc)), crc);
    CHECK(Mask(crc) != crc);
  }
}

TEST(combine_equals_extend_for_random_splits) {
  const Bytes bytes = RandomBytes((1 << 20) + 77);
  std::mt19937 random(11);
  for (int i = 0; i < 2000; ++i) {
    const std::size_t size = random() % (i % 10 == 0 ? bytes.size() : 5000);
    const std::size_t split = random() % (size + 1);
    const std::uint32_t first = Value(bytes.data(), split);
    const std::uint32_t second = Value(bytes.data() + split, size - split);
    CHECK_EQ(Combine(first, second, size - split),
             Extend(first, bytes.data() + split, size - split));
  }
}

TEST(combine_with_an_empty_half_changes_nothing) {
  const std::uint32_t crc = ValueOf("abc");
  CHECK_EQ(Combine(crc, 0, 0), crc);
  CHECK_EQ(Combine(0, crc, 3), crc);
  CHECK_EQ(Combine(0, 0, 0), 0u);
}

// Lengths beyond any buffer: doubling reaches 2^40 zeros, and so must any other way to cut them.
TEST(combine_over_huge_lengths_does_not_depend_on_the_cut) {
  const std::uint32_t whole = CrcOfZeros(40);
  CHECK_EQ(CrcOfZeros(20), ValueOf(Bytes(1 << 20, 0)));
  const std::uint64_t trillion = std::uint64_t{1} << 40;
  const Bytes odd(12345, 0);
  std::uint32_t rest = 0;  // the CRC of 2^40 - 12345 zeros, one power of two after the other
  for (int bit = 0; bit < 40; ++bit) {
    if (((trillion - odd.size()) >> bit & 1) != 0) {
      rest = Combine(rest, CrcOfZeros(bit), std::uint64_t{1} << bit);
    }
  }
  CHECK_EQ(Combine(ValueOf(odd), rest, trillion - odd.size()), whole);
  CHECK_EQ(Combine(rest, ValueOf(odd), odd.size()), whole);
}

TEST(combine_is_associative_at_every_digit_of_the_length) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 1000; ++i) {
    const auto a = static_cast<std::uint32_t>(random());
    const auto b = static_cast<std::uint32_t>(random());
    const auto c = static_cast<std::uint32_t>(random());
    const std::uint64_t size_b = random() >> (1 + random() % 63);
    const std::uint64_t size_c = random() >> (1 + random() % 63);
    CHECK_EQ(Combine(Combine(a, b, size_b), c, size_c),
             Combine(a, Combine(b, c, size_c), size_b + size_c));
  }
}

TEST(copy_extend_copies_and_agrees_on_both_sides_of_the_streaming_threshold) {
  const Bytes source = RandomBytes(200000);
  for (const std::size_t size : {0u, 1u, 63u, 64u, 4096u, 32767u, 32768u, 32769u, 199937u}) {
    Bytes destination(size + 2, 0xEE);
    const std::uint32_t crc = CopyExtend(0x1234, destination.data() + 1, source.data() + 63, size);
    CHECK_EQ(crc, Extend(0x1234, source.data() + 63, size));
    CHECK(std::memcmp(destination.data() + 1, source.data() + 63, size) == 0);
    CHECK(destination.front() == 0xEE && destination.back() == 0xEE);
  }
  CHECK_EQ(CopyExtend(0x1234, nullptr, nullptr, 0), 0x1234u);
}

TEST(registry_ends_with_the_portable_kernel) {
  const auto kernels = Kernels();
  CHECK(!kernels.empty());
  CHECK_EQ(std::string(kernels.back()->name), "portable");
  CHECK(kernels.back()->supported());
  for (const Kernel* kernel : kernels.first(kernels.size() - 1)) {
    CHECK(std::string(kernel->name) != "portable");
  }
}

TEST(choose_kernel_by_name) {
  for (const Kernel* kernel : Kernels()) {
    if (kernel->supported()) CHECK_EQ(&ChooseKernel(Kernels(), kernel->name), kernel);
  }
  CHECK_EQ(&ChooseKernel(kFakes, "third"), &kThird);
}

TEST(choose_kernel_takes_the_first_supported_one_for_any_other_name) {
  CHECK_EQ(&ChooseKernel(kFakes, nullptr), &kSecond);
  for (const char* name : {"first", "", "no such kernel", "THIRD", "third ", "thir"}) {
    CHECK_EQ(&ChooseKernel(kFakes, name), &kSecond);
  }
}

TEST(active_kernel_is_a_supported_member_of_the_registry) {
  const Kernel& active = fastckpt::crc::ActiveKernel();
  CHECK(active.supported());
  CHECK_EQ(&fastckpt::crc::ActiveKernel(), &active);
  CHECK_EQ(&ChooseKernel(Kernels(), active.name), &active);
}
