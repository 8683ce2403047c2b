#include "tensor/slice.h"

#include <algorithm>
#include <numeric>

namespace fastckpt::tensor {
namespace {

bool IsEmpty(const Box& box) {
  return std::ranges::any_of(box.sizes, [](std::int64_t size) { return size == 0; });
}

bool Overlap(const Box& a, const Box& b) {
  for (std::size_t d = 0; d < a.starts.size(); ++d) {
    if (a.starts[d] + a.sizes[d] <= b.starts[d] || b.starts[d] + b.sizes[d] <= a.starts[d]) {
      return false;
    }
  }
  return true;
}

// The dimension along which the boxes have most different starts.
std::size_t SortDimension(const std::vector<Box>& boxes) {
  std::size_t best = 0;
  std::size_t best_count = 0;
  std::vector<std::int64_t> starts(boxes.size());
  for (std::size_t d = 0; d < boxes.front().starts.size(); ++d) {
    std::ranges::transform(boxes, starts.begin(), [d](const Box& box) { return box.starts[d]; });
    std::ranges::sort(starts);
    const auto repeated = std::ranges::unique(starts);
    const std::size_t count = starts.size() - repeated.size();
    if (count > best_count) {
      best = d;
      best_count = count;
    }
  }
  return best;
}

}  // namespace

OverlapResult FindOverlap(const std::vector<Box>& boxes) {
  if (boxes.size() < 2) return OverlapResult::kDisjoint;
  // Without dimensions every box is the one scalar.
  if (boxes.front().starts.empty()) return OverlapResult::kOverlap;
  const std::size_t d = SortDimension(boxes);
  std::vector<std::size_t> order(boxes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return boxes[i].starts[d]; });
  std::uint64_t comparisons = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Box& box = boxes[order[i]];
    if (IsEmpty(box)) continue;
    for (std::size_t j = i + 1; j < order.size(); ++j) {
      const Box& next = boxes[order[j]];
      if (next.starts[d] >= box.starts[d] + box.sizes[d]) break;
      if (++comparisons > kMaxOverlapComparisons) return OverlapResult::kTooMany;
      if (!IsEmpty(next) && Overlap(box, next)) return OverlapResult::kOverlap;
    }
  }
  return OverlapResult::kDisjoint;
}

}  // namespace fastckpt::tensor
