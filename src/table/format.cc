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

void EncodeHandle(std::string& out, const BlockHandle& handle) {
  coding::AppendVarint64(out, handle.offset);
  coding::AppendVarint64(out, handle.size);
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
  EncodeFooter(canonical, footer->metaindex, footer->index);
  footer->is_canonical = AsText(bytes) == canonical;
  return FooterError::kNone;
}

void EncodeFooter(std::string& out, const BlockHandle& metaindex, const BlockHandle& index) {
  const std::size_t start = out.size();
  EncodeHandle(out, metaindex);
  EncodeHandle(out, index);
  out.resize(start + kFooterHandleSpace);
  coding::AppendFixed64(out, kTableMagic);
}

}  // namespace fastckpt::table
