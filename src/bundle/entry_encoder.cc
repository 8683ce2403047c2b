#include "bundle/entry_encoder.h"

#include <array>
#include <cstddef>
#include <cstring>

#include "coding/varint.h"
#include "coding/wire_append.h"

namespace fastckpt::bundle {
namespace {

constexpr std::uint32_t kBlockCrcsField = 1000;

void AppendBlockCrcs(std::string& out, const EncodedEntry& entry) {
  coding::AppendMessage(out, kBlockCrcsField, [&] {
    coding::AppendInt64Field(out, 1, static_cast<std::int64_t>(entry.block_size));
    const auto crcs = std::as_bytes(entry.masked_block_crcs);
    coding::AppendTag(out, 2, coding::WireType::kBytes);
    coding::AppendVarint64(out, crcs.size());
    // Little-endian numbers are their own wire form.
    out.append(reinterpret_cast<const char*>(crcs.data()), crcs.size());
  });
}

// The fields that every entry has, of a shape whose length takes one byte: byte by byte to a place
// that is large enough, since appending each is most of what an index costs.
constexpr std::size_t kFewDims = 8;
constexpr std::size_t kDimBytes = 3 + coding::kMaxVarint64Bytes;
constexpr std::size_t kFieldBytes = 1 + coding::kMaxVarint64Bytes;
static_assert(kFewDims * kDimBytes < 0x80);

char* PutTag(char* p, std::uint32_t number, coding::WireType type) {
  *p = static_cast<char>(number << 3 | static_cast<std::uint32_t>(type));
  return p + 1;
}

char* PutShape(char* p, tensor::ShapeView shape) {
  p = PutTag(p, 2, coding::WireType::kBytes);
  char* const length = p++;
  for (const std::int64_t dim : shape) {
    p = PutTag(p, 2, coding::WireType::kBytes);
    char* const dim_length = p++;
    p = coding::PutInt64Field(p, 1, dim);
    *dim_length = static_cast<char>(p - dim_length - 1);
  }
  *length = static_cast<char>(p - length - 1);
  return p;
}

void AppendShort(std::string& out, const EncodedEntry& entry) {
  std::array<char, 2 + kFewDims * kDimBytes + 5 * kFieldBytes> bytes;
  char* p = coding::PutInt64Field(bytes.data(), 1, entry.dtype);
  p = PutShape(p, entry.shape);
  p = coding::PutInt64Field(p, 3, entry.shard_id);
  p = coding::PutInt64Field(p, 4, entry.offset);
  p = coding::PutInt64Field(p, 5, entry.size);
  if (entry.masked_crc != 0) {
    p = PutTag(p, 6, coding::WireType::kFixed32);
    std::memcpy(p, &entry.masked_crc, sizeof entry.masked_crc);
    p += sizeof entry.masked_crc;
  }
  out.append(bytes.data(), static_cast<std::size_t>(p - bytes.data()));
}

void AppendLong(std::string& out, const EncodedEntry& entry) {
  coding::AppendInt64Field(out, 1, entry.dtype);
  coding::AppendMessage(out, 2, [&] { tensor::AppendShape(out, entry.shape); });
  coding::AppendInt64Field(out, 3, entry.shard_id);
  coding::AppendInt64Field(out, 4, entry.offset);
  coding::AppendInt64Field(out, 5, entry.size);
  coding::AppendFixed32Field(out, 6, entry.masked_crc);
}

}  // namespace

std::string EncodeHeader(std::int32_t num_shards, bool big_endian,
                         const tensor::VersionDef& version) {
  std::string out;
  coding::AppendInt64Field(out, 1, num_shards);
  coding::AppendInt64Field(out, 2, big_endian ? 1 : 0);
  coding::AppendMessage(out, 3, [&] { tensor::AppendVersion(out, version); });
  return out;
}

void AppendEntry(std::string& out, const EncodedEntry& entry) {
  entry.shape.size() <= kFewDims ? AppendShort(out, entry) : AppendLong(out, entry);
  const std::size_t rank = entry.shape.size();
  for (auto rest = entry.slices; !rest.empty(); rest = rest.subspan(rank)) {
    coding::AppendMessage(out, 7, [&] { tensor::AppendSlice(out, rest.first(rank)); });
  }
  if (!entry.masked_block_crcs.empty()) AppendBlockCrcs(out, entry);
}

}  // namespace fastckpt::bundle
