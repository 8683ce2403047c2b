#include "coding/wire.h"

#include <array>

namespace fastckpt::coding {

const std::uint8_t* WireReader::SkipGroup(const std::uint8_t* p, const std::uint8_t* end,
                                          std::uint32_t number) {
  std::array<std::uint32_t, kMaxGroupDepth> open_groups{number};
  std::size_t depth = 1;
  WireField ignored;
  while (depth > 0) {
    std::uint32_t tag = 0;
    p = DecodeVarint32(p, end, &tag);
    if (p == nullptr || tag < kFirstTag) return nullptr;
    if ((tag & 7) == kStartGroup) {
      if (depth == kMaxGroupDepth) return nullptr;
      open_groups[depth++] = tag >> 3;
    } else if ((tag & 7) == kEndGroup) {
      if (open_groups[--depth] != tag >> 3) return nullptr;
    } else {
      p = ReadField(p, end, tag, &ignored);
      if (p == nullptr) return nullptr;
    }
  }
  return p;
}

}  // namespace fastckpt::coding
