// The stored slices of a partitioned tensor.
#ifndef FASTCKPT_BUNDLE_PARTS_H_
#define FASTCKPT_BUNDLE_PARTS_H_

#include <cstdint>
#include <vector>

#include "bundle/reader.h"
#include "tensor/slice.h"

namespace fastckpt::bundle {

struct Part {
  tensor::Box box;
  // The entry that holds the slice's bytes; kMissing when the index lacks it.
  static constexpr std::uint32_t kMissing = 0xFFFFFFFFu;
  std::uint32_t id = kMissing;
};

// The parts of a tensor in the order of its entry; an unpartitioned tensor is one part. Throws
// DataLoss when a slice's own entry has another dtype or shape, InvalidArgument when two parts
// overlap (TensorFlow refuses those too, even where only one is wanted), LimitExceeded when telling
// that would take too long, or when there are more than 16384 + one for each 256 bytes of the data
// shards.
std::vector<Part> FindParts(const Reader& reader, std::uint32_t id);

// Stored bytes of a tensor: those of all its slices for a partitioned one, as far as they are
// there.
std::uint64_t StoredSize(const Reader& reader, std::uint32_t id);

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_PARTS_H_
