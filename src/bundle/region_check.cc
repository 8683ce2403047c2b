#include "bundle/region_check.h"

#include "bundle/transfer.h"
#include "tensor/dtype.h"

namespace fastckpt::bundle {

bool RegionCheck::Add(std::uint32_t id, std::span<const StridedDim> dims) {
  if (reader_->IsVerified(id)) return true;
  if (!tensor::IsPlain(reader_->CheckEntry(id).dtype)) return false;
  const BlockChecks& checks = reader_->blocks();
  const BlockTable* const table = checks.Find(id);
  if (table == nullptr) return false;
  std::vector<std::uint32_t> touched = TouchedBlocks(*reader_, id, dims, table->block_size);
  std::erase_if(touched, [&](std::uint32_t block) { return checks.IsVerified(*table, block); });
  if (touched.size() == table->count) return false;
  for (const std::uint32_t block : touched) AddBlock(*table, block);
  return true;
}

void RegionCheck::AddBlock(const BlockTable& table, std::uint32_t block) {
  const std::uint64_t size = RangeOf(table, reader_->entry(table.entry_id), block).size();
  const bool extends = !units_.empty() && units_.back().table == &table && size <= kInlineBytes &&
                       units_.back().size <= kInlineBytes - size;
  if (!extends) units_.push_back({&table, blocks_.size(), 0, 0});
  blocks_.push_back(block);
  ++units_.back().count;
  units_.back().size += size;
}

void RegionCheck::Start(int num_threads) {
  job_.emplace(
      units_.size(), [this](std::size_t i) { Run(units_[i]); }, units_.size() > 1 ? num_threads : 0,
      Job::Caller::kHelps);
}

void RegionCheck::Run(const Unit& unit) const {
  for (std::size_t i = unit.first; i < unit.first + unit.count; ++i) {
    reader_->VerifyBlock(*unit.table, blocks_[i]);
  }
}

}  // namespace fastckpt::bundle
