// Writes a string table, byte for byte as TensorFlow's table builder does with the options of its
// checkpoint writers: blocks of 256 KiB, restart interval 16, no compression (LevelDB
// table_format.md; TensorFlow table_builder.cc).
#ifndef FASTCKPT_TABLE_TABLE_BUILDER_H_
#define FASTCKPT_TABLE_TABLE_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "table/format.h"

namespace fastckpt::table {

// The entries of one block, prefix-compressed. Allocates only to grow: never once per entry.
class BlockBuilder {
 public:
  explicit BlockBuilder(std::uint32_t restart_interval);

  // Keys in ascending order within a block. A block stays below 4 GiB; the caller vouches for both.
  void Add(std::string_view key, std::string_view value);
  bool empty() const { return entries_.empty(); }
  // Bytes that Finish would give.
  std::size_t size() const { return entries_.size() + 4 * restarts_.size() + 4; }
  // The key of the latest Add, also after a Reset; valid until the next Add.
  std::string_view last_key() const { return last_key_; }
  // The whole block; valid until Reset, and nothing but Reset may follow.
  std::string_view Finish();
  void Reset();

 private:
  std::uint32_t restart_interval_;
  std::uint32_t since_restart_ = 0;
  std::string entries_;
  std::vector<std::uint32_t> restarts_{0};
  std::string last_key_;
};

class TableBuilder {
 public:
  // `write` gets the bytes of the file in order, in calls of about 1 MiB; what it throws passes
  // through, and the builder is of no use afterwards.
  explicit TableBuilder(std::function<void(ByteView)> write);

  // Keys in strictly ascending order (unsigned bytes), key and value below 2 GiB together; the
  // caller vouches for both.
  void Add(std::string_view key, std::string_view value);
  // Writes what is left: last data block, metaindex, index block, footer. No Add after it.
  void Finish();
  // Bytes of the file so far: all finished blocks, and after Finish all there are.
  std::uint64_t size() const { return written_ + out_.size(); }

 private:
  // Ends the data block; does nothing when it is empty.
  void Flush();
  BlockHandle WriteBlock(std::string_view content);
  void AddToIndex(std::string_view key);
  void Emit();

  std::function<void(ByteView)> write_;
  BlockBuilder data_;
  BlockBuilder index_;
  std::string out_;  // not yet given to write_
  std::uint64_t written_ = 0;
  // The block that the index does not have yet: its key depends on the first one behind it.
  std::optional<BlockHandle> pending_;
};

}  // namespace fastckpt::table

#endif  // FASTCKPT_TABLE_TABLE_BUILDER_H_
