#include "bundle/entry.h"

#include "coding/varint.h"
#include "coding/wire.h"

namespace fastckpt::bundle {
namespace {

using coding::WireField;
using coding::WireReader;
using coding::WireType;

bool DecodeVersion(ByteView value, Header* header) {
  WireReader reader(value);
  for (WireField field; reader.Next(&field);) {
    if (field.Is(1, WireType::kVarint)) {
      header->producer = field.AsInt32();
    } else if (field.Is(2, WireType::kVarint)) {
      header->min_consumer = field.AsInt32();
    } else if (field.Is(3, WireType::kVarint)) {
      header->bad_consumers.push_back(field.AsInt32());
    } else if (field.Is(3, WireType::kBytes)) {
      const std::uint8_t* p = field.bytes.data();
      const std::uint8_t* const end = p + field.bytes.size();
      while (p != end) {
        std::uint64_t number;
        p = coding::DecodeVarint64(p, end, &number);
        if (p == nullptr) return false;
        header->bad_consumers.push_back(static_cast<std::int32_t>(number));
      }
    }
  }
  return reader.ok();
}

// TensorShapeProto: 2 = Dim {1 = size}, 3 = unknown_rank.
bool DecodeShape(ByteView value, EntryFields* fields, std::vector<std::int64_t>* dims) {
  WireReader reader(value);
  for (WireField field; reader.Next(&field);) {
    if (field.Is(3, WireType::kVarint)) fields->unknown_rank = field.value != 0;
    if (!field.Is(2, WireType::kBytes)) continue;
    std::int64_t size = 0;
    WireReader dim(field.bytes);
    for (WireField part; dim.Next(&part);) {
      if (part.Is(1, WireType::kVarint)) size = part.AsInt64();
    }
    if (!dim.ok()) return false;
    dims->push_back(size);
    ++fields->num_dims;
  }
  return reader.ok();
}

// TensorSliceProto: 1 = Extent {1 = start, 2 = length}; a missing length means the whole dimension.
bool DecodeSlice(ByteView value, std::vector<coding::Extent>* extents) {
  WireReader reader(value);
  for (WireField field; reader.Next(&field);) {
    if (!field.Is(1, WireType::kBytes)) continue;
    coding::Extent extent;
    WireReader parts(field.bytes);
    for (WireField part; parts.Next(&part);) {
      if (part.Is(1, WireType::kVarint)) extent.start = part.AsInt64();
      if (part.Is(2, WireType::kVarint)) extent.length = part.AsInt64();
    }
    if (!parts.ok()) return false;
    extents->push_back(extent);
  }
  return reader.ok();
}

}  // namespace

bool DecodeHeader(ByteView value, Header* header) {
  std::int32_t endianness = 0;
  WireReader reader(value);
  for (WireField field; reader.Next(&field);) {
    if (field.Is(1, WireType::kVarint)) header->num_shards = field.AsInt32();
    if (field.Is(2, WireType::kVarint)) endianness = field.AsInt32();
    if (field.Is(3, WireType::kBytes) && !DecodeVersion(field.bytes, header)) return false;
  }
  header->big_endian = endianness == 1;
  return reader.ok() && (endianness == 0 || endianness == 1);
}

bool DecodeEntry(ByteView value, EntryFields* fields, std::vector<std::int64_t>* dims,
                 std::vector<coding::Extent>* extents) {
  const std::size_t first_extent = extents->size();
  WireReader reader(value);
  for (WireField field; reader.Next(&field);) {
    if (field.Is(1, WireType::kVarint)) {
      fields->dtype = field.AsInt32();
    } else if (field.Is(2, WireType::kBytes)) {
      if (!DecodeShape(field.bytes, fields, dims)) return false;
    } else if (field.Is(3, WireType::kVarint)) {
      fields->shard_id = field.AsInt32();
    } else if (field.Is(4, WireType::kVarint)) {
      fields->offset = field.AsInt64();
    } else if (field.Is(5, WireType::kVarint)) {
      fields->size = field.AsInt64();
    } else if (field.Is(6, WireType::kFixed32)) {
      fields->masked_crc = static_cast<std::uint32_t>(field.value);
    } else if (field.Is(7, WireType::kBytes)) {
      if (!DecodeSlice(field.bytes, extents)) return false;
      ++fields->num_slices;
    }
  }
  return reader.ok() && extents->size() - first_extent == fields->num_slices * fields->num_dims;
}

}  // namespace fastckpt::bundle
