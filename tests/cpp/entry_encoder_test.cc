#include "bundle/entry_encoder.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "bundle/entry.h"
#include "coding/fixed.h"
#include "coding/wire_append.h"
#include "crc/crc32c.h"
#include "harness.h"
#include "hex.h"
#include "table/table_builder.h"
#include "table_writer.h"
#include "tensor/messages.h"

namespace fastckpt::bundle {
namespace {

using coding::Extent;
using testing::EntrySpec;
using testing::FromHex;
using testing::Hex;

using Dims = std::vector<std::int64_t>;

std::string Encoded(const EncodedEntry& entry) {
  std::string out = "before";
  AppendEntry(out, entry);
  CHECK_EQ(out.substr(0, 6), "before");
  return out.substr(6);
}

// Field by field, as the general helpers write it.
std::string EncodedByFields(const EncodedEntry& entry) {
  std::string out;
  coding::AppendInt64Field(out, 1, entry.dtype);
  coding::AppendMessage(out, 2, [&] { tensor::AppendShape(out, entry.shape); });
  coding::AppendInt64Field(out, 3, entry.shard_id);
  coding::AppendInt64Field(out, 4, entry.offset);
  coding::AppendInt64Field(out, 5, entry.size);
  coding::AppendFixed32Field(out, 6, entry.masked_crc);
  return out;
}

TEST(entries_of_any_rank_have_the_bytes_of_their_fields) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 4000; ++round) {
    const auto number = [&] { return static_cast<std::int64_t>(random() >> random() % 65 % 64); };
    Dims dims(random() % 12);
    for (std::int64_t& dim : dims) dim = round % 7 == 0 ? -1 - number() : number();
    EncodedEntry entry{.dtype = static_cast<std::int32_t>(number()), .shape = dims};
    entry.shard_id = static_cast<std::int32_t>(number());
    entry.offset = number();
    entry.size = number();
    entry.masked_crc = static_cast<std::uint32_t>(number());
    CHECK_EQ(Hex(Encoded(entry)), Hex(EncodedByFields(entry)));
  }
}

TEST(headers_have_the_documented_bytes) {
  CHECK_EQ(Hex(EncodeHeader(1)), "08011a020801");
  CHECK_EQ(Hex(EncodeHeader(300)), "08ac021a020801");
  CHECK_EQ(Hex(EncodeHeader(2, true)), "080210011a020801");
  // A version of nothing is a message all the same.
  CHECK_EQ(Hex(EncodeHeader(1, false, {})), "08011a00");
}

TEST(headers_come_back) {
  const tensor::VersionDef version{.producer = 3, .min_consumer = 2, .bad_consumers = {9, -1}};
  const std::vector<std::uint8_t> exact = testing::Vector(EncodeHeader(70000, true, version));
  Header header;
  CHECK(DecodeHeader(exact, &header));
  CHECK_EQ(header.num_shards, 70000);
  CHECK(header.big_endian);
  CHECK_EQ(header.version.producer, 3);
  CHECK_EQ(header.version.min_consumer, 2);
  CHECK(header.version.bad_consumers == version.bad_consumers);
}

// The entries of the documented checkpoint: w, b, s, scalar, empty and part in two slices.
struct DocumentedEntry {
  std::string key;
  EncodedEntry entry;
};

std::vector<DocumentedEntry> DocumentedEntries() {
  static const Dims k43{4, 3}, k23{2, 3}, k2{2}, k3{3}, k03{0, 3};
  static const std::vector<Extent> halves{{0, 2}, {}, {2, 2}, {}};
  const std::vector<Extent> first(halves.begin(), halves.begin() + 2);
  const std::vector<Extent> second(halves.begin() + 2, halves.end());
  return {
      {"", {}},
      {coding::EncodeSliceKey("part", first),
       {.dtype = 1, .shape = k23, .offset = 80, .size = 24, .masked_crc = 0x173ddbc0}},
      {coding::EncodeSliceKey("part", second),
       {.dtype = 1, .shape = k23, .offset = 104, .size = 24, .masked_crc = 0x024e84d4}},
      {"b", {.dtype = 9, .shape = k2, .offset = 48, .size = 16, .masked_crc = 0x7d372ee0}},
      {"empty", {.dtype = 1, .shape = k03, .offset = 80, .masked_crc = crc::Mask(0)}},
      {"part", {.dtype = 1, .shape = k43, .slices = halves}},
      {"s", {.dtype = 7, .shape = k3, .offset = 64, .size = 12, .masked_crc = 0x3fc4ad10}},
      {"scalar", {.dtype = 3, .offset = 76, .size = 4, .masked_crc = 0x889d8da7}},
      {"w", {.dtype = 1, .shape = k43, .size = 48, .masked_crc = 0xdc55a6d7}},
  };
}

