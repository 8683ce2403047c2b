#include "coding/snappy.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "coding/varint.h"
#include "harness.h"

namespace fastckpt::coding {
namespace {

// Exact-size heap storage without slack, so that AddressSanitizer sees every access out of range.
struct ExactBytes {
  explicit ExactBytes(std::size_t length)
      : bytes(std::make_unique<std::uint8_t[]>(length)), size(length) {}
  MutableBytes span() { return {bytes.get(), size}; }

  std::unique_ptr<std::uint8_t[]> bytes;
  std::size_t size;
};

// Nothing when the stream is refused. Sizes beyond a megabyte are refused unread, as a caller
// would.
std::optional<std::string> Decompress(const std::string& stream) {
  ExactBytes input(stream.size());
  std::copy(stream.begin(), stream.end(), input.bytes.get());
  const auto size = SnappyDecodedSize(input.span());
  if (!size || *size > (1u << 20)) return std::nullopt;
  ExactBytes output(*size);
  if (!SnappyDecode(input.span(), output.span())) return std::nullopt;
  return std::string(AsText(output.span()));
}

// The same from the format's text alone, one byte at a time.
std::optional<std::string> DecompressNaively(const std::string& stream) {
  std::size_t at = 0;
  const auto take = [&](std::size_t count) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < count; ++i, ++at) {
      if (at == stream.size()) return std::nullopt;
      value |= std::uint64_t{static_cast<std::uint8_t>(stream[at])} << (8 * i);
    }
    return value;
  };
  std::uint64_t size = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto byte = take(1);
    if (!byte || shift > 28) return std::nullopt;
    size |= (*byte & 0x7F) << shift;
    if (*byte < 0x80) break;
  }
  if (size > (1u << 20)) return std::nullopt;
  std::string out;
  while (at < stream.size()) {
    const std::uint64_t tag = *take(1);
    std::optional<std::uint64_t> length = (tag >> 2) + 1;
    if ((tag & 3) == 0) {
      if (*length > 60) length = take(*length - 60);
      if (!length) return std::nullopt;
      if (tag >> 2 >= 60) ++*length;
      for (std::uint64_t i = 0; i < *length; ++i) {
        const auto byte = take(1);
        if (!byte || out.size() == size) return std::nullopt;
        out.push_back(static_cast<char>(*byte));
      }
      continue;
    }
    std::optional<std::uint64_t> offset = take((tag & 3) == 1 ? 1 : (tag & 3) == 2 ? 2 : 4);
    if (!offset) return std::nullopt;
    if ((tag & 3) == 1) {
      offset = *offset + (tag >> 5 << 8);
      length = 4 + (tag >> 2 & 7);
    }
    if (*offset == 0 || *offset > out.size()) return std::nullopt;
    for (std::uint64_t i = 0; i < *length; ++i) {
      if (out.size() == size) return std::nullopt;
      out.push_back(out[out.size() - *offset]);
    }
  }
  if (out.size() != size) return std::nullopt;
  return out;
}

