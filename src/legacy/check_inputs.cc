#include "legacy/check_inputs.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "legacy/values.h"
#include "tensor/dtype.h"
#include "tensor/messages.h"
#include "tensor/slice.h"

namespace fastckpt::legacy {
namespace {

using Parts = std::span<const tensor::Input* const>;

Error InputError(std::string message, const tensor::Input& input,
                 ErrorCode code = ErrorCode::kInvalidArgument) {
  return Error(code, std::move(message)).ForKey(std::string(input.name));
}

std::string Show(tensor::ShapeView shape) {
  std::string text = "[";
  for (const std::int64_t dim : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dim);
  }
  return text + "]";
}

void CheckSize(const tensor::Input& input) {
  if (EstimateRecord(input) <= kMaxRecordEstimate) return;
  throw InputError(
      "Tensor slice is too large to serialize: it is too large for a V1 file, whose records hold "
      "2 GiB (a signed integer counts as ten bytes); write smaller slices, or a V2 checkpoint",
      input);
}

void CheckElements(const tensor::Input& input) {
  if (!IsStorable(input.dtype)) {
    throw InputError("V1 files cannot hold DataType " + std::to_string(input.dtype) +
                         "; convert the tensor, or write a V2 checkpoint",
                     input, ErrorCode::kUnsupported);
  }
  const auto count = tensor::NumElements(input.shape);
  if (!count) throw InputError("not a tensor's shape: " + Show(input.shape), input);
  const bool is_text = input.dtype == tensor::kString;
  if (is_text && input.elements.size() != static_cast<std::uint64_t>(*count)) {
    throw InputError("a string tensor of shape " + Show(input.shape) + " has not " +
                         std::to_string(input.elements.size()) + " elements",
                     input);
  }
}

void CheckExtents(const tensor::Input& input) {
  if (!input.is_slice()) return;
  bool fits = tensor::NumElements(input.full_shape).has_value() &&
              input.extents.size() == input.full_shape.size() &&
              input.shape.size() == input.full_shape.size();
  for (std::size_t d = 0; fits && d < input.extents.size(); ++d) {
    const coding::Extent& extent = input.extents[d];
    const std::int64_t length = extent.is_full() ? input.full_shape[d] : extent.length;
    fits = tensor::IsInside(extent, input.full_shape[d]) && length == input.shape[d] &&
           (extent.is_full() || length > 0);
  }
  if (fits) return;
  throw InputError("a slice of shape " + Show(input.shape) +
                       " does not lie inside a tensor of shape " + Show(input.full_shape) +
                       " where it is said to; slices are not empty",
                   input);
}

tensor::Box BoxOf(const tensor::Input& input) {
  tensor::Box box;
  for (const coding::Extent& extent : input.extents) box.starts.push_back(extent.start);
  box.sizes.assign(input.shape.begin(), input.shape.end());
  return box;
}

void CheckSameTensor(Parts parts) {
  const tensor::Input& first = *parts.front();
  for (const tensor::Input* part : parts) {
    if (!part->is_slice()) {
      throw InputError("two tensors have the name; the file could not be read", first);
    }
    if (part->dtype != first.dtype || !std::ranges::equal(part->full_shape, first.full_shape)) {
      throw InputError("slices of one tensor have one dtype and one full shape", first);
    }
  }
}

// Slices without elements overlap with none, and still need keys of their own.
void CheckDistinct(Parts parts) {
  std::vector<std::string> keys;
  for (const tensor::Input* part : parts) {
    if (tensor::NumElements(part->shape) != 0) continue;
    keys.push_back(coding::EncodeSliceKey(part->name, ExtentsOf(*part)));
  }
  std::ranges::sort(keys);
  if (std::ranges::adjacent_find(keys) == keys.end()) return;
  throw InputError("two slices of the tensor are the same; the file could not be read",
                   *parts.front());
}

void CheckOverlap(Parts parts) {
  std::vector<tensor::Box> boxes;
  for (const tensor::Input* part : parts) boxes.push_back(BoxOf(*part));
  const tensor::OverlapResult overlap = tensor::FindOverlap(boxes);
  if (overlap == tensor::OverlapResult::kOverlap) {
    throw InputError("two slices of the tensor overlap; the file could not be read",
                     *parts.front());
  }
  if (overlap == tensor::OverlapResult::kTooMany) {
    throw InputError("too many slices to compare with each other", *parts.front(),
                     ErrorCode::kLimitExceeded);
  }
}

// Disjoint slices make up a tensor when they have as many elements.
void CheckCover(Parts parts) {
  const tensor::Input& first = *parts.front();
  std::int64_t covered = 0;
  for (const tensor::Input* part : parts) covered += *tensor::NumElements(part->shape);
  const std::int64_t wanted = *tensor::NumElements(first.full_shape);
  if (covered == wanted) return;
  throw InputError("the " + std::to_string(parts.size()) + " slices hold " +
                       std::to_string(covered) + " of the " + std::to_string(wanted) +
                       " elements of shape " + Show(first.full_shape) + "; add the missing ones",
                   first);
}

// All inputs of one name.
void CheckParts(Parts parts) {
  if (parts.size() == 1 && !parts.front()->is_slice()) return;
  CheckSameTensor(parts);
  CheckDistinct(parts);
  CheckOverlap(parts);
  CheckCover(parts);
}

}  // namespace

void CheckInputs(std::span<const tensor::Input> inputs, std::int32_t num_shards) {
  std::vector<const tensor::Input*> sorted;
  sorted.reserve(inputs.size());
  for (const tensor::Input& input : inputs) {
    if (input.name.empty()) throw InputError("the name of a tensor is empty", input);
    CheckElements(input);
    CheckExtents(input);
    CheckSize(input);
    if (input.shard != tensor::Input::kAnyShard && (input.shard < 0 || input.shard >= num_shards)) {
      throw InputError("there is no shard " + std::to_string(input.shard), input);
    }
    sorted.push_back(&input);
  }
  std::ranges::sort(sorted, {}, &tensor::Input::name);
  for (std::size_t begin = 0, end = 0; begin < sorted.size(); begin = end) {
    while (end < sorted.size() && sorted[end]->name == sorted[begin]->name) ++end;
    CheckParts(Parts(sorted).subspan(begin, end - begin));
  }
}

}  // namespace fastckpt::legacy
