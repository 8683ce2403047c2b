// The blocks of large entries, each with a CRC of its own: which of them were verified, and where
// damage lies.
#ifndef FASTCKPT_BUNDLE_BLOCKS_H_
#define FASTCKPT_BUNDLE_BLOCKS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "bundle/index.h"
#include "io/source.h"

namespace fastckpt::bundle {

// CRC-32C of [offset, offset + size) of a source: of the map, or read piece by piece. Sizes are
// re-checked.
std::uint32_t CrcOfRange(const io::Source& source, std::uint64_t offset, std::uint64_t size);

// Bytes of an entry, counted from its first.
struct BlockRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t size() const { return end - begin; }
};
BlockRange RangeOf(const BlockTable& table, const Entry& entry, std::uint32_t block);

// What block CRCs tell of damaged bytes.
struct BlockDamage {
  // The first damaged block.
  BlockRange first;
  std::uint32_t num_damaged = 0;
  std::uint32_t num_blocks = 0;
};

// The block CRCs of an index, and a memory of the blocks that were verified. Safe to use from many
// threads. The index must outlive it.
class BlockChecks {
 public:
  explicit BlockChecks(const Index& index);
  ~BlockChecks();
  BlockChecks(const BlockChecks&) = delete;
  BlockChecks& operator=(const BlockChecks&) = delete;

  // The block CRCs of an entry, or null where it has none to rely on: those of numbers must combine
  // to the entry's own CRC, which is looked at once. (That of strings does not cover the stored
  // bytes as they are.)
  const BlockTable* Find(std::uint32_t id) const;

  bool IsVerified(const BlockTable& table, std::uint32_t block) const;
  // True when every block of the entry is verified with this one.
  bool MarkVerified(const BlockTable& table, std::uint32_t block) const;

  // Reads all blocks of an entry; empty where none is damaged or there are no block CRCs. Throws
  // what reading throws.
  std::optional<BlockDamage> Locate(std::uint32_t id, const io::Source& source) const;

 private:
  struct TableState;

  TableState& state(const BlockTable& table) const;
  bool AgreesWithEntry(const BlockTable& table) const;
  std::atomic<std::uint64_t>* Bits(const BlockTable& table) const;

  const Index& index_;
  // One for each table.
  std::unique_ptr<TableState[]> states_;
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_BLOCKS_H_
