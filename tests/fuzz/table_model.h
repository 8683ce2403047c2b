// A table taken apart, so that a mutator can change any of it and write it back with right
// checksums.
#ifndef FASTCKPT_TESTS_FUZZ_TABLE_MODEL_H_
#define FASTCKPT_TESTS_FUZZ_TABLE_MODEL_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "mutation.h"
#include "table/format.h"
#include "table_writer.h"

namespace fastckpt::fuzz {

struct BlockModel {
  std::string index_key;
  testing::KeyValues entries;
  // Stored instead of the entries.
  std::optional<std::string> opaque;
  std::uint8_t type = 0;
  std::size_t restart_interval = 16;
  std::uint32_t crc_flip = 0;
  // Added to the handle that is written.
  std::uint64_t offset_shift = 0;
  std::uint64_t size_shift = 0;
};

struct TableModel {
  std::vector<BlockModel> blocks;
  std::optional<std::string> padding;
  // Whether every part of the table was found and well-formed, checksums and restarts apart.
  bool ok = true;
  // Whether the restarts of every block are entries that share nothing, in order. Only a search
  // needs them.
  bool restarts_ok = true;

  // Every entry, in order.
  testing::KeyValues Entries() const;
  // The value of this very key, or null.
  std::string* Find(std::string_view key);
  // Puts the keys in order, each once, without changing the number of entries that a block starts
  // with where that is possible.
  void Sort();
};

// Reads a table by the text of the format alone, sharing nothing with table/. Takes what it finds.
TableModel DecodeTable(ByteView file);
std::string EncodeTable(const TableModel& table);

// Changes a key or a value.
using ChangeEntry = std::function<void(Random&, std::pair<std::string, std::string>*)>;

// Changes one thing: mostly an entry, by `change_entry`; else the order, number, grouping or
// encoding of entries, a handle, a checksum, the padding.
void MutateTable(Random& random, TableModel* table, const ChangeEntry& change_entry);

}  // namespace fastckpt::fuzz

#endif  // FASTCKPT_TESTS_FUZZ_TABLE_MODEL_H_
