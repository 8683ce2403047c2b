#include "bundle/partitions.h"

#include <algorithm>

#include "base/error.h"
#include "tensor/messages.h"

namespace fastckpt::bundle {
namespace {

Error SliceError(std::string message, std::string_view name) {
  return Error(ErrorCode::kInvalidArgument, std::move(message)).ForKey(std::string(name));
}

std::string Show(tensor::ShapeView shape) {
  std::string text = "[";
  for (const std::int64_t dim : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dim);
  }
  return text + "]";
}

void CheckExtents(std::string_view name, tensor::ShapeView full_shape,
                  std::span<const coding::Extent> extents) {
  if (full_shape.empty()) throw SliceError("a scalar has no slices: store it whole", name);
  if (!tensor::NumElements(full_shape)) {
    throw SliceError("the full shape is not one that TensorFlow can hold: " + Show(full_shape),
                     name);
  }
  if (extents.size() != full_shape.size()) {
    throw SliceError("a slice of rank " + std::to_string(extents.size()) +
                         " does not fit a tensor of shape " + Show(full_shape),
                     name);
  }
  for (std::size_t d = 0; d < extents.size(); ++d) {
    const bool is_empty = !extents[d].is_full() && extents[d].length <= 0;
    if (!is_empty && tensor::IsInside(extents[d], full_shape[d])) continue;
    throw SliceError("the slice takes " + std::to_string(extents[d].length) + " from position " +
                         std::to_string(extents[d].start) + " on along dimension " +
                         std::to_string(d) + " of a tensor of shape " + Show(full_shape) +
                         "; slices are not empty and lie inside the shape",
                     name);
  }
}

}  // namespace

std::vector<tensor::Box> Boxes(const Partitioned& tensor) {
  const std::size_t rank = tensor.shape.size();
  std::vector<tensor::Box> boxes(tensor.extents.size() / rank);
  for (std::size_t i = 0; i < tensor.extents.size(); ++i) {
    const coding::Extent& extent = tensor.extents[i];
    tensor::Box& box = boxes[i / rank];
    box.starts.push_back(extent.start);
    box.sizes.push_back(extent.is_full() ? tensor.shape[i % rank] : extent.length);
  }
  return boxes;
}

// Disjoint boxes cover a tensor when they have as many elements.
void CheckComplete(const std::string& name, const Partitioned& tensor,
                   const std::vector<tensor::Box>& boxes) {
  std::int64_t covered = 0;
  for (const tensor::Box& box : boxes) covered += tensor::NumElements(box.sizes).value_or(0);
  const std::int64_t wanted = tensor::NumElements(tensor.shape).value_or(0);
  if (covered == wanted) return;
  throw SliceError("the " + std::to_string(boxes.size()) + " slices hold " +
                       std::to_string(covered) + " of the " + std::to_string(wanted) +
                       " elements of shape " + Show(tensor.shape) +
                       "; add the missing slices before the commit",
                   name);
}

void Partitions::Add(std::string_view name, std::int32_t dtype, tensor::ShapeView full_shape,
                     std::span<const coding::Extent> extents) {
  CheckExtents(name, full_shape, extents);
  auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    Partitioned fresh{dtype, {full_shape.begin(), full_shape.end()}, {}};
    found = tensors_.emplace(std::string(name), std::move(fresh)).first;
  }
  Partitioned& tensor = found->second;
  if (tensor.dtype != dtype) throw SliceError("slices of one tensor have one dtype", name);
  if (!std::ranges::equal(tensor.shape, full_shape)) {
    throw SliceError("slices of one tensor have one full shape: " + Show(tensor.shape) +
                         " before, " + Show(full_shape) + " here",
                     name);
  }
  tensor.extents.insert(tensor.extents.end(), extents.begin(), extents.end());
}

void Partitions::Check(bool complete) const {
  for (const auto& [name, tensor] : tensors_) {
    const std::vector<tensor::Box> boxes = Boxes(tensor);
    const tensor::OverlapResult overlap = tensor::FindOverlap(boxes);
    if (overlap == tensor::OverlapResult::kOverlap) {
      throw SliceError("two slices of the tensor overlap; TensorFlow could not read it", name);
    }
    if (overlap == tensor::OverlapResult::kTooMany) {
      throw Error(ErrorCode::kLimitExceeded, "too many slices to compare with each other")
          .ForKey(name);
    }
    if (complete) CheckComplete(name, tensor, boxes);
  }
}

bool Partitions::CoversAll(tensor::ShapeView full_shape, std::span<const coding::Extent> extents) {
  if (full_shape.empty() || extents.size() != full_shape.size()) return false;
  for (std::size_t d = 0; d < extents.size(); ++d) {
    const bool is_whole = extents[d].start == 0 && extents[d].length == full_shape[d];
    if (!extents[d].is_full() && !is_whole) return false;
  }
  return true;
}

}  // namespace fastckpt::bundle
