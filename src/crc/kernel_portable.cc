// Sixteen bytes per step through tables ("slicing"), for any machine and byte order.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "crc/kernel.h"
#include "crc/polynomial.h"

namespace fastckpt::crc {
namespace {

// word[k][b]: what byte b contributes when k more bytes follow it in the same step.
struct SliceTables {
  std::uint32_t word[16][256];
};

consteval SliceTables MakeSliceTables() {
  SliceTables tables = {};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value & 1) != 0 ? (value >> 1) ^ kPolynomial : value >> 1;
    }
    tables.word[0][byte] = value;
  }
  for (int k = 1; k < 16; ++k) {
    for (int byte = 0; byte < 256; ++byte) {
      const std::uint32_t previous = tables.word[k - 1][byte];
      tables.word[k][byte] = (previous >> 8) ^ tables.word[0][previous & 0xFF];
    }
  }
  return tables;
}

constexpr SliceTables kTables = MakeSliceTables();

inline std::uint32_t LoadLittleEndian(const std::uint8_t* data) {
  return std::uint32_t{data[0]} | (std::uint32_t{data[1]} << 8) | (std::uint32_t{data[2]} << 16) |
         (std::uint32_t{data[3]} << 24);
}

// The contribution of four bytes with `following` more bytes after them in the step.
inline std::uint32_t Slice(std::uint32_t word, int following) {
  return kTables.word[following + 3][word & 0xFF] ^
         kTables.word[following + 2][(word >> 8) & 0xFF] ^
         kTables.word[following + 1][(word >> 16) & 0xFF] ^ kTables.word[following][word >> 24];
}

std::uint32_t Extend(std::uint32_t crc, const std::uint8_t* data, std::size_t size) {
  std::uint32_t state = ~crc;
  for (; size >= 16; size -= 16, data += 16) {
    state = Slice(state ^ LoadLittleEndian(data), 12) ^ Slice(LoadLittleEndian(data + 4), 8) ^
            Slice(LoadLittleEndian(data + 8), 4) ^ Slice(LoadLittleEndian(data + 12), 0);
  }
  if (size >= 8) {
    state = Slice(state ^ LoadLittleEndian(data), 4) ^ Slice(LoadLittleEndian(data + 4), 0);
    size -= 8;
    data += 8;
  }
  for (; size != 0; --size, ++data) state = (state >> 8) ^ kTables.word[0][(state ^ *data) & 0xFF];
  return ~state;
}

std::uint32_t CopyExtend(std::uint32_t crc, std::uint8_t* destination, const std::uint8_t* source,
                         std::size_t size) {
  constexpr std::size_t kStep = 4096;  // the copy is still in the first-level cache when it is read
  while (size != 0) {
    const std::size_t step = size < kStep ? size : kStep;
    std::memcpy(destination, source, step);
    crc = Extend(crc, destination, step);
    destination += step;
    source += step;
    size -= step;
  }
  return crc;
}

bool Supported() {
  return true;
}

}  // namespace

const Kernel kPortableKernel = {"portable", &Extend, &CopyExtend, &Supported};

}  // namespace fastckpt::crc
