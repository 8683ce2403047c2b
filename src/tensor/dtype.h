// TensorFlow's DataType numbers (tensorflow/core/framework/types.proto) and how elements lie on
// disk.
#ifndef FASTCKPT_TENSOR_DTYPE_H_
#define FASTCKPT_TENSOR_DTYPE_H_

#include <cstdint>

#include "base/bytes.h"

namespace fastckpt::tensor {

// Only the numbers that the core treats specially have names; names for people live in dtypes.py.
enum DataType : std::int32_t {
  kInvalid = 0,
  kString = 7,
  kComplex64 = 8,
  kBool = 10,
  kComplex128 = 18,
  kResource = 20,
  kVariant = 21,
  kInt4 = 29,
  kUint4 = 30,
  kInt2 = 31,
  kUint2 = 32,
  kFloat4E2m1fn = 33,
  kNumDataTypes = 34,
};

// Bytes per element of a plain type, 0 for string, variant, resource and numbers that are no type.
// Sub-byte types take one byte per element, value in the low bits.
std::uint32_t ItemSize(std::int32_t dtype);

// Width of the unit that byte order concerns: half of a complex element, otherwise the element.
std::uint32_t SwapUnit(std::int32_t dtype);

inline bool IsPlain(std::int32_t dtype) {
  return ItemSize(dtype) != 0;
}

// Types whose stored bytes may need normalising: bool (any nonzero byte is true) and the sub-byte
// types (TensorFlow ignores the upper bits).
inline bool NeedsNormalising(std::int32_t dtype) {
  return dtype == kBool || dtype >= kInt4;
}

// Whether all of `bytes` are already what Normalise would leave.
bool IsNormal(std::int32_t dtype, ByteView bytes);

// Makes bool bytes 0 or 1 and clears the upper bits of sub-byte values, in place.
void Normalise(std::int32_t dtype, MutableBytes bytes);

// Reverses the bytes of each unit of `unit` bytes (1, 2, 4 or 8), in place.
void SwapBytes(std::uint32_t unit, MutableBytes bytes);

}  // namespace fastckpt::tensor

#endif  // FASTCKPT_TENSOR_DTYPE_H_
