#include "bundle/load_plan.h"

#include "tensor/dtype.h"

namespace fastckpt::bundle {
namespace {

constexpr std::uint64_t kArenaBytes = std::uint64_t{64} << 20;
// A cache line, and the width of the widest vector store.
constexpr std::uint64_t kArrayAlignment = 64;

constexpr std::uint64_t kSharedAllowance = std::uint64_t{16} << 20;
constexpr std::uint64_t kSharedFactor = 4;

// Entries may share bytes, and a small file could ask for any amount of memory that way.
void CheckTotal(const Reader& reader, std::uint64_t total) {
  std::uint64_t present = 0;
  for (const Shard& shard : reader.shards()) present += shard.source ? shard.source->size() : 0;
  if (total <= kSharedAllowance || total - kSharedAllowance <= kSharedFactor * present) return;
  throw Error(ErrorCode::kLimitExceeded,
              "the tensors need more than 16 MiB + 4 x the bytes of the data shards: their entries "
              "share the same bytes; read them one by one")
      .At(reader.index_source().path());
}

}  // namespace

LoadPlan::LoadPlan(const Reader& reader, const std::vector<std::uint32_t>& ids)
    : placements(ids.size()) {
  std::vector<std::uint64_t> arena_sizes;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Entry& entry = reader.CheckEntry(ids[i]);
    if (entry.sliced) continue;
    reader.SourceOf(ids[i]);
    if (!tensor::IsPlain(entry.dtype)) continue;
    if (arena_sizes.empty() || arena_sizes.back() + entry.size > kArenaBytes) {
      arena_sizes.push_back(0);
    }
    placements[i] = {static_cast<std::uint32_t>(arena_sizes.size() - 1), arena_sizes.back()};
    arena_sizes.back() += (entry.size + kArrayAlignment - 1) / kArrayAlignment * kArrayAlignment;
  }
  std::uint64_t total = 0;
  for (const std::uint64_t size : arena_sizes) total += size;
  CheckTotal(reader, total);
  for (const std::uint64_t size : arena_sizes) {
    arenas.push_back(io::Arena::Allocate(static_cast<std::size_t>(size)));
  }
  transfers.reserve(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Entry& entry = reader.entry(ids[i]);
    if (entry.sliced) continue;
    std::uint8_t* const room =
        tensor::IsPlain(entry.dtype)
            ? arenas[placements[i].arena]->bytes().data() + placements[i].offset
            : nullptr;
    transfers.push_back({ids[i], room});
  }
}

}  // namespace fastckpt::bundle
