// What a V1 file says of its tensors: the record at the empty key.
//
//   SavedTensorSlices {1 = SavedTensorSliceMeta {1 = SavedSliceMeta …, 2 = VersionDef}}
//   SavedSliceMeta {1 = name, 2 = TensorShapeProto, 3 = DataType, 4 = TensorSliceProto …}
//
// Nothing is decoded before it is asked for: an Item points into the record.
#ifndef FASTCKPT_LEGACY_META_H_
#define FASTCKPT_LEGACY_META_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "coding/ordered.h"
#include "tensor/messages.h"
#include "tensor/slice.h"

namespace fastckpt::legacy {

struct MetaSummary {
  bool has_meta = false;
  std::uint64_t num_items = 0;
  tensor::VersionDef version;
};

// One SavedSliceMeta: a tensor, or some of its slices. The record outlives it. 24 bytes.
struct Item {
  const std::uint8_t* message = nullptr;
  std::uint32_t size = 0;
  std::uint32_t name_offset = 0;
  std::uint32_t name_size = 0;
  std::uint32_t file = 0;

  ByteView bytes() const { return {message, size}; }
  std::string_view name() const { return AsText(bytes().subspan(name_offset, name_size)); }
};

// False when the record is malformed. Items themselves are not looked into.
bool Summarise(ByteView record, MetaSummary* summary);

// Appends the items of a record that Summarise accepts.
void AppendItems(ByteView record, std::uint32_t file, std::vector<Item>* items);

// Why a tensor cannot be used. Others are not affected.
enum class LayoutStatus : std::uint8_t {
  kOk,
  kBadMessage,  // not a SavedSliceMeta, or without a name
  kBadDtype,    // a number that is no DataType
  kBadShape,    // negative, overflowing or unknown dimensions, or rank > 254
  kBadSlices,   // a slice outside the shape
  kDisagree,    // its items give different shapes or dtypes
  kTooMany,     // more slices than the size of the files justifies
};

// The rest of a sentence that begins "the tensor cannot be read: ".
const char* Explain(LayoutStatus status);

// A tensor and where its slices are.
struct Layout {
  std::int32_t dtype = 0;
  std::vector<std::int64_t> shape;
  // The file of each slice, and its place as the file says it, one extent for each dimension.
  std::vector<std::uint32_t> files;
  std::vector<coding::Extent> extents;

  std::size_t num_parts() const { return files.size(); }
  std::vector<coding::Extent> slice(std::size_t part) const;
  tensor::Box box(std::size_t part) const;
  // Whether one slice is the whole tensor.
  bool is_whole() const;
};

// Puts together what the items of one tensor say. `max_parts` bounds the number of slices.
LayoutStatus DecodeLayout(std::span<const Item> items, std::uint64_t max_parts, Layout* layout);

}  // namespace fastckpt::legacy

#endif  // FASTCKPT_LEGACY_META_H_
