// The two messages of a tensor bundle's index (TensorFlow tensor_bundle.proto), decoded in place.
#ifndef FASTCKPT_BUNDLE_ENTRY_H_
#define FASTCKPT_BUNDLE_ENTRY_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "coding/ordered.h"
#include "tensor/messages.h"

namespace fastckpt::bundle {

// BundleHeaderProto, the value of the empty key.
struct Header {
  std::int32_t num_shards = 0;
  // Byte order of the data shards; the index itself is always little-endian.
  bool big_endian = false;
  tensor::VersionDef version;
};

// False when the bytes are no BundleHeaderProto or name an unknown byte order.
bool DecodeHeader(ByteView value, Header* header);

// Field 1000 of BundleEntryProto, an extension that TensorFlow skips: a message of 1 = block size
// (varint) and 2 = the masked CRC of each block of so many stored bytes, the last one shorter
// (packed fixed32).
struct BlockCrcFields {
  std::uint64_t block_size = 0;
  // Little-endian, four bytes each; borrowed from the entry's message.
  ByteView masked_crcs;
};

// BundleEntryProto. `dims` and `extents` are appended to and never cleared, so that a caller can
// collect those of many entries in one vector each.
struct EntryFields {
  std::int32_t dtype = 0;
  bool unknown_rank = false;
  std::int32_t shard_id = 0;
  std::int64_t offset = 0;
  std::int64_t size = 0;
  std::uint32_t masked_crc = 0;
  std::uint64_t num_dims = 0;
  // Number of TensorSliceProtos; each appends one Extent for each of its dimensions.
  std::uint64_t num_slices = 0;
  // Absent where the field is, and where it is malformed or stands twice: it only ever adds to what
  // the other fields say. Lives as long as the message.
  std::optional<BlockCrcFields> block_crcs;
};

// False when the bytes are no BundleEntryProto. Slices must have as many extents as the shape has
// dimensions.
bool DecodeEntry(ByteView value, EntryFields* fields, std::vector<std::int64_t>* dims,
                 std::vector<coding::Extent>* extents);

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_ENTRY_H_
