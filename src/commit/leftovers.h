// Files of a prefix that are in nobody's use.
#ifndef FASTCKPT_COMMIT_LEFTOVERS_H_
#define FASTCKPT_COMMIT_LEFTOVERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "commit/live_index.h"
#include "io/file_system.h"

namespace fastckpt::commit {

// A data file that stood at the prefix when its next writer began.
struct OldDataFile {
  std::string path;
  std::int32_t num_shards = 0;
};

// Removes temporaries and data files that the live index does not mention; the caller holds the
// lock. Returns the data files that are left: those of the live checkpoint, and what could not be
// removed. Throws Io when the directory cannot be listed.
//
// Where there are such data files, the writer before died, and its last rename may not be on the
// device: a power cut could bring the index back that mentions them. The directory is synced first,
// and when that fails they stay.
std::vector<OldDataFile> RemoveLeftovers(const std::string& prefix, const LiveIndex& live,
                                         io::FileSystem& file_system);

}  // namespace fastckpt::commit

#endif  // FASTCKPT_COMMIT_LEFTOVERS_H_
