// The stored bytes of string and variant tensors.
//
// Input: an options byte (1: big-endian, 2: variants), the number of elements as fixed16, the
// bytes.

#include <algorithm>
#include <optional>
#include <vector>

#include "coding/fixed.h"
#include "coding/varint.h"
#include "crc/crc32c.h"
#include "mutation.h"
#include "table_writer.h"
#include "tensor/strings.h"
#include "tensor/variants.h"

namespace fastckpt::fuzz {
namespace {

using Elements = std::vector<std::string>;

constexpr std::size_t kChecksum = 4;

// Elements by the layout alone, checksums not looked at.
std::optional<Elements> SplitStrings(ByteView stored, std::size_t count) {
  std::vector<std::uint64_t> lengths(count);
  for (std::uint64_t& length : lengths) {
    if (!TakeVarint(&stored, &length)) return std::nullopt;
  }
  if (stored.size() < kChecksum) return std::nullopt;
  Taker text(stored.subspan(kChecksum));
  std::size_t left = stored.size() - kChecksum;
  Elements elements;
  for (const std::uint64_t length : lengths) {
    if (length > left) return std::nullopt;
    elements.emplace_back(AsText(text.Bytes(static_cast<std::size_t>(length))));
    left -= elements.back().size();
  }
  if (left > 0) return std::nullopt;
  return elements;
}

std::optional<Elements> SplitVariants(ByteView stored, std::size_t count) {
  Elements records;
  for (std::uint64_t size; records.size() < count;) {
    if (!TakeVarint(&stored, &size) || stored.size() < kChecksum ||
        size > stored.size() - kChecksum) {
      return std::nullopt;
    }
    records.emplace_back(AsText(stored.first(static_cast<std::size_t>(size))));
    stored = stored.subspan(records.back().size() + kChecksum);
  }
  if (!stored.empty()) return std::nullopt;
  return records;
}

void CheckStrings(ByteView stored, std::size_t count, bool big_endian) {
  const auto trusted = tensor::ParseStrings(stored, count, big_endian, false);
  const auto layout = tensor::ParseStrings(stored, count, big_endian, true);
  const auto expected = SplitStrings(stored, count);
  REQUIRE((trusted.error == tensor::StringError::kNone) == expected.has_value());
  REQUIRE((layout.error == tensor::StringError::kLengths) == !expected.has_value());
  if (!expected) return;
  REQUIRE(layout.ends == trusted.ends && layout.start == trusted.start);
  std::uint64_t begin = layout.start;
  for (std::size_t i = 0; i < count; ++i) {
    REQUIRE(begin <= layout.ends[i] && layout.ends[i] <= stored.size());
    REQUIRE(AsText(stored).substr(begin, layout.ends[i] - begin) == (*expected)[i]);
    begin = layout.ends[i];
  }
  const testing::StoredTensor written = testing::StoreStrings(*expected, big_endian);
  const std::string checksum =
      written.bytes.substr(written.bytes.size() - kChecksum - (stored.size() - layout.start));
  const bool is_right = AsText(stored.subspan(layout.start - kChecksum)) == checksum;
  REQUIRE((layout.error == tensor::StringError::kNone) == is_right);
  if (!is_right) return;
  REQUIRE(layout.crc == written.crc);
  CountAccepted();
}

void CheckVariants(ByteView stored, std::size_t count) {
  const auto trusted = tensor::ParseVariants(stored, count, false);
  const auto layout = tensor::ParseVariants(stored, count, true);
  const auto expected = SplitVariants(stored, count);
  REQUIRE((trusted.error == tensor::VariantError::kNone) == expected.has_value());
  REQUIRE((layout.error == tensor::VariantError::kRecords) == !expected.has_value());
  if (!expected) return;
  REQUIRE(std::ranges::equal(layout.records, *expected, {}, AsText,
                             [](const std::string& record) { return std::string_view(record); }));
  REQUIRE(trusted.records.size() == layout.records.size());
  const testing::StoredTensor written = testing::StoreVariants(*expected);
  if (layout.error == tensor::VariantError::kNone) {
    REQUIRE(layout.crc == written.crc);
    CountAccepted();
  } else {
    REQUIRE(AsText(stored) != written.bytes);
  }
}

std::string ChangeElements(Random& random, ByteView input) {
  Taker taker(input);
  std::uint8_t options = taker.Byte();
  std::size_t count = static_cast<std::size_t>(taker.Number(2));
  const ByteView stored = taker.Rest();
  auto elements = (options & 2) != 0 ? SplitVariants(stored, count) : SplitStrings(stored, count);
  if (!elements) return "";
  const std::size_t at = random.Below(elements->size());
  const auto place = elements->begin() + static_cast<std::ptrdiff_t>(at);
  const std::size_t choice = random.Below(6);
  if (elements->empty() || choice == 0) {
    elements->insert(place, std::string(random.Below(200), 'x'));
  } else if (choice == 1) {
    elements->erase(place);
  } else if (choice == 2) {
    options ^= static_cast<std::uint8_t>(1 + random.Below(2));
  } else {
    MutateText(random, &(*elements)[at]);
  }
  count = elements->size() + (random.OneIn(32) ? 1 : 0);
  std::string out{static_cast<char>(options), static_cast<char>(count),
                  static_cast<char>(count >> 8)};
  return out + ((options & 2) != 0 ? testing::StoreVariants(*elements)
                                   : testing::StoreStrings(*elements, (options & 1) != 0))
                   .bytes;
}

}  // namespace
}  // namespace fastckpt::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fastckpt;
  const fuzz::MemoryBound bound(size);
  fuzz::Taker taker(ByteView(data, size));
  const std::uint8_t options = taker.Byte();
  const auto count = static_cast<std::size_t>(taker.Number(2));
  const fuzz::ExactCopy stored(taker.Rest());
  if ((options & 2) != 0) {
    fuzz::CheckVariants(stored.view(), count);
  } else {
    fuzz::CheckStrings(stored.view(), count, (options & 1) != 0);
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return fastckpt::fuzz::MutateInput(data, size, max_size, seed, fastckpt::fuzz::ChangeElements);
}
