#include "legacy/value_fields.h"

#include <algorithm>
#include <array>

namespace fastckpt::legacy {
namespace {

using coding::WireType;

// By DataType number.
constexpr auto kValueFields = std::to_array<ValueField>({
    {1, 5, WireType::kFixed32, 1, 4, false},            // float32
    {2, 6, WireType::kFixed64, 1, 8, false},            // float64
    {3, 7, WireType::kVarint, 1, 10, true},             // int32
    {4, 7, WireType::kVarint, 1, 2, false},             // uint8
    {5, 7, WireType::kVarint, 1, 10, true},             // int16
    {6, 7, WireType::kVarint, 1, 10, true},             // int8
    {7, kStringValue, WireType::kBytes, 1, 10, false},  // string
    {8, 9, WireType::kFixed32, 2, 8, false},            // complex64
    {9, 10, WireType::kVarint, 1, 10, true},            // int64
    {10, 11, WireType::kVarint, 1, 1, false},           // bool
    {11, 7, WireType::kVarint, 1, 10, true},            // qint8
    {12, 7, WireType::kVarint, 1, 2, false},            // quint8
    {13, 7, WireType::kVarint, 1, 10, true},            // qint32
    {17, 7, WireType::kVarint, 1, 3, false},            // uint16
    {18, 12, WireType::kFixed64, 2, 16, false},         // complex128
    {19, 13, WireType::kVarint, 1, 3, false},           // float16
});

}  // namespace

const ValueField* FindValueField(std::int32_t dtype) {
  const auto found = std::ranges::find(kValueFields, dtype, &ValueField::dtype);
  return found == kValueFields.end() ? nullptr : &*found;
}

}  // namespace fastckpt::legacy
