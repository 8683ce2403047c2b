// The order-preserving encoding of slice keys (TensorFlow's ordered_code):
//
//   key = Num(0) Str(name) Num(rank) { SNum(start) SNum(length) } per dimension
//
// A dimension taken in full has start 0 and length -1. Encoded keys start with byte 0x00 and so
// sort before every ordinary name.
//
//   Num(u)   one byte n, then the n significant bytes of u, big-endian
//   Str(s)   the bytes of s with 00 -> 00 ff and ff -> ff 00, then 00 01
//   SNum(v)  1 to 10 bytes: a header whose leading ones count the bytes, then v, big-endian;
//            negative numbers are the complement of ~v
//
// Comparing encodings as unsigned bytes compares the values.
#ifndef FASTCKPT_CODING_ORDERED_H_
#define FASTCKPT_CODING_ORDERED_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace fastckpt::coding {

// One dimension of a slice: [start, start + length), or all of it when length is kFullExtent.
struct Extent {
  static constexpr std::int64_t kFullExtent = -1;
  std::int64_t start = 0;
  std::int64_t length = kFullExtent;

  bool is_full() const { return length == kFullExtent; }
  friend bool operator==(const Extent&, const Extent&) = default;
};

// Building blocks; each appends to `out`.
void AppendOrderedNum(std::string& out, std::uint64_t value);
void AppendOrderedString(std::string& out, std::string_view value);
void AppendOrderedSignedNum(std::string& out, std::int64_t value);

// Decoders return the position after the value, or nullptr on malformed input; an encoding longer
// than the one the Append functions make counts as malformed. DecodeOrderedString replaces `value`.
const std::uint8_t* DecodeOrderedNum(const std::uint8_t* p, const std::uint8_t* end,
                                     std::uint64_t* value);
const std::uint8_t* DecodeOrderedString(const std::uint8_t* p, const std::uint8_t* end,
                                        std::string* value);
const std::uint8_t* DecodeOrderedSignedNum(const std::uint8_t* p, const std::uint8_t* end,
                                           std::int64_t* value);

struct SliceKey {
  std::string name;
  std::vector<Extent> extents;
};

// The highest rank of a tensor shape in TensorFlow.
constexpr std::size_t kMaxSliceRank = 254;

std::string EncodeSliceKey(std::string_view name, const std::vector<Extent>& extents);

// The inverse; nothing when `key` is not a whole, well-formed slice key of rank <= kMaxSliceRank.
// Whether the extents make sense for a shape is the caller's question.
std::optional<SliceKey> DecodeSliceKey(ByteView key);

inline bool IsSliceKey(std::string_view key) {
  return DecodeSliceKey(AsBytes(key)).has_value();
}

}  // namespace fastckpt::coding

#endif  // FASTCKPT_CODING_ORDERED_H_
