// Reads a string table, whole in key order or block by block, verifying every block it reads.
#ifndef FASTCKPT_TABLE_TABLE_READER_H_
#define FASTCKPT_TABLE_TABLE_READER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "io/source.h"
#include "table/block.h"
#include "table/format.h"

namespace fastckpt::table {

// A part of the table that cannot be used, and the keys that were lost with it: those after
// `after`, up to and including at most `up_to` (empty when no bound is known).
struct DamagedRange {
  Error error;
  std::string after;
  std::string up_to;
};

class TableReader {
 public:
  // Reads footer and index block. Throws DataLoss when the file is no table or its index block is
  // damaged, LimitExceeded when a compressed block claims to decode to more than
  // 8 MiB + 2 x the file's size.
  explicit TableReader(std::shared_ptr<const io::Source> source);

  // Calls on_entry(key, value) for every entry in key order, and on_damage(DamagedRange) for every
  // run of blocks that cannot be read or whose keys are not in strictly ascending order; on_damage
  // throws or returns, and the scan goes on behind them. Each block's checksum is verified; blocks
  // may have any size, restart interval and compression, and lie in ascending order in the file.
  // Key and value are valid during the call only.
  template <typename OnEntry, typename OnDamage>
  void Scan(OnEntry&& on_entry, OnDamage&& on_damage) const;

  // The one block that can hold `key`; nothing when all keys are less. Throws DataLoss when the
  // index block is malformed there.
  std::optional<BlockHandle> FindBlock(std::string_view key) const;

  // The content of one block, verified and decoded. Throws DataLoss.
  std::vector<std::uint8_t> ReadBlock(const BlockHandle& handle) const;

  // What no reader needs, checked all the same: metaindex block, footer padding, and bytes that
  // belong to no block and are not zero. One error for each finding.
  std::vector<Error> CheckUnread() const;

  // A CRC over every block's checksum and the footer: equal for equal content.
  std::uint32_t Fingerprint() const;

 private:
  // Buffers that one scan reuses from block to block.
  struct Buffers {
    std::vector<std::uint8_t> stored;
    std::vector<std::uint8_t> decoded;
  };

  // Where a scan stands.
  struct ScanState {
    Buffers buffers;
    BlockHandle block;
    std::uint64_t end_of_block = 0;
    std::string last_key;
    bool any = false;
  };

  // Moves to the block that an index entry names; the error when it cannot be used.
  std::optional<Error> NextBlock(ByteView handle, ScanState* state, ByteView* block) const;
  template <typename OnEntry>
  std::optional<Error> ScanBlock(ByteView block, ScanState* state, OnEntry&& on_entry) const;
  // Reads, verifies and decodes one block; the view points into `buffers`.
  ByteView ReadBlock(const BlockHandle& handle, Buffers* buffers) const;
  ByteView Decode(const BlockHandle& handle, ByteView stored, Buffers* buffers) const;
  BlockHandle DataHandle(ByteView value, std::uint64_t* end_of_previous) const;
  Error Damage(std::string message, std::uint64_t offset) const;
  // Every block that lies inside the file and behind the one before: data blocks, metaindex, index.
  std::vector<BlockHandle> AllBlocks() const;
  void CheckGaps(std::vector<Error>* findings) const;

  std::shared_ptr<const io::Source> source_;
  Footer footer_;
  std::vector<std::uint8_t> index_block_;
};

template <typename OnEntry, typename OnDamage>
void TableReader::Scan(OnEntry&& on_entry, OnDamage&& on_damage) const {
  ScanState state;
  std::optional<DamagedRange> damaged;
  const auto report = [&] {
    if (damaged) on_damage(*std::exchange(damaged, std::nullopt));
  };
  BlockCursor index{ByteView(index_block_)};
  while (index.Next()) {
    ByteView block;
    std::optional<Error> error = NextBlock(index.value(), &state, &block);
    if (!error) {
      report();
      error = ScanBlock(block, &state, on_entry);
    }
    if (!error) continue;
    if (!damaged) damaged.emplace(DamagedRange{*error, state.last_key, {}});
    damaged->up_to = index.key();
  }
  if (!index.ok()) {
    Error error = Damage("bad entry in index block", footer_.index.offset);
    if (!damaged) damaged.emplace(DamagedRange{std::move(error), state.last_key, {}});
    damaged->up_to.clear();
  }
  report();
}

template <typename OnEntry>
std::optional<Error> TableReader::ScanBlock(ByteView block, ScanState* state,
                                            OnEntry&& on_entry) const {
  BlockCursor cursor(block);
  while (cursor.Next()) {
    if (state->any && cursor.key() <= state->last_key) {
      return Damage("keys are not in ascending order", state->block.offset);
    }
    on_entry(cursor.key(), cursor.value());
    state->last_key = cursor.key();
    state->any = true;
  }
  if (!cursor.ok()) return Damage("bad entry in block", state->block.offset);
  return std::nullopt;
}

}  // namespace fastckpt::table

#endif  // FASTCKPT_TABLE_TABLE_READER_H_
