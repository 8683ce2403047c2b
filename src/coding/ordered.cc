#include "coding/ordered.h"

#include <algorithm>
#include <array>
#include <bit>

namespace fastckpt::coding {
namespace {

constexpr std::uint8_t kEscape00 = 0xFF;    // follows 00 inside a string
constexpr std::uint8_t kEscapeFF = 0x00;    // follows FF inside a string
constexpr std::uint8_t kTerminator = 0x01;  // follows 00 at its end

constexpr unsigned kMaxSignedBytes = 10;

// The leading ones of an encoding of `size` bytes, as its first two bytes: 80 00, c0 00, … ff c0.
constexpr unsigned SignedHeader(unsigned size) {
  return 0xFFFFu & (0xFFFFu << (16 - size));
}

// Seven bits of every byte are left beside the header, one of them for the sign.
unsigned SignedSize(std::uint64_t magnitude) {
  return static_cast<unsigned>(std::bit_width(magnitude)) / 7 + 1;
}

void AppendByte(std::string& out, std::uint64_t byte) {
  out.push_back(static_cast<char>(byte & 0xFF));
}

}  // namespace

void AppendOrderedNum(std::string& out, std::uint64_t value) {
  const unsigned size = (static_cast<unsigned>(std::bit_width(value)) + 7) / 8;
  AppendByte(out, size);
  for (unsigned i = size; i-- > 0;) AppendByte(out, value >> (8 * i));
}

void AppendOrderedString(std::string& out, std::string_view value) {
  for (const char c : value) {
    out.push_back(c);
    if (c == '\x00') AppendByte(out, kEscape00);
    if (c == '\xFF') AppendByte(out, kEscapeFF);
  }
  AppendByte(out, 0);
  AppendByte(out, kTerminator);
}

void AppendOrderedSignedNum(std::string& out, std::int64_t value) {
  const bool negative = value < 0;
  const auto magnitude = static_cast<std::uint64_t>(negative ? ~value : value);
  const unsigned size = SignedSize(magnitude);
  const unsigned header = SignedHeader(size);
  const std::uint64_t flip = negative ? 0xFF : 0;
  for (unsigned i = 0; i < size; ++i) {
    const unsigned shift = 8 * (size - 1 - i);
    std::uint64_t byte = shift < 64 ? magnitude >> shift : 0;
    if (i < 2) byte ^= header >> (8 * (1 - i));
    AppendByte(out, byte ^ flip);
  }
}

const std::uint8_t* DecodeOrderedNum(const std::uint8_t* p, const std::uint8_t* end,
                                     std::uint64_t* value) {
  if (p == end) return nullptr;
  const unsigned size = *p++;
  if (size > 8 || size > static_cast<std::size_t>(end - p)) return nullptr;
  if (size > 0 && *p == 0) return nullptr;
  std::uint64_t result = 0;
  for (unsigned i = 0; i < size; ++i) result = result << 8 | *p++;
  *value = result;
  return p;
}

const std::uint8_t* DecodeOrderedString(const std::uint8_t* p, const std::uint8_t* end,
                                        std::string* value) {
  value->clear();
  while (end - p >= 2) {
    const std::uint8_t byte = *p++;
    if (byte == 0x00 && *p == kTerminator) return p + 1;
    if (byte == 0x00 && *p++ != kEscape00) return nullptr;
    if (byte == 0xFF && *p++ != kEscapeFF) return nullptr;
    value->push_back(static_cast<char>(byte));
  }
  return nullptr;
}

const std::uint8_t* DecodeOrderedSignedNum(const std::uint8_t* p, const std::uint8_t* end,
                                           std::int64_t* value) {
  if (p == end) return nullptr;
  const std::uint8_t flip = *p < 0x80 ? 0xFF : 0;
  const auto available = static_cast<std::size_t>(end - p);
  // A lone first byte with eight leading ones is too short whatever would follow it.
  const unsigned second = available > 1 ? p[1] ^ unsigned { flip } : 0;
  const auto first_two = static_cast<std::uint16_t>((p[0] ^ unsigned{flip}) << 8 | (second & 0xFF));
  const auto size = static_cast<unsigned>(std::countl_one(first_two));
  if (size > kMaxSignedBytes || size > available) return nullptr;
  std::uint64_t magnitude = 0;
  for (unsigned i = 0; i < size; ++i) {
    unsigned byte = p[i] ^ unsigned { flip };
    if (i < 2) byte ^= SignedHeader(size) >> (8 * (1 - i)) & 0xFF;
    if (magnitude >> 55 != 0) return nullptr;
    magnitude = magnitude << 8 | byte;
  }
  if (SignedSize(magnitude) != size) return nullptr;
  *value = static_cast<std::int64_t>(flip != 0 ? ~magnitude : magnitude);
  return p + size;
}

std::string EncodeSliceKey(std::string_view name, const std::vector<Extent>& extents) {
  std::string key;
  key.reserve(name.size() + 6 + 4 * extents.size());
  AppendOrderedNum(key, 0);
  AppendOrderedString(key, name);
  AppendOrderedNum(key, extents.size());
  for (const Extent& extent : extents) {
    AppendOrderedSignedNum(key, extent.start);
    AppendOrderedSignedNum(key, extent.length);
  }
  return key;
}

std::optional<SliceKey> DecodeSliceKey(ByteView key) {
  const std::uint8_t* p = key.data();
  const std::uint8_t* end = p + key.size();
  SliceKey result;
  std::uint64_t zero = 0;
  std::uint64_t rank = 0;
  p = DecodeOrderedNum(p, end, &zero);
  if (p == nullptr || zero != 0) return std::nullopt;
  p = DecodeOrderedString(p, end, &result.name);
  if (p == nullptr) return std::nullopt;
  p = DecodeOrderedNum(p, end, &rank);
  if (p == nullptr || rank > kMaxSliceRank) return std::nullopt;
  result.extents.resize(rank);
  for (Extent& extent : result.extents) {
    p = DecodeOrderedSignedNum(p, end, &extent.start);
    if (p != nullptr) p = DecodeOrderedSignedNum(p, end, &extent.length);
    if (p == nullptr) return std::nullopt;
  }
  if (p != end) return std::nullopt;
  return result;
}

}  // namespace fastckpt::coding
