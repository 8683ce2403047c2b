#include "commit/discard.h"

#include <cerrno>

#include "commit/leftovers.h"
#include "commit/live_index.h"
#include "commit/names.h"
#include "commit/prefix_lock.h"
#include "io/system_error.h"

namespace fastckpt::commit {
namespace {

bool IsExpected(const std::string& index, const io::FileStatus& expected,
                io::FileSystem& file_system) {
  io::FileStatus status;
  const int result = file_system.StatPath(index, &status);
  if (result == -ENOENT) return true;
  return result >= 0 && status.device == expected.device && status.inode == expected.inode;
}

}  // namespace

void Discard(const std::string& prefix, const io::FileStatus* expected,
             io::FileSystem& file_system) {
  const std::string index = IndexFileName(prefix);
  PrefixLock lock(file_system);
  lock.Take(prefix);
  if (expected != nullptr && !IsExpected(index, *expected, file_system)) return;
  const int result = file_system.Unlink(index);
  if (result < 0 && result != -ENOENT) {
    throw io::SystemError("cannot remove the index", index, result);
  }
  RemoveLeftovers(prefix, LiveIndex{}, file_system);
}

}  // namespace fastckpt::commit
