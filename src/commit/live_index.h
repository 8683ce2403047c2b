// What the visible index of a prefix says of its data files.
#ifndef FASTCKPT_COMMIT_LIVE_INDEX_H_
#define FASTCKPT_COMMIT_LIVE_INDEX_H_

#include <cstdint>
#include <optional>
#include <string>

#include "io/file_system.h"

namespace fastckpt::commit {

struct LiveIndex {
  bool exists = false;
  // Of the header; nothing where the index cannot be read.
  std::optional<std::int32_t> num_shards;

  // Whether a data file of this shard total may belong to the checkpoint.
  bool Mentions(std::int32_t total) const { return exists && num_shards.value_or(total) == total; }
};

// Reads one block of the index. Throws InvalidArgument when a directory or special file stands in
// its place.
LiveIndex ReadLiveIndex(const std::string& prefix, io::FileSystem& file_system);

}  // namespace fastckpt::commit

#endif  // FASTCKPT_COMMIT_LIVE_INDEX_H_
