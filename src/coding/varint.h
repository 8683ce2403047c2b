// Base-128 varints (protobuf encoding guide): low group first, bit 7 means "more follows".
//
// Decoders return the position after the varint, or nullptr when it runs past `end` or does not
// fit. They accept encodings padded with groups of zero, as protobuf does.
#ifndef FASTCKPT_CODING_VARINT_H_
#define FASTCKPT_CODING_VARINT_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace fastckpt::coding {

constexpr std::ptrdiff_t kMaxVarint32Bytes = 5;

// The rest of DecodeVarint64, out of line to keep its one-byte case small where it is inlined.
[[gnu::noinline]] inline const std::uint8_t* DecodeVarint64Bytewise(const std::uint8_t* p,
                                                                    const std::uint8_t* end,
                                                                    std::uint64_t* value) {
  std::uint64_t result = 0;
  for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
    const std::uint64_t byte = *p++;
    if (shift == 63 && byte > 1) return nullptr;
    result |= (byte & 0x7F) << shift;
    if (byte < 0x80) {
      *value = result;
      return p;
    }
  }
  return nullptr;
}

// At most ten bytes; the tenth may only hold the top bit of 64.
inline const std::uint8_t* DecodeVarint64(const std::uint8_t* p, const std::uint8_t* end,
                                          std::uint64_t* value) {
  if (p < end && *p < 0x80) {
    *value = *p;
    return p + 1;
  }
  return DecodeVarint64Bytewise(p, end, value);
}

// At most five bytes; the fifth may only hold the top four bits of 32.
inline const std::uint8_t* DecodeVarint32(const std::uint8_t* p, const std::uint8_t* end,
                                          std::uint32_t* value) {
  if (p < end && *p < 0x80) {
    *value = *p;
    return p + 1;
  }
  std::uint64_t wide = 0;
  const std::uint8_t* next = DecodeVarint64(p, end, &wide);
  if (next == nullptr || next - p > kMaxVarint32Bytes || wide > 0xFFFFFFFFu) return nullptr;
  *value = static_cast<std::uint32_t>(wide);
  return next;
}

constexpr std::size_t kMaxVarint64Bytes = 10;

// Writes at `p`, where kMaxVarint64Bytes have room; returns the position behind.
inline char* PutVarint64(char* p, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) *p++ = static_cast<char>(value | 0x80);
  *p++ = static_cast<char>(value);
  return p;
}

inline void AppendVarint64(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

}  // namespace fastckpt::coding

#endif  // FASTCKPT_CODING_VARINT_H_
