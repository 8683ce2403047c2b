// Byte ranges and arithmetic on numbers that come from files.
//
// Every size, offset and count read from a file is hostile until checked. Sums and products of such
// numbers go through CheckedAdd and CheckedMul; ranges go through IsRange. Nothing here throws: the
// caller knows the file and offset and makes the error.
#ifndef FASTCKPT_BASE_BYTES_H_
#define FASTCKPT_BASE_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace fastckpt {

// A borrowed, read-only range of bytes. The owner must outlive it.
using ByteView = std::span<const std::uint8_t>;
// A borrowed, writable range of bytes.
using MutableBytes = std::span<std::uint8_t>;

inline std::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// a + b, or nothing when the sum does not fit in 64 bits.
inline std::optional<std::uint64_t> CheckedAdd(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

// a * b, or nothing when the product does not fit in 64 bits.
inline std::optional<std::uint64_t> CheckedMul(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// Whether [offset, offset + size) lies inside [0, total), without overflow.
inline bool IsRange(std::uint64_t offset, std::uint64_t size, std::uint64_t total) {
  return offset <= total && size <= total - offset;
}

}  // namespace fastckpt

#endif  // FASTCKPT_BASE_BYTES_H_
