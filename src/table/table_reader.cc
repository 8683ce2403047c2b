#include "table/table_reader.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "coding/fixed.h"
#include "coding/snappy.h"
#include "crc/crc32c.h"

namespace fastckpt::table {
namespace {

constexpr std::uint64_t kDecodedSizeAllowance = std::uint64_t{8} << 20;

std::string Hex(std::uint32_t value) {
  std::array<char, 16> text;
  std::snprintf(text.data(), text.size(), "0x%08x", value);
  return text.data();
}

}  // namespace

TableReader::TableReader(std::shared_ptr<const io::Source> source) : source_(std::move(source)) {
  const std::uint64_t size = source_->size();
  if (size < kFooterSize) {
    throw Damage("file is too short to be a checkpoint index (" + std::to_string(size) +
                     " bytes, at least 48 are needed); it is truncated or not an index",
                 0);
  }
  std::array<std::uint8_t, kFooterSize> bytes;
  source_->ReadAt(size - kFooterSize, bytes);
  switch (DecodeFooter(bytes, &footer_)) {
    case FooterError::kMagic:
      throw Damage(
          "bad magic number at the end of the file: it is truncated, or not a checkpoint "
          "index",
          size - 8);
    case FooterError::kHandles:
      throw Damage("bad block handles in the footer", size - kFooterSize);
    case FooterError::kNone:
      break;
  }
  Buffers buffers;
  const ByteView block = ReadBlock(footer_.index, &buffers);
  const std::size_t block_size = block.size();
  const bool is_decoded = block.data() == buffers.decoded.data();
  index_block_ = std::move(is_decoded ? buffers.decoded : buffers.stored);
  index_block_.resize(block_size);
}

Error TableReader::Damage(std::string message, std::uint64_t offset) const {
  return Error(ErrorCode::kDataLoss, std::move(message)).At(source_->path(), offset);
}

ByteView TableReader::ReadBlock(const BlockHandle& handle, Buffers* buffers) const {
  const auto end = CheckedAdd(handle.size, kTrailerSize);
  if (!end || !IsRange(handle.offset, *end, source_->size() - kFooterSize)) {
    throw Damage("block handle points outside the file", handle.offset);
  }
  buffers->stored.resize(static_cast<std::size_t>(*end));
  source_->ReadAt(handle.offset, buffers->stored);
  const ByteView stored(buffers->stored);
  const auto size = static_cast<std::size_t>(handle.size);
  const std::uint32_t expected = crc::Unmask(coding::LoadFixed32(stored.data() + size + 1));
  const std::uint32_t actual = crc::Value(stored.data(), size + 1);
  if (actual != expected) {
    throw Damage("block checksum mismatch (stored " + Hex(expected) + ", computed " + Hex(actual) +
                     "); the file is damaged or still being written",
                 handle.offset);
  }
  return Decode(handle, stored, buffers);
}

ByteView TableReader::Decode(const BlockHandle& handle, ByteView stored, Buffers* buffers) const {
  const auto size = static_cast<std::size_t>(handle.size);
  const ByteView content = stored.first(size);
  const auto type = static_cast<BlockType>(stored[size]);
  if (type == BlockType::kRaw) return content;
  if (type != BlockType::kSnappy) {
    throw Damage("bad block type " + std::to_string(stored[size]), handle.offset);
  }
  const auto decoded_size = coding::SnappyDecodedSize(content);
  if (!decoded_size || *decoded_size > coding::kSnappyMaxExpansion * handle.size) {
    throw Damage("corrupted compressed block", handle.offset);
  }
  if (*decoded_size > kDecodedSizeAllowance + 2 * source_->size()) {
    throw Error(ErrorCode::kLimitExceeded, "compressed block is too large: it decodes to " +
                                               std::to_string(*decoded_size) +
                                               " bytes, more than 8 MiB + 2 x the size of the file")
        .At(source_->path(), handle.offset);
  }
  buffers->decoded.resize(*decoded_size);
  if (!coding::SnappyDecode(content, buffers->decoded)) {
    throw Damage("corrupted compressed block", handle.offset);
  }
  return buffers->decoded;
}

BlockHandle TableReader::DataHandle(ByteView value, std::uint64_t* end_of_previous) const {
  BlockHandle handle;
  if (DecodeHandle(value.data(), value.data() + value.size(), &handle) == nullptr) {
    throw Damage("bad block handle in the index block", footer_.index.offset);
  }
  // Ascending blocks make one pass over the file the worst case: a table whose handles repeat one
  // block could otherwise keep a reader busy for hours.
  if (handle.offset < *end_of_previous) {
    throw Damage("blocks overlap or are out of order", handle.offset);
  }
  const auto end = CheckedAdd(handle.offset, handle.size);
  *end_of_previous = end.value_or(~std::uint64_t{0});
  return handle;
}

std::optional<BlockHandle> TableReader::FindBlock(std::string_view key) const {
  BlockCursor index{ByteView(index_block_)};
  if (!index.Seek(key)) {
    if (!index.ok()) throw Damage("bad entry in index block", footer_.index.offset);
    return std::nullopt;
  }
  std::uint64_t any_place = 0;
  return DataHandle(index.value(), &any_place);
}

std::vector<std::uint8_t> TableReader::ReadBlock(const BlockHandle& handle) const {
  Buffers buffers;
  const ByteView content = ReadBlock(handle, &buffers);
  std::vector<std::uint8_t>& holder =
      content.data() == buffers.decoded.data() ? buffers.decoded : buffers.stored;
  holder.resize(content.size());
  return std::move(holder);
}

std::optional<Error> TableReader::NextBlock(ByteView handle, ScanState* state,
                                            ByteView* block) const {
  try {
    state->block = DataHandle(handle, &state->end_of_block);
    *block = ReadBlock(state->block, &state->buffers);
    return std::nullopt;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kDataLoss) throw;
    return error;
  }
}

