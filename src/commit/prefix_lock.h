// Who may write at a prefix.
#ifndef FASTCKPT_COMMIT_PREFIX_LOCK_H_
#define FASTCKPT_COMMIT_PREFIX_LOCK_H_

#include <memory>
#include <string>

#include "io/file_system.h"
#include "io/sink.h"

namespace fastckpt::commit {

// The lock of the file LockName(prefix). The system drops it with the process; the file may stay.
// On file systems without locks everybody gets it.
class PrefixLock {
 public:
  explicit PrefixLock(io::FileSystem& file_system) : file_system_(file_system) {}
  ~PrefixLock() { Release(); }
  PrefixLock(const PrefixLock&) = delete;
  PrefixLock& operator=(const PrefixLock&) = delete;

  // Throws Busy while another holds it, Io.
  void Take(const std::string& prefix);
  // Removes the file and lets go; idempotent.
  void Release() noexcept;
  // Closes the descriptor alone: in a forked child the lock is the parent's.
  void Forget() noexcept { file_.reset(); }

 private:
  enum class Attempt : bool { kTaken, kLost };
  Attempt TryTake(const std::string& prefix, const std::string& path);

  io::FileSystem& file_system_;
  std::unique_ptr<io::Sink> file_;
};

}  // namespace fastckpt::commit

#endif  // FASTCKPT_COMMIT_PREFIX_LOCK_H_
