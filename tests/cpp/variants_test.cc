#include "tensor/variants.h"

#include <cstdint>
#include <string>
#include <vector>

#include "harness.h"
#include "hex.h"
#include "table_writer.h"

namespace fastckpt::tensor {
namespace {

using testing::StoredTensor;
using testing::StoreVariants;
using testing::Varint;
using testing::Vector;

TEST(records_come_back) {
  const std::vector<std::vector<std::string>> samples = {
      {}, {""}, {"", ""}, {"record"}, {std::string(300, 'r'), "", std::string("\0\xff", 2)}};
  for (const auto& records : samples) {
    const StoredTensor stored = StoreVariants(records);
    const std::vector<std::uint8_t> exact = Vector(stored.bytes);
    for (const bool verify : {false, true}) {
      const VariantLayout layout = ParseVariants(exact, records.size(), verify);
      CHECK(layout.error == VariantError::kNone);
      CHECK_EQ(layout.records.size(), records.size());
      for (std::size_t i = 0; i < records.size(); ++i) {
        CHECK_EQ(AsText(layout.records[i]), records[i]);
      }
      if (verify) CHECK_EQ(layout.crc, stored.crc);
    }
  }
}

TEST(every_flipped_bit_of_a_record_is_found) {
  const StoredTensor stored = StoreVariants({"first", "", std::string(150, 'v')});
  for (std::size_t bit = 0; bit < stored.bytes.size() * 8; ++bit) {
    std::vector<std::uint8_t> damaged = Vector(stored.bytes);
    damaged[bit / 8] = static_cast<std::uint8_t>(damaged[bit / 8] ^ (1 << bit % 8));
    CHECK(ParseVariants(damaged, 3, true).error != VariantError::kNone);
  }
}

TEST(every_truncation_and_extension_of_records_is_found) {
  const std::string stored = StoreVariants({"first", "", "third"}).bytes;
  for (std::size_t size = 0; size < stored.size(); ++size) {
    const std::vector<std::uint8_t> cut = Vector(stored.substr(0, size));
    CHECK(ParseVariants(cut, 3, false).error == VariantError::kRecords);
  }
  CHECK(ParseVariants(Vector(stored + "x"), 3, false).error == VariantError::kRecords);
}

TEST(hostile_counts_and_record_sizes_allocate_nothing_large) {
  const std::vector<std::uint8_t> stored = Vector(StoreVariants({"abc"}).bytes);
  for (const std::uint64_t count :
       {std::uint64_t{0}, std::uint64_t{2}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    const VariantLayout layout = ParseVariants(stored, count, true);
    CHECK(layout.error == VariantError::kRecords);
    CHECK(layout.records.capacity() <= stored.size());
  }
  for (const std::uint64_t size : {std::uint64_t{17}, std::uint64_t{1} << 62, ~std::uint64_t{0}}) {
    CHECK(ParseVariants(Vector(Varint(size) + std::string(20, 'x')), 1, true).error ==
          VariantError::kRecords);
  }
}

TEST(encoded_records_equal_those_of_the_twin_and_come_back) {
  const std::vector<std::vector<std::string>> samples = {
      {}, {""}, {"one", "", std::string(300, 'r')}, std::vector<std::string>(100, "same")};
  for (const auto& records : samples) {
    std::vector<ByteView> views;
    for (const std::string& record : records) views.push_back(AsBytes(record));
    std::string out = "before";
    const std::uint32_t crc = AppendVariants(out, views);
    const StoredTensor twin = StoreVariants(records);
    CHECK_EQ(testing::Hex(out), testing::Hex("before" + twin.bytes));
    CHECK_EQ(crc, twin.crc);
    const std::vector<std::uint8_t> exact = Vector(out.substr(6));
    const VariantLayout layout = ParseVariants(exact, records.size(), true);
    CHECK(layout.error == VariantError::kNone);
    CHECK_EQ(layout.crc, crc);
    for (std::size_t i = 0; i < records.size(); ++i)
      CHECK_EQ(AsText(layout.records[i]), records[i]);
  }
}

}  // namespace
}  // namespace fastckpt::tensor
