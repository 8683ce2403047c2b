// Fixed-width integers at unaligned addresses. The caller has checked the bounds.
#ifndef FASTCKPT_CODING_FIXED_H_
#define FASTCKPT_CODING_FIXED_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

namespace fastckpt::coding {

static_assert(std::endian::native == std::endian::little,
              "index decoding assumes a little-endian machine");

inline std::uint32_t LoadFixed32(const std::uint8_t* p) {
  std::uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

inline std::uint64_t LoadFixed64(const std::uint8_t* p) {
  std::uint64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

inline void AppendFixed32(std::string& out, std::uint32_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline void AppendFixed64(std::string& out, std::uint64_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace fastckpt::coding

#endif  // FASTCKPT_CODING_FIXED_H_
