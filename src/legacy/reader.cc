#include "legacy/reader.h"

#include <algorithm>
#include <ranges>
#include <tuple>
#include <utility>

#include "coding/ordered.h"
#include "table/block.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace fastckpt::legacy {
namespace {

constexpr std::uint64_t kLayoutAllowance = std::uint64_t{4} << 20;
// What a slice takes in memory while a tensor is put together, and again for each dimension.
constexpr std::uint64_t kSliceBytes = 64;

// Blocks of up to this size are kept after use: they hold many small records.
constexpr std::size_t kKeptBytes = std::size_t{1} << 20;

const char* Explain(ValueError error) {
  switch (error) {
    case ValueError::kNone:
      return "";
    case ValueError::kMalformed:
      return "the record of a slice cannot be parsed";
    case ValueError::kCount:
      return "the record of a slice holds another number of elements than the slice has";
    case ValueError::kTensorContent:
      return "the record of a slice uses tensor_content, which V1 checkpoints may not";
  }
  return "";
}

}  // namespace

Error Reader::TensorError(ErrorCode code, std::string message, std::uint32_t id,
                          const std::string& path) const {
  return Error(code, std::move(message)).At(path).ForKey(std::string(name(id)));
}

std::uint32_t Reader::Find(std::string_view name) const {
  const auto ids = std::views::iota(std::uint32_t{0}, static_cast<std::uint32_t>(num_tensors()));
  const auto found =
      std::ranges::lower_bound(ids, name, {}, [this](std::uint32_t id) { return this->name(id); });
  if (found == ids.end() || this->name(*found) != name) {
    throw Error(ErrorCode::kTensorNotFound, "no tensor of this name in the checkpoint")
        .At(paths_.front())
        .ForKey(std::string(name));
  }
  return *found;
}

std::shared_ptr<const Layout> Reader::Describe(std::uint32_t id) const {
  {
    const std::lock_guard lock(mutex_);
    if (last_layout_ && last_layout_id_ == id) return last_layout_;
  }
  auto layout = std::make_shared<Layout>();
  const auto items =
      std::span(items_).subspan(first_items_[id], first_items_[id + 1] - first_items_[id]);
  const std::uint64_t max_parts = (kLayoutAllowance + file_bytes_) / kSliceBytes;
  const LayoutStatus status = DecodeLayout(items, max_parts, layout.get());
  if (status != LayoutStatus::kOk) {
    const bool is_limit = status == LayoutStatus::kTooMany;
    throw TensorError(is_limit ? ErrorCode::kLimitExceeded : ErrorCode::kDataLoss,
                      std::string("the tensor cannot be read: ") + legacy::Explain(status), id,
                      files_[items.front().file].source->path());
  }
  const std::lock_guard lock(mutex_);
  last_layout_id_ = id;
  last_layout_ = layout;
  return layout;
}

std::shared_ptr<const Layout> Reader::DescribeDisjoint(std::uint32_t id) const {
  std::shared_ptr<const Layout> layout = Describe(id);
  std::vector<tensor::Box> boxes;
  for (std::size_t part = 0; part < layout->num_parts(); ++part) boxes.push_back(layout->box(part));
  const std::string& path = files_[items_[first_items_[id]].file].source->path();
  switch (tensor::FindOverlap(boxes)) {
    case tensor::OverlapResult::kDisjoint:
      return layout;
    case tensor::OverlapResult::kTooMany:
      throw TensorError(ErrorCode::kLimitExceeded,
                        "the tensor has too many slices to tell whether they overlap", id, path);
    case tensor::OverlapResult::kOverlap:
      break;
  }
  const auto place = [](const tensor::Box& box) { return std::tie(box.starts, box.sizes); };
  std::ranges::sort(boxes, {}, place);
  if (std::ranges::adjacent_find(boxes, {}, place) != boxes.end()) {
    throw TensorError(ErrorCode::kDataLoss,
                      "the same slice of the tensor is stored in two places; which one is right is "
                      "unknown",
                      id, path);
  }
  throw TensorError(ErrorCode::kInvalidArgument, "stored slices of the tensor overlap", id, path);
}

