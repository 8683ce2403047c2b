#include "table_model.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "coding/fixed.h"
#include "snappy_model.h"

namespace fastckpt::fuzz {
namespace {

using testing::KeyValues;

// Handles and sizes of the file format: a type byte and a checksum follow each block; the footer is
// two handles in 40 bytes, then 8 bytes of magic.
constexpr std::size_t kTrailer = 5;
constexpr std::size_t kFooter = 48;
constexpr std::size_t kMagic = 8;
constexpr std::size_t kMaxDecoded = std::size_t{1} << 20;

bool TakeHandle(ByteView* bytes, table::BlockHandle* handle) {
  return TakeVarint(bytes, &handle->offset) && TakeVarint(bytes, &handle->size);
}

// The stored content and type of a block; false when it is not inside the file.
bool FindStored(ByteView file, const table::BlockHandle& handle, ByteView* stored,
                std::uint8_t* type) {
  const std::size_t end = file.size() - kFooter;
  if (handle.offset > end || handle.size > end - handle.offset ||
      end - handle.offset - handle.size < kTrailer) {
    return false;
  }
  const auto offset = static_cast<std::size_t>(handle.offset);
  *stored = file.subspan(offset, static_cast<std::size_t>(handle.size));
  *type = file[offset + stored->size()];
  return true;
}

bool Uncompress(ByteView stored, std::uint8_t type, std::string* content) {
  *content = AsText(stored);
  if (type == 0) return true;
  const SnappyResult result = DecodeSnappyNaively(stored, kMaxDecoded);
  if (type != 1 || !result.ok || result.content.size() != result.claimed) return false;
  *content = result.content;
  return true;
}

std::uint64_t TakeFixed32(ByteView* bytes) {
  const std::uint32_t value = coding::LoadFixed32(bytes->data());
  *bytes = bytes->subspan(4);
  return value;
}

struct BlockContent {
  KeyValues entries;
  bool restarts_ok = false;
};

// Whether each restart is one of the places where entries share nothing, in order, the first first.
bool AreRight(ByteView restarts, const std::set<std::uint64_t>& places) {
  std::optional<std::uint64_t> last;
  while (!restarts.empty()) {
    const std::uint64_t place = TakeFixed32(&restarts);
    if (last ? place <= *last : place != 0) return false;
    if (!places.contains(place)) return false;
    last = place;
  }
  return true;
}

// False when an entry is malformed.
bool TakeEntry(ByteView* block, std::string* key, std::string* value, bool* shares) {
  std::uint64_t sizes[3];
  for (std::uint64_t& size : sizes) {
    const std::size_t before = block->size();
    if (!TakeVarint(block, &size) || before - block->size() > 5 || size >> 32 != 0) return false;
  }
  const auto [shared, unshared, value_size] = sizes;
  if (shared > key->size() || unshared + value_size > block->size()) return false;
  const std::string_view rest = AsText(*block);
  *key = key->substr(0, shared).append(rest.substr(0, unshared));
  *value = rest.substr(unshared, value_size);
  *shares = shared > 0;
  *block = block->subspan(static_cast<std::size_t>(unshared + value_size));
  return true;
}

// False when the block is malformed, restarts apart.
bool DecodeBlock(ByteView block, BlockContent* content) {
  if (block.size() < 4) return false;
  ByteView count = block.last(4);
  const std::uint64_t num_restarts = TakeFixed32(&count);
  if (num_restarts == 0 || num_restarts > block.size() / 4 - 1) return false;
  const auto tail = static_cast<std::size_t>(4 * num_restarts + 4);
  const ByteView restarts = block.last(tail).first(tail - 4);
  block = block.first(block.size() - tail);
  const std::size_t size = block.size();
  std::set<std::uint64_t> places{0};
  std::string key;
  while (!block.empty()) {
    const std::size_t place = size - block.size();
    std::string value;
    bool shares;
    if (!TakeEntry(&block, &key, &value, &shares)) return false;
    if (!shares) places.insert(place);
    content->entries.emplace_back(key, std::move(value));
  }
  content->restarts_ok = AreRight(restarts, places);
  return true;
}

// False when the block is not there, or malformed.
bool DecodeBlockAt(ByteView file, ByteView handle_bytes, BlockModel* block, bool* restarts_ok) {
  table::BlockHandle handle;
  ByteView stored;
  std::string content;
  if (!TakeHandle(&handle_bytes, &handle) || !FindStored(file, handle, &stored, &block->type)) {
    return false;
  }
  BlockContent decoded;
  if (Uncompress(stored, block->type, &content) && DecodeBlock(AsBytes(content), &decoded)) {
    block->entries = std::move(decoded.entries);
    *restarts_ok = *restarts_ok && decoded.restarts_ok;
    return true;
  }
  block->opaque = AsText(stored);
  return false;
}

std::string Content(const BlockModel& block) {
  if (block.opaque) return *block.opaque;
  testing::BlockWriter writer(block.restart_interval);
  for (const auto& [key, value] : block.entries) writer.Add(key, value);
  const std::string content = writer.Finish();
  return block.type == 1 ? testing::SnappyLiteral(content) : content;
}

}  // namespace

KeyValues TableModel::Entries() const {
  KeyValues all;
  for (const BlockModel& block : blocks) std::ranges::copy(block.entries, std::back_inserter(all));
  return all;
}

std::string* TableModel::Find(std::string_view key) {
  for (BlockModel& block : blocks) {
    const auto found = std::ranges::find(block.entries, key, &KeyValues::value_type::first);
    if (found != block.entries.end()) return &found->second;
  }
  return nullptr;
}

void TableModel::Sort() {
  KeyValues all = Entries();
  std::ranges::stable_sort(all, {}, &KeyValues::value_type::first);
  const auto repeated = std::ranges::unique(all, {}, &KeyValues::value_type::first);
  all.erase(repeated.begin(), repeated.end());
  auto next = all.begin();
  for (BlockModel& block : blocks) {
    if (block.opaque) continue;
    const auto count = std::min<std::ptrdiff_t>(std::ssize(block.entries), all.end() - next);
    block.entries.assign(next, next + count);
    next += count;
    if (count > 0) block.index_key = block.entries.back().first;
  }
  std::erase_if(blocks, [](const BlockModel& b) { return b.entries.empty() && !b.opaque; });
}

TableModel DecodeTable(ByteView file) {
  TableModel table;
  table.ok = file.size() >= kFooter;
  if (!table.ok) return table;
  ByteView footer = file.last(kFooter).first(kFooter - kMagic);
  table::BlockHandle metaindex;
  table::BlockHandle index_handle;
  ByteView stored;
  std::uint8_t type = 0;
  std::string content;
  BlockContent index;
  table.ok = TakeHandle(&footer, &metaindex) && TakeHandle(&footer, &index_handle) &&
             FindStored(file, index_handle, &stored, &type) && Uncompress(stored, type, &content) &&
             DecodeBlock(AsBytes(content), &index);
  table.restarts_ok = index.restarts_ok;
  for (const auto& [key, handle] : index.entries) {
    BlockModel block;
    block.index_key = key;
    if (DecodeBlockAt(file, AsBytes(handle), &block, &table.restarts_ok)) {
      table.blocks.push_back(std::move(block));
    } else {
      table.ok = false;
      if (block.opaque) table.blocks.push_back(std::move(block));
    }
  }
  return table;
}

std::string EncodeTable(const TableModel& table) {
  testing::TableFile file;
  for (const BlockModel& block : table.blocks) {
    table::BlockHandle handle = file.AppendBlock(Content(block), block.type, block.crc_flip);
    handle.offset += block.offset_shift;
    handle.size += block.size_shift;
    file.AppendIndexEntry(block.index_key, handle);
  }
  testing::FooterFields footer;
  if (table.padding) footer.padding = *table.padding;
  return file.Finish(footer);
}

}  // namespace fastckpt::fuzz
