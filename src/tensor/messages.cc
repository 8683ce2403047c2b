#include "tensor/messages.h"

#include <algorithm>

#include "coding/varint.h"
#include "coding/wire.h"
#include "coding/wire_append.h"

namespace fastckpt::tensor {
namespace {

using coding::WireField;
using coding::WireReader;
using coding::WireType;

constexpr std::int32_t kReaderVersion = 1;

bool AppendPacked(ByteView packed, std::vector<std::int32_t>* numbers) {
  const std::uint8_t* p = packed.data();
  const std::uint8_t* const end = p + packed.size();
  while (p != end) {
    std::uint64_t number;
    p = coding::DecodeVarint64(p, end, &number);
    if (p == nullptr) return false;
    numbers->push_back(static_cast<std::int32_t>(number));
  }
  return true;
}

// Extent {1 = start, 2 = length}; a missing length means the whole dimension.
bool DecodeExtent(ByteView message, coding::Extent* extent) {
  WireReader reader(message);
  for (WireField field; reader.Next(&field);) {
    if (field.Is(1, WireType::kVarint)) extent->start = field.AsInt64();
    if (field.Is(2, WireType::kVarint)) extent->length = field.AsInt64();
  }
  return reader.ok();
}

}  // namespace

bool VersionDef::is_supported() const {
  return producer >= 0 && min_consumer <= kReaderVersion &&
         std::ranges::count(bad_consumers, kReaderVersion) == 0;
}

bool DecodeVersion(ByteView message, VersionDef* version) {
  WireReader reader(message);
  for (WireField field; reader.Next(&field);) {
    if (field.Is(1, WireType::kVarint)) version->producer = field.AsInt32();
    if (field.Is(2, WireType::kVarint)) version->min_consumer = field.AsInt32();
    if (field.Is(3, WireType::kVarint)) version->bad_consumers.push_back(field.AsInt32());
    if (field.Is(3, WireType::kBytes) && !AppendPacked(field.bytes, &version->bad_consumers)) {
      return false;
    }
  }
  return reader.ok();
}

bool DecodeShape(ByteView message, std::vector<std::int64_t>* dims, bool* unknown_rank) {
  const std::size_t most = dims->size() + kMaxRank + 1;
  WireReader reader(message);
  for (WireField field; reader.Next(&field);) {
    if (field.Is(3, WireType::kVarint)) *unknown_rank = field.value != 0;
    if (!field.Is(2, WireType::kBytes)) continue;
    std::int64_t size = 0;
    WireReader dim(field.bytes);
    for (WireField part; dim.Next(&part);) {
      if (part.Is(1, WireType::kVarint)) size = part.AsInt64();
    }
    if (!dim.ok()) return false;
    if (dims->size() < most) dims->push_back(size);
  }
  return reader.ok();
}

bool DecodeSlice(ByteView message, std::vector<coding::Extent>* extents) {
  const std::size_t most = extents->size() + kMaxRank;
  WireReader reader(message);
  for (WireField field; reader.Next(&field);) {
    if (!field.Is(1, WireType::kBytes)) continue;
    coding::Extent extent;
    if (extents->size() == most || !DecodeExtent(field.bytes, &extent)) return false;
    extents->push_back(extent);
  }
  return reader.ok();
}

void AppendVersion(std::string& out, const VersionDef& version) {
  coding::AppendInt64Field(out, 1, version.producer);
  coding::AppendInt64Field(out, 2, version.min_consumer);
  if (version.bad_consumers.empty()) return;
  coding::AppendMessage(out, 3, [&] {
    for (const std::int64_t number : version.bad_consumers) {
      coding::AppendVarint64(out, static_cast<std::uint64_t>(number));
    }
  });
}

void AppendShape(std::string& out, ShapeView shape) {
  for (const std::int64_t dim : shape) {
    coding::AppendMessage(out, 2, [&] { coding::AppendInt64Field(out, 1, dim); });
  }
}

void AppendSlice(std::string& out, std::span<const coding::Extent> extents) {
  for (const coding::Extent& extent : extents) {
    coding::AppendMessage(out, 1, [&] {
      coding::AppendInt64Field(out, 1, extent.start);
      if (extent.is_full()) return;
      // The member of a oneof: its presence counts, so that zero is written too.
      coding::AppendTag(out, 2, WireType::kVarint);
      coding::AppendVarint64(out, static_cast<std::uint64_t>(extent.length));
    });
  }
}

bool IsInside(const coding::Extent& extent, std::int64_t dim) {
  if (extent.is_full()) return extent.start == 0;
  return extent.start >= 0 && extent.length >= 0 && extent.start <= dim &&
         extent.length <= dim - extent.start;
}

}  // namespace fastckpt::tensor
