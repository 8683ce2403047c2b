#include "legacy/encode.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "coding/varint.h"
#include "coding/wire_append.h"
#include "legacy/value_fields.h"
#include "tensor/dtype.h"
#include "tensor/gather.h"
#include "tensor/messages.h"

namespace fastckpt::legacy {
namespace {

using coding::AppendMessage;
using coding::AppendTag;
using coding::AppendVarint64;
using coding::WireType;

// Fields of SavedTensorSliceMeta and SavedSliceMeta.
constexpr std::uint32_t kMetaItem = 1;
constexpr std::uint32_t kMetaVersions = 2;
constexpr std::uint32_t kItemName = 1;
constexpr std::uint32_t kItemShape = 2;
constexpr std::uint32_t kItemDtype = 3;
constexpr std::uint32_t kItemSlice = 4;

constexpr std::int32_t kProducer = 1;

// What TensorFlow's estimate allows for the framing of a TensorProto.
constexpr std::uint64_t kTensorFraming = 1024;

// Three tags and three lengths before the elements.
constexpr std::size_t kMaxFraming = 3 * (coding::kMaxVarint32Bytes + 10);

constexpr std::size_t kGatherBytes = std::size_t{64} << 10;

constexpr std::size_t kMaxVarintBytes = 10;

std::uint64_t Count(const tensor::Input& input) {
  return static_cast<std::uint64_t>(tensor::NumElements(input.shape).value_or(0));
}

std::uint64_t StringBytes(const tensor::Input& input) {
  std::uint64_t size = 0;
  for (const ByteView element : input.elements) size += element.size();
  return size;
}

void AppendText(std::string& out, std::uint32_t number, std::string_view text) {
  AppendTag(out, number, WireType::kBytes);
  AppendVarint64(out, text.size());
  out.append(text);
}

// The fields of a SavedSlice before its data.
std::string SliceHead(const tensor::Input& input) {
  std::string head;
  AppendText(head, kSliceName, input.name);
  AppendMessage(head, kSliceExtents, [&] { tensor::AppendSlice(head, ExtentsOf(input)); });
  return head;
}

// --- Elements ------------------------------------------------------------------------------------

bool IsInPlace(const tensor::Input& input) {
  return !input.swap_bytes &&
         (input.strides.empty() ||
          tensor::IsContiguous(input.shape, input.strides, tensor::ItemSize(input.dtype)));
}

tensor::StridedArray ArrayOf(const tensor::Input& input) {
  tensor::StridedArray array{input.data, tensor::ItemSize(input.dtype), 1, {}, {}};
  if (input.swap_bytes) array.swap_unit = tensor::SwapUnit(input.dtype);
  array.shape.assign(input.shape.begin(), input.shape.end());
  array.strides.assign(input.strides.begin(), input.strides.end());
  if (input.strides.empty()) {
    std::int64_t stride = array.item_size;
    array.strides.resize(array.shape.size());
    for (std::size_t d = array.shape.size(); d-- > 0; stride *= array.shape[d]) {
      array.strides[d] = stride;
    }
  }
  tensor::Simplify(&array);
  return array;
}

// Calls on_bytes(bytes) with all elements in row-major and native byte order, whole elements a
// time.
template <typename OnBytes>
void ForEachRun(const tensor::Input& input, OnBytes&& on_bytes) {
  const std::uint64_t size = ElementBytes(input);
  if (size == 0) return;
  if (IsInPlace(input)) return on_bytes(ByteView(input.data, size));
  const tensor::StridedArray array = ArrayOf(input);
  std::vector<std::uint8_t> buffer(std::min<std::uint64_t>(size, kGatherBytes));
  for (std::uint64_t begin = 0; begin < size; begin += kGatherBytes) {
    const MutableBytes run(buffer.data(), std::min<std::uint64_t>(size - begin, kGatherBytes));
    tensor::Gather(array, begin, run);
    on_bytes(ByteView(run));
  }
}

std::uint8_t* PutVarint(std::uint8_t* p, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) *p++ = static_cast<std::uint8_t>(value | 0x80);
  *p++ = static_cast<std::uint8_t>(value);
  return p;
}

// Negative elements are widened to 64 bits, as protobuf writes them.
template <typename Element>
void AppendVarints(ByteView elements, std::string* out) {
  constexpr std::size_t kStep = 512 * sizeof(Element);
  std::array<std::uint8_t, 512 * kMaxVarintBytes> encoded;
  for (std::size_t at = 0; at < elements.size(); at += kStep) {
    const ByteView step = elements.subspan(at, std::min(kStep, elements.size() - at));
    std::uint8_t* end = encoded.data();
    for (std::size_t i = 0; i < step.size(); i += sizeof(Element)) {
      Element element;
      std::memcpy(&element, step.data() + i, sizeof element);
      end = PutVarint(end, static_cast<std::uint64_t>(static_cast<std::int64_t>(element)));
    }
    out->append(reinterpret_cast<const char*>(encoded.data()),
                static_cast<std::size_t>(end - encoded.data()));
  }
}

void AppendBools(ByteView elements, std::string* out) {
  for (const std::uint8_t element : elements) out->push_back(element != 0 ? '\1' : '\0');
}

void AppendIntegers(const ValueField& field, ByteView elements, std::string* out) {
  if (field.dtype == tensor::kBool) return AppendBools(elements, out);
  switch (tensor::ItemSize(field.dtype)) {
    case 1:
      return field.is_signed ? AppendVarints<std::int8_t>(elements, out)
                             : AppendVarints<std::uint8_t>(elements, out);
    case 2:
      return field.is_signed ? AppendVarints<std::int16_t>(elements, out)
                             : AppendVarints<std::uint16_t>(elements, out);
    case 4:
      return AppendVarints<std::int32_t>(elements, out);
    default:
      return AppendVarints<std::int64_t>(elements, out);
  }
}

// Appends what follows the tag and length of a packed field, or all fields of a string tensor.
void AppendValues(const ValueField& field, const tensor::Input& input, std::string* out) {
  if (field.type == WireType::kBytes) {
    for (const ByteView element : input.elements) AppendText(*out, field.number, AsText(element));
    return;
  }
  ForEachRun(input, [&](ByteView elements) {
    if (field.type == WireType::kVarint) return AppendIntegers(field, elements, out);
    out->append(AsText(elements));
  });
}

}  // namespace

