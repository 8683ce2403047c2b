#include "tensor/messages.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "harness.h"
#include "hex.h"
#include "table_writer.h"

namespace fastckpt::tensor {
namespace {

using coding::Extent;
using testing::Hex;

constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();

std::string Shape(const std::vector<std::int64_t>& dims) {
  std::string out;
  AppendShape(out, dims);
  return out;
}

std::string Slice(const std::vector<Extent>& extents) {
  std::string out;
  AppendSlice(out, extents);
  return out;
}

std::string Version(const VersionDef& version) {
  std::string out;
  AppendVersion(out, version);
  return out;
}

TEST(shapes_have_the_documented_bytes) {
  CHECK_EQ(Hex(Shape({})), "");
  CHECK_EQ(Hex(Shape({7})), "12020807");
  CHECK_EQ(Hex(Shape({0, 3})), "120012020803");
  CHECK_EQ(Hex(Shape({300})), "120308ac02");
  CHECK_EQ(Hex(Shape({-1})), "120b08ffffffffffffffffff01");
}

TEST(slices_have_the_documented_bytes) {
  CHECK_EQ(Hex(Slice({})), "");
  CHECK_EQ(Hex(Slice({{0, 2}, {}})), "0a0210020a00");
  CHECK_EQ(Hex(Slice({{2, 2}, {}})), "0a04080210020a00");
  // The length of an extent is written even when it is zero.
  CHECK_EQ(Hex(Slice({{0, 0}})), "0a021000");
}

TEST(versions_have_the_documented_bytes) {
  CHECK_EQ(Hex(Version({1, 0, {}})), "0801");
  CHECK_EQ(Hex(Version({})), "");
  CHECK_EQ(Hex(Version({1, 2, {3, 0}})), "080110021a020300");
  CHECK_EQ(Hex(Version({0, 0, {-1}})), "1a0affffffffffffffffff01");
}

TEST(shapes_come_back) {
  const std::vector<std::vector<std::int64_t>> shapes = {
      {}, {0}, {1, 0, 127, 128, kMost}, {-1, kLeast}, std::vector<std::int64_t>(254, 3)};
  for (const auto& dims : shapes) {
    const std::string encoded = Shape(dims);
    CHECK_EQ(encoded, testing::EncodeShape(dims));
    const std::vector<std::uint8_t> exact = testing::Vector(encoded);
    std::vector<std::int64_t> decoded;
    bool unknown_rank = false;
    CHECK(DecodeShape(exact, &decoded, &unknown_rank));
    CHECK(decoded == dims);
    CHECK(!unknown_rank);
  }
}

TEST(slices_come_back) {
  const std::vector<std::vector<Extent>> slices = {
      {}, {{}}, {{0, 1}, {}, {5, 0}}, {{kMost, kMost}}, std::vector<Extent>(254, {1000, 2000})};
  for (const auto& extents : slices) {
    const std::string encoded = Slice(extents);
    CHECK_EQ(encoded, testing::EncodeSlice(extents));
    const std::vector<std::uint8_t> exact = testing::Vector(encoded);
    std::vector<Extent> decoded;
    CHECK(DecodeSlice(exact, &decoded));
    CHECK(decoded == extents);
  }
}

TEST(versions_come_back) {
  const VersionDef version{.producer = 7, .min_consumer = -2, .bad_consumers = {-1, 0, 1, 1 << 30}};
  const std::vector<std::uint8_t> exact = testing::Vector(Version(version));
  VersionDef decoded;
  CHECK(DecodeVersion(exact, &decoded));
  CHECK_EQ(decoded.producer, version.producer);
  CHECK_EQ(decoded.min_consumer, version.min_consumer);
  CHECK(decoded.bad_consumers == version.bad_consumers);
}

}  // namespace
}  // namespace fastckpt::tensor
