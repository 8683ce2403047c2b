// Slices of partitioned tensors: boxes inside a shape.
#ifndef FASTCKPT_TENSOR_SLICE_H_
#define FASTCKPT_TENSOR_SLICE_H_

#include <cstdint>
#include <vector>

#include "tensor/shape.h"

namespace fastckpt::tensor {

// A box: sizes[d] positions from starts[d] on, in every dimension.
struct Box {
  std::vector<std::int64_t> starts;
  std::vector<std::int64_t> sizes;
};

enum class OverlapResult : std::uint8_t {
  kDisjoint,
  kOverlap,
  kTooMany,  // more comparisons would be needed than kMaxOverlapComparisons
};

// Bounds the time that a hostile list of slices can take, to some 0.1 s.
constexpr std::uint64_t kMaxOverlapComparisons = std::uint64_t{1} << 24;

// Whether any two boxes share an element. Sorts along one dimension, so that the usual partition
// along one axis costs O(n log n).
OverlapResult FindOverlap(const std::vector<Box>& boxes);

}  // namespace fastckpt::tensor

#endif  // FASTCKPT_TENSOR_SLICE_H_
