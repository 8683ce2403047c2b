// The raw Snappy format, decoding only. One in seven of the real checkpoints collected has Snappy
// blocks in its index. Source: google/snappy format_description.txt.
#ifndef FASTCKPT_CODING_SNAPPY_H_
#define FASTCKPT_CODING_SNAPPY_H_

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace fastckpt::coding {

// The length that the stream claims to decode to, or nothing when the preamble is malformed.
// Hostile until compared with what the caller is ready to allocate; no valid stream expands more
// than kSnappyMaxExpansion times.
std::optional<std::uint32_t> SnappyDecodedSize(ByteView compressed);

// A three-byte copy element yields at most 64 bytes.
constexpr std::uint64_t kSnappyMaxExpansion = 22;

// Decodes into exactly `out`, whose size is SnappyDecodedSize(compressed) and which does not
// overlap `compressed`. Returns false when the stream is malformed or does not fill `out` exactly;
// `out` then holds garbage. Never reads or writes outside the two ranges, and takes time linear in
// their sizes.
bool SnappyDecode(ByteView compressed, MutableBytes out);

}  // namespace fastckpt::coding

#endif  // FASTCKPT_CODING_SNAPPY_H_
