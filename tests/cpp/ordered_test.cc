#include "coding/ordered.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "harness.h"

namespace fastckpt::coding {
namespace {

std::string Hex(const std::string& bytes) {
  static const char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return out;
}

std::string Num(std::uint64_t value) {
  std::string out;
  AppendOrderedNum(out, value);
  return out;
}

std::string SignedNum(std::int64_t value) {
  std::string out;
  AppendOrderedSignedNum(out, value);
  return out;
}

std::string Str(const std::string& value) {
  std::string out;
  AppendOrderedString(out, value);
  return out;
}

// Runs a decoder on storage of exactly the right size, so that AddressSanitizer sees every read
// past the end. Nothing when the decoder refuses; `used` receives the bytes taken.
template <typename T, typename Decoder>
std::optional<T> Decode(Decoder decoder, const std::string& bytes, std::size_t* used) {
  const std::vector<std::uint8_t> input(bytes.begin(), bytes.end());
  T value{};
  const std::uint8_t* next = decoder(input.data(), input.data() + input.size(), &value);
  if (next == nullptr) return std::nullopt;
  CHECK(next > input.data() && next <= input.data() + input.size());
  *used = static_cast<std::size_t>(next - input.data());
  return value;
}

// The value, when the decoder takes all of `bytes`.
template <typename T, typename Decoder>
std::optional<T> DecodeAll(Decoder decoder, const std::string& bytes) {
  std::size_t used = 0;
  const auto value = Decode<T>(decoder, bytes, &used);
  return used == bytes.size() ? value : std::nullopt;
}

std::optional<SliceKey> DecodeKey(const std::string& key) {
  const std::vector<std::uint8_t> input(key.begin(), key.end());
  return DecodeSliceKey(ByteView(input));
}

std::vector<std::uint64_t> UnsignedBoundaries() {
  std::vector<std::uint64_t> numbers{0, std::numeric_limits<std::uint64_t>::max()};
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    numbers.insert(numbers.end(), {power - 1, power, power + 1});
  }
  return numbers;
}

std::vector<std::int64_t> SignedBoundaries() {
  std::vector<std::int64_t> numbers;
  for (const std::uint64_t number : UnsignedBoundaries()) {
    const auto value = static_cast<std::int64_t>(number);
    numbers.insert(numbers.end(), {value, ~value});
  }
  return numbers;
}

// memcmp order, shorter prefix first: the order of table keys.
template <typename T, typename Encoder>
void CheckOrder(std::vector<T> values, Encoder encode) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  for (std::size_t i = 1; i < values.size(); ++i) CHECK(encode(values[i - 1]) < encode(values[i]));
}

TEST(known_numbers) {
  CHECK_EQ(Hex(Num(0)), "00");
  CHECK_EQ(Hex(Num(2)), "0102");
  CHECK_EQ(Hex(Num(300)), "02012c");
  CHECK_EQ(Hex(SignedNum(0)), "80");
  CHECK_EQ(Hex(SignedNum(2)), "82");
  CHECK_EQ(Hex(SignedNum(63)), "bf");
  CHECK_EQ(Hex(SignedNum(-1)), "7f");
  CHECK_EQ(Hex(SignedNum(-64)), "40");
  CHECK_EQ(Hex(SignedNum(-65)), "3fbf");
  CHECK_EQ(Hex(SignedNum(std::numeric_limits<std::int64_t>::min())), "003f8000000000000000");
}

TEST(known_slice_keys) {
  CHECK_EQ(Hex(EncodeSliceKey("part", {{0, 2}, {}})),
           "00706172740001010280"
           "82"
           "807f");
  CHECK_EQ(Hex(EncodeSliceKey("part", {{2, 2}, {}})),
           "00706172740001010282"
           "82"
           "807f");
  CHECK_EQ(Hex(EncodeSliceKey("", {})), "00000100");
}

