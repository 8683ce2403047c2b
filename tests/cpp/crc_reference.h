// The slow, obviously right twin of every CRC-32C kernel, and bytes to feed both.
#ifndef FASTCKPT_TESTS_CPP_CRC_REFERENCE_H_
#define FASTCKPT_TESTS_CPP_CRC_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace fastckpt::testing {

// One byte more: bit by bit, straight from the definition in RFC 3720 section 12.1.
inline std::uint32_t ReferenceExtend(std::uint32_t crc, std::uint8_t byte) {
  std::uint32_t state = ~crc ^ byte;
  for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1) != 0 ? 0x82F63B78u : 0u);
  return ~state;
}

inline std::uint32_t ReferenceExtend(std::uint32_t crc, const std::uint8_t* data,
                                     std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) crc = ReferenceExtend(crc, data[i]);
  return crc;
}

// Reproducible bytes without structure.
inline std::vector<std::uint8_t> RandomBytes(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> bytes(size);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

}  // namespace fastckpt::testing

#endif  // FASTCKPT_TESTS_CPP_CRC_REFERENCE_H_
