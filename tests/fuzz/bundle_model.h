// Right checksums for the tensors of a changed checkpoint.
#ifndef FASTCKPT_TESTS_FUZZ_BUNDLE_MODEL_H_
#define FASTCKPT_TESTS_FUZZ_BUNDLE_MODEL_H_

#include <string>

#include "memory_files.h"
#include "mutation.h"
#include "table_model.h"

namespace fastckpt::fuzz {

// Sets the checksum of every entry whose bytes are there to what they give: those inside string and
// variant tensors first, in the shards of `image`. Entries that are no messages stay as they are.
void FixTensorChecksums(Image* image, TableModel* table);

// Moves one slice of one partitioned tensor: its extent in the tensor's entry, and the key, shape
// and size of the slice's own entry with it.
void MoveSlice(Random& random, TableModel* table);

// Changes bytes of one shard, or its length.
void MutateShard(Random& random, Image* image);

}  // namespace fastckpt::fuzz

#endif  // FASTCKPT_TESTS_FUZZ_BUNDLE_MODEL_H_
