// AVX-512 with carry-less multiplication: folds 64-byte blocks onto an accumulator, four at a time.
//
// Folding (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", 2009): a
// 16-byte lane is moved forward by n bytes with two products, one for each half of the lane.
#if defined(__x86_64__)

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "crc/kernel.h"
#include "crc/polynomial.h"

#define FASTCKPT_AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2,vpclmulqdq,pclmul,sse4.2,crc32")))
#define FASTCKPT_AVX512_INLINE FASTCKPT_AVX512 __attribute__((always_inline)) inline

namespace fastckpt::crc {
namespace {

// One 64-byte constant, ready to load: assembling it from two words costs half the speed at 1 KiB.
struct alignas(64) FoldKey {
  std::uint64_t lanes[8];
};

// The factors that move each 16-byte lane i forward by bytes + i * bytes_per_lane.
consteval FoldKey MakeFoldKey(std::int64_t bytes, std::int64_t bytes_per_lane = 0) {
  FoldKey key = {};
  for (int lane = 0; lane < 4; ++lane) {
    const std::int64_t bits = 8 * (bytes + lane * bytes_per_lane);
    key.lanes[2 * lane] = PowerOfX(bits + 31);
    key.lanes[2 * lane + 1] = PowerOfX(bits - 33);
  }
  return key;
}

constexpr FoldKey kFold64 = MakeFoldKey(64);
constexpr FoldKey kFold128 = MakeFoldKey(128);
constexpr FoldKey kFold192 = MakeFoldKey(192);
constexpr FoldKey kFold256 = MakeFoldKey(256);
// Moves every lane onto the last one.
constexpr FoldKey kFoldLanes = MakeFoldKey(48, -16);

// Below this size the CRC instruction alone is faster.
constexpr std::size_t kScalarBelow = 64;
// The same for a continued CRC: a chain of short strings waits for the latency of each call.
constexpr std::size_t kScalarChainBelow = 128;

FASTCKPT_AVX512_INLINE std::uint64_t LoadWord(const std::uint8_t* data) {
  std::uint64_t word;
  std::memcpy(&word, data, sizeof(word));
  return word;
}

FASTCKPT_AVX512_INLINE std::uint32_t ExtendScalar(std::uint32_t state, const std::uint8_t* data,
                                                  std::size_t size) {
  std::uint64_t wide = state;
  for (; size >= 8; size -= 8, data += 8) wide = _mm_crc32_u64(wide, LoadWord(data));
  state = static_cast<std::uint32_t>(wide);
  if ((size & 4) != 0) {
    std::uint32_t word;
    std::memcpy(&word, data, sizeof(word));
    state = _mm_crc32_u32(state, word);
    data += 4;
  }
  if ((size & 2) != 0) {
    std::uint16_t word;
    std::memcpy(&word, data, sizeof(word));
    state = _mm_crc32_u16(state, word);
    data += 2;
  }
  if ((size & 1) != 0) state = _mm_crc32_u8(state, *data);
  return state;
}

FASTCKPT_AVX512_INLINE __m512i LoadKey(const FoldKey& key) {
  return _mm512_load_si512(key.lanes);
}

FASTCKPT_AVX512_INLINE __m512i FromState(std::uint32_t state) {
  return _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(state)));
}

// Moves `accumulator` forward by the distance of `key` and adds `next`.
FASTCKPT_AVX512_INLINE __m512i Fold(__m512i accumulator, __m512i key, __m512i next) {
  constexpr int kXorOfThree = 0x96;
  return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(accumulator, key, 0x00),
                                   _mm512_clmulepi64_epi128(accumulator, key, 0x11), next,
                                   kXorOfThree);
}

FASTCKPT_AVX512_INLINE std::uint32_t Reduce(__m512i accumulator) {
  const __m512i lanes = Fold(accumulator, LoadKey(kFoldLanes), _mm512_setzero_si512());
  // The zero-masked forms compile to the plain ones, which GCC 12 reports as uninitialised (PR
  // 105593).
  const __m256i half = _mm256_xor_si256(_mm512_maskz_extracti64x4_epi64(0xFF, lanes, 0),
                                        _mm512_maskz_extracti64x4_epi64(0xFF, lanes, 1));
  const __m128i lane =
      _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  const auto low = static_cast<std::uint64_t>(_mm_cvtsi128_si64(lane));
  const auto high = static_cast<std::uint64_t>(_mm_extract_epi64(lane, 1));
  return static_cast<std::uint32_t>(_mm_crc32_u64(_mm_crc32_u64(0, low), high));
}

// The 64 bytes at source + offset, stored at destination + offset on the way unless that is null.
FASTCKPT_AVX512_INLINE __m512i Take(const std::uint8_t* source, std::uint8_t* destination,
                                    std::size_t offset) {
  __m512i block = _mm512_loadu_si512(source + offset);
  if (destination != nullptr) {
    // Forbids the compiler to load twice: what is stored is what the CRC sees.
    __asm__("" : "+v"(block));
    _mm512_stream_si512(reinterpret_cast<__m512i*>(destination + offset), block);
  }
  return block;
}

