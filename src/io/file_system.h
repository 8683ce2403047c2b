// The seam between the library and the operating system: every file call goes through a FileSystem.
//
// The calls mirror POSIX, one to one, so that a test can make the n-th call fail, come back short
// or be interrupted. Each returns a value >= 0, or minus the errno; nothing here throws or retries.
// Implementations are safe to call from many threads at once.
#ifndef FASTCKPT_IO_FILE_SYSTEM_H_
#define FASTCKPT_IO_FILE_SYSTEM_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace fastckpt::io {

// What Stat tells of an open file.
struct FileStatus {
  std::uint64_t size_bytes = 0;
  bool is_regular = false;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Opens an existing file for reading; returns a descriptor.
  virtual int OpenRead(const std::string& path) = 0;
  virtual int Close(int descriptor) = 0;
  virtual int Stat(int descriptor, FileStatus* status) = 0;
  // Reads up to `size` bytes at `offset`; returns the count, 0 at the end of the file.
  virtual std::int64_t ReadAt(int descriptor, void* destination, std::size_t size,
                              std::uint64_t offset) = 0;
  // Maps the first `size` bytes, read-only and shared; size > 0.
  virtual int Map(int descriptor, std::size_t size, const std::uint8_t** address) = 0;
  virtual int Unmap(const std::uint8_t* address, std::size_t size) = 0;
  // Whether a map of this file may fault when a peer or the network goes away (NFS, SMB, FUSE …).
  // 1 yes, 0 no.
  virtual int IsRemote(int descriptor) = 0;

  // The real one. It lives as long as the process.
  static FileSystem& Posix();
};

}  // namespace fastckpt::io

#endif  // FASTCKPT_IO_FILE_SYSTEM_H_
