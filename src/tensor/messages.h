// The protobuf messages that both checkpoint formats use: TensorShapeProto, TensorSliceProto,
// VersionDef (TensorFlow tensor_shape.proto, tensor_slice.proto, versions.proto).
#ifndef FASTCKPT_TENSOR_MESSAGES_H_
#define FASTCKPT_TENSOR_MESSAGES_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "coding/ordered.h"
#include "tensor/shape.h"

namespace fastckpt::tensor {

// Who wrote a file, and who may read it; all zero in files that predate the message.
struct VersionDef {
  std::int32_t producer = 0;
  std::int32_t min_consumer = 0;
  std::vector<std::int32_t> bad_consumers;

  // Whether readers of version 1, which is the only one there is, may read the file.
  bool is_supported() const;
};

// Decoders return false when the bytes are not such a message.
bool DecodeVersion(ByteView message, VersionDef* version);

// Appends the dimensions to `dims`, at most one more than kMaxRank of them: enough to tell.
bool DecodeShape(ByteView message, std::vector<std::int64_t>* dims, bool* unknown_rank);

// Appends one extent for each dimension to `extents`. More than kMaxRank of them are malformed.
bool DecodeSlice(ByteView message, std::vector<coding::Extent>* extents);

// Append the content of a message, without tag and length, as protobuf writes it: fields in
// ascending order, numbers equal to zero left out. A full extent is an empty message.
void AppendVersion(std::string& out, const VersionDef& version);
void AppendShape(std::string& out, ShapeView shape);
void AppendSlice(std::string& out, std::span<const coding::Extent> extents);

// Whether an extent lies inside a dimension of this size.
bool IsInside(const coding::Extent& extent, std::int64_t dim);

}  // namespace fastckpt::tensor

#endif  // FASTCKPT_TENSOR_MESSAGES_H_
