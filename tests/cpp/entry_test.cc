#include "bundle/entry.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "crc/crc32c.h"
#include "harness.h"
#include "table_writer.h"

namespace fastckpt::bundle {
namespace {

using coding::Extent;
using testing::EncodeEntry;
using testing::EncodeHeader;
using testing::EncodeShape;
using testing::EncodeSlice;
using testing::EntrySpec;
using testing::HeaderSpec;

struct DecodedEntry {
  bool ok = false;
  EntryFields fields;
  std::vector<std::int64_t> dims;
  std::vector<Extent> extents;
};

// Decodes storage of exactly this size, so that AddressSanitizer sees every read past the end.
DecodedEntry Decode(const std::string& message) {
  const std::vector<std::uint8_t> exact = testing::Vector(message);
  DecodedEntry decoded;
  decoded.ok = DecodeEntry(exact, &decoded.fields, &decoded.dims, &decoded.extents);
  return decoded;
}

struct DecodedHeader {
  bool ok = false;
  Header header;
};

DecodedHeader DecodeHeaderMessage(const std::string& message) {
  const std::vector<std::uint8_t> exact = testing::Vector(message);
  DecodedHeader decoded;
  decoded.ok = DecodeHeader(exact, &decoded.header);
  return decoded;
}

EntrySpec SampleEntry() {
  EntrySpec spec;
  spec.dtype = 9;
  spec.shape = {7, 0, 300};
  spec.shard_id = 3;
  spec.offset = std::int64_t{1} << 40;
  spec.size = 12345;
  spec.crc = 0xE3069283;
  return spec;
}

TEST(entry_fields_come_back) {
  const DecodedEntry decoded = Decode(EncodeEntry(SampleEntry()));
  CHECK(decoded.ok);
  CHECK_EQ(decoded.fields.dtype, 9);
  CHECK_EQ(decoded.fields.shard_id, 3);
  CHECK_EQ(decoded.fields.offset, std::int64_t{1} << 40);
  CHECK_EQ(decoded.fields.size, 12345);
  CHECK_EQ(decoded.fields.masked_crc, 0xC78AB0E5u);
  CHECK_EQ(decoded.fields.num_dims, 3u);
  CHECK_EQ(decoded.fields.num_slices, 0u);
  CHECK(!decoded.fields.unknown_rank);
  CHECK((decoded.dims == std::vector<std::int64_t>{7, 0, 300}));
}

TEST(negative_numbers_are_told_as_they_stand) {
  EntrySpec spec = SampleEntry();
  spec.dtype = -2;
  spec.shard_id = -3;
  spec.offset = -4;
  spec.size = -5;
  spec.shape = {-6};
  const DecodedEntry decoded = Decode(EncodeEntry(spec));
  CHECK(decoded.ok);
  CHECK_EQ(decoded.fields.dtype, -2);
  CHECK_EQ(decoded.fields.shard_id, -3);
  CHECK_EQ(decoded.fields.offset, -4);
  CHECK_EQ(decoded.fields.size, -5);
  CHECK_EQ(decoded.dims[0], -6);
}

TEST(dims_and_extents_are_appended) {
  EntrySpec spec;
  spec.shape = {4, 3};
  spec.slices = {{{0, 2}, {}}, {{2, 2}, {0, 3}}};
  const std::vector<std::uint8_t> message = testing::Vector(EncodeEntry(spec));
  DecodedEntry decoded;
  decoded.dims = {99};
  decoded.extents = {{5, 6}};
  CHECK(DecodeEntry(message, &decoded.fields, &decoded.dims, &decoded.extents));
  CHECK((decoded.dims == std::vector<std::int64_t>{99, 4, 3}));
  CHECK((decoded.extents == std::vector<Extent>{{5, 6}, {0, 2}, {}, {2, 2}, {0, 3}}));
  CHECK_EQ(decoded.fields.num_dims, 2u);
  CHECK_EQ(decoded.fields.num_slices, 2u);
}

TEST(the_documented_slice_bytes_are_read) {
  EntrySpec spec;
  spec.shape = {4, 3};
  spec.slices = {{{2, 2}, {}}};
  const std::string slice("\x0a\x04\x08\x02\x10\x02\x0a\x00", 8);
  CHECK_EQ(EncodeSlice(spec.slices[0]), slice);
  CHECK((Decode(EncodeEntry(spec)).extents == std::vector<Extent>{{2, 2}, {}}));
}

TEST(each_slice_has_as_many_extents_as_the_shape_has_dimensions) {
  EntrySpec spec;
  spec.shape = {4, 3};
  const Extent e{0, 1};
  for (const auto& slices : std::vector<std::vector<std::vector<Extent>>>{{{}},
                                                                          {{e}},
                                                                          {{e, e, e}},
                                                                          {{e, e}, {e}},
                                                                          {{e}, {e, e, e}},
                                                                          {{e, e, e}, {e}},
                                                                          {{}, {e, e, e, e}}}) {
    spec.slices = slices;
    CHECK(!Decode(EncodeEntry(spec)).ok);
  }
  spec.slices = {{e, e}, {e, e}, {e, e}};
  CHECK(Decode(EncodeEntry(spec)).ok);
}

TEST(the_shape_may_stand_after_the_slices) {
  const std::string slice = EncodeSlice({{0, 2}, {}});
  const std::string shape = EncodeShape({4, 3});
  const DecodedEntry decoded = Decode(std::string("\x3a") + static_cast<char>(slice.size()) +
                                      slice + "\x12" + static_cast<char>(shape.size()) + shape);
  CHECK(decoded.ok);
  CHECK_EQ(decoded.fields.num_slices, 1u);
  CHECK_EQ(decoded.fields.num_dims, 2u);
}

TEST(unknown_rank_is_told) {
  EntrySpec spec = SampleEntry();
  spec.unknown_rank = true;
  CHECK(Decode(EncodeEntry(spec)).fields.unknown_rank);
}

TEST(unknown_fields_are_ignored_and_dim_names_too) {
  // Field 1000 holds bytes; a dimension has the name "n" (field 2).
  const std::string extra(
      "\xc2\x3e\x03"
      "abc",
      6);
  const DecodedEntry decoded = Decode(extra + EncodeEntry(SampleEntry()) + extra +
                                      std::string("\x12\x07\x12\x05\x08\x05\x12\x01n", 9));
  CHECK(decoded.ok);
  CHECK_EQ(decoded.fields.size, 12345);
  CHECK((decoded.dims == std::vector<std::int64_t>{7, 0, 300, 5}));
}

TEST(block_crcs_are_borrowed_from_the_message) {
  EntrySpec spec = SampleEntry();
  spec.extra = testing::EncodeBlockField(4096, "abcdefgh");
  const std::string message = EncodeEntry(spec);
  EntryFields fields;
  std::vector<std::int64_t> dims;
  std::vector<Extent> extents;
  CHECK(DecodeEntry(AsBytes(message), &fields, &dims, &extents));
  CHECK_EQ(fields.size, 12345);
  CHECK(fields.block_crcs.has_value());
  CHECK_EQ(fields.block_crcs->block_size, 4096u);
  CHECK_EQ(AsText(fields.block_crcs->masked_crcs), "abcdefgh");
  CHECK(reinterpret_cast<const char*>(fields.block_crcs->masked_crcs.data()) >= message.data());
  CHECK(!Decode(EncodeEntry(SampleEntry())).fields.block_crcs.has_value());
}

TEST(block_crcs_may_stand_first_and_hold_unknown_fields) {
  const std::string size = "\x08\x80\x20";
  const std::string list = "\x12\x04wxyz";
  for (const std::string& inner : {size + list, list + size, "\x18\x07" + size + list}) {
    const std::string field =
        "\xc2\x3e" + testing::Varint(inner.size()) + inner + EncodeEntry(SampleEntry());
    const DecodedEntry decoded = Decode(field);
    CHECK(decoded.ok);
    CHECK(decoded.fields.block_crcs.has_value());
    CHECK_EQ(decoded.fields.block_crcs->block_size, 4096u);
  }
}

TEST(malformed_block_crcs_are_left_out_and_the_entry_stays) {
  const std::string good = testing::EncodeBlockField(4096, "abcdefgh");
  const std::string size = "\x08\x80\x20";
  const std::string list = "\x12\x04wxyz";
  const auto field = [](const std::string& inner) {
    return "\xc2\x3e" + testing::Varint(inner.size()) + inner;
  };
  const std::vector<std::string> malformed = {
      good + good,                                  // twice
      good + "\xc0\x3e\x05",                        // twice, once as a number
      "\xc0\x3e\x05",                               // a number
      "\xc5\x3e" + std::string(4, 'x'),             // fixed32
      field(""),                                    // neither
      field(size),                                  // no list
      field(list),                                  // no block size
      field(size + size + list),                    // two block sizes
      field(size + list + list),                    // two lists
      field(size + "\x15wxyz"),                     // not packed
      field(size + "\x12\x05wxyz"),                 // a list past its end
      field(std::string("\0\0", 2) + size + list),  // field number 0
      field(size + list + "\x80"),                  // cut off
  };
  for (const std::string& extra : malformed) {
    EntrySpec spec = SampleEntry();
    spec.extra = extra;
    const DecodedEntry decoded = Decode(EncodeEntry(spec));
    CHECK(decoded.ok);
    CHECK_EQ(decoded.fields.size, 12345);
    CHECK(!decoded.fields.block_crcs.has_value());
  }
  EntrySpec spec = SampleEntry();
  spec.extra = "\xc2\x3e\x7f" + size;  // past the end of the entry
  CHECK(!Decode(EncodeEntry(spec)).ok);
}

TEST(an_empty_message_is_an_entry_of_zeros) {
  const DecodedEntry decoded = Decode("");
  CHECK(decoded.ok);
  CHECK_EQ(decoded.fields.dtype, 0);
  CHECK_EQ(decoded.fields.masked_crc, 0u);
}

TEST(malformed_entries_are_refused) {
  EntrySpec spec = SampleEntry();
  spec.slices = {{{0, 1}, {}, {}}};
  const std::string message = EncodeEntry(spec);
  std::size_t refused = 0;
  for (std::size_t size = 0; size < message.size(); ++size) {
    refused += Decode(message.substr(0, size)).ok ? 0 : 1;
  }
  CHECK(refused > message.size() / 2);
  // A sub-message that is malformed inside: dimension, extent, version.
  CHECK(!Decode(std::string("\x12\x03\x12\x01\x08", 5)).ok);
  CHECK(!Decode(std::string("\x3a\x03\x0a\x01\x08", 5)).ok);
  CHECK(!Decode(std::string("\x12\x01\x12", 3)).ok);
}

TEST(random_entries_never_leave_their_range) {
  std::mt19937 random(5);
  const std::string sample = EncodeEntry(SampleEntry());
  int well_formed = 0;
  for (int round = 0; round < 30000; ++round) {
    std::string message = sample;
    for (int change = 0; change < 2; ++change) {
      message[random() % message.size()] = static_cast<char>(random());
    }
    const DecodedEntry decoded = Decode(message);
    well_formed += decoded.ok ? 1 : 0;
    CHECK(decoded.dims.size() <= message.size());
    if (decoded.ok) CHECK_EQ(decoded.dims.size(), decoded.fields.num_dims);
  }
  CHECK(well_formed > 1000 && well_formed < 29000);
}

TEST(header_fields_come_back) {
  HeaderSpec spec;
  spec.num_shards = 7;
  spec.endianness = 1;
  spec.producer = 2;
  spec.min_consumer = 1;
  spec.bad_consumers = {3, -1, 1000};
  const DecodedHeader decoded = DecodeHeaderMessage(EncodeHeader(spec));
  CHECK(decoded.ok);
  CHECK_EQ(decoded.header.num_shards, 7);
  CHECK(decoded.header.big_endian);
  CHECK_EQ(decoded.header.version.producer, 2);
  CHECK_EQ(decoded.header.version.min_consumer, 1);
  CHECK((decoded.header.version.bad_consumers == std::vector<std::int32_t>{3, -1, 1000}));
}

TEST(the_documented_header_bytes_are_read) {
  const std::string bytes("\x08\x01\x1a\x02\x08\x01", 6);
  CHECK_EQ(EncodeHeader({}), bytes);
  const DecodedHeader decoded = DecodeHeaderMessage(bytes);
  CHECK(decoded.ok);
  CHECK_EQ(decoded.header.num_shards, 1);
  CHECK(!decoded.header.big_endian);
  CHECK_EQ(decoded.header.version.producer, 1);
}

TEST(bad_consumers_may_stand_unpacked) {
  const DecodedHeader decoded = DecodeHeaderMessage(std::string("\x1a\x04\x18\x05\x18\x06", 6));
  CHECK(decoded.ok);
  CHECK((decoded.header.version.bad_consumers == std::vector<std::int32_t>{5, 6}));
}

TEST(malformed_headers_are_refused) {
  HeaderSpec spec;
  for (const std::int64_t endianness : {-1, 2, 3, 1000}) {
    spec.endianness = endianness;
    CHECK(!DecodeHeaderMessage(EncodeHeader(spec)).ok);
  }
  CHECK(DecodeHeaderMessage("").ok);
  CHECK(!DecodeHeaderMessage("\x08").ok);
  CHECK(!DecodeHeaderMessage(std::string("\x1a\x01\x08", 3)).ok);
  CHECK(!DecodeHeaderMessage(std::string("\x1a\x03\x1a\x01\x80", 5)).ok);
}

}  // namespace
}  // namespace fastckpt::bundle