std::vector<coding::Extent> ExtentsOf(const tensor::Input& input) {
  if (!input.is_slice()) return std::vector<coding::Extent>(input.shape.size());
  return {input.extents.begin(), input.extents.end()};
}

std::uint64_t ElementBytes(const tensor::Input& input) {
  if (input.dtype == tensor::kString) return StringBytes(input);
  return Count(input) * tensor::ItemSize(input.dtype);
}

std::uint64_t EstimateRecord(const tensor::Input& input) {
  const auto elements = CheckedMul(Count(input), FindValueField(input.dtype)->max_bytes);
  if (!elements || *elements > kMaxRecordEstimate) return kMaxRecordEstimate + 1;
  return SliceHead(input).size() + kTensorFraming + *elements + StringBytes(input);
}

std::string_view RecordEncoder::Encode(const tensor::Input& input) {
  const ValueField& field = *FindValueField(input.dtype);
  std::string slice = SliceHead(input);
  // The lengths that stand before the elements are known after them.
  const std::size_t room = slice.size() + kMaxFraming;
  buffer_.clear();
  if (field.type == WireType::kFixed32 || field.type == WireType::kFixed64) {
    buffer_.reserve(room + ElementBytes(input));
  }
  buffer_.resize(room);
  AppendValues(field, input, &buffer_);
  const std::size_t size = buffer_.size() - room;

  std::string tensor;
  if (size > 0 && field.type != WireType::kBytes) {
    AppendTag(tensor, field.number, WireType::kBytes);
    AppendVarint64(tensor, size);
  }
  AppendTag(slice, kSliceData, WireType::kBytes);
  AppendVarint64(slice, tensor.size() + size);
  slice += tensor;
  std::string head;
  AppendTag(head, kRecordData, WireType::kBytes);
  AppendVarint64(head, slice.size() + size);
  head += slice;
  const std::size_t begin = room - head.size();
  std::memcpy(buffer_.data() + begin, head.data(), head.size());
  return std::string_view(buffer_).substr(begin);
}

std::string EncodeMeta(std::span<const tensor::Input* const> inputs) {
  std::string out;
  const auto append_item = [&](std::span<const tensor::Input* const> parts) {
    const tensor::Input& first = *parts.front();
    AppendText(out, kItemName, first.name);
    AppendMessage(out, kItemShape, [&] {
      tensor::AppendShape(out, first.is_slice() ? first.full_shape : first.shape);
    });
    coding::AppendInt64Field(out, kItemDtype, first.dtype);
    for (const tensor::Input* part : parts) {
      AppendMessage(out, kItemSlice, [&] { tensor::AppendSlice(out, ExtentsOf(*part)); });
    }
  };
  AppendMessage(out, kRecordMeta, [&] {
    for (std::size_t begin = 0, end = 0; begin < inputs.size(); begin = end) {
      while (end < inputs.size() && inputs[end]->name == inputs[begin]->name) ++end;
      AppendMessage(out, kMetaItem, [&] { append_item(inputs.subspan(begin, end - begin)); });
    }
    AppendMessage(out, kMetaVersions, [&] { tensor::AppendVersion(out, {kProducer, 0, {}}); });
  });
  return out;
}

}  // namespace fastckpt::legacy
