#include "bundle/shard_access.h"

#include <algorithm>

namespace fastckpt::bundle {

ShardAccess::ShardAccess(const Reader& reader) : reader_(reader), ways_(reader.shards().size()) {}

bool ShardAccess::IsInside(std::uint32_t id) const {
  const Entry& entry = reader_.entry(id);
  if (entry.status != EntryStatus::kOk || entry.sliced) return false;
  const io::Source* const source = reader_.shards()[entry.shard_slot].source.get();
  return source != nullptr && IsRange(entry.offset, entry.size, source->size());
}

void ShardAccess::Want(std::uint32_t id) {
  if (!IsInside(id)) return;
  const Entry& entry = reader_.entry(id);
  Way& way = ways_[entry.shard_slot];
  way.begin = std::min(way.begin, entry.offset);
  way.end = std::max(way.end, entry.offset + entry.size);
  way.wanted_bytes += entry.size;
}

void ShardAccess::Choose(bool keep_cached) {
  for (std::size_t slot = 0; slot < ways_.size(); ++slot) {
    Way& way = ways_[slot];
    if (way.wanted_bytes == 0) continue;
    const io::Source* const source = reader_.shards()[slot].source.get();
    if (source->direct() == source) waits_ = true;
    if (way.wanted_bytes < kColdBytes || !source->IsCold(way.begin, way.end - way.begin)) continue;
    waits_ = true;
    if (!keep_cached) way.source = source->direct();
  }
}

const io::Source& ShardAccess::SourceOf(std::uint32_t id) const {
  const io::Source& source = reader_.SourceOf(id);
  const io::Source* const chosen = ways_[reader_.entry(id).shard_slot].source;
  return chosen != nullptr ? *chosen : source;
}

void ShardAccess::ExpectRead(std::uint32_t first, std::uint32_t last) const {
  if (!IsInside(first) || !IsInside(last)) return;
  const Entry& entry = reader_.entry(first);
  const std::uint64_t end = reader_.entry(last).offset + reader_.entry(last).size;
  const bool is_range = reader_.entry(last).shard_slot == entry.shard_slot && end > entry.offset;
  if (!is_range || ways_[entry.shard_slot].source != nullptr) return;
  reader_.SourceOf(first).ExpectRead(entry.offset, end - entry.offset);
}

}  // namespace fastckpt::bundle
