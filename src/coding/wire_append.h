// Protobuf wire format: appends the fields of one message, in ascending order of field numbers, as
// protobuf itself writes them. Numbers equal to zero are left out (proto3).
#ifndef FASTCKPT_CODING_WIRE_APPEND_H_
#define FASTCKPT_CODING_WIRE_APPEND_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "coding/fixed.h"
#include "coding/varint.h"
#include "coding/wire.h"

namespace fastckpt::coding {

// The same field written at `p`, where a tag and a varint of ten bytes each have room; returns the
// position behind.
inline char* PutInt64Field(char* p, std::uint32_t number, std::int64_t value) {
  if (value == 0) return p;
  p = PutVarint64(p, std::uint64_t{number} << 3 | static_cast<std::uint64_t>(WireType::kVarint));
  return PutVarint64(p, static_cast<std::uint64_t>(value));
}

inline void AppendTag(std::string& out, std::uint32_t number, WireType type) {
  AppendVarint64(out, std::uint64_t{number} << 3 | static_cast<std::uint64_t>(type));
}

// int32, int64 and enum fields; negative numbers take ten bytes.
inline void AppendInt64Field(std::string& out, std::uint32_t number, std::int64_t value) {
  if (value == 0) return;
  AppendTag(out, number, WireType::kVarint);
  AppendVarint64(out, static_cast<std::uint64_t>(value));
}

inline void AppendFixed32Field(std::string& out, std::uint32_t number, std::uint32_t value) {
  if (value == 0) return;
  AppendTag(out, number, WireType::kFixed32);
  AppendFixed32(out, value);
}

// A length-delimited field, empty or not, whose content is what `append_content()` appends to
// `out`. Content of 128 bytes or more is moved once to make room for its length.
template <typename AppendContent>
void AppendMessage(std::string& out, std::uint32_t number, AppendContent&& append_content) {
  AppendTag(out, number, WireType::kBytes);
  const std::size_t at = out.size();
  out.push_back('\0');
  append_content();
  const std::size_t size = out.size() - at - 1;
  if (size < 0x80) {
    out[at] = static_cast<char>(size);
    return;
  }
  std::string length;
  AppendVarint64(length, size);
  out.replace(at, 1, length);
}

}  // namespace fastckpt::coding

#endif  // FASTCKPT_CODING_WIRE_APPEND_H_
