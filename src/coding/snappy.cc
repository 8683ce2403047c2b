#include "coding/snappy.h"

#include <cstddef>
#include <cstring>

#include "coding/varint.h"

namespace fastckpt::coding {
namespace {

// Bytes moved at a time where both ranges have room for them.
constexpr std::size_t kChunk = 16;

// Literals of up to 60 bytes carry their length in the tag; 61 to 64 name 1 to 4 length bytes.
constexpr std::size_t kMaxShortLiteral = 60;

constexpr std::size_t kMaxCopy = 64;

struct Cursor {
  const std::uint8_t* in;
  const std::uint8_t* in_end;
  std::uint8_t* out_begin;
  std::uint8_t* out;
  std::uint8_t* out_end;

  std::size_t in_left() const { return static_cast<std::size_t>(in_end - in); }
  std::size_t out_left() const { return static_cast<std::size_t>(out_end - out); }
  std::size_t out_done() const { return static_cast<std::size_t>(out - out_begin); }
};

// Takes a little-endian number of `size` <= 4 bytes.
bool TakeNumber(Cursor& cursor, std::size_t size, std::size_t* value) {
  if (cursor.in_left() < size) return false;
  std::size_t result = 0;
  for (std::size_t i = 0; i < size; ++i) result |= std::size_t{cursor.in[i]} << (8 * i);
  cursor.in += size;
  *value = result;
  return true;
}

bool TakeLiteral(Cursor& cursor, unsigned tag) {
  std::size_t length = (tag >> 2) + 1;
  if (length > kMaxShortLiteral) {
    if (!TakeNumber(cursor, length - kMaxShortLiteral, &length)) return false;
    ++length;
  }
  if (length > cursor.in_left() || length > cursor.out_left()) return false;
  if (length <= kChunk && cursor.in_left() >= kChunk && cursor.out_left() >= kChunk) {
    std::memcpy(cursor.out, cursor.in, kChunk);
  } else {
    std::memcpy(cursor.out, cursor.in, length);
  }
  cursor.in += length;
  cursor.out += length;
  return true;
}

// Repeats the last `offset` bytes until `length` are written. What is repeated doubles with each
// step.
void CopyPattern(std::uint8_t* out, std::size_t offset, std::size_t length) {
  const std::uint8_t* pattern = out - offset;
  for (; length > offset; offset *= 2) {
    std::memcpy(out, pattern, offset);
    out += offset;
    length -= offset;
  }
  std::memcpy(out, pattern, length);
}

bool Copy(Cursor& cursor, std::size_t offset, std::size_t length) {
  if (offset == 0 || offset > cursor.out_done() || length > cursor.out_left()) return false;
  if (offset >= kChunk && cursor.out_left() >= kMaxCopy) {
    // May write past the copy, still inside `out`: the next elements overwrite it.
    for (std::size_t i = 0; i < length; i += kChunk) {
      std::memcpy(cursor.out + i, cursor.out + i - offset, kChunk);
    }
  } else {
    CopyPattern(cursor.out, offset, length);
  }
  cursor.out += length;
  return true;
}

bool TakeCopy(Cursor& cursor, unsigned tag) {
  std::size_t length = (tag >> 2) + 1;
  std::size_t offset = 0;
  switch (tag & 3) {
    case 1:
      length = (tag >> 2 & 7) + 4;
      if (!TakeNumber(cursor, 1, &offset)) return false;
      offset |= std::size_t{tag >> 5} << 8;
      break;
    case 2:
      if (!TakeNumber(cursor, 2, &offset)) return false;
      break;
    default:
      if (!TakeNumber(cursor, 4, &offset)) return false;
      break;
  }
  return Copy(cursor, offset, length);
}

// The position after the preamble, or nullptr.
const std::uint8_t* DecodePreamble(ByteView compressed, std::uint32_t* size) {
  return DecodeVarint32(compressed.data(), compressed.data() + compressed.size(), size);
}

}  // namespace

std::optional<std::uint32_t> SnappyDecodedSize(ByteView compressed) {
  std::uint32_t size = 0;
  if (DecodePreamble(compressed, &size) == nullptr) return std::nullopt;
  return size;
}

bool SnappyDecode(ByteView compressed, MutableBytes out) {
  std::uint32_t size = 0;
  const std::uint8_t* in = DecodePreamble(compressed, &size);
  if (in == nullptr || size != out.size()) return false;
  Cursor cursor{in, compressed.data() + compressed.size(), out.data(), out.data(),
                out.data() + out.size()};
  while (cursor.in != cursor.in_end) {
    const unsigned tag = *cursor.in++;
    if (!((tag & 3) == 0 ? TakeLiteral(cursor, tag) : TakeCopy(cursor, tag))) return false;
  }
  return cursor.out == cursor.out_end;
}

}  // namespace fastckpt::coding
