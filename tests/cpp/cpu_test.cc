// Feature bits: every word that must agree, and the machine at hand.
#include "base/cpu.h"

#include "harness.h"

namespace {

using fastckpt::CpuFeatures;
using fastckpt::DecodeX86;
using fastckpt::X86Words;

constexpr std::uint32_t kAllBits = 0xFFFFFFFFu;

constexpr X86Words kEverything = {kAllBits, kAllBits, kAllBits, kAllBits};

}  // namespace

TEST(no_words_mean_no_features) {
  const CpuFeatures features = DecodeX86(X86Words{});
  CHECK(!features.sse42 && !features.pclmul && !features.avx512 && !features.vpclmul);
}

TEST(all_words_mean_all_x86_features) {
  const CpuFeatures features = DecodeX86(kEverything);
  CHECK(features.sse42 && features.pclmul && features.avx512 && features.vpclmul);
  CHECK(!features.arm_crc32);
}

// A processor with AVX-512 under a system that saves only part of the register state.
TEST(avx512_needs_every_state_bit_of_the_operating_system) {
  for (const int bit : {1, 2, 5, 6, 7}) {
    X86Words words = kEverything;
    words.xcr0 &= ~(std::uint64_t{1} << bit);
    CHECK(!DecodeX86(words).avx512);
    CHECK(!DecodeX86(words).vpclmul);
    CHECK(DecodeX86(words).sse42 && DecodeX86(words).pclmul);
  }
  X86Words avx2_only = kEverything;
  avx2_only.xcr0 = 0x7;
  CHECK(!DecodeX86(avx2_only).avx512);
  X86Words exactly = kEverything;
  exactly.xcr0 = 0xE6;
  CHECK(DecodeX86(exactly).avx512);
}

TEST(without_osxsave_the_state_word_means_nothing) {
  X86Words words = kEverything;
  words.leaf1_ecx &= ~(std::uint32_t{1} << 27);
  CHECK(!DecodeX86(words).avx512);
  CHECK(DecodeX86(words).sse42);
}

TEST(each_feature_needs_its_own_bits) {
  const auto without = [](std::uint32_t X86Words::* word, int bit) {
    X86Words words = kEverything;
    words.*word &= ~(std::uint32_t{1} << bit);
    return DecodeX86(words);
  };
  CHECK(!without(&X86Words::leaf1_ecx, 20).sse42);
  CHECK(!without(&X86Words::leaf1_ecx, 1).pclmul);
  for (const int bit : {16, 30, 31}) CHECK(!without(&X86Words::leaf7_ebx, bit).avx512);
  CHECK(!without(&X86Words::leaf7_ecx, 6).avx512);
  CHECK(!without(&X86Words::leaf7_ecx, 10).vpclmul);
  CHECK(without(&X86Words::leaf7_ecx, 10).avx512);
}

TEST(features_are_read_once) {
  CHECK_EQ(&fastckpt::Cpu(), &fastckpt::Cpu());
}

#if defined(__x86_64__)
TEST(features_agree_with_the_compiler_runtime) {
  __builtin_cpu_init();
  // Some runtimes never fill their table; then even what all x86-64 processors have is missing.
  if (__builtin_cpu_supports("sse2") == 0) return;
  const CpuFeatures& features = fastckpt::Cpu();
  const bool avx512 =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512vbmi2") != 0;
  CHECK_EQ(features.sse42, __builtin_cpu_supports("sse4.2") != 0);
  CHECK_EQ(features.pclmul, __builtin_cpu_supports("pclmul") != 0);
  CHECK_EQ(features.avx512, avx512);
  CHECK_EQ(features.vpclmul, avx512 && __builtin_cpu_supports("vpclmulqdq") != 0);
}
#endif
