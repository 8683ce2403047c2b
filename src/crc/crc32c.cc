#include "crc/crc32c.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "base/cpu.h"

namespace fastckpt::crc {
namespace {

constexpr const Kernel* kKernels[] = {
#if defined(__x86_64__)
    &kAvx512Kernel,
    &kSse42Kernel,
#elif defined(__AARCH64EL__)
    &kArmv8Kernel,
#endif
    &kPortableKernel,
};

// Below this size the copy stays in the cache, where the next reader wants it.
constexpr std::size_t kStreamFrom = 32 * 1024;

std::uint32_t ExtendFirst(std::uint32_t crc, const std::uint8_t* data, std::size_t size);

// The active kernel's function, once known. Calls of 64 bytes feel the guard of a function-local
// static; this is one load and one jump.
constinit std::atomic<ExtendFunction> extend_function = &ExtendFirst;

std::uint32_t ExtendFirst(std::uint32_t crc, const std::uint8_t* data, std::size_t size) {
  extend_function.store(ActiveKernel().extend, std::memory_order_relaxed);
  return ActiveKernel().extend(crc, data, size);
}

}  // namespace

bool SupportsSse42() {
  return Cpu().sse42 && Cpu().pclmul;
}

bool SupportsAvx512() {
  return SupportsSse42() && Cpu().avx512 && Cpu().vpclmul;
}

bool SupportsArmv8() {
  return Cpu().arm_crc32;
}

std::span<const Kernel* const> Kernels() {
  return kKernels;
}

const Kernel& ChooseKernel(std::span<const Kernel* const> kernels, const char* name) {
  const Kernel* first = nullptr;
  for (const Kernel* kernel : kernels) {
    if (!kernel->supported()) continue;
    if (first == nullptr) first = kernel;
    if (name != nullptr && std::strcmp(kernel->name, name) == 0) return *kernel;
  }
  return *first;
}

const Kernel& ActiveKernel() {
  static const Kernel& kernel = ChooseKernel(Kernels(), std::getenv("FASTCKPT_CRC_KERNEL"));
  return kernel;
}

std::uint32_t Extend(std::uint32_t crc, const void* data, std::size_t size) {
  return extend_function.load(std::memory_order_relaxed)(
      crc, static_cast<const std::uint8_t*>(data), size);
}

std::uint32_t CopyExtend(std::uint32_t crc, void* destination, const void* source,
                         std::size_t size) {
  if (size < kStreamFrom) {
    if (size != 0) std::memcpy(destination, source, size);
    return Extend(crc, destination, size);
  }
  return ActiveKernel().copy_extend(crc, static_cast<std::uint8_t*>(destination),
                                    static_cast<const std::uint8_t*>(source), size);
}

}  // namespace fastckpt::crc
