// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): the checksum of every block and every
// tensor.
//
// Value("") = 0, Value("123456789") = 0xE3069283 (RFC 3720 appendix B.4 has more vectors). All
// functions are total, allocate nothing and may be called from any thread.
#ifndef FASTCKPT_CRC_CRC32C_H_
#define FASTCKPT_CRC_CRC32C_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "crc/kernel.h"

namespace fastckpt::crc {

// The CRC of A followed by B, given `crc` = the CRC of A and B = [data, data + size).
std::uint32_t Extend(std::uint32_t crc, const void* data, std::size_t size);

inline std::uint32_t Value(const void* data, std::size_t size) {
  return Extend(0, data, size);
}

// Extend over `source`, copying it to `destination` in the same pass. The result is the CRC of the
// bytes that were written, even while another thread changes the source. The ranges do not overlap.
std::uint32_t CopyExtend(std::uint32_t crc, void* destination, const void* source,
                         std::size_t size);

// The CRC of A followed by B from crc(A), crc(B) and the length of B. Costs up to 60 ns on any
// machine: a fifth of the CRC of 16 KiB, so never split finer than 256 KiB for speed.
std::uint32_t Combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t size_b);

// TensorFlow and LevelDB store a CRC rotated and offset, so that a CRC over bytes that contain CRCs
// stays meaningful (LevelDB util/crc32c.h).
constexpr std::uint32_t kMaskDelta = 0xA282EAD8u;
constexpr std::uint32_t Mask(std::uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + kMaskDelta;
}
constexpr std::uint32_t Unmask(std::uint32_t masked) {
  const std::uint32_t rotated = masked - kMaskDelta;
  return (rotated >> 17) | (rotated << 15);
}

// Every kernel compiled into this binary, fastest first; the last is "portable".
std::span<const Kernel* const> Kernels();

// The supported one of `kernels` that is called `name`; without one, or when `name` is null, the
// first supported one. A pure function; at least one kernel is supported.
const Kernel& ChooseKernel(std::span<const Kernel* const> kernels, const char* name);

// The kernel in use: ChooseKernel of Kernels() and the environment variable FASTCKPT_CRC_KERNEL.
// Chosen once, at first use.
const Kernel& ActiveKernel();

}  // namespace fastckpt::crc

#endif  // FASTCKPT_CRC_CRC32C_H_
