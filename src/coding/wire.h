// Protobuf wire format: a cursor over the fields of one message, for the index's hot path.
//
// Yields any field order, repeated scalars packed (as one kBytes field) or not, and skips groups,
// as TensorFlow's own parser does; unknown fields are yielded and for the caller to ignore. Never
// recurses and never allocates.
#ifndef FASTCKPT_CODING_WIRE_H_
#define FASTCKPT_CODING_WIRE_H_

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "coding/fixed.h"
#include "coding/varint.h"

namespace fastckpt::coding {

enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// One field. `value` holds varints and fixed-width numbers, `bytes` length-delimited content; the
// one that `type` does not name is unspecified.
struct WireField {
  std::uint32_t number = 0;
  WireType type = WireType::kVarint;
  std::uint64_t value = 0;
  ByteView bytes;

  bool Is(std::uint32_t wanted_number, WireType wanted_type) const {
    return number == wanted_number && type == wanted_type;
  }
  // int32 and enum fields: protobuf keeps the low 32 bits of the varint.
  std::int32_t AsInt32() const {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
  }
  std::int64_t AsInt64() const { return static_cast<std::int64_t>(value); }
};

// Groups nested deeper than this are malformed (protobuf's default recursion limit).
constexpr std::size_t kMaxGroupDepth = 100;

// Usage:  WireReader reader(bytes); WireField f; while (reader.Next(&f)) …; if (!reader.ok()) …
class WireReader {
 public:
  explicit WireReader(ByteView message) : p_(message.data()), end_(p_ + message.size()) {}

  // The next field of wire types 0, 1, 2 or 5. Groups (3, 4) are skipped whole. Returns false at
  // the end of the message and, from then on, after malformed input; ok() tells which.
  [[gnu::always_inline]] bool Next(WireField* field) {
    while (p_ != end_) {
      std::uint32_t tag = 0;
      const std::uint8_t* p = DecodeVarint32(p_, end_, &tag);
      if (p == nullptr || tag < kFirstTag) return Fail();
      if ((tag & 7) != kStartGroup) {
        p = ReadField(p, end_, tag, field);
        if (p == nullptr) return Fail();
        p_ = p;
        return true;
      }
      p = SkipGroup(p, end_, tag >> 3);
      if (p == nullptr) return Fail();
      p_ = p;
    }
    return false;
  }

  // False once malformed input was met: a truncated varint or field, field number 0, an unknown
  // wire type, an unmatched or too deeply nested group.
  bool ok() const { return ok_; }

 private:
  static constexpr std::uint32_t kFirstTag = 1 << 3;  // field numbers start at 1
  static constexpr std::uint32_t kStartGroup = 3;
  static constexpr std::uint32_t kEndGroup = 4;

  bool Fail() {
    ok_ = false;
    return false;
  }

  // These are static so that the cursor never leaves the caller's registers. Both return the
  // position after what they read, or nullptr.
  static const std::uint8_t* ReadField(const std::uint8_t* p, const std::uint8_t* end,
                                       std::uint32_t tag, WireField* field);
  static const std::uint8_t* SkipGroup(const std::uint8_t* p, const std::uint8_t* end,
                                       std::uint32_t number);

  const std::uint8_t* p_;
  const std::uint8_t* end_;
  bool ok_ = true;
};

[[gnu::always_inline]] inline const std::uint8_t* WireReader::ReadField(const std::uint8_t* p,
                                                                        const std::uint8_t* end,
                                                                        std::uint32_t tag,
                                                                        WireField* field) {
  field->number = tag >> 3;
  field->type = static_cast<WireType>(tag & 7);
  if (field->type == WireType::kVarint) return DecodeVarint64(p, end, &field->value);
  if (field->type == WireType::kBytes) {
    std::uint32_t size = 0;
    p = DecodeVarint32(p, end, &size);
    if (p == nullptr || size > static_cast<std::size_t>(end - p)) return nullptr;
    field->bytes = ByteView(p, size);
    return p + size;
  }
  if (field->type == WireType::kFixed32) {
    if (end - p < 4) return nullptr;
    field->value = LoadFixed32(p);
    return p + 4;
  }
  if (field->type != WireType::kFixed64 || end - p < 8) return nullptr;
  field->value = LoadFixed64(p);
  return p + 8;
}

}  // namespace fastckpt::coding

#endif  // FASTCKPT_CODING_WIRE_H_
