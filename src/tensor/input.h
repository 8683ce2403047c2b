// What writers take.
#ifndef FASTCKPT_TENSOR_INPUT_H_
#define FASTCKPT_TENSOR_INPUT_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "coding/ordered.h"
#include "tensor/shape.h"

namespace fastckpt::tensor {

// One tensor, or one slice of a partitioned one. All of it is borrowed.
struct Input {
  static constexpr std::int32_t kAnyShard = -1;

  std::string_view name;
  std::int32_t dtype = 0;
  // Of these elements: that of the slice for a slice.
  ShapeView shape;

  // Plain dtypes: element [0, …, 0], and one stride in bytes for each dimension; none when the
  // elements are contiguous.
  const std::uint8_t* data = nullptr;
  std::span<const std::int64_t> strides;
  // The elements are not in native byte order.
  bool swap_bytes = false;
  // Nobody changes the data before the job is done: most of it is written from where it lies.
  bool is_frozen = false;
  // Strings: the elements. Variants: the VariantTensorDataProto of each.
  std::span<const ByteView> elements;

  // Slices: the place in the tensor of `full_shape`, one extent for each dimension, as the file
  // shall spell it.
  std::span<const coding::Extent> extents;
  ShapeView full_shape;

  std::int32_t shard = kAnyShard;

  bool is_slice() const { return !extents.empty(); }
};

}  // namespace fastckpt::tensor

#endif  // FASTCKPT_TENSOR_INPUT_H_
