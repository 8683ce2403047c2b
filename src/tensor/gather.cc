#include "tensor/gather.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "tensor/dtype.h"

namespace fastckpt::tensor {
namespace {

constexpr std::uint32_t kMaxItemSize = 16;

// Where a walk over the elements stands: one index for each dimension, and the address.
struct Walk {
  const StridedArray& array;
  std::vector<std::int64_t> index;
  const std::uint8_t* address;

  Walk(const StridedArray& a, std::uint64_t element)
      : array(a), index(a.shape.size(), 0), address(a.data) {
    for (std::size_t d = index.size(); d-- > 0;) {
      const auto dim = static_cast<std::uint64_t>(array.shape[d]);
      index[d] = static_cast<std::int64_t>(element % dim);
      element /= dim;
      address += index[d] * array.strides[d];
    }
  }

  // Elements left in the innermost row.
  std::uint64_t RowLeft() const {
    return index.empty() ? 1 : static_cast<std::uint64_t>(array.shape.back() - index.back());
  }

  // Moves on by at most RowLeft() elements.
  void Advance(std::uint64_t count) {
    if (index.empty()) return;
    std::size_t d = index.size() - 1;
    index[d] += static_cast<std::int64_t>(count);
    address += static_cast<std::int64_t>(count) * array.strides[d];
    while (d > 0 && index[d] == array.shape[d]) {
      address -= index[d] * array.strides[d];
      index[d] = 0;
      --d;
      ++index[d];
      address += array.strides[d];
    }
  }
};

template <std::size_t kSize>
void CopyFixed(const std::uint8_t* source, std::int64_t stride, std::uint64_t count,
               std::uint8_t* out) {
  for (std::uint64_t i = 0; i < count; ++i, source += stride, out += kSize) {
    std::memcpy(out, source, kSize);
  }
}

// Copies `count` elements that stand `stride` bytes apart.
void CopyRow(const std::uint8_t* source, std::int64_t stride, std::uint32_t item_size,
             std::uint64_t count, std::uint8_t* out) {
  if (stride == static_cast<std::int64_t>(item_size)) {
    std::memcpy(out, source, count * item_size);
    return;
  }
  switch (item_size) {
    case 1:
      return CopyFixed<1>(source, stride, count, out);
    case 2:
      return CopyFixed<2>(source, stride, count, out);
    case 4:
      return CopyFixed<4>(source, stride, count, out);
    case 8:
      return CopyFixed<8>(source, stride, count, out);
    default:
      return CopyFixed<16>(source, stride, count, out);
  }
}

void CopyWhole(Walk* walk, std::uint64_t count, std::uint8_t* out) {
  const StridedArray& array = walk->array;
  const std::int64_t stride = array.strides.empty() ? 0 : array.strides.back();
  const MutableBytes all(out, count * array.item_size);
  while (count > 0) {
    const std::uint64_t run = std::min(count, walk->RowLeft());
    CopyRow(walk->address, stride, array.item_size, run, out);
    walk->Advance(run);
    out += run * array.item_size;
    count -= run;
  }
  if (array.swap_unit > 1) SwapBytes(array.swap_unit, all);
}

}  // namespace

bool IsContiguous(ShapeView shape, std::span<const std::int64_t> strides, std::uint32_t item_size) {
  if (std::ranges::count(shape, 0) != 0) return true;
  std::int64_t expected = item_size;
  for (std::size_t d = shape.size(); d-- > 0;) {
    if (shape[d] != 1 && strides[d] != expected) return false;
    expected *= shape[d];
  }
  return true;
}

void Simplify(StridedArray* array) {
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
  for (std::size_t d = 0; d < array->shape.size(); ++d) {
    const std::int64_t dim = array->shape[d];
    const std::int64_t stride = array->strides[d];
    if (dim == 1) continue;
    if (!shape.empty() && strides.back() == stride * dim) {
      shape.back() *= dim;
      strides.back() = stride;
    } else {
      shape.push_back(dim);
      strides.push_back(stride);
    }
  }
  array->shape = std::move(shape);
  array->strides = std::move(strides);
}

void Gather(const StridedArray& array, std::uint64_t begin, MutableBytes out) {
  if (out.empty()) return;
  const std::uint64_t item = array.item_size;
  Walk walk(array, begin / item);
  std::uint8_t* to = out.data();
  std::uint64_t left = out.size();
  std::array<std::uint8_t, kMaxItemSize> element;
  // An element of which the range holds only the end, or the beginning, goes through `element`.
  if (const std::uint64_t skip = begin % item; skip != 0) {
    const std::uint64_t size = std::min(left, item - skip);
    CopyWhole(&walk, 1, element.data());
    std::memcpy(to, element.data() + skip, size);
    to += size;
    left -= size;
  }
  CopyWhole(&walk, left / item, to);
  to += left / item * item;
  if (const std::uint64_t size = left % item; size != 0) {
    CopyWhole(&walk, 1, element.data());
    std::memcpy(to, element.data(), size);
  }
}

}  // namespace fastckpt::tensor
