#include "bundle/index_writer.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "bundle/entry_encoder.h"
#include "coding/ordered.h"
#include "crc/crc32c.h"
#include "table/table_builder.h"

namespace fastckpt::bundle {
namespace {

// An entry to come: an item, or the entry that names the slices of a partitioned tensor.
struct Row {
  std::string_view key;
  const StoredItem* item = nullptr;
  const Partitioned* partitioned = nullptr;
};

std::vector<Row> SortedRows(const StoredItems& items, const Partitions& partitions) {
  std::vector<Row> rows;
  rows.reserve(items.size() + partitions.tensors().size());
  for (std::size_t i = 0; i < items.size(); ++i) rows.push_back({items.key(items[i]), &items[i]});
  for (const auto& [name, tensor] : partitions.tensors()) rows.push_back({name, nullptr, &tensor});
  // Most callers come with sorted names already.
  if (!std::ranges::is_sorted(rows, {}, &Row::key)) std::ranges::sort(rows, {}, &Row::key);
  return rows;
}

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

}  // namespace

void WriteIndex(const StoredItems& items, const Partitions& partitions, std::int32_t num_shards,
                std::function<void(ByteView)> write) {
  const std::vector<Row> rows = SortedRows(items, partitions);
  table::TableBuilder builder(std::move(write));
  builder.Add({}, EncodeHeader(num_shards));
  std::string value;
  std::string_view previous;
  for (const Row& row : rows) {
    if (row.key == previous) ThrowDuplicate(row.key);
    previous = row.key;
    value.clear();
    AppendEntry(value, row.item != nullptr ? EncodeItem(items, *row.item)
                                           : EncodePartitioned(*row.partitioned));
    builder.Add(row.key, value);
  }
  builder.Finish();
}

}  // namespace fastckpt::bundle
