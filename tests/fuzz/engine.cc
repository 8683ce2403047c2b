// Byte mutations for programs that run without a fuzzing engine.
#include <cstring>

#include "mutation.h"

// Flips, inserts or drops a byte: little beside what an engine does, and enough to keep mutators
// alive.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                        std::size_t max_size) {
  static fastckpt::fuzz::Random random(1);
  const std::size_t at = random.Below(size);
  const auto byte = static_cast<std::uint8_t>(random.Next());
  if (size < max_size && (size == 0 || random.OneIn(3))) {
    std::memmove(data + at + 1, data + at, size - at);
    data[at] = byte;
    return size + 1;
  }
  if (size > 1 && random.OneIn(3)) {
    std::memmove(data + at, data + at + 1, size - at - 1);
    return size - 1;
  }
  if (size > 0) data[at] = byte;
  return size;
}
