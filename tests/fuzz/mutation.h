// Random changes to decoded content, the parts that custom mutators are made of.
#ifndef FASTCKPT_TESTS_FUZZ_MUTATION_H_
#define FASTCKPT_TESTS_FUZZ_MUTATION_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "support.h"

namespace fastckpt::fuzz {

// SplitMix64: a full-period generator whose every seed is good (Steele, Lea, Flood 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next();
  // In [0, bound); 0 for a bound of 0.
  std::size_t Below(std::size_t bound) { return bound == 0 ? 0 : Next() % bound; }
  bool OneIn(std::size_t n) { return Below(n) == 0; }

 private:
  std::uint64_t state_;
};

// Numbers that break things: around zero, around powers of two, and the ends of every width.
std::uint64_t HostileNumber(Random& random);
// A small step away from `value`, or a hostile number.
std::uint64_t MutateNumber(Random& random, std::uint64_t value);
// The engine's own byte mutations, with room to grow.
void MutateText(Random& random, std::string* text);

// Groups (3) hold the bytes between their tags.
struct WireItem {
  std::uint32_t number = 0;
  std::uint8_t type = 0;
  std::uint64_t value = 0;
  std::string bytes;
};

struct WireMessage {
  std::vector<WireItem> items;
  // What is left where the message is malformed, as `ok` tells.
  std::string tail;
  bool ok = true;
};

// Reads a protobuf message by the encoding guide alone, sharing nothing with coding/wire.h.
WireMessage ParseMessage(ByteView bytes);
std::string EncodeMessage(const WireMessage& message);
// Changes, copies, moves, drops or adds a field, going into nested messages as often as not.
void MutateMessage(Random& random, std::string* message, int depth = 0);

// Reads a varint of at most ten bytes from the front of `bytes` and drops it there; false when it
// is cut off or too large.
bool TakeVarint(ByteView* bytes, std::uint64_t* value);

// Runs `change` with a generator seeded by `seed` on what the engine offers, and keeps its result
// when it fits; otherwise, and in one case of eight, leaves it to the engine's byte mutations.
template <typename Change>
std::size_t MutateInput(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed,
                        Change&& change) {
  Random random(seed);
  if (!random.OneIn(8)) {
    const std::string changed = change(random, ByteView(data, size));
    if (!changed.empty() && changed.size() <= max_size) {
      std::memcpy(data, changed.data(), changed.size());
      return changed.size();
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}

}  // namespace fastckpt::fuzz

#endif  // FASTCKPT_TESTS_FUZZ_MUTATION_H_
