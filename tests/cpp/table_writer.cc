#include "table_writer.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "coding/fixed.h"
#include "coding/varint.h"
#include "crc/crc32c.h"
#include "harness.h"
#include "tensor/dtype.h"

namespace fastckpt::testing {
namespace {

std::string Tag(std::uint32_t number, std::uint32_t wire_type) {
  return Varint(number << 3 | wire_type);
}

// Fields of proto3: a number equal to zero is left out.
std::string VarintField(std::uint32_t number, std::int64_t value) {
  return value == 0 ? "" : Tag(number, 0) + Varint(static_cast<std::uint64_t>(value));
}

std::string BytesField(std::uint32_t number, const std::string& content) {
  return Tag(number, 2) + Varint(content.size()) + content;
}

std::uint32_t Crc(std::string_view bytes, std::uint32_t crc = 0) {
  return crc::Extend(crc, bytes.data(), bytes.size());
}

std::string Reversed(std::string bytes) {
  std::ranges::reverse(bytes);
  return bytes;
}

}  // namespace

std::string Varint(std::uint64_t value) {
  std::string out;
  coding::AppendVarint64(out, value);
  return out;
}

std::string Fixed32(std::uint32_t value) {
  std::string out;
  coding::AppendFixed32(out, value);
  return out;
}

std::vector<std::uint8_t> Vector(std::string_view text) {
  return {text.begin(), text.end()};
}

void BlockWriter::Add(std::string_view key, std::string_view value) {
  std::size_t shared = 0;
  if (count_ % restart_interval_ == 0) {
    if (count_ > 0) restarts_.push_back(static_cast<std::uint32_t>(entries_.size()));
  } else {
    const auto differing = std::ranges::mismatch(last_key_, key);
    shared = static_cast<std::size_t>(differing.in1 - last_key_.begin());
  }
  ++count_;
  last_key_ = key;
  AddRaw(shared, key.size() - shared, value.size(),
         std::string(key.substr(shared)) + std::string(value));
}

void BlockWriter::AddRaw(std::uint64_t shared, std::uint64_t unshared, std::uint64_t value_size,
                         std::string_view bytes) {
  entries_ += Varint(shared) + Varint(unshared) + Varint(value_size);
  entries_ += bytes;
}

std::string BlockWriter::Finish(std::optional<std::uint32_t> num_restarts) const {
  std::string out = entries_;
  for (const std::uint32_t restart : restarts_) out += Fixed32(restart);
  return out + Fixed32(num_restarts.value_or(static_cast<std::uint32_t>(restarts_.size())));
}

std::string EncodeHandle(const table::BlockHandle& handle) {
  return Varint(handle.offset) + Varint(handle.size);
}

std::string SnappyLiteral(std::string_view content) {
  std::string out = Varint(content.size());
  if (content.empty()) return out;
  // Tag 63: a literal whose length minus one follows in four bytes.
  out.push_back(static_cast<char>(63 << 2));
  out += Fixed32(static_cast<std::uint32_t>(content.size() - 1));
  return out.append(content);
}

std::string SnappyRun(char byte, std::uint32_t count) {
  std::string out = Varint(count);
  out.push_back('\0');  // a literal of one byte
  out.push_back(byte);
  for (std::uint32_t left = count - 1; left > 0;) {
    const std::uint32_t step = std::min<std::uint32_t>(left, 64);
    out.push_back(static_cast<char>((step - 1) << 2 | 2));  // copy with a two-byte distance
    out += std::string("\x01\x00", 2);
    left -= step;
  }
  return out;
}

std::string EncodeFooter(const FooterFields& fields) {
  std::string handles = EncodeHandle(fields.metaindex.value_or(table::BlockHandle{})) +
                        EncodeHandle(fields.index.value_or(table::BlockHandle{}));
  handles += fields.padding;
  handles.resize(table::kFooterHandleSpace);
  coding::AppendFixed64(handles, fields.magic);
  return handles;
}

table::BlockHandle TableFile::AppendBlock(std::string_view stored, std::uint8_t type,
                                          std::uint32_t crc_flip) {
  const table::BlockHandle handle{bytes_.size(), stored.size()};
  bytes_ += stored;
  bytes_.push_back(static_cast<char>(type));
  const std::uint32_t crc = Crc(std::string_view(bytes_).substr(handle.offset));
  bytes_ += Fixed32(crc::Mask(crc) ^ crc_flip);
  return handle;
}

table::BlockHandle TableFile::AppendDataBlock(const KeyValues& entries, std::uint32_t crc_flip) {
  BlockWriter block;
  for (const auto& [key, value] : entries) block.Add(key, value);
  const auto handle = AppendBlock(block.Finish(), 0, crc_flip);
  AppendIndexEntry(entries.back().first, handle);
  return handle;
}

void TableFile::AppendIndexEntry(std::string_view key, const table::BlockHandle& handle) {
  index_.Add(key, EncodeHandle(handle));
}

std::string TableFile::Finish(FooterFields footer) {
  const auto metaindex = AppendBlock(BlockWriter().Finish());
  const auto index = AppendBlock(index_.Finish());
  if (!footer.metaindex) footer.metaindex = metaindex;
  if (!footer.index) footer.index = index;
  return bytes_ + EncodeFooter(footer);
}

std::string MakeTable(const KeyValues& entries, const TableOptions& options) {
  TableFile file;
  BlockWriter block(options.restart_interval);
  std::string last_key;
  const auto flush = [&] {
    if (block.empty()) return;
    const std::string content = block.Finish();
    file.AppendIndexEntry(last_key, options.snappy ? file.AppendBlock(SnappyLiteral(content), 1)
                                                   : file.AppendBlock(content));
    block = BlockWriter(options.restart_interval);
  };
  for (const auto& [key, value] : entries) {
    block.Add(key, value);
    last_key = key;
    if (block.size() >= options.block_bytes) flush();
  }
  flush();
  return file.Finish();
}

std::string EncodeHeader(const HeaderSpec& spec) {
  std::string bad;
  for (const std::int64_t number : spec.bad_consumers) {
    bad += Varint(static_cast<std::uint64_t>(number));
  }
  std::string version = VarintField(1, spec.producer) + VarintField(2, spec.min_consumer);
  if (!bad.empty()) version += BytesField(3, bad);
  return VarintField(1, spec.num_shards) + VarintField(2, spec.endianness) + BytesField(3, version);
}

std::string EncodeShape(const std::vector<std::int64_t>& shape, bool unknown_rank) {
  std::string out;
  for (const std::int64_t dim : shape) out += BytesField(2, VarintField(1, dim));
  return out + VarintField(3, unknown_rank ? 1 : 0);
}

std::string EncodeSlice(const std::vector<coding::Extent>& extents) {
  std::string out;
  for (const coding::Extent& extent : extents) {
    std::string parts = VarintField(1, extent.start);
    if (!extent.is_full()) {
      parts += Tag(2, 0) + Varint(static_cast<std::uint64_t>(extent.length));
    }
    out += BytesField(1, parts);
  }
  return out;
}

std::string EncodeEntry(const EntrySpec& spec) {
  std::string out = VarintField(1, spec.dtype);
  out += BytesField(2, EncodeShape(spec.shape, spec.unknown_rank));
  out += VarintField(3, spec.shard_id) + VarintField(4, spec.offset) + VarintField(5, spec.size);
  if (spec.slices.empty()) out += Tag(6, 5) + Fixed32(crc::Mask(spec.crc));
  for (const auto& extents : spec.slices) out += BytesField(7, EncodeSlice(extents));
  return out + spec.extra;
}

std::string EncodeBlockField(std::uint64_t block_size, std::string_view packed) {
  std::string message = Tag(1, 0) + Varint(block_size);
  return BytesField(1000, message + BytesField(2, std::string(packed)));
}

std::string EncodeBlockCrcs(std::string_view bytes, std::uint64_t block_size) {
  std::string packed;
  for (std::size_t begin = 0; begin < bytes.size(); begin += block_size) {
    const std::string_view block = bytes.substr(begin, block_size);
    packed += Fixed32(crc::Mask(crc::Value(block.data(), block.size())));
  }
  return EncodeBlockField(block_size, packed);
}

StoredTensor StoreStrings(const std::vector<std::string>& elements, bool big_endian) {
  const auto number = [&](const std::string& bytes) {
    return big_endian ? Reversed(bytes) : bytes;
  };
  StoredTensor stored;
  std::string text;
  for (const std::string& element : elements) {
    stored.bytes += Varint(element.size());
    stored.crc = Crc(number(Fixed32(static_cast<std::uint32_t>(element.size()))), stored.crc);
    text += element;
  }
  const std::string rest = number(Fixed32(crc::Mask(stored.crc))) + text;
  stored.bytes += rest;
  stored.crc = Crc(rest, stored.crc);
  return stored;
}

StoredTensor StoreVariants(const std::vector<std::string>& records) {
  StoredTensor stored;
  for (const std::string& record : records) {
    std::string size;
    coding::AppendFixed64(size, record.size());
    stored.crc = Crc(record, Crc(size, stored.crc));
    const std::string checksum = Fixed32(crc::Mask(stored.crc));
    stored.bytes += Varint(record.size()) + record + checksum;
    stored.crc = Crc(checksum, stored.crc);
  }
  return stored;
}

EntrySpec& BundleWriter::Add(const std::string& name, std::int64_t dtype,
                             std::vector<std::int64_t> shape, std::string_view bytes,
                             std::int64_t shard_id, std::size_t alignment) {
  EntrySpec& entry =
      Add(name, dtype, std::move(shape), StoredTensor{std::string(bytes), Crc(bytes)}, shard_id);
  std::string& shard = shards[shard_id];
  shard.resize((shard.size() + alignment - 1) / alignment * alignment);
  return entry;
}

EntrySpec& BundleWriter::Add(const std::string& name, std::int64_t dtype,
                             std::vector<std::int64_t> shape, const StoredTensor& stored,
                             std::int64_t shard_id) {
  std::string& shard = shards[shard_id];
  EntrySpec& entry = entries[name];
  entry.dtype = dtype;
  entry.shape = std::move(shape);
  entry.shard_id = shard_id;
  entry.offset = static_cast<std::int64_t>(shard.size());
  entry.size = static_cast<std::int64_t>(stored.bytes.size());
  entry.crc = stored.crc;
  shard += stored.bytes;
  return entry;
}

void BundleWriter::AddSlice(const std::string& name, std::int64_t dtype,
                            const std::vector<std::int64_t>& shape,
                            const std::vector<coding::Extent>& extents, std::string_view bytes) {
  EntrySpec& whole = entries[name];
  whole.dtype = dtype;
  whole.shape = shape;
  whole.slices.push_back(extents);
  std::vector<std::int64_t> slice_shape = shape;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    if (!extents[i].is_full()) slice_shape[i] = extents[i].length;
  }
  Add(coding::EncodeSliceKey(name, extents), dtype, slice_shape, bytes);
}

