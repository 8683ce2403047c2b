#include "commit/directories.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.h"
#include "io/system_error.h"

namespace fastckpt::commit {
namespace {

// What file systems say that have no sync of directories (some network and user-space ones).
constexpr std::array<int, 5> kNoSuchSync = {EINVAL, EBADF, ENOTSUP, EOPNOTSUPP, ENOSYS};

std::string_view WithoutTrailing(std::string_view path) {
  const auto last = path.find_last_not_of('/');
  return path.substr(0, last + 1);
}

Error NotADirectory(const std::string& path) {
  return io::SystemError("a file or dangling link stands where the prefix needs a directory", path,
                         -ENOTDIR);
}

Error Refusal(const std::string& path, int result) {
  if (result == -ENOTDIR) return NotADirectory(path);
  const bool too_long = result == -ENAMETOOLONG;
  return io::SystemError("cannot make the directory of the prefix", path, result,
                         too_long ? ErrorCode::kInvalidArgument : ErrorCode::kIo);
}

}  // namespace

std::string ParentOf(std::string_view path) {
  path = WithoutTrailing(path);
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return path.empty() ? "/" : ".";
  const std::string_view parent = WithoutTrailing(path.substr(0, slash));
  return parent.empty() ? "/" : std::string(parent);
}

OpenDirectory::OpenDirectory(const std::string& path, io::FileSystem& file_system)
    : file_system_(file_system),
      descriptor_(io::Uninterrupted([&] { return file_system.OpenDirectory(path); })) {
  if (descriptor_ < 0) throw io::SystemError("cannot open the directory", path, descriptor_);
}

OpenDirectory::~OpenDirectory() {
  file_system_.Close(descriptor_);
}

int OpenDirectory::Sync() {
  const int result = io::Uninterrupted([&] { return file_system_.Sync(descriptor_); });
  return std::ranges::find(kNoSuchSync, -result) != kNoSuchSync.end() ? 0 : result;
}

void SyncAncestors(const std::string& directory, io::FileSystem& file_system) {
  io::FileStatus status;
  if (file_system.StatPath(directory, &status) < 0) return;
  const std::uint64_t device = status.device;
  std::string child = directory;
  for (std::string path = ParentOf(child); path != child; child = path, path = ParentOf(path)) {
    if (file_system.StatPath(path, &status) < 0 || status.device != device) return;
    try {
      OpenDirectory(path, file_system).Sync();
    } catch (const Error&) {
      continue;  // not ours to read
    }
  }
}

std::string MadeDirectories::Plan(const std::string& directory) {
  std::string path = directory;
  for (;;) {
    io::FileStatus status;
    const int result = file_system_.StatPath(path, &status);
    if (result >= 0 && !status.is_directory) throw NotADirectory(path);
    if (result >= 0) return path;
    // The working directory itself may be gone; then there is no way up.
    if (result != -ENOENT || path == "." || path == "/") throw Refusal(path, result);
    missing_.insert(missing_.begin(), path);
    path = ParentOf(path);
  }
}

void MadeDirectories::Make() {
  made_.reserve(missing_.size());
  for (const std::string& path : missing_) MakeOne(path);
}

void MadeDirectories::MakeOne(const std::string& path) {
  const int result = file_system_.MakeDirectory(path);
  if (result >= 0) return made_.push_back(path);
  if (result != -EEXIST) throw Refusal(path, result);
  // Another writer was first, or the name is not a directory's.
  io::FileStatus status;
  if (file_system_.StatPath(path, &status) < 0 || !status.is_directory) throw NotADirectory(path);
}

void MadeDirectories::Sync() const {
  for (const std::string& path : made_) {
    const std::string parent = ParentOf(path);
    const int result = OpenDirectory(parent, file_system_).Sync();
    if (result < 0) throw io::SystemError("cannot sync the directory", parent, result);
  }
}

void MadeDirectories::Remove() noexcept {
  for (; !made_.empty(); made_.pop_back()) file_system_.RemoveDirectory(made_.back());
}

}  // namespace fastckpt::commit
