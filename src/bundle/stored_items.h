// What a writer remembers of each tensor it has laid out, until the index is written.
#ifndef FASTCKPT_BUNDLE_STORED_ITEMS_H_
#define FASTCKPT_BUNDLE_STORED_ITEMS_H_

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "io/large_allocator.h"
#include "tensor/shape.h"

namespace fastckpt::bundle {

// Bytes under one block CRC (docs/format.md, "Block checksums").
constexpr std::uint64_t kCrcBlockSize = std::uint64_t{4} << 20;

// One entry that has bytes: a tensor, or a slice of a partitioned one.
struct StoredItem {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t key_offset = 0;
  std::uint64_t first_dim = 0;
  std::uint32_t key_size = 0;
  std::uint32_t crc = 0;  // unmasked
  std::int32_t shard = 0;
  std::uint32_t first_block = 0;
  std::uint32_t num_blocks = 0;
  std::uint8_t rank = 0;
  std::uint8_t dtype = 0;
};

// All of them in flat arrays, in the order in which they were added.
class StoredItems {
 public:
  std::size_t size() const { return items_.size(); }
  StoredItem& operator[](std::size_t i) { return items_[i]; }
  const StoredItem& operator[](std::size_t i) const { return items_[i]; }

  // So many more will come: what follows grows less often.
  void Expect(std::size_t count) {
    const std::size_t needed = items_.size() + count;
    if (needed > items_.capacity()) items_.reserve(std::max(needed, 2 * items_.size()));
  }

  // Adds an item with its key and shape; the rest is for the caller to fill in.
  StoredItem& Append(std::string_view key, tensor::ShapeView shape) {
    StoredItem& item = items_.emplace_back();
    item.key_offset = keys_.size();
    item.key_size = static_cast<std::uint32_t>(key.size());
    item.first_dim = dims_.size();
    item.rank = static_cast<std::uint8_t>(shape.size());
    keys_.insert(keys_.end(), key.begin(), key.end());
    dims_.insert(dims_.end(), shape.begin(), shape.end());
    return item;
  }

  // Masked block CRCs of an item, in order.
  void SetBlocks(StoredItem* item, std::span<const std::uint32_t> masked_crcs) {
    item->first_block = static_cast<std::uint32_t>(blocks_.size());
    item->num_blocks = static_cast<std::uint32_t>(masked_crcs.size());
    blocks_.insert(blocks_.end(), masked_crcs.begin(), masked_crcs.end());
  }

  std::string_view key(const StoredItem& item) const {
    return {keys_.data() + item.key_offset, item.key_size};
  }
  tensor::ShapeView shape(const StoredItem& item) const {
    return tensor::ShapeView(dims_).subspan(item.first_dim, item.rank);
  }
  std::span<const std::uint32_t> blocks(const StoredItem& item) const {
    return std::span(blocks_).subspan(item.first_block, item.num_blocks);
  }

 private:
  template <typename T>
  using Large = std::vector<T, io::LargeAllocator<T>>;

  Large<StoredItem> items_;
  Large<char> keys_;
  Large<std::int64_t> dims_;
  std::vector<std::uint32_t> blocks_;
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_STORED_ITEMS_H_
