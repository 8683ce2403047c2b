// Where the messages of V1 files keep the elements of each type (TensorFlow tensor.proto,
// saved_tensor_slice.proto).
#ifndef FASTCKPT_LEGACY_VALUE_FIELDS_H_
#define FASTCKPT_LEGACY_VALUE_FIELDS_H_

#include <cstdint>

#include "coding/wire.h"

namespace fastckpt::legacy {

// Field numbers: of SavedTensorSlices, of SavedSlice, of TensorProto.
constexpr std::uint32_t kRecordMeta = 1;
constexpr std::uint32_t kRecordData = 2;
constexpr std::uint32_t kSliceName = 1;
constexpr std::uint32_t kSliceExtents = 2;
constexpr std::uint32_t kSliceData = 3;
constexpr std::uint32_t kStringValue = 8;

struct ValueField {
  std::int32_t dtype;
  // Of TensorProto.
  std::uint32_t number;
  // That of an unpacked unit.
  coding::WireType type;
  std::uint32_t units_per_element;
  // The most bytes of an element in the eyes of TensorFlow's writer, which takes every signed
  // integer for a negative one; of a string without its content.
  std::uint32_t max_bytes;
  // Varints: negative elements are possible, and take ten bytes.
  bool is_signed;
};

// Null for types that V1 files cannot hold.
const ValueField* FindValueField(std::int32_t dtype);

}  // namespace fastckpt::legacy

#endif  // FASTCKPT_LEGACY_VALUE_FIELDS_H_
