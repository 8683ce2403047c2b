// Second names for existing files, or second files where there are no second names.
#ifndef FASTCKPT_COMMIT_COPY_H_
#define FASTCKPT_COMMIT_COPY_H_

#include <cstdint>
#include <functional>
#include <string>

#include "io/file_system.h"

namespace fastckpt::commit {

enum class CopyMode : std::uint8_t { kLinkIfPossible, kCopy };

// Told how many bytes were copied since the last time, every MiB; what it throws ends the copy.
using OnCopied = std::function<void(std::uint64_t)>;

// Makes `to`, which does not exist, a file with the content of `from`; with `sync` the content is
// on the device. Throws NotFound, DataLoss when `from` shrinks meanwhile, Io.
void LinkOrCopy(const std::string& from, const std::string& to, CopyMode mode, bool sync,
                io::FileSystem& file_system, const OnCopied& on_copied = nullptr);

// What is known of a file that a rename is about to replace.
enum class Backup : std::uint8_t {
  kNone,     // there is no such file, and nothing to go back to
  kKept,     // it has a second name
  kMissing,  // it could not be kept
};
Backup KeepOld(const std::string& path, const std::string& backup, bool sync,
               io::FileSystem& file_system);

}  // namespace fastckpt::commit

#endif  // FASTCKPT_COMMIT_COPY_H_