std::shared_ptr<const std::vector<std::uint8_t>> Reader::ReadBlock(
    std::uint32_t file, const table::BlockHandle& handle) const {
  {
    const std::lock_guard lock(mutex_);
    const CachedBlock& last = last_block_;
    if (last.bytes && last.file == file && last.offset == handle.offset) return last.bytes;
    // Not two large blocks at once.
    last_block_ = {};
  }
  auto bytes =
      std::make_shared<const std::vector<std::uint8_t>>(files_[file].table->ReadBlock(handle));
  bytes_read_.fetch_add(handle.size, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  last_block_ = {file, handle.offset, bytes};
  return bytes;
}

void Reader::Release() const {
  const std::lock_guard lock(mutex_);
  if (last_block_.bytes && last_block_.bytes->size() > kKeptBytes) last_block_ = {};
}

Record Reader::FindRecord(std::uint32_t file, const std::string& key) const {
  Record record;
  const auto handle = files_[file].table->FindBlock(key);
  if (!handle) return record;
  auto block = ReadBlock(file, *handle);
  table::BlockCursor cursor{ByteView(*block)};
  if (cursor.Seek(key) && cursor.key() == key) {
    record.value = cursor.value();
    record.block = std::move(block);
  } else if (!cursor.ok()) {
    throw Error(ErrorCode::kDataLoss, "bad entry in block")
        .At(files_[file].source->path(), handle->offset);
  }
  return record;
}

std::uint64_t Reader::CountOf(const Layout& layout, std::size_t part) const {
  // No slice is larger than its tensor, whose count was checked.
  return static_cast<std::uint64_t>(*tensor::NumElements(layout.box(part).sizes));
}

Record Reader::Fetch(std::uint32_t id, std::size_t part) const {
  const std::shared_ptr<const Layout> layout = Describe(id);
  const std::uint32_t file = layout->files.at(part);
  const std::string& path = files_[file].source->path();
  if (!IsStorable(layout->dtype)) {
    throw TensorError(
        ErrorCode::kUnsupported,
        "V1 checkpoints cannot hold tensors of DataType " + std::to_string(layout->dtype), id,
        path);
  }
  Record record;
  try {
    record = FindRecord(file, coding::EncodeSliceKey(name(id), layout->slice(part)));
  } catch (const Error& error) {
    throw Error(error).ForKey(std::string(name(id)));
  }
  if (!record.block) {
    throw TensorError(ErrorCode::kDataLoss, "the record of a slice is missing", id, path);
  }
  record.dtype = layout->dtype;
  record.count = CountOf(*layout, part);
  const ValueError error = CheckValues(record.dtype, record.value, record.count);
  if (error != ValueError::kNone) {
    const bool is_content = error == ValueError::kTensorContent;
    throw TensorError(is_content ? ErrorCode::kUnsupported : ErrorCode::kDataLoss, Explain(error),
                      id, path);
  }
  return record;
}

void Reader::ReadPart(std::uint32_t id, std::size_t part, MutableBytes out) const {
  const Record record = Fetch(id, part);
  const auto size = CheckedMul(record.count, tensor::ItemSize(record.dtype));
  if (!tensor::IsPlain(record.dtype) || size != out.size()) {
    throw TensorError(ErrorCode::kInvalidArgument, "the buffer has another size than the slice", id,
                      paths_.front());
  }
  CopyValues(record.dtype, record.value, out);
}

std::uint64_t Reader::PartSize(std::uint32_t id, std::size_t part) const {
  const std::shared_ptr<const Layout> layout = Describe(id);
  if (layout->dtype != tensor::kString) {
    const std::uint64_t item_size = tensor::ItemSize(layout->dtype);
    return CheckedMul(CountOf(*layout, part), item_size).value_or(~std::uint64_t{0});
  }
  std::uint64_t total = 0;
  try {
    const Record record = Fetch(id, part);
    StringValues strings(record.value);
    for (ByteView element; strings.Next(&element);) total += element.size();
  } catch (const Error&) {
    return 0;  // Reading the tensor reports it.
  }
  return total;
}

}  // namespace fastckpt::legacy
