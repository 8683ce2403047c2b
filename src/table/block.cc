#include "table/block.h"

#include "coding/fixed.h"

namespace fastckpt::table {

BlockCursor::BlockCursor(ByteView block)
    : begin_(block.data()), p_(block.data()), end_(block.data()) {
  constexpr std::uint64_t kCountSize = 4;
  if (block.size() < kCountSize) {
    ok_ = false;
    return;
  }
  const std::uint64_t num_restarts = coding::LoadFixed32(block.data() + block.size() - kCountSize);
  const std::uint64_t restarts_size = num_restarts * 4 + kCountSize;
  if (num_restarts == 0 || restarts_size > block.size()) {
    ok_ = false;
    return;
  }
  end_ = block.data() + (block.size() - restarts_size);
  num_restarts_ = static_cast<std::uint32_t>(num_restarts);
}

bool BlockCursor::GoToRestart(std::uint32_t i) {
  const std::uint32_t offset = coding::LoadFixed32(end_ + std::size_t{4} * i);
  if (offset > static_cast<std::size_t>(end_ - begin_)) return Fail();
  p_ = begin_ + offset;
  // An entry that shares bytes with the one before is then malformed, as it is at a restart.
  key_.clear();
  return true;
}

bool BlockCursor::Seek(std::string_view target) {
  if (!ok_) return false;
  std::uint32_t low = 0;
  for (std::uint32_t high = num_restarts_; high - low > 1;) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (!GoToRestart(middle)) return false;
    if (!Next()) return Fail();
    (key() < target ? low : high) = middle;
  }
  if (!GoToRestart(low)) return false;
  while (Next()) {
    if (key() >= target) return true;
  }
  return false;
}

}  // namespace fastckpt::table