std::vector<BlockHandle> TableReader::AllBlocks() const {
  std::vector<BlockHandle> blocks;
  const auto is_inside = [&](const BlockHandle& handle) {
    const auto size = CheckedAdd(handle.size, kTrailerSize);
    return size && IsRange(handle.offset, *size, source_->size() - kFooterSize);
  };
  // Handles that overlap are damage, and there may be more of them than memory.
  std::uint64_t end_of_previous = 0;
  for (BlockCursor index{ByteView(index_block_)}; index.Next();) {
    BlockHandle handle;
    const ByteView value = index.value();
    if (DecodeHandle(value.data(), value.data() + value.size(), &handle) == nullptr) continue;
    if (!is_inside(handle) || handle.offset < end_of_previous) continue;
    end_of_previous = handle.offset + handle.size + kTrailerSize;
    blocks.push_back(handle);
  }
  for (const BlockHandle& handle : {footer_.metaindex, footer_.index}) {
    if (is_inside(handle)) blocks.push_back(handle);
  }
  return blocks;
}

std::uint32_t TableReader::Fingerprint() const {
  std::uint32_t crc = crc::Value(index_block_.data(), index_block_.size());
  for (const BlockHandle& handle : AllBlocks()) {
    std::array<std::uint8_t, kTrailerSize> trailer;
    source_->ReadAt(handle.offset + handle.size, trailer);
    crc = crc::Extend(crc, trailer.data(), trailer.size());
  }
  return crc;
}

std::vector<Error> TableReader::CheckUnread() const {
  std::vector<Error> findings;
  if (!footer_.is_canonical) {
    findings.push_back(Damage("footer padding is not zero, or a handle is not in its shortest form",
                              source_->size() - kFooterSize));
  }
  try {
    Buffers buffers;
    BlockCursor cursor(ReadBlock(footer_.metaindex, &buffers));
    while (cursor.Next()) {
    }
    if (!cursor.ok()) throw Damage("bad entry in metaindex block", footer_.metaindex.offset);
  } catch (const Error& error) {
    findings.push_back(error);
  }
  CheckGaps(&findings);
  return findings;
}

void TableReader::CheckGaps(std::vector<Error>* findings) const {
  std::vector<BlockHandle> blocks = AllBlocks();
  std::ranges::sort(blocks, {}, &BlockHandle::offset);
  blocks.push_back({source_->size() - kFooterSize, 0});
  std::uint64_t covered = 0;
  for (const BlockHandle& block : blocks) {
    if (block.offset > covered) {
      std::vector<std::uint8_t> gap(static_cast<std::size_t>(block.offset - covered));
      source_->ReadAt(covered, gap);
      if (std::ranges::any_of(gap, [](std::uint8_t byte) { return byte != 0; })) {
        findings->push_back(Damage("bytes between blocks are not zero", covered));
      }
    }
    covered = std::max(covered, block.offset + block.size + kTrailerSize);
  }
}

}  // namespace fastckpt::table
