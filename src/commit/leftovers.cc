#include "commit/leftovers.h"

#include <cerrno>
#include <utility>

#include "base/error.h"
#include "commit/directories.h"
#include "commit/names.h"
#include "io/system_error.h"

namespace fastckpt::commit {
namespace {

std::vector<std::string> List(const std::string& directory, io::FileSystem& file_system) {
  std::vector<std::string> names;
  const int result = io::Uninterrupted([&] { return file_system.List(directory, &names); });
  if (result < 0) throw io::SystemError("cannot list the directory", directory, result);
  return names;
}

// Whether the names in a directory are on the device now.
bool IsOnDevice(const std::string& directory, io::FileSystem& file_system) {
  try {
    return OpenDirectory(directory, file_system).Sync() >= 0;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::vector<OldDataFile> RemoveLeftovers(const std::string& prefix, const LiveIndex& live,
                                         io::FileSystem& file_system) {
  const std::size_t base_begin = prefix.rfind('/') + 1;
  const std::string base = prefix.substr(base_begin);
  std::vector<OldDataFile> left;
  std::vector<OldDataFile> unmentioned;
  for (const std::string& name : List(ParentOf(prefix), file_system)) {
    const std::string path = prefix.substr(0, base_begin) + name;
    if (IsTemporaryName(base, name)) file_system.Unlink(path);
    const auto data = ParseDataFileName(base, name);
    if (!data) continue;
    const bool is_live = live.Mentions(data->num_shards);
    (is_live ? left : unmentioned).push_back({path, data->num_shards});
  }
  const bool may_remove = unmentioned.empty() || IsOnDevice(ParentOf(prefix), file_system);
  for (OldDataFile& old : unmentioned) {
    const int result = may_remove ? file_system.Unlink(old.path) : -EIO;
    if (result < 0 && result != -ENOENT) left.push_back(std::move(old));
  }
  return left;
}

}  // namespace fastckpt::commit
