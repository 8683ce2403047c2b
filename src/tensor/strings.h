// String tensors (DT_STRING) as tensor bundles store them:
//
//   varint64 length per element | fixed32 masked crc of the lengths | bytes of all elements
//
// The length crc runs over each length as a raw integer, 4 bytes where it fits and else 8, and the
// entry's crc continues it over the stored length checksum and the bytes (tensor_bundle.cc,
// WriteStringTensor). Integers stand in the writer's byte order.
#ifndef FASTCKPT_TENSOR_STRINGS_H_
#define FASTCKPT_TENSOR_STRINGS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace fastckpt::tensor {

enum class StringError : std::uint8_t {
  kNone,
  kLengths,         // a varint is malformed, or the lengths do not add up to the stored size
  kLengthChecksum,  // the checksum of the lengths differs
};

struct StringLayout {
  StringError error = StringError::kNone;
  // Element i is stored[ends[i - 1], ends[i]) with ends[-1] = start.
  std::uint64_t start = 0;
  std::vector<std::uint64_t> ends;
  // CRC-32C of the tensor, unmasked, as the entry records it: filled when `verify` was asked for.
  std::uint32_t crc = 0;
};

// Finds the elements of a string tensor in its stored bytes. `count` is hostile: at most
// stored.size() elements are ever allocated for. With `verify` both checksums are computed and the
// first is compared.
StringLayout ParseStrings(ByteView stored, std::uint64_t count, bool big_endian, bool verify);

// What stands before the text of a string tensor, in native byte order. The stored bytes are
// `leading`, then those of all elements.
struct StringHeader {
  std::string leading;
  // CRC-32C of the tensor, unmasked, as the entry records it.
  std::uint32_t crc = 0;
};

// Reads every byte of the elements once.
StringHeader EncodeStringHeader(std::span<const ByteView> elements);

}  // namespace fastckpt::tensor

#endif  // FASTCKPT_TENSOR_STRINGS_H_
