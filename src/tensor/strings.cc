#include "tensor/strings.h"

#include <bit>
#include <cstring>

#include "coding/fixed.h"
#include "coding/varint.h"
#include "crc/crc32c.h"

namespace fastckpt::tensor {
namespace {

constexpr std::uint64_t kChecksumSize = 4;

std::uint32_t ExtendByLength(std::uint32_t crc, std::uint64_t length, bool big_endian) {
  if (length <= 0xFFFFFFFFu) {
    auto narrow = static_cast<std::uint32_t>(length);
    if (big_endian) narrow = __builtin_bswap32(narrow);
    return crc::Extend(crc, &narrow, sizeof narrow);
  }
  const std::uint64_t wide = big_endian ? __builtin_bswap64(length) : length;
  return crc::Extend(crc, &wide, sizeof wide);
}

// Reads the lengths as running ends relative to the first byte of text; nullptr when malformed.
const std::uint8_t* ReadLengths(ByteView stored, std::uint64_t count,
                                std::vector<std::uint64_t>* ends) {
  const std::uint8_t* p = stored.data();
  const std::uint8_t* const limit = p + stored.size();
  std::uint64_t total = 0;
  ends->reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t length;
    p = coding::DecodeVarint64(p, limit, &length);
    if (p == nullptr || length > stored.size() - total) return nullptr;
    total += length;
    ends->push_back(total);
  }
  return p;
}

std::uint32_t LengthsCrc(const std::vector<std::uint64_t>& ends, bool big_endian) {
  std::uint32_t crc = 0;
  std::uint64_t previous = 0;
  for (const std::uint64_t end : ends) {
    crc = ExtendByLength(crc, end - previous, big_endian);
    previous = end;
  }
  return crc;
}

}  // namespace

StringLayout ParseStrings(ByteView stored, std::uint64_t count, bool big_endian, bool verify) {
  StringLayout layout;
  layout.error = StringError::kLengths;
  // Every element has a length of at least one byte, so a larger count cannot be right.
  if (stored.size() < kChecksumSize || count > stored.size() - kChecksumSize) return layout;
  const std::uint8_t* const text = ReadLengths(stored, count, &layout.ends);
  if (text == nullptr) return layout;
  layout.start = static_cast<std::uint64_t>(text - stored.data()) + kChecksumSize;
  const std::uint64_t total = layout.ends.empty() ? 0 : layout.ends.back();
  if (layout.start + total != stored.size()) return layout;
  layout.error = StringError::kNone;
  if (verify) {
    const std::uint32_t crc = LengthsCrc(layout.ends, big_endian);
    std::uint32_t checksum = coding::LoadFixed32(text);
    if (big_endian) checksum = __builtin_bswap32(checksum);
    if (crc::Unmask(checksum) != crc) layout.error = StringError::kLengthChecksum;
    layout.crc = crc::Extend(crc, text, kChecksumSize + static_cast<std::size_t>(total));
  }
  for (std::uint64_t& end : layout.ends) end += layout.start;
  return layout;
}

StringHeader EncodeStringHeader(std::span<const ByteView> elements) {
  StringHeader header;
  std::uint32_t crc = 0;
  for (const ByteView element : elements) {
    coding::AppendVarint64(header.leading, element.size());
    crc = ExtendByLength(crc, element.size(), false);
  }
  const std::uint32_t checksum = crc::Mask(crc);
  coding::AppendFixed32(header.leading, checksum);
  crc = crc::Extend(crc, &checksum, kChecksumSize);
  for (const ByteView element : elements) crc = crc::Extend(crc, element.data(), element.size());
  header.crc = crc;
  return header;
}

}  // namespace fastckpt::tensor
