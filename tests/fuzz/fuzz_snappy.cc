// A Snappy stream, decoded and compared with a decoder made from the text of the format.

#include "coding/snappy.h"
#include "coding/varint.h"
#include "mutation.h"
#include "snappy_model.h"

namespace fastckpt::fuzz {
namespace {

constexpr std::size_t kMaxDecoded = std::size_t{1} << 17;

void CheckStream(ByteView stream) {
  const MemoryBound bound(stream.size());
  const auto claimed = coding::SnappyDecodedSize(stream);
  const SnappyResult naive = DecodeSnappyNaively(stream, kMaxDecoded);
  REQUIRE(claimed == naive.claimed);
  if (!claimed || *claimed > kMaxDecoded) return;
  ExactCopy out(std::size_t{*claimed});
  const bool decoded = coding::SnappyDecode(stream, out.bytes());
  REQUIRE(decoded == (naive.ok && naive.content.size() == *claimed));
  if (!decoded) return;
  REQUIRE(AsText(out.view()) == naive.content);
  REQUIRE(*claimed <= coding::kSnappyMaxExpansion * stream.size());
  CountAccepted();
}

// Snappy has no checksum. What a mutation has to get right is the length in front, and that no
// element is wrong: those from the first wrong one on are dropped.
std::string ChangeStream(Random& random, ByteView input) {
  std::string stream(AsText(input));
  MutateText(random, &stream);
  const SnappyResult naive = DecodeSnappyNaively(AsBytes(stream), kMaxDecoded);
  if (!naive.claimed || random.OneIn(8)) return stream;
  ByteView elements = AsBytes(stream).first(naive.good_bytes);
  std::uint64_t old_size;
  TakeVarint(&elements, &old_size);
  std::string fixed;
  coding::AppendVarint64(fixed, naive.content.size() + (random.OneIn(16) ? 1 : 0));
  return fixed.append(AsText(elements));
}

}  // namespace
}  // namespace fastckpt::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fastckpt::fuzz::CheckStream(fastckpt::ByteView(data, size));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return fastckpt::fuzz::MutateInput(data, size, max_size, seed, fastckpt::fuzz::ChangeStream);
}
