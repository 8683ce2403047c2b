#include "base/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
// getauxval reads a vector that the kernel placed in this process: no file, no system call. It is
// the only portable way to ask on Linux, so it stays here rather than in io/.
#include <sys/auxv.h>
#endif

namespace fastckpt {
namespace {

constexpr bool HasAll(std::uint64_t word, std::uint64_t bits) {
  return (word & bits) == bits;
}

constexpr std::uint32_t Bit(int number) {
  return std::uint32_t{1} << number;
}

// CPUID leaf 1, ECX.
constexpr std::uint32_t kPclmul = Bit(1);
constexpr std::uint32_t kSse42 = Bit(20);
constexpr std::uint32_t kOsXsave = Bit(27);
// CPUID leaf 7: EBX (F, BW, VL), ECX.
constexpr std::uint32_t kAvx512Base = Bit(16) | Bit(30) | Bit(31);
constexpr std::uint32_t kAvx512Vbmi2 = Bit(6);
constexpr std::uint32_t kVpclmul = Bit(10);
// XCR0: xmm, upper ymm, mask registers, upper zmm0-15, zmm16-31.
constexpr std::uint64_t kZmmState = Bit(1) | Bit(2) | Bit(5) | Bit(6) | Bit(7);

#if defined(__x86_64__)

std::uint64_t ReadXcr0() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  // The intrinsic would need a target attribute; the instruction itself needs only OSXSAVE.
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (std::uint64_t{high} << 32) | low;
}

CpuFeatures Detect() {
  X86Words words;
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) words.leaf1_ecx = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
    words.leaf7_ebx = ebx;
    words.leaf7_ecx = ecx;
  }
  if (HasAll(words.leaf1_ecx, kOsXsave)) words.xcr0 = ReadXcr0();
  return DecodeX86(words);
}

#elif defined(__aarch64__) && defined(__linux__)

CpuFeatures Detect() {
  constexpr unsigned long kHwcapCrc32 = 1ul << 7;  // asm/hwcap.h
  CpuFeatures features;
  features.arm_crc32 = (getauxval(AT_HWCAP) & kHwcapCrc32) != 0;
  return features;
}

#else

CpuFeatures Detect() {
  CpuFeatures features;
#if defined(__aarch64__) && defined(__APPLE__)
  features.arm_crc32 = true;  // every Apple processor with this instruction set has it
#endif
  return features;
}

#endif

}  // namespace

CpuFeatures DecodeX86(const X86Words& words) {
  CpuFeatures features;
  features.sse42 = HasAll(words.leaf1_ecx, kSse42);
  features.pclmul = HasAll(words.leaf1_ecx, kPclmul);
  const bool zmm_saved = HasAll(words.leaf1_ecx, kOsXsave) && HasAll(words.xcr0, kZmmState);
  features.avx512 =
      zmm_saved && HasAll(words.leaf7_ebx, kAvx512Base) && HasAll(words.leaf7_ecx, kAvx512Vbmi2);
  features.vpclmul = features.avx512 && HasAll(words.leaf7_ecx, kVpclmul);
  return features;
}

const CpuFeatures& Cpu() {
  static const CpuFeatures features = Detect();
  return features;
}

}  // namespace fastckpt