// Asks for the four blocks that a copy reaches in eight steps: its stores slow the hardware
// prefetcher down, and this brings a copy between two ranges of memory from 20 to 25 GB/s.
FASTCKPT_AVX512_INLINE void PrefetchAhead(const std::uint8_t* source, std::size_t offset,
                                          std::size_t size) {
  constexpr std::size_t kDistance = 8 * 256;
  if (size - offset < kDistance + 256) return;
  const std::uint8_t* ahead = source + offset + kDistance;
  for (int i = 0; i < 4; ++i) _mm_prefetch(ahead + 64 * i, _MM_HINT_NTA);
}

// Folds `size` bytes, a multiple of 64, onto `accumulator`; a copy when destination is not null.
FASTCKPT_AVX512_INLINE __m512i FoldBlocks(__m512i accumulator, const std::uint8_t* source,
                                          std::uint8_t* destination, std::size_t size) {
  std::size_t offset = 0;
  const __m512i fold64 = LoadKey(kFold64);
  if (size >= 192) {
    __m512i second = Take(source, destination, 0);
    __m512i third = Take(source, destination, 64);
    __m512i fourth = Take(source, destination, 128);
    const __m512i fold256 = LoadKey(kFold256);
    for (offset = 192; size - offset >= 256; offset += 256) {
      if (destination != nullptr) PrefetchAhead(source, offset, size);
      accumulator = Fold(accumulator, fold256, Take(source, destination, offset));
      second = Fold(second, fold256, Take(source, destination, offset + 64));
      third = Fold(third, fold256, Take(source, destination, offset + 128));
      fourth = Fold(fourth, fold256, Take(source, destination, offset + 192));
    }
    fourth = Fold(third, fold64, fourth);
    fourth = Fold(second, LoadKey(kFold128), fourth);
    accumulator = Fold(accumulator, LoadKey(kFold192), fourth);
  }
  for (; offset != size; offset += 64) {
    accumulator = Fold(accumulator, fold64, Take(source, destination, offset));
  }
  return accumulator;
}

// Starts an accumulator over size % 64 bytes, so that whole blocks remain: zero bytes in front of a
// message do not change its CRC. 64 bytes are readable at `data`, and `rest` receives the part of
// the state that lies beyond those bytes.
FASTCKPT_AVX512_INLINE __m512i StartPartial(std::uint32_t state, const std::uint8_t* data,
                                            std::size_t bytes, std::uint32_t* rest) {
  const __m512i block = _mm512_xor_si512(_mm512_loadu_si512(data), FromState(state));
  *rest = bytes < 4 ? state >> (8 * bytes) : 0;
  return _mm512_maskz_expand_epi8(~std::uint64_t{0} << (64 - bytes), block);
}

FASTCKPT_AVX512 std::uint32_t Extend(std::uint32_t crc, const std::uint8_t* data,
                                     std::size_t size) {
  if (size < kScalarBelow || (size < kScalarChainBelow && crc != 0)) {
    return ~ExtendScalar(~crc, data, size);
  }
  __m512i accumulator;
  std::uint32_t state = ~crc;
  const std::size_t partial = size % 64;
  if (partial == 0) {
    accumulator = _mm512_xor_si512(_mm512_loadu_si512(data), FromState(state));
  } else {
    const __m512i start = StartPartial(state, data, partial, &state);
    const __m512i next = _mm512_xor_si512(_mm512_loadu_si512(data + partial), FromState(state));
    accumulator = Fold(start, LoadKey(kFold64), next);
  }
  const std::size_t done = partial + 64;
  return ~Reduce(FoldBlocks(accumulator, data + done, nullptr, size - done));
}

// Copies fewer than 64 bytes through a buffer of its own.
FASTCKPT_AVX512 std::uint32_t CopyExtendShort(std::uint32_t crc, std::uint8_t* destination,
                                              const std::uint8_t* source, std::size_t size) {
  std::uint8_t buffer[64];
  std::memcpy(buffer, source, size);
  // Forbids the compiler to read the source again in place of the buffer.
  __asm__ volatile("" : : "r"(buffer) : "memory");
  std::memcpy(destination, buffer, size);
  return ~ExtendScalar(~crc, buffer, size);
}

FASTCKPT_AVX512 std::uint32_t CopyExtend(std::uint32_t crc, std::uint8_t* destination,
                                         const std::uint8_t* source, std::size_t size) {
  const std::size_t misaligned = (0 - reinterpret_cast<std::uintptr_t>(destination)) % 64;
  const std::size_t head = misaligned < size ? misaligned : size;
  crc = CopyExtendShort(crc, destination, source, head);
  destination += head;
  source += head;
  size -= head;
  if (size >= 64) {
    const std::size_t whole = size - size % 64;
    const __m512i first = Take(source, destination, 0);
    const __m512i start = _mm512_xor_si512(first, FromState(~crc));
    crc = ~Reduce(FoldBlocks(start, source + 64, destination + 64, whole - 64));
    // Other threads may see the copy only after an ordinary store that follows it.
    _mm_sfence();
    destination += whole;
    source += whole;
    size -= whole;
  }
  return CopyExtendShort(crc, destination, source, size);
}

}  // namespace

const Kernel kAvx512Kernel = {"avx512", &Extend, &CopyExtend, &SupportsAvx512};

}  // namespace fastckpt::crc

#endif  // defined(__x86_64__)
