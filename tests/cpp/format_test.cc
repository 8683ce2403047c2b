#include "table/format.h"

#include <cstdint>
#include <string>
#include <vector>

#include "harness.h"
#include "table_writer.h"

namespace fastckpt::table {
namespace {

using testing::EncodeFooter;
using testing::EncodeHandle;
using testing::FooterFields;
using testing::Varint;

constexpr std::uint64_t kMax = ~std::uint64_t{0};

FooterError Decode(const std::string& bytes, Footer* footer) {
  CHECK_EQ(bytes.size(), kFooterSize);
  const std::vector<std::uint8_t> exact = testing::Vector(bytes);
  return DecodeFooter(exact, footer);
}

// The documented footer of an index without tensors.
std::string EmptyIndexFooter() {
  return std::string("\x16\x08\x23\x0d", 4) + std::string(36, '\0') +
         "\x57\xfb\x80\x8b\x24\x75\x47\xdb";
}

TEST(handles_come_back_and_bytes_may_follow) {
  for (const std::uint64_t offset :
       {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128}, std::uint64_t{1} << 35, kMax}) {
    for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{262144}, kMax}) {
      const std::string encoded = EncodeHandle({offset, size});
      const ByteView bytes = AsBytes(encoded);
      BlockHandle handle;
      const std::uint8_t* const end = bytes.data() + bytes.size();
      CHECK(DecodeHandle(bytes.data(), end, &handle) == end);
      CHECK_EQ(handle.offset, offset);
      CHECK_EQ(handle.size, size);
      for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
        CHECK(DecodeHandle(bytes.data(), bytes.data() + cut, &handle) == nullptr);
      }
      const std::string longer = encoded + "more";
      const std::uint8_t* const start = AsBytes(longer).data();
      CHECK(DecodeHandle(start, start + longer.size(), &handle) == start + encoded.size());
    }
  }
}

TEST(the_documented_footer_is_read) {
  Footer footer;
  CHECK(Decode(EmptyIndexFooter(), &footer) == FooterError::kNone);
  CHECK_EQ(footer.metaindex.offset, 22u);
  CHECK_EQ(footer.metaindex.size, 8u);
  CHECK_EQ(footer.index.offset, 35u);
  CHECK_EQ(footer.index.size, 13u);
  CHECK(footer.is_canonical);
  FooterFields fields;
  fields.metaindex = footer.metaindex;
  fields.index = footer.index;
  CHECK_EQ(EncodeFooter(fields), EmptyIndexFooter());
}

TEST(every_bit_of_the_magic_number_counts) {
  for (std::size_t bit = 40 * 8; bit < 48 * 8; ++bit) {
    std::string bytes = EmptyIndexFooter();
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    Footer footer;
    CHECK(Decode(bytes, &footer) == FooterError::kMagic);
  }
}

TEST(every_bit_before_the_magic_number_changes_what_is_read) {
  for (std::size_t bit = 0; bit < 40 * 8; ++bit) {
    std::string bytes = EmptyIndexFooter();
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    Footer footer;
    const FooterError error = Decode(bytes, &footer);
    const bool same_handles = footer.metaindex.offset == 22 && footer.metaindex.size == 8 &&
                              footer.index.offset == 35 && footer.index.size == 13;
    CHECK(error != FooterError::kNone || !same_handles || !footer.is_canonical);
  }
}

TEST(handles_that_do_not_fit_are_bad) {
  Footer footer;
  FooterFields fields;
  fields.metaindex = BlockHandle{kMax, kMax};
  fields.index = BlockHandle{kMax, kMax};
  CHECK(Decode(EncodeFooter(fields), &footer) == FooterError::kNone);
  CHECK(footer.is_canonical);
  const std::string magic = EmptyIndexFooter().substr(40);
  for (const std::size_t good : {0u, 10u, 20u, 30u}) {
    std::string handles;
    while (handles.size() < good) handles += Varint(kMax);
    CHECK(Decode(handles + std::string(40 - good, '\xff') + magic, &footer) ==
          FooterError::kHandles);
  }
}

TEST(footers_in_other_than_the_shortest_form_are_read_and_told) {
  Footer footer;
  FooterFields fields;
  fields.padding.back() = '\1';
  fields.padding.front() = '\1';
  CHECK(Decode(EncodeFooter(fields), &footer) == FooterError::kNone);
  CHECK(!footer.is_canonical);
  std::string padded("\x96\x00\x08\x23\x0d", 5);
  padded.resize(40);
  CHECK(Decode(padded + EmptyIndexFooter().substr(40), &footer) == FooterError::kNone);
  CHECK_EQ(footer.metaindex.offset, 22u);
  CHECK(!footer.is_canonical);
}

TEST(handles_and_footers_are_encoded_as_the_twin_does) {
  const std::vector<BlockHandle> handles = {
      {0, 0}, {22, 8}, {127, 128}, {std::uint64_t{1} << 35, 262144}, {kMax, kMax}};
  for (const BlockHandle& metaindex : handles) {
    std::string handle = "before";
    table::EncodeHandle(handle, metaindex);
    CHECK_EQ(handle, "before" + EncodeHandle(metaindex));
    for (const BlockHandle& index : handles) {
      std::string footer = "before";
      table::EncodeFooter(footer, metaindex, index);
      FooterFields fields;
      fields.metaindex = metaindex;
      fields.index = index;
      CHECK_EQ(footer, "before" + EncodeFooter(fields));
    }
  }
  std::string documented;
  table::EncodeFooter(documented, {22, 8}, {35, 13});
  CHECK_EQ(documented, EmptyIndexFooter());
}

}  // namespace
}  // namespace fastckpt::table
