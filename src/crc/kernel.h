// CRC-32C kernels: one per instruction set, one file each, raw pointers only.
//
// A kernel file includes intrinsics, <cstdint>, <cstddef>, <cstring>, this header and
// crc/polynomial.h, and nothing else, so that no shared template or inline code is ever compiled
// for an instruction set the machine may lack.
#ifndef FASTCKPT_CRC_KERNEL_H_
#define FASTCKPT_CRC_KERNEL_H_

#include <cstddef>
#include <cstdint>

namespace fastckpt::crc {

// Continues a finished CRC-32C `crc` over `size` bytes.
using ExtendFunction = std::uint32_t (*)(std::uint32_t crc, const std::uint8_t* data,
                                         std::size_t size);

// Same, and copies the bytes to `destination` in the same pass, past the cache (non-temporal stores
// where the instruction set has them). The CRC is that of the bytes written. No overlap allowed.
using CopyExtendFunction = std::uint32_t (*)(std::uint32_t crc, std::uint8_t* destination,
                                             const std::uint8_t* source, std::size_t size);

struct Kernel {
  const char* name;
  ExtendFunction extend;
  CopyExtendFunction copy_extend;
  // Whether processor and operating system both support it. Cheap; may be called at any time.
  bool (*supported)();
};

// The kernels' `supported` functions. Defined beside the registry, which may include base/cpu.h.
bool SupportsSse42();
bool SupportsAvx512();
bool SupportsArmv8();

extern const Kernel kPortableKernel;
#if defined(__x86_64__)
extern const Kernel kSse42Kernel;
extern const Kernel kAvx512Kernel;
#elif defined(__AARCH64EL__)
extern const Kernel kArmv8Kernel;
#endif

}  // namespace fastckpt::crc

#endif  // FASTCKPT_CRC_KERNEL_H_
