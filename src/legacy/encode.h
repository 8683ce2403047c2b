// The messages of V1 files, as TensorFlow's saver writes them, byte for byte.
//
//   key ""        SavedTensorSlices {1 = SavedTensorSliceMeta {1 = SavedSliceMeta …, 2 = versions}}
//   slice's key   SavedTensorSlices {2 = SavedSlice {1 = name, 2 = slice, 3 = TensorProto}}
//
// Of a TensorProto only the value field is set, packed; what dtype and shape it has, the record at
// the empty key says (TensorFlow saved_tensor_slice.proto, tensor_slice_writer.cc).
#ifndef FASTCKPT_LEGACY_ENCODE_H_
#define FASTCKPT_LEGACY_ENCODE_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "coding/ordered.h"
#include "tensor/shape.h"

namespace fastckpt::legacy {

// One tensor, or one slice of a partitioned one. All of it is borrowed.
struct TensorInput {
  static constexpr std::int32_t kAnyShard = -1;

  std::string_view name;
  std::int32_t dtype = 0;
  // Of these elements: that of the slice for a slice.
  tensor::ShapeView shape;

  // Plain dtypes: element [0, …, 0], and one stride in bytes for each dimension; none when the
  // elements are contiguous.
  const std::uint8_t* data = nullptr;
  std::span<const std::int64_t> strides;
  // The elements are not in native byte order.
  bool swap_bytes = false;
  // Strings.
  std::span<const ByteView> elements;

  // Slices: the place in the tensor of `full_shape`, one extent for each dimension, as the file
  // shall spell it.
  std::span<const coding::Extent> extents;
  tensor::ShapeView full_shape;

  std::int32_t shard = kAnyShard;

  bool is_slice() const { return !extents.empty(); }
};

// The place of an input as its key spells it: whole tensors take every dimension in full.
std::vector<coding::Extent> ExtentsOf(const TensorInput& input);

// Bytes of the elements in memory.
std::uint64_t ElementBytes(const TensorInput& input);

// The size of an input's record as TensorFlow's writer estimates it before it encodes: an upper
// bound. The dtype is storable and the shape valid.
std::uint64_t EstimateRecord(const TensorInput& input);

// TensorFlow writes no record that it estimates to be larger.
constexpr std::uint64_t kMaxRecordEstimate = std::uint64_t{1} << 31;

// Makes records, one at a time, in memory that it keeps for the next.
class RecordEncoder {
 public:
  // The record of an input whose estimate is within the limit; valid until the next call. Each
  // element is read once, so that a changing array gives a torn record and never a malformed one.
  std::string_view Encode(const TensorInput& input);

 private:
  std::string buffer_;
};

// The record at the empty key. Inputs of one name are adjacent; names are in ascending order.
std::string EncodeMeta(std::span<const TensorInput* const> inputs);

}  // namespace fastckpt::legacy

#endif  // FASTCKPT_LEGACY_ENCODE_H_
