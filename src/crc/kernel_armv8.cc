// ARMv8 CRC32 extension: three interleaved chains of the CRC instruction, joined through tables.
//
// Tables rather than polynomial multiplication: processors exist that have the one and not the
// other, and a join costs eight look-ups per 3 KiB.
#if defined(__AARCH64EL__)

#if defined(__clang__)
#define FASTCKPT_ARMV8 __attribute__((target("crc")))
#else
#define FASTCKPT_ARMV8 __attribute__((target("+crc")))
#endif
#define FASTCKPT_ARMV8_INLINE FASTCKPT_ARMV8 __attribute__((always_inline)) inline

#include <arm_acle.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "crc/kernel.h"
#include "crc/polynomial.h"

namespace fastckpt::crc {
namespace {

constexpr std::size_t kLongBlock = 1024;
constexpr std::size_t kShortBlock = 128;

// word[k][b]: byte k of a state, with value b, moved forward over one block.
struct ShiftTables {
  std::uint32_t word[4][256];
};

consteval ShiftTables MakeShiftTables(std::int64_t block) {
  ShiftTables tables = {};
  const std::uint32_t power = PowerOfX(8 * block);
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    for (int k = 0; k < 4; ++k) tables.word[k][byte] = MultiplyModulo(byte << (8 * k), power);
  }
  return tables;
}

constexpr ShiftTables kLongShift = MakeShiftTables(kLongBlock);
constexpr ShiftTables kShortShift = MakeShiftTables(kShortBlock);

inline std::uint32_t Shift(std::uint32_t state, const ShiftTables& tables) {
  return tables.word[0][state & 0xFF] ^ tables.word[1][(state >> 8) & 0xFF] ^
         tables.word[2][(state >> 16) & 0xFF] ^ tables.word[3][state >> 24];
}

FASTCKPT_ARMV8_INLINE std::uint64_t LoadWord(const std::uint8_t* data) {
  std::uint64_t word;
  std::memcpy(&word, data, sizeof(word));
  return word;
}

FASTCKPT_ARMV8_INLINE std::uint32_t ExtendChain(std::uint32_t state, const std::uint8_t* data,
                                                std::size_t size) {
  for (; size >= 8; size -= 8, data += 8) state = __crc32cd(state, LoadWord(data));
  if ((size & 4) != 0) {
    std::uint32_t word;
    std::memcpy(&word, data, sizeof(word));
    state = __crc32cw(state, word);
    data += 4;
  }
  if ((size & 2) != 0) {
    std::uint16_t word;
    std::memcpy(&word, data, sizeof(word));
    state = __crc32ch(state, word);
    data += 2;
  }
  if ((size & 1) != 0) state = __crc32cb(state, *data);
  return state;
}

FASTCKPT_ARMV8_INLINE std::uint32_t ExtendThree(std::uint32_t state, const std::uint8_t* data,
                                                std::size_t block, const ShiftTables& tables) {
  std::uint32_t second = 0;
  std::uint32_t third = 0;
  for (std::size_t i = 0; i != block; i += 8) {
    state = __crc32cd(state, LoadWord(data + i));
    second = __crc32cd(second, LoadWord(data + block + i));
    third = __crc32cd(third, LoadWord(data + 2 * block + i));
  }
  return Shift(Shift(state, tables) ^ second, tables) ^ third;
}

FASTCKPT_ARMV8 std::uint32_t Extend(std::uint32_t crc, const std::uint8_t* data, std::size_t size) {
  std::uint32_t state = ~crc;
  for (; size >= 3 * kLongBlock; size -= 3 * kLongBlock, data += 3 * kLongBlock) {
    state = ExtendThree(state, data, kLongBlock, kLongShift);
  }
  for (; size >= 3 * kShortBlock; size -= 3 * kShortBlock, data += 3 * kShortBlock) {
    state = ExtendThree(state, data, kShortBlock, kShortShift);
  }
  return ~ExtendChain(state, data, size);
}

// Ordinary stores: the non-temporal pair store has no intrinsic that all compilers share.
FASTCKPT_ARMV8 std::uint32_t CopyExtend(std::uint32_t crc, std::uint8_t* destination,
                                        const std::uint8_t* source, std::size_t size) {
  constexpr std::size_t kStep = 3 * kLongBlock;  // the copy is still in the first-level cache
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

}  // namespace

const Kernel kArmv8Kernel = {"armv8", &Extend, &CopyExtend, &SupportsArmv8};

}  // namespace fastckpt::crc

#endif  // defined(__AARCH64EL__)
