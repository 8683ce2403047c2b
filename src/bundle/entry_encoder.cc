#include "bundle/entry_encoder.h"

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
  coding::AppendInt64Field(out, 1, entry.dtype);
  coding::AppendMessage(out, 2, [&] { tensor::AppendShape(out, entry.shape); });
  coding::AppendInt64Field(out, 3, entry.shard_id);
  coding::AppendInt64Field(out, 4, entry.offset);
  coding::AppendInt64Field(out, 5, entry.size);
  coding::AppendFixed32Field(out, 6, entry.masked_crc);
  const std::size_t rank = entry.shape.size();
  for (auto rest = entry.slices; !rest.empty(); rest = rest.subspan(rank)) {
    coding::AppendMessage(out, 7, [&] { tensor::AppendSlice(out, rest.first(rank)); });
  }
  if (!entry.masked_block_crcs.empty()) AppendBlockCrcs(out, entry);
}

}  // namespace fastckpt::bundle
