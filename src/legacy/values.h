// The values of one stored slice, as a V1 file holds them: the value field of a TensorProto.
//
//   SavedTensorSlices {2 = SavedSlice {1 = name, 2 = slice, 3 = data: TensorProto}}
//
// (TensorFlow saved_tensor_slice.proto, tensor.proto.) Numbers come packed or one field each; a
// message that is split into several pieces counts as their concatenation, as in protobuf.
#ifndef FASTCKPT_LEGACY_VALUES_H_
#define FASTCKPT_LEGACY_VALUES_H_

#include <cstdint>

#include "base/bytes.h"
#include "coding/wire.h"

namespace fastckpt::legacy {

// Yields the fields of the TensorProto in a record. Never allocates.
class TensorFields {
 public:
  explicit TensorFields(ByteView record) : record_(record), slice_({}), tensor_({}) {}

  // False at the end and at malformed input; ok() tells which.
  bool Next(coding::WireField* field);
  bool ok() const { return record_.ok() && slice_.ok() && tensor_.ok(); }

 private:
  coding::WireReader record_;
  coding::WireReader slice_;
  coding::WireReader tensor_;
};

// Whether V1 files can hold this type: TensorFlow wrote no others.
bool IsStorable(std::int32_t dtype);

enum class ValueError : std::uint8_t {
  kNone,
  kMalformed,      // not the expected message, or a number is cut off or too long
  kCount,          // another number of elements than expected
  kTensorContent,  // the elements are in tensor_content, which V1 readers do not accept
};

// Whether a record holds exactly `count` elements of a storable type. Takes time linear in the
// record, whatever `count` is.
ValueError CheckValues(std::int32_t dtype, ByteView record, std::uint64_t count);

// Copies the elements of a plain, storable type to `out`, whose size is what CheckValues accepted
// times the item size. Numbers wider than their type keep their low bits; any nonzero bool is true.
void CopyValues(std::int32_t dtype, ByteView record, MutableBytes out);

// Yields the elements of a string tensor, in order.
class StringValues {
 public:
  explicit StringValues(ByteView record) : fields_(record) {}
  bool Next(ByteView* element);

 private:
  TensorFields fields_;
};

}  // namespace fastckpt::legacy

#endif  // FASTCKPT_LEGACY_VALUES_H_
