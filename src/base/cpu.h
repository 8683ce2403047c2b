// Processor features that the operating system lets a program use, read once per process.
#ifndef FASTCKPT_BASE_CPU_H_
#define FASTCKPT_BASE_CPU_H_

#include <cstdint>

namespace fastckpt {

// Every field is false on other architectures.
struct CpuFeatures {
  bool sse42 = false;      // SSE4.2 with its CRC-32C instruction
  bool pclmul = false;     // 128-bit carry-less multiplication
  bool avx512 = false;     // F, BW, VL and VBMI2, and zmm registers survive a thread switch
  bool vpclmul = false;    // carry-less multiplication on zmm registers; implies avx512
  bool arm_crc32 = false;  // ARMv8 CRC32 extension
};

// Safe to call from any thread at any time.
const CpuFeatures& Cpu();

// The words that CPUID and XGETBV return on x86; xcr0 is 0 where XGETBV does not exist.
struct X86Words {
  std::uint32_t leaf1_ecx = 0;
  std::uint32_t leaf7_ebx = 0;
  std::uint32_t leaf7_ecx = 0;
  std::uint64_t xcr0 = 0;
};

// What `words` mean (Intel SDM volume 1, 13.3 and 15.2: both CPUID and XCR0 must agree). A pure
// function, so that tests can ask for machines that are not at hand.
CpuFeatures DecodeX86(const X86Words& words);

}  // namespace fastckpt

#endif  // FASTCKPT_BASE_CPU_H_
