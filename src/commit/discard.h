// Removes checkpoints.
#ifndef FASTCKPT_COMMIT_DISCARD_H_
#define FASTCKPT_COMMIT_DISCARD_H_

#include <string>

#include "io/file_system.h"

namespace fastckpt::commit {

// Removes the checkpoint at a prefix under its lock, index first, and with it what dead writers
// left there; a prefix without an index has nothing else. With `expected`, does nothing when the
// index is another file by then. Throws Busy while a live writer holds the prefix, Io.
void Discard(const std::string& prefix, const io::FileStatus* expected,
             io::FileSystem& file_system = io::FileSystem::Posix());

}  // namespace fastckpt::commit

#endif  // FASTCKPT_COMMIT_DISCARD_H_
