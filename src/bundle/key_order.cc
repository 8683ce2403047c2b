#include "bundle/key_order.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

namespace fastckpt::bundle {
namespace {

// Fewer keys are compared as strings, and fewer digests as numbers: what a radix sort sets up
// would take longer.
constexpr std::size_t kFewKeys = 32;
constexpr std::size_t kFewDigests = 2048;

constexpr std::size_t kWordSize = 8;
constexpr std::size_t kDigestSize = 2 * kWordSize;

// Sixteen bytes of a key, first byte first, as two numbers; and the key's position.
struct Digest {
  std::array<std::uint64_t, 2> words;  // the less significant one first
  std::uint32_t position;

  // Counted from the least significant one.
  std::uint8_t byte(std::size_t i) const {
    return static_cast<std::uint8_t>(words[i / kWordSize] >> (i % kWordSize * 8));
  }
  bool operator<(const Digest& other) const {
    if (words[1] != other.words[1]) return words[1] < other.words[1];
    if (words[0] != other.words[0]) return words[0] < other.words[0];
    return position < other.position;
  }
};

// The bytes from `begin` on, as a number in their order; what a key lacks is zero.
std::uint64_t Word(std::string_view key, std::size_t begin) {
  std::array<char, kWordSize> bytes{};
  if (begin < key.size()) key.copy(bytes.data(), bytes.size(), begin);
  std::uint64_t word = 0;
  for (const char byte : bytes) word = word << 8 | static_cast<std::uint8_t>(byte);
  return word;
}

// The size of the common beginning, of which `begin` bytes are known and `limit` are enough.
std::size_t CommonSize(std::string_view a, std::string_view b, std::size_t begin,
                       std::size_t limit) {
  limit = std::min({limit, a.size(), b.size()});
  if (std::memcmp(a.data() + begin, b.data() + begin, limit - begin) == 0) return limit;
  while (a[begin] == b[begin]) ++begin;
  return begin;
}

// Sorts parts of the keys until none is left. All keys of a part begin with the same `common`
// bytes.
class Sorter {
 public:
  explicit Sorter(std::span<const std::string_view> keys) : keys_(keys), order_(keys.size()) {
    std::iota(order_.begin(), order_.end(), 0u);
    parts_.push_back({0, order_.size(), 0});
    while (!parts_.empty()) {
      const Part part = parts_.back();
      parts_.pop_back();
      Sort(part);
    }
  }

  std::vector<std::uint32_t> TakeOrder() { return std::move(order_); }

 private:
  struct Part {
    std::size_t begin;
    std::size_t end;
    std::size_t common;
  };

  void Sort(Part part) {
    const auto positions = std::span(order_).subspan(part.begin, part.end - part.begin);
    if (positions.size() <= kFewKeys) return SortFew(positions, part.common);
    // Keys that have no more bytes: they differ in size alone, and were cut where others go on
    // with zeros.
    const auto goes_on = [&](std::uint32_t i) { return keys_[i].size() > part.common; };
    const auto rest = std::ranges::stable_partition(positions, std::not_fn(goes_on));
    const auto ended = positions.first(positions.size() - rest.size());
    std::ranges::stable_sort(ended, {}, [&](std::uint32_t i) { return keys_[i].size(); });
    if (rest.size() > 1) SortDigests(part.begin + ended.size(), part);
  }

  void SortFew(std::span<std::uint32_t> positions, std::size_t common) const {
    std::ranges::sort(positions, [&](std::uint32_t a, std::uint32_t b) {
      const std::size_t begin = std::min({common, keys_[a].size(), keys_[b].size()});
      const int difference = keys_[a].substr(begin).compare(keys_[b].substr(begin));
      return difference != 0 ? difference < 0 : a < b;
    });
  }

  void SortDigests(std::size_t begin, const Part& part) {
    const auto positions = std::span(order_).subspan(begin, part.end - begin);
    const std::string_view first = keys_[positions[0]];
    std::size_t common = first.size();
    for (const std::uint32_t i : positions) {
      common = CommonSize(first, keys_[i], part.common, common);
    }
    digests_.clear();
    for (const std::uint32_t i : positions) {
      digests_.push_back({{Word(keys_[i], common + kWordSize), Word(keys_[i], common)}, i});
    }
    if (positions.size() < kFewDigests) {
      std::ranges::sort(digests_, std::less());
    } else {
      RadixSort();
    }
    std::ranges::transform(digests_, positions.begin(), &Digest::position);
    for (std::size_t i = 0; i < digests_.size();) {
      std::size_t end = i + 1;
      while (end < digests_.size() && digests_[end].words == digests_[i].words) ++end;
      if (end - i > 1) parts_.push_back({begin + i, begin + end, common + kDigestSize});
      i = end;
    }
  }

  // By each byte in which digests differ, from the least significant one on.
  void RadixSort() {
    std::array<std::uint64_t, 2> differing{};
    for (const Digest& digest : digests_) {
      for (std::size_t w = 0; w < 2; ++w) differing[w] |= digest.words[w] ^ digests_[0].words[w];
    }
    for (std::size_t i = 0; i < kDigestSize; ++i) {
      if (Digest{differing, 0}.byte(i) != 0) SortByByte(i);
    }
  }

  void SortByByte(std::size_t byte) {
    std::array<std::size_t, 256> ends{};
    for (const Digest& digest : digests_) ++ends[digest.byte(byte)];
    std::exclusive_scan(ends.begin(), ends.end(), ends.begin(), std::size_t{0});
    other_.resize(digests_.size());
    for (const Digest& digest : digests_) other_[ends[digest.byte(byte)]++] = digest;
    digests_.swap(other_);
  }

  const std::span<const std::string_view> keys_;
  std::vector<std::uint32_t> order_;
  std::vector<Part> parts_;
  std::vector<Digest> digests_;
  std::vector<Digest> other_;
};

}  // namespace

std::vector<std::uint32_t> KeyOrder(std::span<const std::string_view> keys) {
  // Most callers come with sorted names already.
  if (!std::ranges::is_sorted(keys)) return Sorter(keys).TakeOrder();
  std::vector<std::uint32_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

}  // namespace fastckpt::bundle
