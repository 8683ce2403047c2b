#include <cstddef>
#include <cstdint>

#include "crc/crc32c.h"
#include "crc/polynomial.h"

namespace fastckpt::crc {
namespace {

constexpr int kDigits = 4;  // a length modulo kOrder has 31 bits

// key[i][d] moves a CRC forward over d * 256^i bytes.
struct DigitKeys {
  std::uint32_t key[kDigits][256];
};

consteval DigitKeys MakeDigitKeys() {
  DigitKeys keys = {};
  for (int i = 0; i < kDigits; ++i) {
    const std::uint32_t step = PowerOfX(std::int64_t{8} << (8 * i));
    keys.key[i][0] = ShiftKey(0);
    for (int d = 1; d < 256; ++d) keys.key[i][d] = MultiplyModulo(keys.key[i][d - 1], step);
  }
  return keys;
}

constexpr DigitKeys kDigitKeys = MakeDigitKeys();

// The carry-less product of two words by ordinary multiplication: with three empty bits between two
// used ones, the at most eight ones that meet in a column cannot carry into the next used bit.
std::uint64_t MultiplyCarryless(std::uint32_t a, std::uint32_t b) {
  std::uint64_t product = 0;
  for (int column = 0; column < 4; ++column) {
    std::uint64_t sum = 0;
    for (int i = 0; i < 4; ++i) {
      const std::uint64_t left = a & (0x11111111u << i);
      const std::uint64_t right = b & (0x11111111u << ((column - i) & 3));
      sum ^= left * right;
    }
    product |= sum & (0x1111111111111111u << column);
  }
  return product;
}

// The CRC register after eight bytes, starting from 0 and without the final inversion.
std::uint32_t Register(std::uint64_t word) {
  std::uint8_t bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(word >> (8 * i));
  return ~Extend(0xFFFFFFFFu, bytes, sizeof(bytes));
}

}  // namespace

std::uint32_t Combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t size_b) {
  std::uint64_t remaining = size_b % std::uint64_t{kOrder};
  for (int i = 0; remaining != 0; ++i, remaining >>= 8) {
    const std::uint64_t digit = remaining & 0xFF;
    if (digit != 0) crc_a = Register(MultiplyCarryless(crc_a, kDigitKeys.key[i][digit]));
  }
  return crc_a ^ crc_b;
}

}  // namespace fastckpt::crc
