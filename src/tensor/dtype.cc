#include "tensor/dtype.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace fastckpt::tensor {
namespace {

// Indexed by DataType number, in the order of types.proto.
constexpr std::array<std::uint8_t, kNumDataTypes> kItemSizes = {
    0,                  // invalid
    4,  8, 4, 1, 2, 1,  // float32 float64 int32 uint8 int16 int8
    0,                  // string
    8,  8, 1,           // complex64 int64 bool
    1,  1, 4,           // qint8 quint8 qint32
    2,                  // bfloat16
    2,  2, 2,           // qint16 quint16 uint16
    16, 2,              // complex128 float16
    0,  0,              // resource variant
    4,  8,              // uint32 uint64
    1,  1, 1, 1, 1,     // the float8 types
    1,  1, 1, 1, 1,     // int4 uint4 int2 uint2 float4_e2m1fn
};

bool IsKnown(std::int32_t dtype) {
  return dtype >= 0 && dtype < kNumDataTypes;
}

std::uint8_t ValueMask(std::int32_t dtype) {
  return dtype == kInt2 || dtype == kUint2 ? 0x03 : 0x0F;
}

// Whether any byte has a bit outside `mask`. Eight bytes a step: this runs over whole bool tensors.
bool HasBitsOutside(std::uint8_t mask, ByteView bytes) {
  const std::uint64_t outside = ~(std::uint64_t{mask} * 0x0101010101010101u);
  std::uint64_t seen = 0;
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    seen |= word;
  }
  for (; i < bytes.size(); ++i) seen |= bytes[i];
  return (seen & outside) != 0;
}

template <typename Word>
void SwapWords(MutableBytes bytes, Word (*swap)(Word)) {
  for (std::size_t i = 0; i + sizeof(Word) <= bytes.size(); i += sizeof(Word)) {
    Word word;
    std::memcpy(&word, bytes.data() + i, sizeof word);
    word = swap(word);
    std::memcpy(bytes.data() + i, &word, sizeof word);
  }
}

}  // namespace

std::uint32_t ItemSize(std::int32_t dtype) {
  return IsKnown(dtype) ? kItemSizes[static_cast<std::size_t>(dtype)] : 0;
}

std::uint32_t SwapUnit(std::int32_t dtype) {
  const bool is_complex = dtype == kComplex64 || dtype == kComplex128;
  return is_complex ? ItemSize(dtype) / 2 : ItemSize(dtype);
}

bool IsNormal(std::int32_t dtype, ByteView bytes) {
  if (!NeedsNormalising(dtype)) return true;
  return !HasBitsOutside(dtype == kBool ? 0x01 : ValueMask(dtype), bytes);
}

void Normalise(std::int32_t dtype, MutableBytes bytes) {
  if (dtype == kBool) {
    for (std::uint8_t& byte : bytes) byte = byte != 0 ? 1 : 0;
  } else if (NeedsNormalising(dtype)) {
    for (std::uint8_t& byte : bytes) byte &= ValueMask(dtype);
  }
}

void SwapBytes(std::uint32_t unit, MutableBytes bytes) {
  if (unit == 2)
    SwapWords<std::uint16_t>(bytes, [](std::uint16_t w) { return __builtin_bswap16(w); });
  if (unit == 4)
    SwapWords<std::uint32_t>(bytes, [](std::uint32_t w) { return __builtin_bswap32(w); });
  if (unit == 8)
    SwapWords<std::uint64_t>(bytes, [](std::uint64_t w) { return __builtin_bswap64(w); });
}

}  // namespace fastckpt::tensor
