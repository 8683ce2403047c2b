#include "table/block.h"

#include "coding/fixed.h"

namespace fastckpt::table {

BlockCursor::BlockCursor(ByteView block) : p_(block.data()), end_(block.data()) {
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
}

}  // namespace fastckpt::table
