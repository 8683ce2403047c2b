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
#include "tensor/input.h"

namespace fastckpt::legacy {

// The place of an input as its key spells it: whole tensors take every dimension in full.
std::vector<coding::Extent> ExtentsOf(const tensor::Input& input);

// Bytes of the elements in memory.
std::uint64_t ElementBytes(const tensor::Input& input);

// The size of an input's record as TensorFlow's writer estimates it before it encodes: an upper
// bound. The dtype is storable and the shape valid.
std::uint64_t EstimateRecord(const tensor::Input& input);

// TensorFlow writes no record that it estimates to be larger.
constexpr std::uint64_t kMaxRecordEstimate = std::uint64_t{1} << 31;

// Makes records, one at a time, in memory that it keeps for the next.
class RecordEncoder {
 public:
  // The record of an input whose estimate is within the limit; valid until the next call. Each
  // element is read once, so that a changing array gives a torn record and never a malformed one.
  std::string_view Encode(const tensor::Input& input);

 private:
  std::string buffer_;
};

// The record at the empty key. Inputs of one name are adjacent; names are in ascending order.
std::string EncodeMeta(std::span<const tensor::Input* const> inputs);

}  // namespace fastckpt::legacy

#endif  // FASTCKPT_LEGACY_ENCODE_H_
