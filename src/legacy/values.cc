#include "legacy/values.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "coding/varint.h"
#include "legacy/value_fields.h"
#include "tensor/dtype.h"

namespace fastckpt::legacy {
namespace {

using coding::WireField;
using coding::WireType;

constexpr std::uint32_t kTensorContent = 4;  // of TensorProto

std::uint64_t Width(WireType type) {
  return type == WireType::kFixed32 ? 4 : 8;
}

// Calls store(value) for every varint; false when one is malformed.
template <typename Store>
bool ForEachVarint(ByteView packed, Store&& store) {
  const std::uint8_t* p = packed.data();
  const std::uint8_t* const end = p + packed.size();
  while (p != end) {
    std::uint64_t value;
    p = coding::DecodeVarint64(p, end, &value);
    if (p == nullptr) return false;
    store(value);
  }
  return true;
}

// Number of units (elements, or halves of complex ones) in one field of the TensorProto; nothing
// when it is malformed.
std::optional<std::uint64_t> CountUnits(const ValueField& wanted, const WireField& field) {
  if (field.number != wanted.number) return 0;
  if (field.type == wanted.type) return 1;
  if (field.type != WireType::kBytes) return 0;
  if (wanted.type == WireType::kVarint) {
    std::uint64_t count = 0;
    const bool is_whole = ForEachVarint(field.bytes, [&](std::uint64_t) { ++count; });
    return is_whole ? std::optional(count) : std::nullopt;
  }
  const std::uint64_t width = Width(wanted.type);
  if (field.bytes.size() % width != 0) return std::nullopt;
  return field.bytes.size() / width;
}

template <typename Element>
void CopyVarints(const ValueField& wanted, ByteView record, MutableBytes out) {
  std::uint8_t* p = out.data();
  std::uint8_t* const end = p + out.size();
  const auto store = [&](std::uint64_t value) {
    if (p == end) return;
    const auto element = static_cast<Element>(value);
    std::memcpy(p, &element, sizeof element);
    p += sizeof element;
  };
  TensorFields fields(record);
  for (WireField field; fields.Next(&field);) {
    if (field.Is(wanted.number, WireType::kVarint)) store(field.value);
    if (field.Is(wanted.number, WireType::kBytes)) ForEachVarint(field.bytes, store);
  }
}

void CopyFixed(const ValueField& wanted, ByteView record, MutableBytes out) {
  const auto append = [&](const void* source, std::size_t size) {
    size = std::min(size, out.size());
    if (size > 0) std::memcpy(out.data(), source, size);
    out = out.subspan(size);
  };
  TensorFields fields(record);
  for (WireField field; fields.Next(&field);) {
    if (field.number != wanted.number) continue;
    if (field.type == wanted.type) append(&field.value, Width(wanted.type));
    if (field.type == WireType::kBytes) append(field.bytes.data(), field.bytes.size());
  }
}

}  // namespace

bool TensorFields::Next(WireField* field) {
  while (!tensor_.Next(field)) {
    WireField outer;
    if (!tensor_.ok()) return false;
    if (slice_.Next(&outer)) {
      if (outer.Is(kSliceData, WireType::kBytes)) tensor_ = coding::WireReader(outer.bytes);
    } else if (!slice_.ok() || !record_.Next(&outer)) {
      return false;
    } else if (outer.Is(kRecordData, WireType::kBytes)) {
      slice_ = coding::WireReader(outer.bytes);
    }
  }
  return true;
}

bool StringValues::Next(ByteView* element) {
  for (WireField field; fields_.Next(&field);) {
    if (!field.Is(kStringValue, WireType::kBytes)) continue;
    *element = field.bytes;
    return true;
  }
  return false;
}

bool IsStorable(std::int32_t dtype) {
  return FindValueField(dtype) != nullptr;
}

ValueError CheckValues(std::int32_t dtype, ByteView record, std::uint64_t count) {
  const ValueField& wanted = *FindValueField(dtype);
  std::uint64_t units = 0;
  bool has_content = false;
  TensorFields fields(record);
  for (WireField field; fields.Next(&field);) {
    const auto more = CountUnits(wanted, field);
    if (!more) return ValueError::kMalformed;
    units += *more;
    if (field.Is(kTensorContent, WireType::kBytes)) has_content |= !field.bytes.empty();
  }
  if (!fields.ok()) return ValueError::kMalformed;
  const auto expected = CheckedMul(count, wanted.units_per_element);
  if (expected && *expected == units) return ValueError::kNone;
  return units == 0 && has_content ? ValueError::kTensorContent : ValueError::kCount;
}

void CopyValues(std::int32_t dtype, ByteView record, MutableBytes out) {
  const ValueField& wanted = *FindValueField(dtype);
  if (wanted.type != WireType::kVarint) return CopyFixed(wanted, record, out);
  if (dtype == tensor::kBool) return CopyVarints<bool>(wanted, record, out);
  switch (tensor::ItemSize(dtype)) {
    case 1:
      return CopyVarints<std::uint8_t>(wanted, record, out);
    case 2:
      return CopyVarints<std::uint16_t>(wanted, record, out);
    case 4:
      return CopyVarints<std::uint32_t>(wanted, record, out);
    default:
      return CopyVarints<std::uint64_t>(wanted, record, out);
  }
}

}  // namespace fastckpt::legacy
