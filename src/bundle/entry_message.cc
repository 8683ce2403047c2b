#include "bundle/entry_message.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "coding/fixed.h"
#include "coding/varint.h"
#include "coding/wire.h"
#include "coding/wire_append.h"

namespace fastckpt::bundle {
namespace {

using coding::WireField;
using coding::WireReader;
using coding::WireType;

constexpr std::uint32_t kShardIdField = 3;
constexpr std::uint32_t kSlicesField = 7;

enum class Kind : std::uint8_t {
  kInt32,
  kInt64,
  kOneofInt64,  // written where it is present, zero or not
  kBool,
  kFixed32,
  kText,
  kMessage,
  kMessages,  // repeated
};

struct MessageType;

struct FieldType {
  std::uint32_t number;
  Kind kind;
  const MessageType* message = nullptr;
};

// In ascending order.
struct MessageType {
  std::span<const FieldType> fields;
};

// tensor_slice.proto, tensor_shape.proto, tensor_bundle.proto.
constexpr std::array<FieldType, 2> kExtentFields = {{{1, Kind::kInt64}, {2, Kind::kOneofInt64}}};
constexpr MessageType kExtent = {kExtentFields};
constexpr std::array<FieldType, 1> kSliceFields = {{{1, Kind::kMessages, &kExtent}}};
constexpr MessageType kSlice = {kSliceFields};
constexpr std::array<FieldType, 2> kDimFields = {{{1, Kind::kInt64}, {2, Kind::kText}}};
constexpr MessageType kDim = {kDimFields};
constexpr std::array<FieldType, 2> kShapeFields = {{{2, Kind::kMessages, &kDim}, {3, Kind::kBool}}};
constexpr MessageType kShape = {kShapeFields};
constexpr std::array<FieldType, 7> kEntryFields = {{{1, Kind::kInt32},
                                                    {2, Kind::kMessage, &kShape},
                                                    {kShardIdField, Kind::kInt32},
                                                    {4, Kind::kInt64},
                                                    {5, Kind::kInt64},
                                                    {6, Kind::kFixed32},
                                                    {kSlicesField, Kind::kMessages, &kSlice}}};
constexpr MessageType kEntry = {kEntryFields};

WireType WireTypeOf(Kind kind) {
  if (kind == Kind::kFixed32) return WireType::kFixed32;
  const bool is_bytes = kind == Kind::kText || kind == Kind::kMessage || kind == Kind::kMessages;
  return is_bytes ? WireType::kBytes : WireType::kVarint;
}

bool IsOf(const WireField& field, const FieldType& type) {
  return field.Is(type.number, WireTypeOf(type.kind));
}

// A field as it was, in the shortest encoding of its numbers.
void AppendField(std::string& out, const WireField& field) {
  coding::AppendTag(out, field.number, field.type);
  switch (field.type) {
    case WireType::kVarint:
      return coding::AppendVarint64(out, field.value);
    case WireType::kFixed32:
      return coding::AppendFixed32(out, static_cast<std::uint32_t>(field.value));
    case WireType::kFixed64:
      return coding::AppendFixed64(out, field.value);
    case WireType::kBytes:
      coding::AppendVarint64(out, field.bytes.size());
      out.append(AsText(field.bytes));
  }
}

void AppendCanonical(std::string& out, const MessageType& type, ByteView message);

void AppendNested(std::string& out, const FieldType& type, ByteView content) {
  coding::AppendMessage(out, type.number, [&] { AppendCanonical(out, *type.message, content); });
}

void AppendRepeated(std::string& out, const FieldType& type, ByteView message) {
  WireReader reader(message);
  for (WireField field; reader.Next(&field);) {
    if (IsOf(field, type)) AppendNested(out, type, field.bytes);
  }
}

// A single message that stands more than once is all of them, one behind the other.
void AppendJoined(std::string& out, const FieldType& type, ByteView message) {
  std::string content;
  WireReader reader(message);
  for (WireField field; reader.Next(&field);) {
    if (IsOf(field, type)) content.append(AsText(field.bytes));
  }
  AppendNested(out, type, AsBytes(content));
}

void AppendScalar(std::string& out, Kind kind, const WireField& field) {
  WireField scalar = field;
  if (kind == Kind::kInt32) scalar.value = static_cast<std::uint64_t>(field.AsInt32());
  if (kind == Kind::kBool) scalar.value = field.value != 0;
  const bool is_zero = kind == Kind::kText ? field.bytes.empty() : scalar.value == 0;
  if (!is_zero || kind == Kind::kOneofInt64) AppendField(out, scalar);
}

void AppendKnown(std::string& out, const FieldType& type, ByteView message) {
  if (type.kind == Kind::kMessages) return AppendRepeated(out, type, message);
  std::size_t count = 0;
  WireField last;
  WireReader reader(message);
  for (WireField field; reader.Next(&field);) {
    if (!IsOf(field, type)) continue;
    last = field;
    ++count;
  }
  if (count == 0) return;
  if (type.kind != Kind::kMessage) return AppendScalar(out, type.kind, last);
  if (count > 1) return AppendJoined(out, type, message);
  AppendNested(out, type, last.bytes);
}

void AppendUnknown(std::string& out, const MessageType& type, ByteView message) {
  WireReader reader(message);
  for (WireField field; reader.Next(&field);) {
    const auto is_known = [&](const FieldType& known) { return IsOf(field, known); };
    if (std::ranges::none_of(type.fields, is_known)) AppendField(out, field);
  }
}

// Reads the message once for each known field: messages are short, and nothing is allocated.
void AppendCanonical(std::string& out, const MessageType& type, ByteView message) {
  for (const FieldType& field : type.fields) AppendKnown(out, field, message);
  AppendUnknown(out, type, message);
}

}  // namespace

void AppendShardId(std::string& message, std::int32_t shard_id) {
  // Zero is written too: it replaces a number before it.
  coding::AppendTag(message, kShardIdField, WireType::kVarint);
  coding::AppendVarint64(message, static_cast<std::uint64_t>(std::int64_t{shard_id}));
}

void AppendSlicesOf(std::string& message, ByteView entry) {
  WireReader reader(entry);
  for (WireField field; reader.Next(&field);) {
    if (field.Is(kSlicesField, WireType::kBytes)) AppendField(message, field);
  }
}

void AppendCanonicalEntry(std::string& out, ByteView message) {
  AppendCanonical(out, kEntry, message);
}

}  // namespace fastckpt::bundle
