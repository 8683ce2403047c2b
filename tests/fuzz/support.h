// What every fuzz target needs: checks that end the process, outcomes to compare, and a bound on
// memory.
#ifndef FASTCKPT_TESTS_FUZZ_SUPPORT_H_
#define FASTCKPT_TESTS_FUZZ_SUPPORT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// Changes data[0, size) at random and returns its new size; the fuzzing engine's, or that of
// replay.cc.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed);

namespace fastckpt::fuzz {

// Says what broke and aborts, which every fuzzing engine takes for a finding.
[[noreturn]] void Broken(const char* file, int line, const char* condition);

// What Broken says the input is, or is a mutated form of.
void NameInput(const std::string& name);

// Targets count the inputs that got past magic numbers, checksums and structure, so that a mutator
// that only makes refused inputs is noticed (replay.cc).
void CountAccepted();
std::uint64_t NumAccepted();

// What a call did: nothing (code 0), or the Error that it threw. Other exceptions pass through and
// end the process.
struct Outcome {
  int code = 0;
  std::string message;
  std::string path;
  std::optional<std::uint64_t> offset;
  std::optional<std::string> key;

  bool ok() const { return code == 0; }
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome OutcomeOf(const Error& error);

template <typename Call>
Outcome Try(Call&& call) {
  try {
    std::forward<Call>(call)();
    return {};
  } catch (const Error& error) {
    return OutcomeOf(error);
  }
}

// While it lives, counts the memory that is handed out on top of what was there, and aborts at its
// end when that was ever more than 16 MiB + 4 x the bytes of the input (docs/security.md). One at a
// time. Memory that is mapped, not allocated, is left to the engine's limit on resident memory.
class MemoryBound {
 public:
  explicit MemoryBound(std::size_t input_bytes);
  ~MemoryBound();
  MemoryBound(const MemoryBound&) = delete;
  MemoryBound& operator=(const MemoryBound&) = delete;

 private:
  std::size_t start_;
  std::size_t allowed_;
};

// Takes small numbers and runs of bytes from the front of an input; zeros and nothing at its end.
class Taker {
 public:
  explicit Taker(ByteView bytes) : bytes_(bytes) {}

  std::uint8_t Byte();
  std::uint64_t Number(std::size_t num_bytes);
  // Up to `size` bytes.
  ByteView Bytes(std::size_t size);
  ByteView Rest() { return Bytes(bytes_.size()); }
  bool empty() const { return bytes_.empty(); }

 private:
  ByteView bytes_;
};

// Bytes in a heap block of exactly their size, so that the address sanitizer sees every access past
// them.
class ExactCopy {
 public:
  explicit ExactCopy(ByteView bytes);
  // Zeros.
  explicit ExactCopy(std::size_t size);
  ExactCopy(const ExactCopy&) = delete;
  ExactCopy& operator=(const ExactCopy&) = delete;
  ~ExactCopy();
  ByteView view() const { return {data_, size_}; }
  MutableBytes bytes() { return {data_, size_}; }

 private:
  std::uint8_t* data_;
  std::size_t size_;
};

}  // namespace fastckpt::fuzz

#define REQUIRE(condition) \
  ((condition) ? static_cast<void>(0) : ::fastckpt::fuzz::Broken(__FILE__, __LINE__, #condition))

#endif  // FASTCKPT_TESTS_FUZZ_SUPPORT_H_
