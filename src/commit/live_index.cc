#include "commit/live_index.h"

#include "base/error.h"
#include "coding/wire.h"
#include "commit/names.h"
#include "io/source.h"
#include "table/block.h"
#include "table/table_reader.h"

namespace fastckpt::commit {
namespace {

// BundleHeaderProto (tensor_bundle.proto).
constexpr std::uint32_t kNumShardsField = 1;

std::optional<std::int32_t> DecodeNumShards(ByteView header) {
  std::int32_t num_shards = 0;
  coding::WireReader reader(header);
  for (coding::WireField field; reader.Next(&field);) {
    if (field.Is(kNumShardsField, coding::WireType::kVarint)) num_shards = field.AsInt32();
  }
  if (!reader.ok() || num_shards <= 0) return std::nullopt;
  return num_shards;
}

// The header stands at the empty key, the first of all.
std::optional<std::int32_t> ReadNumShards(const std::shared_ptr<const io::Source>& source) {
  const table::TableReader table(source);
  const auto handle = table.FindBlock("");
  if (!handle) return std::nullopt;
  const std::vector<std::uint8_t> block = table.ReadBlock(*handle);
  table::BlockCursor cursor{ByteView(block)};
  if (!cursor.Next() || !cursor.key().empty()) return std::nullopt;
  return DecodeNumShards(cursor.value());
}

}  // namespace

LiveIndex ReadLiveIndex(const std::string& prefix, io::FileSystem& file_system) {
  LiveIndex live{.exists = true, .num_shards = std::nullopt};
  try {
    live.num_shards =
        ReadNumShards(io::OpenSource(IndexFileName(prefix), io::Backend::kPositional, file_system));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInvalidArgument) throw;
    live.exists = error.code() != ErrorCode::kNotFound;
  }
  return live;
}

}  // namespace fastckpt::commit