// The whole .index that TensorFlow writes for them.
std::string DocumentedIndex() {
  return FromHex(
             "00 00 06 08 01 1a 02 08 01"
             "00 0d 15 00 70 61 72 74 00 01 01 02 80 82 80 7f"
             "08 01 12 08 12 02 08 02 12 02 08 03 20 50 28 18 35 c0 db 3d 17"
             "09 04 15 82 82 80 7f"
             "08 01 12 08 12 02 08 02 12 02 08 03 20 68 28 18 35 d4 84 4e 02"
             "00 01 11 62 08 09 12 04 12 02 08 02 20 30 28 10 35 e0 2e 37 7d"
             "00 05 11 65 6d 70 74 79 08 01 12 06 12 00 12 02 08 03 20 50 35 d8 ea 82 a2"
             "00 04 1e 70 61 72 74 08 01 12 08 12 02 08 04 12 02 08 03"
             "3a 06 0a 02 10 02 0a 00 3a 08 0a 04 08 02 10 02 0a 00"
             "00 01 11 73 08 07 12 04 12 02 08 03 20 40 28 0c 35 10 ad c4 3f"
             "01 05 0d 63 61 6c 61 72 08 03 12 00 20 4c 28 04 35 a7 8d 9d 88"
             "00 01 13 77 08 01 12 08 12 02 08 04 12 02 08 03 28 30 35 d7 a6 55 dc"
             "00 00 00 00 01 00 00 00 00 98 b6 75 5b"
             "00 00 00 00 01 00 00 00 00 c0 f2 a1 b0"
             "00 01 03 78 00 e6 01 00 00 00 00 01 00 00 00 00 ac cf 84 21"
             "eb 01 08 f8 01 0f") +
         std::string(34, '\0') + FromHex("57 fb 80 8b 24 75 47 db");
}

TEST(the_documented_index_is_made_byte_for_byte) {
  std::string index;
  table::TableBuilder builder([&](ByteView bytes) { index += AsText(bytes); });
  std::string value;
  for (const auto& [key, entry] : DocumentedEntries()) {
    value = key.empty() ? EncodeHeader(1) : "";
    if (!key.empty()) AppendEntry(value, entry);
    builder.Add(key, value);
  }
  builder.Finish();
  CHECK_EQ(index.size(), 316u);
  CHECK_EQ(Hex(index), Hex(DocumentedIndex()));
}

TEST(fields_of_zero_are_left_out_and_the_shape_never_is) {
  CHECK_EQ(Hex(Encoded({.dtype = 3, .size = 4, .masked_crc = 1})), "0803120028043501000000");
  CHECK_EQ(Hex(Encoded({})), "1200");
  CHECK_EQ(Hex(Encoded({.dtype = 1, .shard_id = 5, .masked_crc = 0x01020304})),
           "0801120018053504030201");
}

struct DecodedEntry {
  EntryFields fields;
  Dims dims;
  std::vector<Extent> extents;
};

// Decodes storage of exactly this size, so that AddressSanitizer sees every read past the end.
DecodedEntry Decode(const std::string& message) {
  const std::vector<std::uint8_t> exact = testing::Vector(message);
  DecodedEntry decoded;
  CHECK(DecodeEntry(exact, &decoded.fields, &decoded.dims, &decoded.extents));
  return decoded;
}

TEST(ordinary_entries_come_back) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  const Dims shape{7, 0, 300, kMost};
  const DecodedEntry decoded = Decode(Encoded({.dtype = 19,
                                               .shape = shape,
                                               .shard_id = 99999,
                                               .offset = kMost,
                                               .size = std::int64_t{1} << 40,
                                               .masked_crc = 0xC78AB0E5}));
  CHECK_EQ(decoded.fields.dtype, 19);
  CHECK_EQ(decoded.fields.shard_id, 99999);
  CHECK_EQ(decoded.fields.offset, kMost);
  CHECK_EQ(decoded.fields.size, std::int64_t{1} << 40);
  CHECK_EQ(decoded.fields.masked_crc, 0xC78AB0E5u);
  CHECK_EQ(decoded.fields.num_slices, 0u);
  CHECK(decoded.dims == shape);
}

