// An open descriptor, closed with its owner. For the sources of this room.
#ifndef FASTCKPT_IO_OPEN_FILE_H_
#define FASTCKPT_IO_OPEN_FILE_H_

#include <cstdint>
#include <string>

#include "io/file_system.h"

namespace fastckpt::io {

// Throws what a refusal of the system becomes: NotFound where there is no such file, else Io.
[[noreturn]] void ThrowReadError(const std::string& what, const std::string& path,
                                 std::int64_t result);

class OpenFile {
 public:
  // Opens for reading. Throws NotFound or Io.
  OpenFile(FileSystem& file_system, const std::string& path);
  ~OpenFile() { file_system_.Close(descriptor_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  FileSystem& file_system() const { return file_system_; }
  int descriptor() const { return descriptor_; }

  // Throws Io, naming `path`.
  FileStatus Status(const std::string& path) const;

 private:
  FileSystem& file_system_;
  int descriptor_ = -1;
};

}  // namespace fastckpt::io

#endif  // FASTCKPT_IO_OPEN_FILE_H_
