// The records of V1 files against a twin that writes every message by hand.
#include <cstdint>
#include <string>
#include <vector>

#include "harness.h"
#include "legacy/encode.h"
#include "legacy_inputs.h"
#include "tensor/dtype.h"

namespace fastckpt::legacy {
namespace {

using testing::Bytes;
using testing::BytesField;
using testing::Plain;
using testing::Record;
using testing::Varints;

using Shape = std::vector<std::int64_t>;

constexpr std::int32_t kFloat = 1, kInt32 = 3, kUint8 = 4, kInt8 = 6;

struct TypeCase {
  std::int32_t dtype;
  std::uint32_t field;
  // Three elements in memory and in the file.
  std::string memory;
  std::string packed;
};

template <typename Element>
TypeCase Integers(std::int32_t dtype, std::uint32_t field, const std::vector<Element>& values) {
  return {dtype, field, Bytes(values), Varints({values.begin(), values.end()})};
}

TypeCase Fixed(std::int32_t dtype, std::uint32_t field) {
  const std::string bytes = testing::PatternBytes(3 * tensor::ItemSize(dtype), field);
  return {dtype, field, bytes, bytes};
}

std::vector<TypeCase> TypeCases() {
  return {
      Fixed(1, 5),
      Fixed(2, 6),
      Fixed(tensor::kComplex64, 9),
      Fixed(tensor::kComplex128, 12),
      Integers<std::int32_t>(3, 7, {-1, 1 << 30, INT32_MIN}),
      Integers<std::uint8_t>(4, 7, {0, 127, 255}),
      Integers<std::int16_t>(5, 7, {-1, 300, INT16_MIN}),
      Integers<std::int8_t>(6, 7, {-1, 5, INT8_MIN}),
      Integers<std::int64_t>(9, 10, {-1, std::int64_t{1} << 40, INT64_MIN}),
      Integers<std::int8_t>(11, 7, {-128, 0, 127}),
      Integers<std::uint8_t>(12, 7, {0, 128, 255}),
      Integers<std::int32_t>(13, 7, {-7, 0, INT32_MAX}),
      Integers<std::uint16_t>(17, 7, {0, 255, 65535}),
      Integers<std::uint16_t>(19, 13, {0xC000, 0x3C00, 0x7E01}),
      {tensor::kBool, 11, std::string("\1\0\2", 3), std::string("\1\0\1", 3)},
  };
}

TEST(legacy_records_of_every_type) {
  for (const TypeCase& type : TypeCases()) {
    const Shape shape = {3};
    const Shape none = {0, 4};
    RecordEncoder encoder;
    CHECK_EQ(encoder.Encode(Plain("t", type.dtype, shape, type.memory)),
             Record("t", {{}}, BytesField(type.field, type.packed)));
    CHECK_EQ(encoder.Encode(Plain("t", type.dtype, none, "")), Record("t", {{}, {}}, ""));
  }
}

TEST(legacy_records_of_strings) {
  const std::string large(70'000, 'x');
  const std::vector<ByteView> elements = {AsBytes(""), AsBytes("abc"), AsBytes(large)};
  const Shape shape = {3};
  tensor::Input input = Plain("s", tensor::kString, shape, "");
  input.elements = elements;
  RecordEncoder encoder;
  const std::string tensor = BytesField(8, "") + BytesField(8, "abc") + BytesField(8, large);
  CHECK_EQ(encoder.Encode(input), Record("s", {{}}, tensor));
}

TEST(legacy_records_of_scattered_and_foreign_elements) {
  // A [100, 300] array of which every second row and every third column counts, backwards.
  constexpr std::int64_t kRows = 50, kColumns = 100;
  std::vector<std::int32_t> memory(100 * 300);
  std::vector<std::int64_t> expected;
  for (std::size_t i = 0; i < memory.size(); ++i) {
    memory[i] = static_cast<std::int32_t>(i * 77'777'777);
  }
  for (std::int64_t row = kRows - 1; row >= 0; --row) {
    for (std::int64_t column = 0; column < kColumns; ++column) {
      expected.push_back(memory[static_cast<std::size_t>(600 * row + 3 * column)]);
    }
  }
  const Shape shape = {kRows, kColumns};
  const Shape strides = {-600 * 4, 3 * 4};
  tensor::Input input = Plain("t", kInt32, shape, "");
  input.data = reinterpret_cast<const std::uint8_t*>(memory.data() + 600 * (kRows - 1));
  input.strides = strides;
  RecordEncoder encoder;
  const std::string record = Record("t", {{}, {}}, BytesField(7, Varints(expected)));
  CHECK(encoder.Encode(input) == record);

  tensor::SwapBytes(
      4, MutableBytes(reinterpret_cast<std::uint8_t*>(memory.data()), 4 * memory.size()));
  input.swap_bytes = true;
  CHECK(encoder.Encode(input) == record);
}

TEST(legacy_records_of_complex_numbers_in_foreign_order) {
  const Shape shape = {2};
  tensor::Input input = Plain("c", tensor::kComplex64, shape, "abcdefghijklmnop");
  input.swap_bytes = true;
  RecordEncoder encoder;
  CHECK_EQ(encoder.Encode(input), Record("c", {{}}, BytesField(9, "dcbahgfelkjiponm")));
}

TEST(legacy_records_are_estimated_as_tensorflow_does) {
  const Shape many = {214'748'365};
  const Shape scalar = {};
  const Shape two = {2};
  const std::uint64_t framing = 1024 + 3 + 4;  // name "t", slice of rank 1
  CHECK_EQ(EstimateRecord(Plain("t", kFloat, scalar, "")), std::uint64_t{1024 + 3 + 2 + 4});
  CHECK_EQ(EstimateRecord(Plain("t", kUint8, many, "")), framing + 2 * 214'748'365);
  CHECK(EstimateRecord(Plain("t", kInt8, many, "")) > kMaxRecordEstimate);
  const std::vector<ByteView> elements = {AsBytes("abc"), AsBytes("")};
  tensor::Input text = Plain("t", tensor::kString, two, "");
  text.elements = elements;
  CHECK_EQ(EstimateRecord(text), framing + 2 * 10 + 3);
  // One bool fewer than the limit leaves room for, exactly as many, and one more.
  const std::int64_t room = (std::int64_t{1} << 31) - static_cast<std::int64_t>(framing);
  for (const std::int64_t extra : {-1, 0, 1}) {
    const Shape shape = {room + extra};
    const std::uint64_t estimate = EstimateRecord(Plain("t", tensor::kBool, shape, ""));
    CHECK_EQ(estimate <= kMaxRecordEstimate, extra <= 0);
  }
}

}  // namespace
}  // namespace fastckpt::legacy