TEST(sliced_entries_come_back) {
  const Dims shape{1000000, 3, 2};
  std::vector<Extent> slices;
  for (std::int64_t start = 0; start < 1000000; start += 2000) {
    slices.insert(slices.end(), {{start, 2000}, {0, 3}, {}});
  }
  const DecodedEntry decoded = Decode(Encoded({.dtype = 1, .shape = shape, .slices = slices}));
  CHECK_EQ(decoded.fields.num_slices, 500u);
  CHECK(decoded.extents == slices);
  CHECK(decoded.dims == shape);
  CHECK_EQ(decoded.fields.size, 0);
  CHECK_EQ(decoded.fields.masked_crc, 0u);
}

TEST(entries_equal_those_of_the_slow_twin) {
  std::mt19937_64 random(7);
  const auto number = [&] { return static_cast<std::int64_t>(random() >> (1 + random() % 63)); };
  for (int round = 0; round < 300; ++round) {
    EntrySpec spec;
    spec.dtype = static_cast<std::int64_t>(random() % 34);
    spec.shape.resize(1 + random() % 30);
    std::ranges::generate(spec.shape, number);
    std::vector<Extent> flat;
    if (round % 2 == 0) {
      spec.slices.resize(1 + random() % 20);
      for (auto& slice : spec.slices) {
        for (std::size_t i = 0; i < spec.shape.size(); ++i) {
          slice.push_back(random() % 3 == 0 ? Extent{} : Extent{number(), number()});
        }
        flat.insert(flat.end(), slice.begin(), slice.end());
      }
    } else {
      spec.shard_id = static_cast<std::int64_t>(random() % 3);
      spec.offset = number();
      spec.size = number();
      spec.crc = static_cast<std::uint32_t>(random());
    }
    const std::string encoded =
        Encoded({.dtype = static_cast<std::int32_t>(spec.dtype),
                 .shape = spec.shape,
                 .shard_id = static_cast<std::int32_t>(spec.shard_id),
                 .offset = spec.offset,
                 .size = spec.size,
                 .masked_crc = spec.slices.empty() ? crc::Mask(spec.crc) : 0,
                 .slices = flat});
    CHECK_EQ(Hex(encoded), Hex(testing::EncodeEntry(spec)));
  }
}

TEST(block_crcs_stand_behind_all_other_fields) {
  const std::vector<std::uint32_t> crcs{0x04030201, 0, 0xA282EAD8};
  const EncodedEntry plain{.dtype = 1, .size = 10, .masked_crc = 7};
  EncodedEntry entry = plain;
  entry.masked_block_crcs = crcs;
  entry.block_size = 4;
  CHECK_EQ(Hex(Encoded(entry)),
           Hex(Encoded(plain)) + "c23e10" + "0804" + "120c" + "01020304" + "00000000" + "d8ea82a2");
  // A block size without CRCs says nothing.
  entry.masked_block_crcs = {};
  CHECK_EQ(Hex(Encoded(entry)), Hex(Encoded(plain)));
}

TEST(many_block_crcs_come_back) {
  for (const std::size_t count : {1u, 30u, 31u, 32u, 4095u, 262144u}) {
    std::vector<std::uint32_t> crcs(count);
    for (std::size_t i = 0; i < count; ++i) crcs[i] = static_cast<std::uint32_t>(i * 2654435761u);
    const std::vector<std::uint8_t> exact = testing::Vector(
        Encoded({.dtype = 1, .masked_block_crcs = crcs, .block_size = std::uint64_t{1} << 22}));
    EntryFields fields;
    Dims dims;
    std::vector<Extent> extents;
    CHECK(DecodeEntry(exact, &fields, &dims, &extents));
    CHECK(fields.block_crcs.has_value());
    CHECK_EQ(fields.block_crcs->block_size, 1u << 22);
    CHECK_EQ(fields.block_crcs->masked_crcs.size(), 4 * count);
    for (std::size_t i = 0; i < count; ++i) {
      CHECK_EQ(coding::LoadFixed32(fields.block_crcs->masked_crcs.data() + 4 * i), crcs[i]);
    }
  }
}

}  // namespace
}  // namespace fastckpt::bundle