// Made by TensorFlow; common name "n NUL m FF !", rank 1.
TEST(known_extents) {
  struct Vector {
    std::int64_t start;
    std::int64_t length;
    const char* hex;
  };
  const Vector vectors[] = {
      {63, 1, "bf81"},
      {8192, 1, "e0200081"},
      {64, 64, "c040c040"},
      {8191, 8192, "dfffe02000"},
      {1048575, 1, "efffff81"},
      {1048576, 2, "f010000082"},
      {134217728, 3, "f80800000083"},
      {17179869183, 2, "fbffffffff82"},
      {17179869184, 2, "fc040000000082"},
      {2199023255552, 2, "fe02000000000082"},
      {281474976710656, 1, "ff0100000000000081"},
      {std::int64_t{1} << 55, 1, "ff808000000000000081"},
      {std::int64_t{1} << 62, 3, "ffc0400000000000000083"},
      {9223372036854775000, 2, "ffc07ffffffffffffcd882"},
  };
  const std::string name("n\0m\xff!", 5);
  for (const Vector& v : vectors) {
    const std::string key = EncodeSliceKey(name, {{v.start, v.length}});
    CHECK_EQ(Hex(key), std::string("006e00ff6dff002100010101") + v.hex);
    const auto decoded = DecodeKey(key);
    CHECK(decoded.has_value());
    CHECK_EQ(decoded->name, name);
    CHECK(decoded->extents == (std::vector<Extent>{{v.start, v.length}}));
  }
}

TEST(numbers_round_trip_at_every_length) {
  for (const std::uint64_t value : UnsignedBoundaries()) {
    CHECK(DecodeAll<std::uint64_t>(DecodeOrderedNum, Num(value)) == value);
  }
  for (const std::int64_t value : SignedBoundaries()) {
    CHECK(DecodeAll<std::int64_t>(DecodeOrderedSignedNum, SignedNum(value)) == value);
  }
}

TEST(every_signed_length_occurs) {
  std::vector<int> seen(11);
  for (const std::int64_t value : SignedBoundaries()) ++seen[SignedNum(value).size()];
  for (std::size_t size = 1; size <= 10; ++size) CHECK(seen[size] > 0);
  CHECK_EQ(seen[0], 0);
}

TEST(encodings_sort_like_their_values) {
  CheckOrder(UnsignedBoundaries(), Num);
  CheckOrder(SignedBoundaries(), SignedNum);
  std::mt19937_64 random(3);
  std::vector<std::uint64_t> unsigned_numbers;
  std::vector<std::int64_t> signed_numbers;
  std::vector<std::string> strings;
  for (int i = 0; i < 5000; ++i) {
    unsigned_numbers.push_back(random() >> (random() % 64));
    signed_numbers.push_back(static_cast<std::int64_t>(random()) >> (random() % 64));
    std::string text(random() % 5, '\0');
    for (char& c : text) c = "\x00\x01\xfe\xff"[random() % 4];
    strings.push_back(text);
  }
  CheckOrder(unsigned_numbers, Num);
  CheckOrder(signed_numbers, SignedNum);
  CheckOrder(strings, Str);
}

TEST(strings_round_trip) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  for (const std::string& text : {std::string(), std::string("plain"), std::string(3, '\0'),
                                  std::string(3, '\xff'), all, all + all}) {
    CHECK(DecodeAll<std::string>(DecodeOrderedString, Str(text)) == text);
  }
}

TEST(truncation_at_every_byte_is_rejected) {
  const std::string key =
      EncodeSliceKey(std::string("n\0m\xff!", 5),
                     {{0, -1}, {300, 70000}, {std::int64_t{1} << 62, 1}, {-5, -9999}});
  CHECK(DecodeKey(key).has_value());
  for (std::size_t size = 0; size < key.size(); ++size) CHECK(!DecodeKey(key.substr(0, size)));
  CHECK(!DecodeKey(key + '\x80'));
}

