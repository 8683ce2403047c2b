#include <cstdint>
#include <string>
#include <vector>

#include "harness.h"
#include "legacy/values.h"
#include "legacy_writer.h"
#include "tensor/dtype.h"

namespace fastckpt::legacy {
namespace {

using testing::BytesField;
using testing::EncodeRecord;
using testing::Varint;
using testing::VarintField;

constexpr std::int32_t kFloat = 1, kInt8 = 6, kInt64 = 9, kHalf = 19;

ValueError Check(std::int32_t dtype, const std::string& tensor, std::uint64_t count) {
  return CheckValues(dtype, AsBytes(EncodeRecord(tensor)), count);
}

std::string Copy(std::int32_t dtype, const std::string& tensor, std::size_t count) {
  std::vector<std::uint8_t> out(count * tensor::ItemSize(dtype));
  CopyValues(dtype, AsBytes(EncodeRecord(tensor)), out);
  return std::string(AsText(out));
}

TEST(values_packed_and_single_numbers_concatenate) {
  const std::string single = Varint(5 << 3 | 5) + "1234";
  const std::string tensor = BytesField(5, "abcdefgh") + single + BytesField(5, "ABCD");
  CHECK(Check(kFloat, tensor, 4) == ValueError::kNone);
  CHECK_EQ(Copy(kFloat, tensor, 4), "abcdefgh1234ABCD");
}

TEST(values_split_messages_concatenate) {
  const std::string piece = BytesField(3, BytesField(5, "abcd"));
  const std::string record =
      BytesField(2, piece + piece) + BytesField(7, "x") + BytesField(2, piece);
  CHECK(CheckValues(kFloat, AsBytes(record), 3) == ValueError::kNone);
  std::vector<std::uint8_t> out(12);
  CopyValues(kFloat, AsBytes(record), out);
  CHECK_EQ(AsText(out), "abcdabcdabcd");
}

TEST(values_count_must_match) {
  const std::string tensor = BytesField(5, "abcdefgh");
  for (const std::uint64_t count : {0u, 1u, 3u}) {
    CHECK(Check(kFloat, tensor, count) == ValueError::kCount);
  }
  CHECK(Check(kFloat, tensor, ~std::uint64_t{0}) == ValueError::kCount);
  CHECK(Check(tensor::kComplex64, tensor, std::uint64_t{1} << 63) == ValueError::kCount);
  CHECK(Check(kFloat, "", 0) == ValueError::kNone);
  CHECK(CheckValues(kFloat, {}, 0) == ValueError::kNone);
}

TEST(values_of_other_fields_do_not_count) {
  const std::string tensor = BytesField(6, "12345678") + VarintField(5, 3) + BytesField(5, "abcd");
  CHECK(Check(kFloat, tensor, 1) == ValueError::kNone);
  CHECK_EQ(Copy(kFloat, tensor, 1), "abcd");
}

TEST(values_complex_numbers_are_pairs) {
  CHECK(Check(tensor::kComplex64, BytesField(9, "12345678"), 1) == ValueError::kNone);
  CHECK(Check(tensor::kComplex64, BytesField(9, "123456789abc"), 1) == ValueError::kCount);
  CHECK_EQ(Copy(tensor::kComplex128, BytesField(12, "0123456789abcdef"), 1), "0123456789abcdef");
}

TEST(values_varints_keep_their_low_bytes) {
  const std::string minus_two = Varint(~std::uint64_t{1});
  CHECK_EQ(minus_two.size(), std::size_t{10});
  CHECK_EQ(Copy(kInt8, BytesField(7, minus_two + Varint(300)), 2), "\xFE\x2C");
  CHECK_EQ(Copy(kInt64, BytesField(10, minus_two), 1), "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
  CHECK_EQ(Copy(kHalf, BytesField(13, "\x80\x80\x03"), 1), std::string("\x00\xC0", 2));
  CHECK_EQ(Copy(tensor::kBool, BytesField(11, Varint(256) + Varint(2)), 2), "\x01\x01");
}

TEST(values_malformed) {
  CHECK(Check(kFloat, BytesField(5, "abcde"), 1) == ValueError::kMalformed);
  CHECK(Check(kInt64, BytesField(10, "\x01\x80"), 2) == ValueError::kMalformed);
  CHECK(Check(kInt64, BytesField(10, std::string(10, '\xFF') + '\x01'), 1) ==
        ValueError::kMalformed);
  CHECK(Check(kFloat, BytesField(5, "abcd") + "\x2a", 1) == ValueError::kMalformed);
  const std::string cut = EncodeRecord(BytesField(5, "abcd"));
  for (std::size_t size = 1; size < cut.size(); ++size) {
    CHECK(CheckValues(kFloat, AsBytes(cut.substr(0, size)), 1) == ValueError::kMalformed);
  }
}

TEST(values_tensor_content) {
  CHECK(Check(kFloat, BytesField(4, "abcd"), 1) == ValueError::kTensorContent);
  CHECK(Check(kFloat, BytesField(4, ""), 1) == ValueError::kCount);
  CHECK(Check(kFloat, BytesField(4, "abcd") + BytesField(5, "abcd"), 1) == ValueError::kNone);
}

TEST(values_copy_never_writes_past_the_end) {
  CHECK_EQ(Copy(kFloat, BytesField(5, "abcdefgh"), 1), "abcd");
  CHECK_EQ(Copy(kInt8, BytesField(7, "\x01\x02\x03"), 2), "\x01\x02");
}

TEST(values_strings) {
  const std::string record = EncodeRecord(BytesField(8, "ab") + VarintField(8, 1) +
                                          BytesField(8, "") + BytesField(8, "c"));
  CHECK(CheckValues(tensor::kString, AsBytes(record), 3) == ValueError::kNone);
  StringValues strings(AsBytes(record));
  std::string found;
  for (ByteView element; strings.Next(&element);) found += "[" + std::string(AsText(element)) + "]";
  CHECK_EQ(found, "[ab][][c]");
}

TEST(values_storable_types) {
  std::string storable;
  for (std::int32_t dtype = -1; dtype < 140; ++dtype) {
    if (IsStorable(dtype)) storable += std::to_string(dtype) + " ";
  }
  CHECK_EQ(storable, "1 2 3 4 5 6 7 8 9 10 11 12 13 17 18 19 ");
}

}  // namespace
}  // namespace fastckpt::legacy