KeyValues BundleWriter::IndexEntries() const {
  KeyValues out{{"", EncodeHeader(header)}};
  for (const auto& [name, entry] : entries) out.emplace_back(name, EncodeEntry(entry));
  return out;
}

void BundleWriter::Write(const std::string& prefix, const TableOptions& options) const {
  WriteFile(prefix + ".index", MakeTable(IndexEntries(), options));
  for (const auto& [id, bytes] : shards) {
    const auto digits = [](std::int64_t number) {
      const std::string text = std::to_string(number);
      return std::string(5 - std::min<std::size_t>(text.size(), 5), '0') + text;
    };
    WriteFile(prefix + ".data-" + digits(id) + "-of-" + digits(header.num_shards), bytes);
  }
}

void WriteFile(const std::string& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.good()) Fail(__FILE__, __LINE__, "cannot write " + path);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string PatternBytes(std::size_t size, std::uint64_t seed) {
  std::string out(size, '\0');
  std::uint64_t state = seed * 2 + 1;
  for (std::size_t i = 0; i < size; i += 8) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const std::uint64_t mixed = state ^ (state >> 29);
    std::memcpy(out.data() + i, &mixed, std::min<std::size_t>(8, size - i));
  }
  return out;
}

}  // namespace fastckpt::testing
