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
#include <vector>

namespace fastckpt::io {

// What Stat tells of a file. Equal device and inode mean the same file.
struct FileStatus {
  std::uint64_t size_bytes = 0;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool is_regular = false;
  bool is_directory = false;
};

enum class WriteMode : std::uint8_t {
  kCreateNew,  // fails where the path exists
  kLock,       // opens or creates, and leaves the content alone
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Opens an existing file for reading; returns a descriptor.
  virtual int OpenRead(const std::string& path) = 0;
  // Opens a file for reading and writing; a created one has the permissions that the umask leaves.
  virtual int OpenWrite(const std::string& path, WriteMode mode) = 0;
  // Opens a directory, for Sync.
  virtual int OpenDirectory(const std::string& path) = 0;
  virtual int Close(int descriptor) = 0;
  virtual int Stat(int descriptor, FileStatus* status) = 0;
  // Reads up to `size` bytes at `offset`; returns the count, 0 at the end of the file.
  virtual std::int64_t ReadAt(int descriptor, void* destination, std::size_t size,
                              std::uint64_t offset) = 0;
  // Maps the first `size` bytes, read-only and shared; size > 0.
  virtual int Map(int descriptor, std::size_t size, const std::uint8_t** address) = 0;
  virtual int Unmap(const std::uint8_t* address, std::size_t size) = 0;
  // Whether the page at an address of a map is in memory: 1 yes, 0 no. 1 as well where the system
  // does not say.
  virtual int IsResident(const std::uint8_t* address) = 0;
  // Part of a map will be read from its begin to its end: what is missing from memory had better
  // come in large pages and requests. A hint: does nothing where the system has no such call.
  virtual int ExpectReads(const std::uint8_t* address, std::uint64_t size) = 0;
  // Lets reads and writes of an open file go past the page cache, or through it again. In direct
  // mode offset, size and address are multiples of io/direct.h's kDirectAlignment, else -EINVAL.
  // -EINVAL too, here or from the first transfer, where the file system has no such mode.
  virtual int SetDirect(int descriptor, bool is_direct) = 0;
  // Whether a map of this file may fault when a peer or the network goes away (NFS, SMB, FUSE …).
  // 1 yes, 0 no.
  virtual int IsRemote(int descriptor) = 0;

  // Writes up to `size` bytes at `offset`; returns the count.
  virtual std::int64_t WriteAt(int descriptor, const void* source, std::size_t size,
                               std::uint64_t offset) = 0;
  // Makes the file this long; what is added reads as zeros.
  virtual int Truncate(int descriptor, std::uint64_t size) = 0;
  // Reserves room on the device for the first `size` bytes; content and size of the file stay.
  // -EOPNOTSUPP where the file system cannot.
  virtual int Reserve(int descriptor, std::uint64_t size) = 0;
  // Starts writing a range to the device and returns at once. A hint: does nothing where the system
  // has no such call.
  virtual int StartWriteback(int descriptor, std::uint64_t offset, std::uint64_t size) = 0;
  // Returns when content and size of a file, or the names in a directory, are on the device.
  virtual int Sync(int descriptor) = 0;
  // Takes the advisory lock of an open file, for this descriptor and its duplicates, without
  // waiting: -EWOULDBLOCK while another holds it. The system drops it when the process dies.
  virtual int Lock(int descriptor) = 0;
  virtual int Unlock(int descriptor) = 0;

  virtual int StatPath(const std::string& path, FileStatus* status) = 0;
  // Replaces `to` at one stroke.
  virtual int Rename(const std::string& from, const std::string& to) = 0;
  // A second name for the same file; fails where `to` exists.
  virtual int Link(const std::string& from, const std::string& to) = 0;
  virtual int Unlink(const std::string& path) = 0;
  virtual int MakeDirectory(const std::string& path) = 0;
  virtual int RemoveDirectory(const std::string& path) = 0;
  // Names in a directory, without "." and "..", in no order.
  virtual int List(const std::string& path, std::vector<std::string>* names) = 0;

  // The real one. It lives as long as the process.
  static FileSystem& Posix();
};

}  // namespace fastckpt::io

#endif  // FASTCKPT_IO_FILE_SYSTEM_H_
