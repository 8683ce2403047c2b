#include "commit/prefix_lock.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "commit/names.h"
#include "io/system_error.h"

namespace fastckpt::commit {
namespace {

// Each lost attempt is another writer that finished in the meantime.
constexpr int kMaxAttempts = 1000;

// What file systems without locks say.
constexpr std::array<int, 5> kNoSuchLock = {ENOLCK, ENOTSUP, EOPNOTSUPP, ENOSYS, EINVAL};

Error Busy(const std::string& prefix, int result) {
  return Error(ErrorCode::kBusy, "the prefix is busy: another live writer is saving to " + prefix +
                                     "; wait until it is done, or save under another prefix")
      .At(prefix)
      .WithSystemError(-result);
}

// Whether the file at `path` is the one that is open. The owner before may have removed it between
// the open and the lock.
bool StandsAt(const std::string& path, const io::Sink& file, io::FileSystem& file_system) {
  io::FileStatus open_file;
  io::FileStatus at_path;
  int result = file_system.Stat(file.descriptor(), &open_file);
  if (result >= 0) result = file_system.StatPath(path, &at_path);
  if (result == -ENOENT) return false;
  if (result < 0) throw io::SystemError("cannot look at the lock file", path, result);
  return open_file.device == at_path.device && open_file.inode == at_path.inode;
}

}  // namespace

void PrefixLock::Take(const std::string& prefix) {
  const std::string path = LockName(prefix);
  for (int i = 0; i < kMaxAttempts; ++i) {
    if (TryTake(prefix, path) == Attempt::kTaken) return;
  }
  throw Busy(prefix, -EWOULDBLOCK);
}

// The file is removed by nobody but the holder of its lock: until then it may be another's.
PrefixLock::Attempt PrefixLock::TryTake(const std::string& prefix, const std::string& path) {
  auto file = io::Sink::Open(path, io::WriteMode::kLock, file_system_);
  const int result = io::Uninterrupted([&] { return file_system_.Lock(file->descriptor()); });
  if (result == -EWOULDBLOCK) throw Busy(prefix, result);
  const bool has_locks = std::ranges::find(kNoSuchLock, -result) == kNoSuchLock.end();
  if (has_locks && result < 0) throw io::SystemError("cannot lock the prefix", path, result);
  if (has_locks && !StandsAt(path, *file, file_system_)) return Attempt::kLost;
  file_ = std::move(file);
  return Attempt::kTaken;
}

void PrefixLock::Release() noexcept {
  if (!file_) return;
  file_system_.Unlink(file_->path());
  // A forked child may hold a duplicate of the descriptor, and the lock with it.
  file_system_.Unlock(file_->descriptor());
  file_.reset();
}

}  // namespace fastckpt::commit
