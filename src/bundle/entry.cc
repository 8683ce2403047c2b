#include "bundle/entry.h"

#include "coding/wire.h"

namespace fastckpt::bundle {

using coding::WireField;
using coding::WireReader;
using coding::WireType;

namespace {

constexpr std::uint32_t kBlockCrcsField = 1000;

// False when the message is malformed, has a field twice, or lacks one. Fields that are not known
// are skipped.
bool DecodeBlockCrcs(ByteView message, BlockCrcFields* blocks) {
  int sizes = 0;
  int lists = 0;
  WireReader reader(message);
  for (WireField field; reader.Next(&field);) {
    if (field.Is(1, WireType::kVarint)) {
      blocks->block_size = field.value;
      ++sizes;
    } else if (field.Is(2, WireType::kBytes)) {
      blocks->masked_crcs = field.bytes;
      ++lists;
    }
  }
  return reader.ok() && sizes == 1 && lists == 1;
}

}  // namespace

bool DecodeHeader(ByteView value, Header* header) {
  std::int32_t endianness = 0;
  WireReader reader(value);
  for (WireField field; reader.Next(&field);) {
    if (field.Is(1, WireType::kVarint)) header->num_shards = field.AsInt32();
    if (field.Is(2, WireType::kVarint)) endianness = field.AsInt32();
    if (field.Is(3, WireType::kBytes) && !tensor::DecodeVersion(field.bytes, &header->version))
      return false;
  }
  header->big_endian = endianness == 1;
  return reader.ok() && (endianness == 0 || endianness == 1);
}

bool DecodeEntry(ByteView value, EntryFields* fields, std::vector<std::int64_t>* dims,
                 std::vector<coding::Extent>* extents) {
  const std::size_t first_dim = dims->size();
  const std::size_t first_extent = extents->size();
  std::uint64_t num_block_fields = 0;
  WireReader reader(value);
  for (WireField field; reader.Next(&field);) {
    if (field.Is(1, WireType::kVarint)) {
      fields->dtype = field.AsInt32();
    } else if (field.Is(2, WireType::kBytes)) {
      const bool is_shape = tensor::DecodeShape(field.bytes, dims, &fields->unknown_rank);
      fields->num_dims = dims->size() - first_dim;
      if (!is_shape) return false;
    } else if (field.Is(3, WireType::kVarint)) {
      fields->shard_id = field.AsInt32();
    } else if (field.Is(4, WireType::kVarint)) {
      fields->offset = field.AsInt64();
    } else if (field.Is(5, WireType::kVarint)) {
      fields->size = field.AsInt64();
    } else if (field.Is(6, WireType::kFixed32)) {
      fields->masked_crc = static_cast<std::uint32_t>(field.value);
    } else if (field.Is(7, WireType::kBytes)) {
      const std::size_t before = extents->size();
      if (!tensor::DecodeSlice(field.bytes, extents)) return false;
      ++fields->num_slices;
      // As many as every slice before it has.
      if ((extents->size() - before) * fields->num_slices != extents->size() - first_extent) {
        return false;
      }
    } else if (field.number == kBlockCrcsField) {
      BlockCrcFields blocks;
      const bool is_sound = ++num_block_fields == 1 && field.type == WireType::kBytes &&
                            DecodeBlockCrcs(field.bytes, &blocks);
      fields->block_crcs = is_sound ? std::optional(blocks) : std::nullopt;
    }
  }
  return reader.ok() && extents->size() - first_extent == fields->num_slices * fields->num_dims;
}

}  // namespace fastckpt::bundle
