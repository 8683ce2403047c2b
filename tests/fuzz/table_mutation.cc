#include <algorithm>
#include <utility>

#include "table_model.h"

namespace fastckpt::fuzz {
namespace {

using testing::KeyValues;

void MutateEntries(Random& random, KeyValues* entries, const ChangeEntry& change_entry) {
  const std::size_t at = random.Below(entries->size());
  const auto place = entries->begin() + static_cast<std::ptrdiff_t>(at);
  switch (entries->empty() ? 0 : random.Below(16)) {
    case 0:
      entries->emplace(place);
      break;
    case 1:
      entries->erase(place);
      return;
    case 2:
      std::swap((*entries)[at], (*entries)[random.Below(entries->size())]);
      break;
    case 3: {
      auto copy = *place;
      copy.first.push_back('x');
      entries->insert(place + 1, std::move(copy));
      break;
    }
    default:
      break;
  }
  change_entry(random, &(*entries)[at]);
}

// Cuts a block in two, or joins it with the one after it.
void Regroup(Random& random, std::vector<BlockModel>* blocks) {
  const std::size_t at = random.Below(blocks->size());
  BlockModel& block = (*blocks)[at];
  if (random.OneIn(2) && at + 1 < blocks->size()) {
    KeyValues& next = (*blocks)[at + 1].entries;
    next.insert(next.begin(), block.entries.begin(), block.entries.end());
    blocks->erase(blocks->begin() + static_cast<std::ptrdiff_t>(at));
    return;
  }
  BlockModel first = block;
  const auto cut =
      block.entries.begin() + static_cast<std::ptrdiff_t>(random.Below(block.entries.size() + 1));
  first.entries.assign(block.entries.begin(), cut);
  block.entries.erase(block.entries.begin(), cut);
  if (!first.entries.empty()) first.index_key = first.entries.back().first;
  blocks->insert(blocks->begin() + static_cast<std::ptrdiff_t>(at), std::move(first));
}

std::string StoredEntries(const BlockModel& block) {
  testing::BlockWriter writer(block.restart_interval);
  for (const auto& [key, value] : block.entries) writer.Add(key, value);
  return writer.Finish();
}

// A Snappy stream that says it is of any size.
std::string MissizedStream(Random& random, const std::string& content) {
  const std::string stream = testing::SnappyLiteral(content);
  ByteView elements = AsBytes(stream);
  std::uint64_t size = 0;
  TakeVarint(&elements, &size);
  return testing::Varint(HostileNumber(random) & 0xFFFFFFFFu).append(AsText(elements));
}

void MutateEncoding(Random& random, BlockModel* block) {
  switch (random.Below(9)) {
    case 8:
      block->opaque = MissizedStream(random, StoredEntries(*block));
      block->type = 1;
      break;
    case 0:
      block->type =
          static_cast<std::uint8_t>(random.OneIn(4) ? random.Below(256) : random.Below(2));
      break;
    case 1:
    case 2:
      block->restart_interval = 1 + random.Below(20);
      break;
    case 3:
      block->crc_flip = static_cast<std::uint32_t>(random.Next());
      break;
    case 4:
      block->offset_shift = HostileNumber(random);
      break;
    case 5:
      block->size_shift = HostileNumber(random);
      break;
    case 6:
      MutateText(random, &block->index_key);
      break;
    default:
      if (!block->opaque) block->opaque = StoredEntries(*block);
      MutateText(random, &*block->opaque);
      break;
  }
}

}  // namespace

void MutateTable(Random& random, TableModel* table, const ChangeEntry& change_entry) {
  if (table->blocks.empty()) table->blocks.emplace_back();
  BlockModel& block = table->blocks[random.Below(table->blocks.size())];
  const std::size_t choice = random.Below(32);
  if (choice == 0) {
    table->padding = std::string(40, static_cast<char>(random.Below(256)));
  } else if (choice == 1) {
    std::swap(block, table->blocks[random.Below(table->blocks.size())]);
  } else if (choice < 4) {
    Regroup(random, &table->blocks);
  } else if (choice < 8) {
    MutateEncoding(random, &block);
  } else {
    MutateEntries(random, &block.entries, change_entry);
  }
  if (!random.OneIn(16)) table->Sort();
}

}  // namespace fastckpt::fuzz
