// A table file: scanned whole, looked up block by block, and compared with a reader made from the
// text of the format (table_model.h).

#include <algorithm>
#include <memory>

#include "io/source.h"
#include "memory_files.h"
#include "table/table_reader.h"
#include "table_model.h"

namespace fastckpt::fuzz {
namespace {

using table::TableReader;
using testing::KeyValues;

struct Scanned {
  KeyValues entries;
  std::vector<Outcome> damage;
};

Scanned Scan(const TableReader& table) {
  Scanned scanned;
  table.Scan([&](std::string_view key,
                 ByteView value) { scanned.entries.emplace_back(key, AsText(value)); },
             [&](const table::DamagedRange& damaged) {
               scanned.damage.push_back(OutcomeOf(damaged.error));
               REQUIRE(scanned.damage.back().offset.has_value());
               const std::string last = scanned.entries.empty() ? "" : scanned.entries.back().first;
               REQUIRE(damaged.after == last);
             });
  return scanned;
}

void CheckBlockCursor(const std::vector<std::uint8_t>& block, std::string_view key) {
  table::BlockCursor cursor{ByteView(block)};
  if (cursor.Seek(key)) REQUIRE(cursor.key() >= key);
}

// Whether the index keys separate the blocks as the format wants them to.
bool IsIndexRight(const TableModel& model) {
  std::string_view last;
  bool first = true;
  for (const BlockModel& block : model.blocks) {
    if (block.entries.empty()) return false;
    if (!first && block.entries.front().first <= last) return false;
    if (block.index_key < block.entries.back().first) return false;
    last = block.index_key;
    first = false;
  }
  return true;
}

void CheckLookups(const TableReader& table, const KeyValues& entries, bool must_find) {
  for (const auto& [key, value] : entries) {
    const auto handle = table.FindBlock(key);
    REQUIRE(handle || !must_find);
    if (!handle) continue;
    const auto block = table.ReadBlock(*handle);
    table::BlockCursor cursor{ByteView(block)};
    const bool found = cursor.Seek(key) && cursor.key() == key;
    REQUIRE(!found || !must_find || AsText(cursor.value()) == value);
    REQUIRE(found || !must_find);
  }
}

void CheckHostileLookups(const TableReader& table, const KeyValues& entries) {
  for (const auto& [key, value] : entries) {
    Try([&] {
      const auto handle = table.FindBlock(key);
      if (handle) CheckBlockCursor(table.ReadBlock(*handle), key);
    });
    Try([&] { table.FindBlock(key + "x"); });
  }
}

std::unique_ptr<TableReader> Open(const std::shared_ptr<const io::Source>& source,
                                  Outcome* outcome) {
  std::unique_ptr<TableReader> table;
  *outcome = Try([&] { table = std::make_unique<TableReader>(source); });
  REQUIRE(outcome->ok() || outcome->path == "p.index");
  return table;
}

void CheckTable(ByteView input) {
  MemoryFiles files({0, {{kIndexName, std::string(AsText(input))}}});
  Outcome outcome;
  Outcome same;
  std::unique_ptr<TableReader> table;
  {
    const MemoryBound bound(input.size());
    table = Open(io::MemorySource("p.index", {input.begin(), input.end()}), &outcome);
  }
  const auto twin = Open(io::OpenSource("p.index", io::Backend::kPositional, files), &same);
  REQUIRE(outcome == same);
  if (!table) return;
  // A compressed block can be too large, which stops the scan.
  Scanned scanned;
  Scanned twin_scanned;
  outcome = Try([&] { scanned = Scan(*table); });
  REQUIRE(outcome == Try([&] { twin_scanned = Scan(*twin); }));
  REQUIRE(scanned.entries == twin_scanned.entries && scanned.damage == twin_scanned.damage);
  REQUIRE(
      std::ranges::is_sorted(scanned.entries, std::less_equal<>(), &KeyValues::value_type::first) ||
      scanned.entries.size() < 2);
  REQUIRE(table->Fingerprint() == twin->Fingerprint());
  REQUIRE(table->CheckUnread().size() == twin->CheckUnread().size());
  if (!outcome.ok()) return;
  if (!scanned.damage.empty()) return CheckHostileLookups(*table, scanned.entries);
  const TableModel model = DecodeTable(input);
  REQUIRE(model.ok && model.Entries() == scanned.entries);
  CheckLookups(*table, scanned.entries, model.restarts_ok && IsIndexRight(model));
  if (!scanned.entries.empty()) CountAccepted();
}

void ChangeKeyValue(Random& random, std::pair<std::string, std::string>* entry) {
  MutateText(random, random.OneIn(2) ? &entry->first : &entry->second);
}

std::string ChangeTable(Random& random, ByteView input) {
  TableModel table = DecodeTable(input);
  for (std::size_t i = 1 + random.Below(3); i > 0; --i) MutateTable(random, &table, ChangeKeyValue);
  return EncodeTable(table);
}

}  // namespace
}  // namespace fastckpt::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fastckpt::fuzz::CheckTable(fastckpt::ByteView(data, size));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return fastckpt::fuzz::MutateInput(data, size, max_size, seed, fastckpt::fuzz::ChangeTable);
}
