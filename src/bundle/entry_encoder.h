// The two messages of a tensor bundle's index (TensorFlow tensor_bundle.proto), encoded byte for
// byte as TensorFlow does, and one field of our own: the block CRCs.
//
// Field 1000 of BundleEntryProto, a message, stands after all others:
//
//   1  uint64            block_size, in bytes, more than 0
//   2  packed fixed32    the masked CRC-32C of each block of block_size stored bytes in turn, the
//                        last block being what is left
//
// TensorFlow ignores the field when it reads and keeps it when it merges. Tensors that need no
// finer CRC than the entry's own go without.
#ifndef FASTCKPT_BUNDLE_ENTRY_ENCODER_H_
#define FASTCKPT_BUNDLE_ENTRY_ENCODER_H_

#include <cstdint>
#include <span>
#include <string>

#include "coding/ordered.h"
#include "tensor/messages.h"
#include "tensor/shape.h"

namespace fastckpt::bundle {

// The version that TensorFlow writes, and the only one there is.
constexpr std::int32_t kBundleProducer = 1;

// BundleHeaderProto, the value of the empty key.
std::string EncodeHeader(std::int32_t num_shards, bool big_endian = false,
                         const tensor::VersionDef& version = {kBundleProducer, 0, {}});

// What AppendEntry writes; borrows all it points to. Numbers equal to zero are left out.
//
//   ordinary    dtype, shape, shard_id, offset, size, masked_crc; block CRCs where wanted
//   sliced      dtype, the full shape, slices: as many extents for each slice as the shape has
//               dimensions, one slice behind the other
struct EncodedEntry {
  std::int32_t dtype = 0;
  tensor::ShapeView shape = {};
  std::int32_t shard_id = 0;
  std::int64_t offset = 0;
  std::int64_t size = 0;
  std::uint32_t masked_crc = 0;
  // A multiple of the rank, which is not 0 where there are any.
  std::span<const coding::Extent> slices = {};
  // No field 1000 where there are none.
  std::span<const std::uint32_t> masked_block_crcs = {};
  std::uint64_t block_size = 0;
};

// Appends a BundleEntryProto; allocates nothing while `out` has room.
void AppendEntry(std::string& out, const EncodedEntry& entry);

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_ENTRY_ENCODER_H_
