// What transfers past the page cache have in common.
#ifndef FASTCKPT_IO_DIRECT_H_
#define FASTCKPT_IO_DIRECT_H_

#include <cstdint>

namespace fastckpt::io {

// Offsets, sizes and addresses are multiples of this: the page size, and the largest block that
// common devices have.
constexpr std::uint64_t kDirectAlignment = 4096;

// One request: large enough for the device to work at full speed, with kDirectDepth under way.
constexpr std::uint64_t kDirectRequest = std::uint64_t{4} << 20;

// Requests under way at a time. Waiting for the device takes no processor, so that this many
// threads are of use however few processors there are.
constexpr int kDirectDepth = 4;

inline std::uint64_t AlignDown(std::uint64_t value) {
  return value / kDirectAlignment * kDirectAlignment;
}

// Of numbers up to 2^64 - kDirectAlignment.
inline std::uint64_t AlignUp(std::uint64_t value) {
  return AlignDown(value + kDirectAlignment - 1);
}

}  // namespace fastckpt::io

#endif  // FASTCKPT_IO_DIRECT_H_
