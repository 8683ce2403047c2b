// Writes tables and tensor bundles for tests, valid ones and any kind of wrong one: every block,
// handle, trailer, footer and entry field can be said outright. Nothing here is checked or fast.
#ifndef FASTCKPT_TESTS_CPP_TABLE_WRITER_H_
#define FASTCKPT_TESTS_CPP_TABLE_WRITER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "coding/ordered.h"
#include "table/format.h"

namespace fastckpt::testing {

using KeyValues = std::vector<std::pair<std::string, std::string>>;

std::string Varint(std::uint64_t value);
std::string Fixed32(std::uint32_t value);
std::vector<std::uint8_t> Vector(std::string_view text);

// The content of one block.
class BlockWriter {
 public:
  explicit BlockWriter(std::size_t restart_interval = 16) : restart_interval_(restart_interval) {}

  void Add(std::string_view key, std::string_view value);
  // An entry of these very sizes, followed by `bytes`, at no restart.
  void AddRaw(std::uint64_t shared, std::uint64_t unshared, std::uint64_t value_size,
              std::string_view bytes);
  std::size_t size() const { return entries_.size() + 4 * restarts_.size() + 4; }
  bool empty() const { return entries_.empty(); }
  // `num_restarts` replaces the count that stands at the end.
  std::string Finish(std::optional<std::uint32_t> num_restarts = std::nullopt) const;

 private:
  std::size_t restart_interval_;
  std::size_t count_ = 0;
  std::string entries_;
  std::vector<std::uint32_t> restarts_{0};
  std::string last_key_;
};

std::string EncodeHandle(const table::BlockHandle& handle);

// Snappy streams: one literal, and one byte `count` times (a bomb of 21 to 1).
std::string SnappyLiteral(std::string_view content);
std::string SnappyRun(char byte, std::uint32_t count);

struct FooterFields {
  std::optional<table::BlockHandle> metaindex;
  std::optional<table::BlockHandle> index;
  std::string padding = std::string(table::kFooterHandleSpace, '\0');
  std::uint64_t magic = table::kTableMagic;
};
std::string EncodeFooter(const FooterFields& fields);

// A table file as it grows, part by part.
class TableFile {
 public:
  // Appends `stored` and its trailer; the checksum is right unless `crc_flip` says which bits
  // differ.
  table::BlockHandle AppendBlock(std::string_view stored, std::uint8_t type = 0,
                                 std::uint32_t crc_flip = 0);
  void AppendBytes(std::string_view bytes) { bytes_ += bytes; }
  // Appends a raw block and an index entry for it.
  table::BlockHandle AppendDataBlock(const KeyValues& entries, std::uint32_t crc_flip = 0);
  // Appends an index entry only.
  void AppendIndexEntry(std::string_view key, const table::BlockHandle& handle);
  void AppendIndexEntry(std::string_view key, std::string_view value) { index_.Add(key, value); }
  BlockWriter& index() { return index_; }
  // Metaindex (empty), index block, footer.
  std::string Finish(FooterFields footer = {});

 private:
  std::string bytes_;
  BlockWriter index_{1};
};

struct TableOptions {
  std::size_t block_bytes = 262144;
  std::size_t restart_interval = 16;
  bool snappy = false;
};

// A whole, valid table of these entries in this order.
std::string MakeTable(const KeyValues& entries, const TableOptions& options = {});

struct HeaderSpec {
  std::int64_t num_shards = 1;
  std::int64_t endianness = 0;
  std::int64_t producer = 1;
  std::int64_t min_consumer = 0;
  std::vector<std::int64_t> bad_consumers;
};
std::string EncodeHeader(const HeaderSpec& spec);

struct EntrySpec {
  std::int64_t dtype = 1;
  std::vector<std::int64_t> shape;
  std::int64_t shard_id = 0;
  std::int64_t offset = 0;
  std::int64_t size = 0;
  // Unmasked.
  std::uint32_t crc = 0;
  std::vector<std::vector<coding::Extent>> slices;
  bool unknown_rank = false;
  // Appended to the message as it is.
  std::string extra;
};
// Field 1000: the block size and the masked CRC of each block of `bytes`.
std::string EncodeBlockCrcs(std::string_view bytes, std::uint64_t block_size);
// Field 1000 of this block size and these packed bytes.
std::string EncodeBlockField(std::uint64_t block_size, std::string_view packed);
std::string EncodeShape(const std::vector<std::int64_t>& shape, bool unknown_rank = false);
std::string EncodeSlice(const std::vector<coding::Extent>& extents);
std::string EncodeEntry(const EntrySpec& spec);

// A DT_STRING or DT_VARIANT tensor's stored bytes and unmasked CRC.
struct StoredTensor {
  std::string bytes;
  std::uint32_t crc = 0;
};
StoredTensor StoreStrings(const std::vector<std::string>& elements, bool big_endian = false);
StoredTensor StoreVariants(const std::vector<std::string>& records);

// A tensor bundle in memory. Tensors go to the end of their shard; entries can be changed
// afterwards.
class BundleWriter {
 public:
  // Appends a plain tensor's bytes, padded to `alignment` after them, and returns its entry.
  EntrySpec& Add(const std::string& name, std::int64_t dtype, std::vector<std::int64_t> shape,
                 std::string_view bytes, std::int64_t shard_id = 0, std::size_t alignment = 1);
  EntrySpec& Add(const std::string& name, std::int64_t dtype, std::vector<std::int64_t> shape,
                 const StoredTensor& stored, std::int64_t shard_id = 0);
  // The sliced entry `name` and the slice's own entry; called once for each slice.
  void AddSlice(const std::string& name, std::int64_t dtype, const std::vector<std::int64_t>& shape,
                const std::vector<coding::Extent>& extents, std::string_view bytes);

  KeyValues IndexEntries() const;
  // Writes prefix.index and every shard that has bytes or is named by `shards`.
  void Write(const std::string& prefix, const TableOptions& options = {}) const;

  HeaderSpec header;
  std::map<std::string, EntrySpec> entries;
  std::map<std::int64_t, std::string> shards;
};

void WriteFile(const std::string& path, std::string_view content);
std::string ReadFile(const std::string& path);

// `size` bytes that differ from place to place; equal for equal seeds.
std::string PatternBytes(std::size_t size, std::uint64_t seed);

}  // namespace fastckpt::testing

#endif  // FASTCKPT_TESTS_CPP_TABLE_WRITER_H_
