// Reading part of one stored tensor, touching no more of the file than it must.
#ifndef FASTCKPT_BUNDLE_STRIDED_H_
#define FASTCKPT_BUNDLE_STRIDED_H_

#include <cstdint>
#include <span>
#include <vector>

#include "bundle/reader.h"

namespace fastckpt::bundle {

// What is wanted along one dimension: `count` positions, `step` >= 1 apart, from `start` on. They
// are written `stride_bytes` apart.
struct StridedDim {
  std::int64_t start = 0;
  std::int64_t count = 0;
  std::int64_t step = 1;
  std::int64_t stride_bytes = 0;
};

// The blocks of `block_size` bytes, ascending, that hold wanted elements of an unpartitioned tensor
// of a plain dtype; strides of the destination do not matter. Costs no more than one step for each
// block of the entry.
std::vector<std::uint32_t> TouchedBlocks(const Reader& reader, std::uint32_t id,
                                         std::span<const StridedDim> dims,
                                         std::uint64_t block_size);

// Copies the wanted elements of an unpartitioned tensor of a plain dtype to `destination`, in
// native byte order and normal form. One StridedDim for each dimension, inside the shape; the
// caller vouches for the destination. No checksum is compared. Contiguous elements move together;
// from a file that is not mapped, rows with gaps of up to 64 KiB are read whole. Returns the bytes
// read from the file.
std::uint64_t ReadStrided(const Reader& reader, std::uint32_t id, std::span<const StridedDim> dims,
                          std::uint8_t* destination);

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_STRIDED_H_