std::string LittleEndian(std::uint64_t value, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

std::string Preamble(std::uint64_t size) {
  std::string out;
  AppendVarint64(out, size);
  return out;
}

// length_bytes 0 puts the length in the tag.
std::string Literal(const std::string& text, std::size_t length_bytes = 0) {
  const std::size_t code = length_bytes == 0 ? text.size() - 1 : 59 + length_bytes;
  return LittleEndian(code << 2, 1) + LittleEndian(text.size() - 1, length_bytes) + text;
}

std::string Copy1(std::size_t offset, std::size_t length) {
  return LittleEndian((offset >> 8) << 5 | (length - 4) << 2 | 1, 1) + LittleEndian(offset, 1);
}

std::string Copy2(std::size_t offset, std::size_t length) {
  return LittleEndian((length - 1) << 2 | 2, 1) + LittleEndian(offset, 2);
}

std::string Copy4(std::size_t offset, std::size_t length) {
  return LittleEndian((length - 1) << 2 | 3, 1) + LittleEndian(offset, 4);
}

std::string Text(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
  return text;
}

TEST(empty_stream_decodes_to_nothing) {
  CHECK(Decompress(Preamble(0)) == "");
  CHECK(SnappyDecode(AsBytes(std::string_view("\0", 1)), MutableBytes()));
}

TEST(literals_of_every_length_form) {
  for (std::size_t size = 1; size <= 60; ++size) {
    CHECK(Decompress(Preamble(size) + Literal(Text(size))) == Text(size));
  }
  for (std::size_t length_bytes = 1; length_bytes <= 4; ++length_bytes) {
    for (const std::size_t size : {1u, 16u, 61u, 256u, 257u, 65536u, 65537u, 200000u}) {
      if (length_bytes < 4 && (size - 1) >> (8 * length_bytes) != 0) continue;
      CHECK(Decompress(Preamble(size) + Literal(Text(size), length_bytes)) == Text(size));
    }
  }
}

TEST(copies_of_every_form) {
  const std::string text = Text(3000);
  const std::string begin = Literal(text, 2);
  for (const std::size_t offset : {1u, 4u, 255u, 256u, 2047u}) {
    const std::string expected = text + text.substr(3000 - offset, 4);
    if (offset >= 4) CHECK(Decompress(Preamble(3004) + begin + Copy1(offset, 4)) == expected);
    if (offset >= 4) CHECK(Decompress(Preamble(3004) + begin + Copy2(offset, 4)) == expected);
    if (offset >= 4) CHECK(Decompress(Preamble(3004) + begin + Copy4(offset, 4)) == expected);
  }
  CHECK(Decompress(Preamble(3001) + begin + Copy2(3000, 1)) == text + text[0]);
  CHECK(Decompress(Preamble(3064) + begin + Copy4(3000, 64)) == text + text.substr(0, 64));
  const std::string far_text = Text(70000);
  CHECK(Decompress(Preamble(70064) + Literal(far_text, 3) + Copy4(69999, 64)) ==
        far_text + far_text.substr(1, 64));
}

// At the end of the output and away from it, where another way of copying is taken.
TEST(overlapping_copies_repeat_the_pattern) {
  for (std::size_t offset = 1; offset <= 70; ++offset) {
    for (std::size_t length = 1; length <= 64; ++length) {
      for (const std::size_t tail : {0u, 1u, 15u, 60u, 200u}) {
        std::string expected = Text(offset);
        for (std::size_t i = 0; i < length; ++i) expected += expected[expected.size() - offset];
        std::string stream =
            Preamble(offset + length + tail) + Literal(Text(offset), 1) + Copy2(offset, length);
        if (tail > 0) stream += Literal(std::string(tail, 't'), 1);
        expected += std::string(tail, 't');
        CHECK(Decompress(stream) == expected);
      }
    }
  }
}

TEST(the_decoded_size_comes_from_the_preamble) {
  CHECK(SnappyDecodedSize(AsBytes(Preamble(0xFFFFFFFF))) == 0xFFFFFFFFu);
  CHECK(SnappyDecodedSize(AsBytes(Preamble(300) + "junk")) == 300u);
  CHECK(!SnappyDecodedSize(ByteView()));
  CHECK(!SnappyDecodedSize(AsBytes("\x80")));
  CHECK(!SnappyDecodedSize(AsBytes("\xff\xff\xff\xff\x10")));
  CHECK(!SnappyDecodedSize(AsBytes(std::string("\x80\x80\x80\x80\x80\x00", 6))));
}

TEST(malformed_streams_are_refused) {
  const auto refused = [](const std::string& stream) {
    return !Decompress(stream) && !DecompressNaively(stream);
  };
  CHECK(refused(""));
  CHECK(refused(Preamble(5)));                    // no element at all
  CHECK(refused(Preamble(5) + Literal("abcd")));  // too short
  CHECK(refused(Preamble(3) + Literal("abcd")));  // too long
  CHECK(refused(Preamble(0) + Literal("a")));
  CHECK(refused(Preamble(8) + Literal("abcd") + Copy2(0, 4)));  // offset 0
  CHECK(refused(Preamble(8) + Literal("abcd") + Copy1(0, 4)));
  CHECK(refused(Preamble(8) + Literal("abcd") + Copy4(0, 4)));
  CHECK(refused(Preamble(8) + Literal("abcd") + Copy2(5, 4)));  // before the beginning
  CHECK(refused(Preamble(8) + Literal("abcd") + Copy4(0xFFFFFFFF, 4)));
  CHECK(refused(Preamble(4) + Copy1(1, 4)));                    // nothing to copy from
  CHECK(refused(Preamble(7) + Literal("abcd") + Copy2(4, 4)));  // copy past the end
  CHECK(refused(Preamble(9) + Literal("abcd") + Copy2(4, 4)));
  CHECK(refused(Preamble(4) + std::string("\xfc\xff\xff\xff\xff", 5) + "abcd"));  // 2^32 bytes
  CHECK(refused(Preamble(4) + Literal("abcd") + std::string(1, '\0')));           // tag, no byte
}

TEST(truncation_at_every_byte_is_refused) {
  const std::string text = Text(300);
  const std::string stream = Preamble(300 + 8 + 64 + 40 + 3) + Literal(text, 2) + Copy1(100, 8) +
                             Copy2(7, 64) + Copy4(200, 40) + Literal("end");
  CHECK(Decompress(stream).has_value());
  for (std::size_t size = 0; size < stream.size(); ++size) {
    CHECK(!Decompress(stream.substr(0, size)));
  }
}

TEST(the_output_must_have_the_claimed_size) {
  const std::string stream = Preamble(4) + Literal("abcd");
  for (const std::size_t size : {0u, 3u, 5u}) {
    ExactBytes output(size);
    CHECK(!SnappyDecode(AsBytes(stream), output.span()));
  }
  ExactBytes output(4);
  CHECK(!SnappyDecode(AsBytes(Preamble(3) + Literal("abcd")), output.span()));
  CHECK(!SnappyDecode(AsBytes(Preamble(5) + Literal("abcd")), output.span()));
}

TEST(no_stream_expands_beyond_the_stated_factor) {
  std::string stream = Literal("a");
  std::size_t size = 1;
  for (int i = 0; i < 1000; ++i, size += 64) stream += Copy2(1, 64);
  stream = Preamble(size) + stream;
  CHECK(Decompress(stream) == std::string(size, 'a'));
  CHECK(size <= kSnappyMaxExpansion * stream.size());
  CHECK(size > (kSnappyMaxExpansion - 1) * stream.size());
}

std::string RandomElement(std::mt19937& random, std::size_t done, std::size_t* length) {
  const unsigned kind = done < 4 ? 0 : random() % 4;
  if (kind == 0) {
    *length = 1 + random() % (random() % 4 == 0 ? 300 : 40);
    return Literal(Text(*length), *length > 60 ? 2 + random() % 3 : random() % 5);
  }
  const std::size_t offset = 1 + random() % std::min<std::size_t>(done, random() % 2 ? 24 : 60000);
  *length = kind == 1 ? 4 + random() % 8 : 1 + random() % 64;
  if (kind == 1 && offset < 2048) return Copy1(offset, *length);
  return kind == 2 ? Copy2(offset, *length) : Copy4(offset, *length);
}

std::string RandomStream(std::mt19937& random) {
  std::string elements;
  std::size_t size = 0;
  const std::size_t count = random() % 30;
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t length = 0;
    elements += RandomElement(random, size, &length);
    size += length;
  }
  return Preamble(size) + elements;
}

