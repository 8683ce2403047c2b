#include "coding/wire_append.h"

#include <cstdint>
#include <limits>
#include <string>

#include "harness.h"
#include "hex.h"

namespace fastckpt::coding {
namespace {

using testing::Hex;

template <typename Append>
std::string Appended(Append&& append) {
  std::string out = "before";
  append(out);
  CHECK_EQ(out.substr(0, 6), "before");
  return Hex(out.substr(6));
}

TEST(tags_hold_number_and_wire_type) {
  CHECK_EQ(Appended([](auto& out) { AppendTag(out, 1, WireType::kVarint); }), "08");
  CHECK_EQ(Appended([](auto& out) { AppendTag(out, 6, WireType::kFixed32); }), "35");
  CHECK_EQ(Appended([](auto& out) { AppendTag(out, 1000, WireType::kBytes); }), "c23e");
}

TEST(numbers_are_left_out_only_when_zero) {
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  const auto field = [](std::int64_t value) {
    return Appended([&](auto& out) { AppendInt64Field(out, 3, value); });
  };
  CHECK_EQ(field(0), "");
  CHECK_EQ(field(1), "1801");
  CHECK_EQ(field(300), "18ac02");
  CHECK_EQ(field(-1), "18ffffffffffffffffff01");
  CHECK_EQ(field(std::int32_t{-2}), "18feffffffffffffffff01");
  CHECK_EQ(field(kLeast), "1880808080808080808001");
  CHECK_EQ(Appended([](auto& out) { AppendFixed32Field(out, 6, 0); }), "");
  CHECK_EQ(Appended([](auto& out) { AppendFixed32Field(out, 6, 0xA282EAD8); }), "35d8ea82a2");
}

TEST(messages_of_every_length_come_back) {
  for (const std::size_t size : {0u, 1u, 127u, 128u, 129u, 16383u, 16384u, 100000u}) {
    const std::string content = std::string(size, 'c') + (size > 0 ? "z" : "");
    std::string out = "x";
    AppendMessage(out, 7, [&] {
      AppendMessage(out, 2, [&] { out += content; });
      AppendInt64Field(out, 3, 5);
    });
    WireReader outer(AsBytes(out).subspan(1));
    WireField field;
    CHECK(outer.Next(&field));
    CHECK(field.Is(7, WireType::kBytes));
    WireReader inner(field.bytes);
    CHECK(!outer.Next(&field) && outer.ok());
    CHECK(inner.Next(&field));
    CHECK(field.Is(2, WireType::kBytes));
    CHECK(AsText(field.bytes) == content);
    CHECK(inner.Next(&field));
    CHECK(field.Is(3, WireType::kVarint) && field.value == 5);
    CHECK(!inner.Next(&field) && inner.ok());
  }
}

}  // namespace
}  // namespace fastckpt::coding
