#include "table/format.h"

#include <string>

#include "coding/fixed.h"
#include "coding/varint.h"

namespace fastckpt::table {

const std::uint8_t* DecodeHandle(const std::uint8_t* p, const std::uint8_t* end,
                                 BlockHandle* handle) {
  p = coding::DecodeVarint64(p, end, &handle->offset);
  return p == nullptr ? nullptr : coding::DecodeVarint64(p, end, &handle->size);
}

FooterError DecodeFooter(ByteView bytes, Footer* footer) {
  const std::uint8_t* p = bytes.data();
  const std::uint8_t* const end = p + kFooterHandleSpace;
  if (coding::LoadFixed64(end) != kTableMagic) return FooterError::kMagic;
  p = DecodeHandle(p, end, &footer->metaindex);
  if (p == nullptr) return FooterError::kHandles;
  p = DecodeHandle(p, end, &footer->index);
  if (p == nullptr) return FooterError::kHandles;
  std::string canonical;
  for (const BlockHandle& handle : {footer->metaindex, footer->index}) {
    coding::AppendVarint64(canonical, handle.offset);
    coding::AppendVarint64(canonical, handle.size);
  }
  canonical.resize(kFooterHandleSpace);
  footer->is_canonical = AsText(bytes.first(kFooterHandleSpace)) == canonical;
  return FooterError::kNone;
}

}  // namespace fastckpt::table
