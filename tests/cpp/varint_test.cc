#include "coding/varint.h"

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "harness.h"

namespace fastckpt::coding {
namespace {

// Exact-size heap storage, so that AddressSanitizer sees every read past the end.
std::vector<std::uint8_t> Exactly(const std::string& bytes) {
  return {bytes.begin(), bytes.end()};
}

bool Decodes64(const std::string& bytes, std::uint64_t expected, std::size_t used) {
  const auto input = Exactly(bytes);
  std::uint64_t value = ~expected;
  const std::uint8_t* next = DecodeVarint64(input.data(), input.data() + input.size(), &value);
  return next == input.data() + used && value == expected;
}

bool Rejects64(const std::string& bytes) {
  const auto input = Exactly(bytes);
  std::uint64_t value = 0;
  return DecodeVarint64(input.data(), input.data() + input.size(), &value) == nullptr;
}

bool Rejects32(const std::string& bytes) {
  const auto input = Exactly(bytes);
  std::uint32_t value = 0;
  return DecodeVarint32(input.data(), input.data() + input.size(), &value) == nullptr;
}

std::string Encoded(std::uint64_t value) {
  std::string out;
  AppendVarint64(out, value);
  return out;
}

// 0, every power of two, and its neighbours.
std::vector<std::uint64_t> BoundaryNumbers() {
  std::vector<std::uint64_t> numbers{0, std::numeric_limits<std::uint64_t>::max()};
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    numbers.insert(numbers.end(), {power - 1, power, power + 1});
  }
  return numbers;
}

TEST(known_encodings) {
  CHECK_EQ(Encoded(0), std::string(1, '\0'));
  CHECK_EQ(Encoded(127), "\x7f");
  CHECK_EQ(Encoded(128), "\x80\x01");
  CHECK_EQ(Encoded(300), "\xac\x02");
  CHECK_EQ(Encoded(~std::uint64_t{0}), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
}

TEST(round_trips_at_every_length) {
  for (const std::uint64_t number : BoundaryNumbers()) {
    const std::string bytes = Encoded(number);
    CHECK(Decodes64(bytes, number, bytes.size()));
    CHECK(Decodes64(bytes + "\xff\xff", number, bytes.size()));
  }
}

TEST(truncation_at_every_byte_is_rejected) {
  for (const std::uint64_t number : BoundaryNumbers()) {
    const std::string bytes = Encoded(number);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CHECK(Rejects64(bytes.substr(0, size)));
      CHECK(Rejects32(bytes.substr(0, size)));
    }
  }
}

TEST(zero_padding_is_accepted) {
  CHECK(Decodes64(std::string("\x81\x80\x00", 3), 1, 3));
  CHECK(Decodes64(std::string("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10), 0, 10));
}

TEST(more_than_64_bits_are_rejected) {
  CHECK(Rejects64("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
  CHECK(Rejects64(std::string("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11)));
  CHECK(Rejects64(std::string(64, '\xff')));
}

TEST(thirty_two_bits_are_the_limit_of_varint32) {
  for (const std::uint64_t number : BoundaryNumbers()) {
    const auto input = Exactly(Encoded(number));
    std::uint32_t value = 0;
    const auto* next = DecodeVarint32(input.data(), input.data() + input.size(), &value);
    const bool fits = number <= std::numeric_limits<std::uint32_t>::max();
    CHECK_EQ(next != nullptr, fits);
    if (fits) CHECK_EQ(value, number);
  }
  CHECK(Rejects32(std::string("\x81\x80\x80\x80\x80\x00", 6)));
}

TEST(random_bytes_never_leave_their_range) {
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::uint8_t> input(random() % 14);
    for (auto& byte : input) byte = static_cast<std::uint8_t>(random() | (random() % 4 ? 0x80 : 0));
    const std::uint8_t* end = input.data() + input.size();
    std::uint64_t value = 0;
    const auto* next = DecodeVarint64(input.data(), end, &value);
    CHECK(next == nullptr || (next > input.data() && next <= end && next[-1] < 0x80));
  }
}

}  // namespace
}  // namespace fastckpt::coding
