#include "tensor/strings.h"

#include <sys/mman.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "crc/crc32c.h"
#include "harness.h"
#include "hex.h"
#include "table_writer.h"

namespace fastckpt::tensor {
namespace {

using testing::Fixed32;
using testing::StoredTensor;
using testing::StoreStrings;
using testing::Varint;
using testing::Vector;

// Parses from storage of exactly this size, so that AddressSanitizer sees every read past the end.
StringLayout Parse(const std::string& stored, std::uint64_t count, bool big_endian = false,
                   bool verify = true) {
  const std::vector<std::uint8_t> exact = Vector(stored);
  return ParseStrings(exact, count, big_endian, verify);
}

std::vector<std::string> Elements(const std::string& stored, const StringLayout& layout) {
  std::vector<std::string> elements;
  std::uint64_t begin = layout.start;
  for (const std::uint64_t end : layout.ends) {
    elements.push_back(stored.substr(begin, end - begin));
    begin = end;
  }
  return elements;
}

const std::vector<std::vector<std::string>>& Samples() {
  static const std::vector<std::vector<std::string>> samples = {
      {},
      {""},
      {"a"},
      {"", "", ""},
      {"caf\xc3\xa9", std::string("\0\xff", 2), "", std::string(127, 'x'), std::string(128, 'y')},
      {std::string(70000, 'z'), "end"},
      std::vector<std::string>(1000, "same"),
  };
  return samples;
}

TEST(strings_come_back) {
  for (const bool big_endian : {false, true}) {
    for (const auto& elements : Samples()) {
      const StoredTensor stored = StoreStrings(elements, big_endian);
      for (const bool verify : {false, true}) {
        const StringLayout layout = Parse(stored.bytes, elements.size(), big_endian, verify);
        CHECK(layout.error == StringError::kNone);
        CHECK(Elements(stored.bytes, layout) == elements);
        if (verify) CHECK_EQ(layout.crc, stored.crc);
      }
    }
  }
}

TEST(the_format_is_the_documented_one) {
  // Documented bytes: no elements, and one empty scalar.
  CHECK_EQ(StoreStrings({}).bytes, "\xd8\xea\x82\xa2");
  CHECK(Parse("\xd8\xea\x82\xa2", 0).error == StringError::kNone);
  CHECK_EQ(Parse("\xd8\xea\x82\xa2", 0).crc, crc::Value("\xd8\xea\x82\xa2", 4));
  CHECK_EQ(StoreStrings({""}).bytes.size(), 5u);
}

TEST(the_byte_order_of_the_checksum_matters) {
  const StoredTensor big = StoreStrings({"ab", "c"}, true);
  CHECK(Parse(big.bytes, 2, false).error == StringError::kLengthChecksum);
  const StoredTensor little = StoreStrings({"ab", "c"}, false);
  CHECK(Parse(little.bytes, 2, true).error == StringError::kLengthChecksum);
  CHECK(big.crc != little.crc);
}

TEST(every_flipped_bit_is_found) {
  const std::vector<std::string> elements = {"abc", "", std::string(200, 'q')};
  const StoredTensor stored = StoreStrings(elements);
  for (std::size_t bit = 0; bit < stored.bytes.size() * 8; ++bit) {
    std::string damaged = stored.bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    const StringLayout layout = Parse(damaged, elements.size());
    CHECK(layout.error != StringError::kNone || layout.crc != stored.crc);
  }
}

TEST(every_truncation_and_extension_is_found) {
  const StoredTensor stored = StoreStrings({"abc", "", std::string(200, 'q')});
  for (std::size_t size = 0; size < stored.bytes.size(); ++size) {
    CHECK(Parse(stored.bytes.substr(0, size), 3, false, false).error == StringError::kLengths);
  }
  CHECK(Parse(stored.bytes + "x", 3, false, false).error == StringError::kLengths);
}

TEST(hostile_counts_and_lengths_allocate_nothing_large) {
  const std::string stored = StoreStrings({"abc"}).bytes;
  for (const std::uint64_t count : {std::uint64_t{0}, std::uint64_t{2}, std::uint64_t{4},
                                    std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    const StringLayout layout = Parse(stored, count);
    CHECK(layout.error == StringError::kLengths);
    CHECK(layout.ends.capacity() <= stored.size());
  }
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  // Lengths that wrap around to the right total.
  const std::string wrapping = Varint(kMax) + Varint(2) + Fixed32(0) + "x";
  CHECK(Parse(wrapping, 2, false, false).error == StringError::kLengths);
  CHECK(Parse(Varint(kMax) + std::string(20, 'x'), 1).error == StringError::kLengths);
  CHECK(Parse(std::string(11, '\xff') + "xxxx", 1).error == StringError::kLengths);
}

StringHeader Encode(const std::vector<std::string>& elements) {
  std::vector<ByteView> views;
  for (const std::string& element : elements) views.push_back(AsBytes(element));
  return EncodeStringHeader(views);
}

TEST(string_headers_have_the_documented_bytes) {
  const StringHeader header = Encode({"ab", "", "xyz"});
  CHECK_EQ(testing::Hex(header.leading),
           "020003"
           "1b428bca");
  CHECK_EQ(crc::Mask(header.crc), 0x3fc4ad10u);
  CHECK_EQ(testing::Hex(Encode({}).leading), "d8ea82a2");
  CHECK_EQ(Encode({}).crc, crc::Value("\xd8\xea\x82\xa2", 4));
  CHECK_EQ(Encode({""}).leading.size(), 5u);
}

TEST(encoded_strings_equal_those_of_the_twin_and_come_back) {
  for (const auto& elements : Samples()) {
    const StringHeader header = Encode(elements);
    std::string stored = header.leading;
    for (const std::string& element : elements) stored += element;
    const StoredTensor twin = StoreStrings(elements);
    CHECK(stored == twin.bytes);
    CHECK_EQ(header.crc, twin.crc);
    const StringLayout layout = Parse(stored, elements.size());
    CHECK(layout.error == StringError::kNone);
    CHECK(Elements(stored, layout) == elements);
    CHECK_EQ(layout.crc, header.crc);
  }
}

// The sanitizer for data races keeps four bytes for each byte that is read.
#if !defined(__SANITIZE_THREAD__)

// Zeros that take no memory: every page is the system's page of zeros.
class Zeros {
 public:
  explicit Zeros(std::size_t size)
      : size_(size),
        data_(mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    CHECK(data_ != MAP_FAILED);
  }
  ~Zeros() { munmap(data_, size_); }
  Zeros(const Zeros&) = delete;
  Zeros& operator=(const Zeros&) = delete;

  ByteView First(std::size_t size) const { return {static_cast<const std::uint8_t*>(data_), size}; }

 private:
  std::size_t size_;
  void* data_;
};

TEST(lengths_from_4_gib_on_enter_the_checksum_as_eight_bytes) {
  constexpr std::size_t k4Gib = std::size_t{1} << 32;
  const Zeros zeros(k4Gib);
  for (const std::size_t size : {k4Gib - 1, k4Gib}) {
    const std::vector<ByteView> elements{zeros.First(size)};
    const std::uint64_t length = size;
    const std::uint32_t lengths_crc = crc::Value(&length, size == k4Gib ? 8 : 4);
    const StringHeader header = EncodeStringHeader(elements);
    CHECK_EQ(testing::Hex(header.leading),
             testing::Hex(Varint(size) + Fixed32(crc::Mask(lengths_crc))));
    const std::uint32_t masked = crc::Mask(lengths_crc);
    const std::uint32_t before_text = crc::Extend(lengths_crc, &masked, sizeof masked);
    CHECK_EQ(header.crc, crc::Extend(before_text, zeros.First(size).data(), size));
  }
}

#endif  // !defined(__SANITIZE_THREAD__)

}  // namespace
}  // namespace fastckpt::tensor
