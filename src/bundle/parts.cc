#include "bundle/parts.h"

#include <algorithm>
#include <string>
#include <utility>

#include "coding/ordered.h"

namespace fastckpt::bundle {
namespace {

tensor::Box BoxOf(std::span<const coding::Extent> extents, tensor::ShapeView shape) {
  tensor::Box box;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    box.starts.push_back(extents[d].start);
    box.sizes.push_back(extents[d].is_full() ? shape[d] : extents[d].length);
  }
  return box;
}

// The entry of one slice, found by its encoded key.
std::uint32_t FindSlice(const Reader& reader, std::uint32_t id,
                        std::span<const coding::Extent> extents, const tensor::Box& box) {
  const Index& index = reader.index();
  const std::string key = coding::EncodeSliceKey(reader.name(id), {extents.begin(), extents.end()});
  const auto found = index.Find(key);
  if (!found) return Part::kMissing;
  const Entry& slice = reader.CheckEntry(*found);
  if (slice.sliced || slice.dtype != reader.entry(id).dtype ||
      !std::ranges::equal(index.shape(slice), box.sizes)) {
    throw reader.EntryError(ErrorCode::kDataLoss,
                            "a stored slice differs from its tensor in dtype or shape", id);
  }
  return *found;
}

// A part takes some hundred bytes once Python sees it, and a few in the file.
std::uint64_t MaxParts(const Reader& reader) {
  constexpr std::uint64_t kAllowance = 16384;
  constexpr std::uint64_t kBytesPerPart = 256;
  std::uint64_t present = 0;
  for (const Shard& shard : reader.shards()) present += shard.source ? shard.source->size() : 0;
  return kAllowance + present / kBytesPerPart;
}

}  // namespace

std::vector<Part> FindParts(const Reader& reader, std::uint32_t id) {
  const Entry& entry = reader.CheckEntry(id);
  const Index& index = reader.index();
  const tensor::ShapeView shape = index.shape(entry);
  std::vector<Part> parts;
  if (!entry.sliced) {
    tensor::Box whole{std::vector<std::int64_t>(shape.size()), {shape.begin(), shape.end()}};
    parts.push_back({std::move(whole), id});
    return parts;
  }
  if (entry.size > MaxParts(reader)) {
    throw reader.EntryError(ErrorCode::kLimitExceeded,
                            "the tensor has more slices than the size of the checkpoint justifies",
                            id);
  }
  std::vector<tensor::Box> boxes;
  for (std::size_t s = 0; s < entry.size; ++s) {
    const auto extents = index.slice(entry, s);
    boxes.push_back(BoxOf(extents, shape));
    parts.push_back({boxes.back(), FindSlice(reader, id, extents, boxes.back())});
  }
  switch (tensor::FindOverlap(boxes)) {
    case tensor::OverlapResult::kDisjoint:
      return parts;
    case tensor::OverlapResult::kOverlap:
      throw reader.EntryError(ErrorCode::kInvalidArgument, "stored slices of the tensor overlap",
                              id);
    case tensor::OverlapResult::kTooMany:
      break;
  }
  throw reader.EntryError(ErrorCode::kLimitExceeded,
                          "the tensor has too many slices to tell whether they overlap", id);
}

std::uint64_t StoredSize(const Reader& reader, std::uint32_t id) {
  const Entry& entry = reader.CheckEntry(id);
  if (!entry.sliced) return entry.size;
  std::uint64_t total = 0;
  for (std::size_t s = 0; s < entry.size; ++s) {
    const auto extents = reader.index().slice(entry, s);
    const auto found = reader.index().Find(
        coding::EncodeSliceKey(reader.name(id), {extents.begin(), extents.end()}));
    if (found && !reader.entry(*found).sliced) total += reader.entry(*found).size;
  }
  return total;
}

}  // namespace fastckpt::bundle
