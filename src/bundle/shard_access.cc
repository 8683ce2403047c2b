#include "bundle/shard_access.h"

#include <algorithm>

namespace fastckpt::bundle {

ShardAccess::ShardAccess(const Reader& reader) : reader_(reader), ways_(reader.shards().size()) {}

void ShardAccess::Want(std::uint32_t id) {
  const Entry& entry = reader_.entry(id);
  if (entry.status != EntryStatus::kOk || entry.sliced) return;
  const io::Source* const source = reader_.shards()[entry.shard_slot].source.get();
  if (source == nullptr || !IsRange(entry.offset, entry.size, source->size())) return;
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
    way.needs_readahead = way.source == nullptr;
  }
}

const io::Source& ShardAccess::SourceOf(std::uint32_t id) const {
  const io::Source& source = reader_.SourceOf(id);
  const io::Source* const chosen = ways_[reader_.entry(id).shard_slot].source;
  return chosen != nullptr ? *chosen : source;
}

void ShardAccess::StartReadahead(std::uint32_t id, std::uint64_t begin, std::uint64_t size) const {
  const Entry& entry = reader_.entry(id);
  if (!ways_[entry.shard_slot].needs_readahead) return;
  reader_.SourceOf(id).StartReadahead(entry.offset + begin, size);
}

}  // namespace fastckpt::bundle
