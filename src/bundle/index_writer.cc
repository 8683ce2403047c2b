#include "bundle/index_writer.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/prefetch.h"
#include "bundle/entry_encoder.h"
#include "bundle/key_order.h"
#include "coding/ordered.h"
#include "crc/crc32c.h"
#include "table/table_builder.h"

namespace fastckpt::bundle {
namespace {

[[noreturn]] void ThrowDuplicate(std::string_view key) {
  const auto slice = coding::DecodeSliceKey(AsBytes(key));
  throw Error(ErrorCode::kInvalidArgument,
              slice ? "one slice of the tensor was added twice" : "two tensors have the same name")
      .ForKey(slice ? slice->name : std::string(key));
}

EncodedEntry EncodeItem(const StoredItems& items, const StoredItem& item) {
  EncodedEntry entry;
  entry.dtype = item.dtype;
  entry.shape = items.shape(item);
  entry.shard_id = item.shard;
  entry.offset = static_cast<std::int64_t>(item.offset);
  entry.size = static_cast<std::int64_t>(item.size);
  entry.masked_crc = crc::Mask(item.crc);
  entry.masked_block_crcs = items.blocks(item);
  entry.block_size = kCrcBlockSize;
  return entry;
}

EncodedEntry EncodePartitioned(const Partitioned& tensor) {
  EncodedEntry entry;
  entry.dtype = tensor.dtype;
  entry.shape = tensor.shape;
  entry.slices = tensor.extents;
  return entry;
}

// Entries ahead of the one being written whose memory is asked for.
constexpr std::size_t kAhead = 16;

// The entries to come: the items, then those that name the slices of partitioned tensors.
class Rows {
 public:
  Rows(const StoredItems& items, const Partitions& partitions) : items_(items) {
    keys_.reserve(items.size() + partitions.tensors().size());
    for (std::size_t i = 0; i < items.size(); ++i) keys_.push_back(items.key(items[i]));
    for (const auto& [name, tensor] : partitions.tensors()) {
      keys_.push_back(name);
      partitioned_.push_back(&tensor);
    }
    order_ = KeyOrder(keys_);
  }

  std::size_t size() const { return order_.size(); }
  std::string_view key(std::size_t i) const { return keys_[order_[i]]; }

  EncodedEntry Encode(std::size_t i) const {
    const std::uint32_t row = order_[i];
    return row < items_.size() ? EncodeItem(items_, items_[row])
                               : EncodePartitioned(*partitioned_[row - items_.size()]);
  }

  // Lets the memory of entries behind the i-th come while that one is written: where the order is
  // not that of the items each would be waited for.
  void Prefetch(std::size_t i) const {
    if (i + kAhead < order_.size()) PrefetchRow(order_[i + kAhead]);
    if (i + kAhead / 2 < order_.size()) PrefetchContent(order_[i + kAhead / 2]);
  }

 private:
  void PrefetchRow(std::uint32_t row) const {
    fastckpt::Prefetch(&keys_[row]);
    if (row >= items_.size()) return;
    fastckpt::Prefetch(&items_[row]);
    fastckpt::Prefetch(reinterpret_cast<const char*>(&items_[row]) + sizeof(StoredItem) - 1);
  }

  void PrefetchContent(std::uint32_t row) const {
    const std::string_view key = keys_[row];
    fastckpt::Prefetch(key.data());
    fastckpt::Prefetch(key.data() + key.size());
    if (row < items_.size()) fastckpt::Prefetch(items_.shape(items_[row]).data());
  }

  const StoredItems& items_;
  std::vector<std::string_view> keys_;
  std::vector<const Partitioned*> partitioned_;
  std::vector<std::uint32_t> order_;
};

}  // namespace

void WriteIndex(const StoredItems& items, const Partitions& partitions, std::int32_t num_shards,
                std::function<void(ByteView)> write) {
  const Rows rows(items, partitions);
  table::TableBuilder builder(std::move(write));
  builder.Add({}, EncodeHeader(num_shards));
  std::string value;
  std::string_view previous;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows.Prefetch(i);
    const std::string_view key = rows.key(i);
    if (key == previous) ThrowDuplicate(key);
    previous = key;
    value.clear();
    AppendEntry(value, rows.Encode(i));
    builder.Add(key, value);
  }
  builder.Finish();
}

}  // namespace fastckpt::bundle
