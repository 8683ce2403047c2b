#include "io/open_file.h"

#include <cerrno>

#include "base/error.h"
#include "io/system_error.h"

namespace fastckpt::io {

void ThrowReadError(const std::string& what, const std::string& path, std::int64_t result) {
  const bool missing = result == -ENOENT || result == -ENOTDIR;
  throw SystemError(what, path, result, missing ? ErrorCode::kNotFound : ErrorCode::kIo);
}

OpenFile::OpenFile(FileSystem& file_system, const std::string& path) : file_system_(file_system) {
  descriptor_ = Uninterrupted([&] { return file_system.OpenRead(path); });
  if (descriptor_ < 0) ThrowReadError("cannot open the file", path, descriptor_);
}

FileStatus OpenFile::Status(const std::string& path) const {
  FileStatus status;
  const int result = file_system_.Stat(descriptor_, &status);
  if (result < 0) ThrowReadError("cannot read the file's size", path, result);
  return status;
}

}  // namespace fastckpt::io
