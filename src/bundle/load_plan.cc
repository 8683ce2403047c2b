#include "bundle/load_plan.h"

#include "tensor/dtype.h"

namespace fastckpt::bundle {
namespace {

constexpr std::uint64_t kArenaBytes = std::uint64_t{64} << 20;
// A cache line, and the width of the widest vector store.
constexpr std::uint64_t kArrayAlignment = 64;

}  // namespace

LoadPlan::LoadPlan(const Reader& reader, const std::vector<std::uint32_t>& ids)
    : placements(ids.size()) {
  std::vector<std::uint64_t> arena_sizes;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    reader.SourceOf(ids[i]);
    const Entry& entry = reader.entry(ids[i]);
    if (!tensor::IsPlain(entry.dtype)) continue;
    if (arena_sizes.empty() || arena_sizes.back() + entry.size > kArenaBytes) {
      arena_sizes.push_back(0);
    }
    placements[i] = {static_cast<std::uint32_t>(arena_sizes.size() - 1), arena_sizes.back()};
    arena_sizes.back() += (entry.size + kArrayAlignment - 1) / kArrayAlignment * kArrayAlignment;
  }
  for (const std::uint64_t size : arena_sizes) {
    arenas.push_back(io::Arena::Allocate(static_cast<std::size_t>(size)));
  }
  transfers.reserve(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const bool plain = tensor::IsPlain(reader.entry(ids[i]).dtype);
    std::uint8_t* const room =
        plain ? arenas[placements[i].arena]->bytes().data() + placements[i].offset : nullptr;
    transfers.push_back({ids[i], room});
  }
}

}  // namespace fastckpt::bundle
