#include "coding/wire.h"

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "harness.h"

namespace fastckpt::coding {
namespace {

// Byte strings that hold NULs.
template <std::size_t n>
std::string Raw(const char (&text)[n]) {
  return std::string(text, n - 1);
}

struct Parsed {
  std::vector<WireField> fields;
  std::vector<std::string> contents;  // of the kBytes fields, owned
  bool ok = false;
};

// Reads from storage of exactly this size, so that AddressSanitizer sees every read past the end.
Parsed Parse(const std::string& message) {
  const std::vector<std::uint8_t> input(message.begin(), message.end());
  Parsed parsed;
  WireReader reader{ByteView(input)};
  WireField field;
  while (reader.Next(&field)) {
    parsed.fields.push_back(field);
    if (field.type == WireType::kBytes) parsed.contents.emplace_back(AsText(field.bytes));
  }
  parsed.ok = reader.ok();
  CHECK(!reader.Next(&field));
  CHECK_EQ(reader.ok(), parsed.ok);
  return parsed;
}

bool Fails(const std::string& message) {
  return !Parse(message).ok;
}

std::string Tag(std::uint64_t number, unsigned wire_type) {
  std::string out;
  AppendVarint64(out, number << 3 | wire_type);
  return out;
}

// The entry of "b" in the annotated dump: int64, [2], offset 48, size 16.
const std::string kEntry =
    Raw("\x08\x09\x12\x04\x12\x02\x08\x02\x20\x30\x28\x10\x35\xe0\x2e\x37\x7d");

TEST(reads_a_bundle_entry) {
  const Parsed parsed = Parse(kEntry);
  CHECK(parsed.ok);
  CHECK_EQ(parsed.fields.size(), 5u);
  CHECK(parsed.fields[0].Is(1, WireType::kVarint));
  CHECK_EQ(parsed.fields[0].AsInt32(), 9);
  CHECK(parsed.fields[1].Is(2, WireType::kBytes));
  CHECK_EQ(parsed.contents[0], Raw("\x12\x02\x08\x02"));
  CHECK_EQ(parsed.fields[2].AsInt64(), 48);
  CHECK_EQ(parsed.fields[3].AsInt64(), 16);
  CHECK(parsed.fields[4].Is(6, WireType::kFixed32));
  CHECK_EQ(parsed.fields[4].value, 0x7d372ee0u);
}

TEST(an_empty_message_is_well_formed) {
  CHECK(Parse("").ok);
  WireReader reader{ByteView()};
  WireField field;
  CHECK(!reader.Next(&field));
  CHECK(reader.ok());
}

TEST(negative_int32_takes_ten_bytes) {
  const Parsed parsed = Parse(Raw("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
  CHECK(parsed.ok);
  CHECK_EQ(parsed.fields[0].AsInt32(), -1);
  CHECK_EQ(parsed.fields[0].AsInt64(), -1);
}

TEST(int32_keeps_the_low_32_bits) {
  std::string message = Tag(3, 0);
  AppendVarint64(message, 0x1'0000'0007u);
  CHECK_EQ(Parse(message).fields[0].AsInt32(), 7);
}

TEST(reads_fixed64) {
  const Parsed parsed = Parse(Tag(9, 1) + Raw("\x01\x02\x03\x04\x05\x06\x07\x08"));
  CHECK(parsed.fields[0].Is(9, WireType::kFixed64));
  CHECK_EQ(parsed.fields[0].value, 0x0807060504030201u);
}

TEST(unknown_and_highest_field_numbers_are_yielded) {
  const Parsed parsed = Parse(Tag(1000, 2) +
                              "\x03"
                              "abc" +
                              Tag((1 << 29) - 1, 0) + "\x05");
  CHECK(parsed.ok);
  CHECK_EQ(parsed.fields[0].number, 1000u);
  CHECK_EQ(parsed.contents[0], "abc");
  CHECK_EQ(parsed.fields[1].number, 536870911u);
  CHECK_EQ(parsed.fields[1].value, 5u);
}

TEST(field_numbers_beyond_29_bits_and_zero_are_rejected) {
  CHECK(Fails(Tag(1 << 29, 0) + "\x05"));
  CHECK(Fails(Tag(0, 0) + "\x05"));
  CHECK(Fails(Tag(0, 2) + "\x01x"));
}

TEST(wire_types_6_and_7_are_rejected) {
  CHECK(Fails(Tag(1, 6) + "\x01"));
  CHECK(Fails(Tag(1, 7) + "\x01"));
}

TEST(groups_are_skipped_whole) {
  const std::string inner = Tag(5, 3) + Tag(6, 0) + "\x01" + Tag(5, 4);
  const std::string group = Tag(4, 3) + kEntry + inner + Tag(7, 1) + "12345678" + Tag(4, 4);
  const Parsed parsed = Parse(Tag(1, 0) + "\x02" + group + group + Tag(2, 0) + "\x03");
  CHECK(parsed.ok);
  CHECK_EQ(parsed.fields.size(), 2u);
  CHECK_EQ(parsed.fields[0].value, 2u);
  CHECK_EQ(parsed.fields[1].value, 3u);
  CHECK(Parse(group).ok);
}

TEST(groups_must_be_closed_by_their_own_number) {
  CHECK(Fails(Tag(4, 3)));
  CHECK(Fails(Tag(4, 4)));
  CHECK(Fails(Tag(4, 3) + Tag(5, 4)));
  CHECK(Fails(Tag(4, 3) + Tag(5, 3) + Tag(4, 4) + Tag(5, 4)));
  CHECK(Fails(Tag(4, 3) + Tag(0, 0) + "\x01" + Tag(4, 4)));
  CHECK(Fails(Tag(4, 3) + Tag(1, 7) + "\x01" + Tag(4, 4)));
}

TEST(group_depth_is_limited) {
  for (const std::size_t depth : {kMaxGroupDepth, kMaxGroupDepth + 1, std::size_t{100000}}) {
    std::string message;
    for (std::size_t i = 0; i < depth; ++i) message += Tag(2, 3);
    for (std::size_t i = 0; i < depth; ++i) message += Tag(2, 4);
    CHECK_EQ(Fails(message), depth > kMaxGroupDepth);
  }
}

TEST(truncation_at_every_byte_is_seen) {
  const std::string message = kEntry + Tag(9, 1) + "12345678" + Tag(4, 3) + Tag(1, 2) + "\x02xy" +
                              Tag(4, 4) + Tag(99, 2) + "\x01z";
  const auto whole = Parse(message);
  CHECK(whole.ok);
  // Cuts between fields leave a well-formed, shorter message; all others are malformed.
  std::size_t well_formed = 0;
  for (std::size_t size = 0; size < message.size(); ++size) {
    const Parsed part = Parse(message.substr(0, size));
    well_formed += part.ok ? 1 : 0;
    CHECK(part.fields.size() <= whole.fields.size());
  }
  CHECK_EQ(well_formed, whole.fields.size() + 1);
}

TEST(lengths_beyond_the_message_are_rejected) {
  for (const std::uint64_t size :
       {std::uint64_t{4}, std::uint64_t{0x7FFFFFFF}, std::uint64_t{0xFFFFFFFF},
        std::uint64_t{1} << 32, ~std::uint64_t{0}}) {
    std::string message = Tag(2, 2);
    AppendVarint64(message, size);
    CHECK(Fails(message + "abc"));
  }
  CHECK(Parse(Tag(2, 2) + "\x03"
                          "abc")
            .ok);
}

TEST(nothing_follows_malformed_input) {
  const Parsed parsed = Parse(Tag(1, 0) + "\x02" + Tag(1, 7) + Tag(1, 0) + "\x02");
  CHECK(!parsed.ok);
  CHECK_EQ(parsed.fields.size(), 1u);
}

TEST(random_bytes_never_leave_their_range) {
  std::mt19937 random(7);
  int well_formed = 0;
  for (int round = 0; round < 50000; ++round) {
    std::string message = round % 2 == 0 ? kEntry : std::string(random() % 40, '\0');
    const std::size_t changes = round % 2 == 0 ? 1 + random() % 3 : message.size();
    for (std::size_t i = 0; i < changes; ++i) {
      message[random() % message.size()] =
          static_cast<char>(random() % 64 ? random() % 48 : random());
    }
    well_formed += Parse(message).ok ? 1 : 0;
  }
  // Both outcomes are met often, so neither path is left out.
  CHECK(well_formed > 1000 && well_formed < 49000);
}

}  // namespace
}  // namespace fastckpt::coding
