// Slice keys and the ordered code under them, and the overlap of slices.
//
// Input: a byte that chooses, then for 0 an encoded key, for others two slice keys to be encoded,
// given as { name size byte, name, rank byte, { start and length, fixed64 each } }.

#include <algorithm>
#include <compare>
#include <utility>

#include "coding/ordered.h"
#include "mutation.h"
#include "tensor/slice.h"

namespace fastckpt::fuzz {
namespace {

using coding::Extent;
using coding::SliceKey;

SliceKey TakeSliceKey(Taker* taker) {
  SliceKey key;
  key.name = AsText(taker->Bytes(taker->Byte() % 32));
  key.extents.resize(taker->Byte() % 8);
  for (Extent& extent : key.extents) {
    extent.start = static_cast<std::int64_t>(taker->Number(8));
    extent.length = static_cast<std::int64_t>(taker->Number(8));
  }
  return key;
}

std::string DescribeSliceKey(const SliceKey& key) {
  std::string out(1, static_cast<char>(key.name.size()));
  out += key.name;
  out.push_back(static_cast<char>(key.extents.size()));
  for (const Extent& extent : key.extents) {
    for (const std::int64_t number : {extent.start, extent.length}) {
      for (unsigned shift = 0; shift < 64; shift += 8) {
        out.push_back(static_cast<char>(static_cast<std::uint64_t>(number) >> shift));
      }
    }
  }
  return out;
}

bool Equal(const SliceKey& a, const SliceKey& b) {
  return a.name == b.name && a.extents == b.extents;
}

// The order that encodings must have: name, rank, then each number.
std::weak_ordering Compare(const SliceKey& a, const SliceKey& b) {
  // Unsigned bytes, as char_traits<char> compares.
  if (const int names = a.name.compare(b.name); names != 0) return names <=> 0;
  if (const auto ranks = a.extents.size() <=> b.extents.size(); ranks != 0) return ranks;
  for (std::size_t d = 0; d < a.extents.size(); ++d) {
    const std::pair left(a.extents[d].start, a.extents[d].length);
    const std::pair right(b.extents[d].start, b.extents[d].length);
    if (const auto numbers = left <=> right; numbers != 0) return numbers;
  }
  return std::weak_ordering::equivalent;
}

void CheckEncoded(ByteView bytes) {
  const auto key = coding::DecodeSliceKey(bytes);
  if (!key) return;
  REQUIRE(coding::EncodeSliceKey(key->name, key->extents) == AsText(bytes));
  REQUIRE(key->extents.size() <= coding::kMaxSliceRank);
  CountAccepted();
}

// Any front of an encoding is refused, unless it is whole.
void CheckFronts(const std::string& encoded) {
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    const ExactCopy front(AsBytes(encoded).first(size));
    REQUIRE(!coding::DecodeSliceKey(front.view()));
  }
}

void CheckNumbers(std::uint64_t value) {
  std::string encoded;
  coding::AppendOrderedNum(encoded, value);
  coding::AppendOrderedSignedNum(encoded, static_cast<std::int64_t>(value));
  const ByteView bytes = AsBytes(encoded);
  const std::uint8_t* const end = bytes.data() + bytes.size();
  std::uint64_t same = 0;
  std::int64_t same_signed = 0;
  const std::uint8_t* p = coding::DecodeOrderedNum(bytes.data(), end, &same);
  REQUIRE(p != nullptr && same == value);
  REQUIRE(coding::DecodeOrderedSignedNum(p, end, &same_signed) == end);
  REQUIRE(static_cast<std::uint64_t>(same_signed) == value);
}

tensor::Box BoxOf(const SliceKey& key) {
  tensor::Box box;
  for (const Extent& extent : key.extents) {
    box.starts.push_back(extent.start & 0xFF);
    box.sizes.push_back(extent.length & 0x3F);
  }
  return box;
}

bool Overlap(const tensor::Box& a, const tensor::Box& b) {
  for (std::size_t d = 0; d < a.starts.size(); ++d) {
    const std::int64_t begin = std::max(a.starts[d], b.starts[d]);
    if (begin >= std::min(a.starts[d] + a.sizes[d], b.starts[d] + b.sizes[d])) return false;
  }
  return true;
}

void CheckOverlap(const std::vector<SliceKey>& keys) {
  std::vector<tensor::Box> boxes;
  bool expected = false;
  for (const SliceKey& key : keys) {
    if (key.extents.size() != keys.front().extents.size()) continue;
    const tensor::Box box = BoxOf(key);
    for (const tensor::Box& other : boxes) expected = expected || Overlap(box, other);
    boxes.push_back(box);
  }
  REQUIRE(tensor::FindOverlap(boxes) ==
          (expected ? tensor::OverlapResult::kOverlap : tensor::OverlapResult::kDisjoint));
}

void CheckKeys(Taker taker) {
  std::vector<SliceKey> keys;
  while (!taker.empty() && keys.size() < 16) keys.push_back(TakeSliceKey(&taker));
  std::vector<std::string> encoded;
  for (const SliceKey& key : keys) {
    encoded.push_back(coding::EncodeSliceKey(key.name, key.extents));
    const auto same = coding::DecodeSliceKey(AsBytes(encoded.back()));
    REQUIRE(same && Equal(*same, key));
    for (const Extent& extent : key.extents) {
      CheckNumbers(static_cast<std::uint64_t>(extent.start));
    }
  }
  for (std::size_t i = 1; i < keys.size(); ++i) {
    REQUIRE((encoded[i - 1].compare(encoded[i]) <=> 0) == Compare(keys[i - 1], keys[i]));
  }
  if (keys.empty()) return;
  CheckFronts(encoded.front());
  CheckOverlap(keys);
  CountAccepted();
}

void MutateKey(Random& random, SliceKey* key) {
  if (random.OneIn(4)) MutateText(random, &key->name);
  if (random.OneIn(4)) key->extents.resize(random.Below(8));
  key->name.resize(std::min<std::size_t>(key->name.size(), 31));
  if (key->extents.empty()) return;
  Extent& extent = key->extents[random.Below(key->extents.size())];
  std::int64_t* const number = random.OneIn(2) ? &extent.start : &extent.length;
  *number = static_cast<std::int64_t>(MutateNumber(random, static_cast<std::uint64_t>(*number)));
}

std::string ChangeKeys(Random& random, ByteView input) {
  Taker taker(input);
  const std::uint8_t choice = taker.Byte();
  std::string out(1, static_cast<char>(random.OneIn(16) ? choice ^ 1 : choice));
  if (choice == 0) {
    const ByteView bytes = taker.Rest();
    auto key = coding::DecodeSliceKey(bytes);
    if (!key || key->extents.size() > 7) return "";
    MutateKey(random, &*key);
    return out + coding::EncodeSliceKey(key->name, key->extents);
  }
  while (!taker.empty()) {
    SliceKey key = TakeSliceKey(&taker);
    if (random.OneIn(4)) out += DescribeSliceKey(key);
    if (random.OneIn(2)) MutateKey(random, &key);
    out += DescribeSliceKey(key);
  }
  return out;
}

}  // namespace
}  // namespace fastckpt::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fastckpt;
  const fuzz::MemoryBound bound(size);
  fuzz::Taker taker(ByteView(data, size));
  if (taker.Byte() == 0) {
    fuzz::CheckEncoded(taker.Rest());
  } else {
    fuzz::CheckKeys(taker);
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return fastckpt::fuzz::MutateInput(data, size, max_size, seed, fastckpt::fuzz::ChangeKeys);
}
