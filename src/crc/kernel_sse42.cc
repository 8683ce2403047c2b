// SSE4.2: three interleaved chains of the CRC instruction, joined by carry-less multiplication.
//
// Three positions a block apart defeat the hardware prefetcher when the data comes from memory (8
// GB/s), so blocks stay short and the bytes of the next step are asked for by hand (25 GB/s).
#if defined(__x86_64__)

#include <nmmintrin.h>
#include <wmmintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "crc/kernel.h"
#include "crc/polynomial.h"

#define FASTCKPT_SSE42 __attribute__((target("sse4.2,crc32,pclmul")))
#define FASTCKPT_SSE42_INLINE FASTCKPT_SSE42 __attribute__((always_inline)) inline

namespace fastckpt::crc {
namespace {

// Three neighbouring blocks of `block` bytes and the keys that move a CRC over two and over one.
struct Stage {
  std::size_t block;
  std::uint32_t two_blocks;
  std::uint32_t one_block;
};

consteval Stage MakeStage(std::uint32_t block) {
  return {block, ShiftKey(std::int64_t{16} * block), ShiftKey(std::int64_t{8} * block)};
}

constexpr Stage kLong = MakeStage(512);
constexpr Stage kShort = MakeStage(64);

FASTCKPT_SSE42_INLINE std::uint64_t LoadWord(const std::uint8_t* data) {
  std::uint64_t word;
  std::memcpy(&word, data, sizeof(word));
  return word;
}

FASTCKPT_SSE42_INLINE std::uint64_t ExtendChain(std::uint64_t state, const std::uint8_t* data,
                                                std::size_t size) {
  for (; size >= 8; size -= 8, data += 8) state = _mm_crc32_u64(state, LoadWord(data));
  auto narrow = static_cast<std::uint32_t>(state);
  if ((size & 4) != 0) {
    std::uint32_t word;
    std::memcpy(&word, data, sizeof(word));
    narrow = _mm_crc32_u32(narrow, word);
    data += 4;
  }
  if ((size & 2) != 0) {
    std::uint16_t word;
    std::memcpy(&word, data, sizeof(word));
    narrow = _mm_crc32_u16(narrow, word);
    data += 2;
  }
  if ((size & 1) != 0) narrow = _mm_crc32_u8(narrow, *data);
  return narrow;
}

FASTCKPT_SSE42_INLINE __m128i ShiftProduct(std::uint64_t state, std::uint32_t key) {
  return _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(state)),
                              _mm_cvtsi32_si128(static_cast<int>(key)), 0x00);
}

FASTCKPT_SSE42_INLINE std::uint64_t ExtendThree(std::uint64_t state, const std::uint8_t* data,
                                                const Stage& stage) {
  const std::uint8_t* middle = data + stage.block;
  const std::uint8_t* last = middle + stage.block;
  std::uint64_t second = 0;
  std::uint64_t third = 0;
  for (std::size_t i = 0; i != stage.block; i += 8) {
    state = _mm_crc32_u64(state, LoadWord(data + i));
    second = _mm_crc32_u64(second, LoadWord(middle + i));
    third = _mm_crc32_u64(third, LoadWord(last + i));
  }
  const __m128i shifted =
      _mm_xor_si128(ShiftProduct(state, stage.two_blocks), ShiftProduct(second, stage.one_block));
  return third ^ _mm_crc32_u64(0, static_cast<std::uint64_t>(_mm_cvtsi128_si64(shifted)));
}

FASTCKPT_SSE42_INLINE void Prefetch(const std::uint8_t* data, std::size_t size) {
  for (std::size_t i = 0; i < size; i += 64) _mm_prefetch(data + i, _MM_HINT_T0);
}

FASTCKPT_SSE42 std::uint32_t Extend(std::uint32_t crc, const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kLongStep = 3 * kLong.block;
  constexpr std::size_t kShortStep = 3 * kShort.block;
  std::uint64_t state = ~crc;
  for (; size >= kLongStep; size -= kLongStep, data += kLongStep) {
    if (size >= 2 * kLongStep) Prefetch(data + kLongStep, kLongStep);
    state = ExtendThree(state, data, kLong);
  }
  for (; size >= kShortStep; size -= kShortStep, data += kShortStep) {
    state = ExtendThree(state, data, kShort);
  }
  return ~static_cast<std::uint32_t>(ExtendChain(state, data, size));
}

// Moves `size` bytes, a multiple of 64, from an aligned buffer past the cache.
FASTCKPT_SSE42_INLINE void StreamOut(std::uint8_t* destination, const std::uint8_t* buffer,
                                     std::size_t size) {
  const auto* from = reinterpret_cast<const __m128i*>(buffer);
  auto* to = reinterpret_cast<__m128i*>(destination);
  for (std::size_t i = 0; i != size / 16; i += 4) {
    _mm_stream_si128(to + i, _mm_load_si128(from + i));
    _mm_stream_si128(to + i + 1, _mm_load_si128(from + i + 1));
    _mm_stream_si128(to + i + 2, _mm_load_si128(from + i + 2));
    _mm_stream_si128(to + i + 3, _mm_load_si128(from + i + 3));
  }
}

// The buffer stays in the first-level cache: it is what both the CRC and the stores read.
FASTCKPT_SSE42 std::uint32_t CopyExtend(std::uint32_t crc, std::uint8_t* destination,
                                        const std::uint8_t* source, std::size_t size) {
  constexpr std::size_t kStep = 6 * kLong.block;
  alignas(64) std::uint8_t buffer[kStep];
  const std::size_t misaligned = (0 - reinterpret_cast<std::uintptr_t>(destination)) % 64;
  std::size_t step = misaligned != 0 ? misaligned : kStep;
  while (size != 0) {
    if (step > size) step = size;
    std::memcpy(buffer, source, step);
    // Forbids the compiler to read the source again in place of the buffer.
    __asm__ volatile("" : : "r"(buffer) : "memory");
    crc = Extend(crc, buffer, step);
    if (step == kStep) {
      StreamOut(destination, buffer, step);
    } else {
      std::memcpy(destination, buffer, step);
    }
    destination += step;
    source += step;
    size -= step;
    step = kStep;
  }
  // Other threads may see the copy only after an ordinary store that follows it.
  _mm_sfence();
  return crc;
}

}  // namespace

const Kernel kSse42Kernel = {"sse42", &Extend, &CopyExtend, &SupportsSse42};

}  // namespace fastckpt::crc

#endif  // defined(__x86_64__)
