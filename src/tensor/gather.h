// Arrays in memory with any strides, read as the contiguous row-major bytes that files hold.
#ifndef FASTCKPT_TENSOR_GATHER_H_
#define FASTCKPT_TENSOR_GATHER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "tensor/shape.h"

namespace fastckpt::tensor {

// The elements of one array, where they lie. Strides are in bytes and may be zero or negative;
// `data` is element [0, …, 0]. The caller vouches for the memory.
struct StridedArray {
  const std::uint8_t* data = nullptr;
  std::uint32_t item_size = 1;
  // Width of the unit whose bytes are reversed on the way; 1 leaves all as they are.
  std::uint32_t swap_unit = 1;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
};

// Whether the elements lie one after another in row-major order.
bool IsContiguous(ShapeView shape, std::span<const std::int64_t> strides, std::uint32_t item_size);

// Merges dimensions that can be walked as one and drops those of size 1, so that Gather has long
// inner runs.
void Simplify(StridedArray* array);

// Copies bytes [begin, begin + out.size()) of the elements in row-major order to `out`; the range
// may begin and end inside an element, and lies inside the array.
void Gather(const StridedArray& array, std::uint64_t begin, MutableBytes out);

}  // namespace fastckpt::tensor

#endif  // FASTCKPT_TENSOR_GATHER_H_