TEST(random_streams_decode_like_the_naive_twin) {
  std::mt19937 random(5);
  for (int round = 0; round < 3000; ++round) {
    const std::string stream = RandomStream(random);
    const auto expected = DecompressNaively(stream);
    CHECK(expected.has_value());
    CHECK(Decompress(stream) == expected);
  }
}

TEST(mutated_streams_decode_like_the_naive_twin) {
  std::mt19937 random(6);
  int accepted = 0;
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string stream = RandomStream(random);
    for (auto i = 1 + random() % 3; i > 0; --i) {
      char& byte = stream[random() % stream.size()];
      byte = static_cast<char>(random() % 2 ? byte ^ (1 << random() % 8) : random());
    }
    if (random() % 8 == 0) stream.resize(random() % (stream.size() + 1));
    const auto result = Decompress(stream);
    CHECK(result == DecompressNaively(stream));
    (result ? accepted : refused) += 1;
  }
  CHECK(accepted > 1000 && refused > 1000);
}

TEST(random_bytes_decode_like_the_naive_twin) {
  std::mt19937 random(8);
  for (int round = 0; round < 50000; ++round) {
    std::string stream(1 + random() % 40, '\0');
    for (char& c : stream) c = static_cast<char>(random());
    stream[0] = static_cast<char>(random() % 100);
    CHECK(Decompress(stream) == DecompressNaively(stream));
  }
}

}  // namespace
}  // namespace fastckpt::coding
