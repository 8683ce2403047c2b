#include "bundle/blocks.h"

#include <algorithm>
#include <vector>

#include "crc/crc32c.h"
#include "tensor/dtype.h"

namespace fastckpt::bundle {
namespace {

constexpr std::uint32_t kBitsPerWord = 64;

std::uint64_t Bit(std::uint32_t block) {
  return std::uint64_t{1} << (block % kBitsPerWord);
}

}  // namespace

std::uint32_t CrcOfRange(const io::Source& source, std::uint64_t offset, std::uint64_t size) {
  std::uint32_t crc = 0;
  source.ForEachPiece(offset, size,
                      [&](ByteView piece) { crc = crc::Extend(crc, piece.data(), piece.size()); });
  return crc;
}

BlockRange RangeOf(const BlockTable& table, const Entry& entry, std::uint32_t block) {
  const std::uint64_t begin = block * table.block_size;
  return {begin, begin + std::min(table.block_size, entry.size - begin)};
}

struct BlockChecks::TableState {
  enum class Trust : std::uint8_t { kUnknown, kNo, kYes };

  std::atomic<Trust> trust{Trust::kUnknown};
  std::atomic<std::uint32_t> num_verified{0};
  // One bit for each block, made at first use.
  std::atomic<std::atomic<std::uint64_t>*> bits{nullptr};
};

BlockChecks::BlockChecks(const Index& index) : index_(index) {
  static_assert(sizeof(TableState) <= 24, "counted in index.cc");
  const std::size_t count = index.block_tables().size();
  if (count > 0) states_.reset(new TableState[count]);
}

BlockChecks::~BlockChecks() {
  for (std::size_t i = 0; i < index_.block_tables().size(); ++i) delete[] states_[i].bits.load();
}

BlockChecks::TableState& BlockChecks::state(const BlockTable& table) const {
  return states_[static_cast<std::size_t>(&table - index_.block_tables().data())];
}

const BlockTable* BlockChecks::Find(std::uint32_t id) const {
  const auto& tables = index_.block_tables();
  const auto found = std::ranges::lower_bound(tables, id, {}, &BlockTable::entry_id);
  if (found == tables.end() || found->entry_id != id) return nullptr;
  using Trust = TableState::Trust;
  std::atomic<Trust>& trust = state(*found).trust;
  if (trust.load(std::memory_order_relaxed) == Trust::kUnknown) {
    trust.store(AgreesWithEntry(*found) ? Trust::kYes : Trust::kNo, std::memory_order_relaxed);
  }
  return trust.load(std::memory_order_relaxed) == Trust::kYes ? &*found : nullptr;
}

bool BlockChecks::AgreesWithEntry(const BlockTable& table) const {
  const Entry& entry = index_.entries()[table.entry_id];
  if (!tensor::IsPlain(entry.dtype)) return true;
  std::uint32_t crc = 0;
  std::uint32_t block = 0;
  for (const std::uint32_t block_crc : index_.block_crcs(table)) {
    crc = crc::Combine(crc, block_crc, RangeOf(table, entry, block++).size());
  }
  return crc == entry.crc;
}

// Threads that come at the same time make one each, and all but the first throw theirs away.
std::atomic<std::uint64_t>* BlockChecks::Bits(const BlockTable& table) const {
  std::atomic<std::atomic<std::uint64_t>*>& bits = state(table).bits;
  std::atomic<std::uint64_t>* present = bits.load(std::memory_order_acquire);
  if (present != nullptr) return present;
  const std::size_t words = (table.count - 1) / kBitsPerWord + 1;
  std::unique_ptr<std::atomic<std::uint64_t>[]> fresh(new std::atomic<std::uint64_t>[words]());
  if (bits.compare_exchange_strong(present, fresh.get(), std::memory_order_acq_rel)) {
    present = fresh.release();
  }
  return present;
}

bool BlockChecks::IsVerified(const BlockTable& table, std::uint32_t block) const {
  const std::uint64_t word = Bits(table)[block / kBitsPerWord].load(std::memory_order_acquire);
  return (word & Bit(block)) != 0;
}

bool BlockChecks::MarkVerified(const BlockTable& table, std::uint32_t block) const {
  std::atomic<std::uint64_t>& word = Bits(table)[block / kBitsPerWord];
  const std::uint64_t before = word.fetch_or(Bit(block), std::memory_order_acq_rel);
  if ((before & Bit(block)) != 0) return false;
  return state(table).num_verified.fetch_add(1, std::memory_order_acq_rel) + 1 == table.count;
}

std::optional<BlockDamage> BlockChecks::Locate(std::uint32_t id, const io::Source& source) const {
  const BlockTable* const table = Find(id);
  if (table == nullptr) return std::nullopt;
  const Entry& entry = index_.entries()[id];
  BlockDamage damage;
  damage.num_blocks = table->count;
  for (std::uint32_t block = 0; block < table->count; ++block) {
    const BlockRange range = RangeOf(*table, entry, block);
    const std::uint32_t crc = CrcOfRange(source, entry.offset + range.begin, range.size());
    if (crc == index_.block_crcs(*table)[block]) continue;
    if (damage.num_damaged++ == 0) damage.first = range;
  }
  if (damage.num_damaged == 0) return std::nullopt;
  return damage;
}

}  // namespace fastckpt::bundle