TEST(malformed_numbers_are_rejected) {
  const auto num = [](const std::string& bytes) {
    return DecodeAll<std::uint64_t>(DecodeOrderedNum, bytes).has_value();
  };
  CHECK(!num(""));
  CHECK(
      !num("\x09"
           "123456789"));                       // more than 64 bits
  CHECK(!num(std::string("\x02\x00\x05", 3)));  // not minimal
  CHECK(!num("\x02\x01"));
  const auto signed_num = [](const std::string& bytes) {
    return DecodeAll<std::int64_t>(DecodeOrderedSignedNum, bytes).has_value();
  };
  CHECK(!signed_num(""));
  CHECK(!signed_num("\xff"));
  CHECK(!signed_num(std::string(1, '\0')));
  CHECK(!signed_num("\xc0\x3f"));  // not minimal
  CHECK(
      !signed_num("\xff\xe0"
                  "0123456789"));  // 11 bytes
  CHECK(
      !signed_num("\xff\xc1"
                  "01234567"));  // more than 64 bits
  CHECK(
      !signed_num("\xff\xc0\x80"
                  "1234567"));  // does not fit in an int64
  CHECK(
      !signed_num(std::string("\x00\x3f\x7f"
                              "1234567")));  // the same, negative
}

TEST(malformed_strings_are_rejected) {
  const auto accepts = [](const std::string& bytes) {
    return DecodeAll<std::string>(DecodeOrderedString, bytes).has_value();
  };
  CHECK(!accepts(""));
  CHECK(!accepts("a"));
  CHECK(!accepts(std::string("a\0", 2)));
  CHECK(!accepts(std::string("\0\x02\0\x01", 4)));
  CHECK(!accepts(std::string("\xff\x01\0\x01", 4)));
  CHECK(!accepts(std::string("\xff\xff\0\x01", 4)));
}

TEST(malformed_slice_keys_are_rejected) {
  CHECK(!DecodeKey("plain"));
  CHECK(!DecodeKey(Num(1) + Str("a") + Num(0)));
  CHECK(!DecodeKey(Num(0) + Str("a") + Num(255) + std::string(2 * 255, '\x80')));
  CHECK(!DecodeKey(Num(0) + Str("a") + Num(~std::uint64_t{0})));
  const auto widest = DecodeKey(Num(0) + Str("a") + Num(254) + std::string(2 * 254, '\x80'));
  CHECK(widest.has_value() && widest->extents.size() == 254);
}

// Also proves that decoding accepts nothing but what encoding makes.
TEST(random_bytes_decode_to_what_encodes_back) {
  std::mt19937 random(11);
  int accepted = 0;
  for (int round = 0; round < 200000; ++round) {
    std::string bytes(random() % 12, '\0');
    for (char& c : bytes) {
      c = random() % 2 == 0 ? "\x00\x01\x3f\x40\x7f\x80\xbf\xc0\xfe\xff"[random() % 10]
                            : static_cast<char>(random());
    }
    std::size_t used = 0;
    const auto number = Decode<std::int64_t>(DecodeOrderedSignedNum, bytes, &used);
    if (number) CHECK_EQ(SignedNum(*number), bytes.substr(0, used));
    const auto text = Decode<std::string>(DecodeOrderedString, bytes, &used);
    if (text) CHECK_EQ(Str(*text), bytes.substr(0, used));
    const auto natural = Decode<std::uint64_t>(DecodeOrderedNum, bytes, &used);
    if (natural) CHECK_EQ(Num(*natural), bytes.substr(0, used));
    const auto key = DecodeKey('\0' + bytes);
    if (key) CHECK_EQ(EncodeSliceKey(key->name, key->extents), '\0' + bytes);
    accepted += (number ? 1 : 0) + (text ? 1 : 0) + (key ? 1 : 0);
  }
  CHECK(accepted > 10000);
}

}  // namespace
}  // namespace fastckpt::coding
