// The string table container (LevelDB table_format.md): handles, footer, block trailer.
#ifndef FASTCKPT_TABLE_FORMAT_H_
#define FASTCKPT_TABLE_FORMAT_H_

#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace fastckpt::table {

// Where a block lies; `size` excludes the five-byte trailer.
struct BlockHandle {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

enum class BlockType : std::uint8_t { kRaw = 0, kSnappy = 1 };

// One byte of BlockType, then fixed32 mask(crc32c(stored bytes, type byte)).
constexpr std::uint64_t kTrailerSize = 5;
// Two handles, zero padding up to 40 bytes, fixed64 magic.
constexpr std::uint64_t kFooterSize = 48;
constexpr std::uint64_t kFooterHandleSpace = 40;
constexpr std::uint64_t kTableMagic = 0xDB4775248B80FB57u;

// Reads a handle; returns the position after it, or nullptr. Bytes after a handle are permitted.
const std::uint8_t* DecodeHandle(const std::uint8_t* p, const std::uint8_t* end,
                                 BlockHandle* handle);
void EncodeHandle(std::string& out, const BlockHandle& handle);

struct Footer {
  BlockHandle metaindex;
  BlockHandle index;
  // Whether the bytes before the magic are exactly what a writer makes of the two handles: shortest
  // varints, then zeros. No reader needs them to be.
  bool is_canonical = true;
};

enum class FooterError : std::uint8_t { kNone, kMagic, kHandles };

// `bytes` are the last kFooterSize bytes of the file.
FooterError DecodeFooter(ByteView bytes, Footer* footer);
// Appends kFooterSize bytes.
void EncodeFooter(std::string& out, const BlockHandle& metaindex, const BlockHandle& index);

}  // namespace fastckpt::table

#endif  // FASTCKPT_TABLE_FORMAT_H_
