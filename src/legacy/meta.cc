#include "legacy/meta.h"

#include "coding/wire.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace fastckpt::legacy {
namespace {

using coding::WireField;
using coding::WireReader;
using coding::WireType;

// Calls on_field(field) for every field of the SavedTensorSliceMeta, until it returns false.
template <typename OnField>
bool WalkMeta(ByteView record, bool* has_meta, OnField&& on_field) {
  WireReader reader(record);
  for (WireField outer; reader.Next(&outer);) {
    if (!outer.Is(1, WireType::kBytes)) continue;
    *has_meta = true;
    WireReader meta(outer.bytes);
    for (WireField field; meta.Next(&field);) {
      if (!on_field(field)) return false;
    }
    if (!meta.ok()) return false;
  }
  return reader.ok();
}

// Appends a slice, one extent for each dimension of the layout's shape.
LayoutStatus AppendSlice(ByteView message, Layout* layout) {
  const std::size_t first = layout->extents.size();
  if (!tensor::DecodeSlice(message, &layout->extents)) return LayoutStatus::kBadMessage;
  if (layout->extents.size() - first != layout->shape.size()) return LayoutStatus::kBadSlices;
  for (std::size_t d = 0; d < layout->shape.size(); ++d) {
    if (!tensor::IsInside(layout->extents[first + d], layout->shape[d])) {
      return LayoutStatus::kBadSlices;
    }
  }
  return LayoutStatus::kOk;
}

// Adds `message`'s slices to `num_slices` and reads its dtype and shape.
LayoutStatus DecodeItem(ByteView message, Layout* item, std::uint64_t* num_slices) {
  bool has_name = false;
  bool unknown_rank = false;
  WireReader reader(message);
  for (WireField field; reader.Next(&field);) {
    if (field.Is(1, WireType::kBytes)) has_name = !field.bytes.empty();
    if (field.Is(3, WireType::kVarint)) item->dtype = field.AsInt32();
    if (field.Is(4, WireType::kBytes)) ++*num_slices;
    if (!field.Is(2, WireType::kBytes)) continue;
    if (!tensor::DecodeShape(field.bytes, &item->shape, &unknown_rank)) {
      return LayoutStatus::kBadMessage;
    }
  }
  if (!reader.ok() || !has_name) return LayoutStatus::kBadMessage;
  if (item->dtype <= tensor::kInvalid || item->dtype >= tensor::kNumDataTypes) {
    return LayoutStatus::kBadDtype;
  }
  const bool is_valid = !unknown_rank && tensor::NumElements(item->shape).has_value();
  return is_valid ? LayoutStatus::kOk : LayoutStatus::kBadShape;
}

LayoutStatus AppendSlices(const Item& item, Layout* layout) {
  WireReader reader(item.bytes());
  for (WireField field; reader.Next(&field);) {
    if (!field.Is(4, WireType::kBytes)) continue;
    const LayoutStatus status = AppendSlice(field.bytes, layout);
    if (status != LayoutStatus::kOk) return status;
    layout->files.push_back(item.file);
  }
  return LayoutStatus::kOk;
}

// The last name, as protobuf's parser takes it; what precedes damage still names the tensor.
void FindName(Item* item) {
  WireReader reader(item->bytes());
  for (WireField field; reader.Next(&field);) {
    if (!field.Is(1, WireType::kBytes) || field.bytes.empty()) continue;
    item->name_offset = static_cast<std::uint32_t>(field.bytes.data() - item->message);
    item->name_size = static_cast<std::uint32_t>(field.bytes.size());
  }
}

}  // namespace

bool Summarise(ByteView record, MetaSummary* summary) {
  return WalkMeta(record, &summary->has_meta, [&](const WireField& field) {
    if (field.Is(1, WireType::kBytes)) ++summary->num_items;
    return !field.Is(2, WireType::kBytes) || tensor::DecodeVersion(field.bytes, &summary->version);
  });
}

void AppendItems(ByteView record, std::uint32_t file, std::vector<Item>* items) {
  bool has_meta = false;
  WalkMeta(record, &has_meta, [&](const WireField& field) {
    if (!field.Is(1, WireType::kBytes)) return true;
    Item item;
    item.message = field.bytes.data();
    item.size = static_cast<std::uint32_t>(field.bytes.size());
    item.file = file;
    FindName(&item);
    items->push_back(item);
    return true;
  });
}

const char* Explain(LayoutStatus status) {
  switch (status) {
    case LayoutStatus::kOk:
      return "";
    case LayoutStatus::kBadMessage:
      return "what the file says of it cannot be parsed";
    case LayoutStatus::kBadDtype:
      return "its dtype number is not a storable type";
    case LayoutStatus::kBadShape:
      return "its shape is invalid (negative, unknown or overflowing dimensions, or rank > 254)";
    case LayoutStatus::kBadSlices:
      return "its slices do not fit its shape";
    case LayoutStatus::kDisagree:
      return "it is described twice, with different shapes or dtypes";
    case LayoutStatus::kTooMany:
      return "it has more slices than the size of the files justifies";
  }
  return "";
}

std::vector<coding::Extent> Layout::slice(std::size_t part) const {
  const auto first = extents.begin() + static_cast<std::ptrdiff_t>(part * shape.size());
  return {first, first + static_cast<std::ptrdiff_t>(shape.size())};
}

tensor::Box Layout::box(std::size_t part) const {
  tensor::Box box;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    const coding::Extent& extent = extents[part * shape.size() + d];
    box.starts.push_back(extent.start);
    box.sizes.push_back(extent.is_full() ? shape[d] : extent.length);
  }
  return box;
}

bool Layout::is_whole() const {
  return num_parts() == 1 && box(0).sizes == shape;
}

LayoutStatus DecodeLayout(std::span<const Item> items, std::uint64_t max_parts, Layout* layout) {
  std::uint64_t num_slices = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    Layout item;
    const LayoutStatus status = DecodeItem(items[i].bytes(), &item, &num_slices);
    if (status != LayoutStatus::kOk) return status;
    if (i == 0) *layout = item;
    if (item.dtype != layout->dtype || item.shape != layout->shape) return LayoutStatus::kDisagree;
  }
  if (num_slices > max_parts / (1 + layout->shape.size())) return LayoutStatus::kTooMany;
  layout->files.reserve(static_cast<std::size_t>(num_slices));
  layout->extents.reserve(static_cast<std::size_t>(num_slices) * layout->shape.size());
  for (const Item& item : items) {
    const LayoutStatus status = AppendSlices(item, layout);
    if (status != LayoutStatus::kOk) return status;
  }
  return LayoutStatus::kOk;
}

}  // namespace fastckpt::legacy
