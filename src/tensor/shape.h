// Tensor shapes, bounded as TensorFlow bounds them.
#ifndef FASTCKPT_TENSOR_SHAPE_H_
#define FASTCKPT_TENSOR_SHAPE_H_

#include <cstdint>
#include <optional>
#include <span>

namespace fastckpt::tensor {

// TensorShape::MaxDimensions of TensorFlow.
constexpr std::size_t kMaxRank = 254;

// A borrowed shape; every dimension is >= 0 in a valid one.
using ShapeView = std::span<const std::int64_t>;

// The number of elements, or nothing when the shape is invalid: a negative dimension, too many of
// them, or a count that does not fit in 63 bits (checked over all dimensions, zeros included, so
// that strides cannot overflow either).
inline std::optional<std::int64_t> NumElements(ShapeView shape) {
  if (shape.size() > kMaxRank) return std::nullopt;
  bool empty = false;
  std::int64_t nonzero_product = 1;
  for (const std::int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    if (dim == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(nonzero_product, dim, &nonzero_product)) {
      return std::nullopt;
    }
  }
  return empty ? 0 : nonzero_product;
}

}  // namespace fastckpt::tensor

#endif  // FASTCKPT_TENSOR_SHAPE_H_
