#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/vfs.h>
#endif

#include <algorithm>
#include <array>
#include <cerrno>

#include "io/file_system.h"

namespace fastckpt::io {
namespace {

// Whole pages are looked at, whatever their size: an address is rounded down to a multiple of it.
const std::uintptr_t kPageSize = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));

int Result(long value) {
  return value < 0 ? -errno : static_cast<int>(value);
}

#if defined(__linux__)
// Linux magic numbers (linux/magic.h and the file systems' own headers) of file systems whose pages
// come over a network or from another process.
constexpr std::array<std::uint32_t, 10> kRemoteFileSystems = {
    0x00006969,  // NFS
    0x0000517B,  // SMB
    0xFF534D42,  // CIFS
    0xFE534D42,  // SMB2
    0x65735546,  // FUSE
    0x01021997,  // 9P
    0x00C36400,  // Ceph
    0x0BD00BD0,  // Lustre
    0x47504653,  // GPFS
    0x5346414F,  // AFS
};
#endif

void Convert(const struct stat& raw, FileStatus* status) {
  status->size_bytes = static_cast<std::uint64_t>(raw.st_size);
  status->device = raw.st_dev;
  status->inode = raw.st_ino;
  status->is_regular = S_ISREG(raw.st_mode);
  status->is_directory = S_ISDIR(raw.st_mode);
}

int OpenFlags(WriteMode mode) {
  // What lies at the path of a lock may be anybody's; a link would lead the writer elsewhere, and a
  // FIFO would block it.
  if (mode == WriteMode::kLock) return O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
  return O_RDWR | O_CREAT | O_EXCL;
}

class PosixFileSystem final : public FileSystem {
 public:
  int OpenRead(const std::string& path) override {
    // Without O_NONBLOCK a FIFO in place of a shard would block for ever; files do not mind it.
    return Result(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  }

  int OpenWrite(const std::string& path, WriteMode mode) override {
    return Result(::open(path.c_str(), OpenFlags(mode) | O_CLOEXEC, 0666));
  }

  int OpenDirectory(const std::string& path) override {
    return Result(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }

  int Close(int descriptor) override { return Result(::close(descriptor)); }

  int Stat(int descriptor, FileStatus* status) override {
    struct stat raw;
    if (::fstat(descriptor, &raw) != 0) return -errno;
    Convert(raw, status);
    return 0;
  }

  std::int64_t ReadAt(int descriptor, void* destination, std::size_t size,
                      std::uint64_t offset) override {
    const ssize_t count = ::pread(descriptor, destination, size, static_cast<off_t>(offset));
    return count < 0 ? -errno : count;
  }

  int Map(int descriptor, std::size_t size, const std::uint8_t** address) override {
    void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
    if (mapped == MAP_FAILED) return -errno;
    *address = static_cast<const std::uint8_t*>(mapped);
    return 0;
  }

  int Unmap(const std::uint8_t* address, std::size_t size) override {
    return Result(::munmap(const_cast<std::uint8_t*>(address), size));
  }

  int IsResident(const std::uint8_t* address) override {
    const auto page = reinterpret_cast<std::uintptr_t>(address) / kPageSize * kPageSize;
#if defined(__APPLE__)
    char resident = 1;
#else
    unsigned char resident = 1;
#endif
    if (::mincore(reinterpret_cast<void*>(page), 1, &resident) != 0) return -errno;
    return resident & 1;
  }

  int ExpectReads(const std::uint8_t* address, std::uint64_t size) override {
#if defined(MADV_HUGEPAGE)
    // Since 5.18 Linux then reads 4 MiB at a fault, whatever the device's read-ahead, into pages of
    // 2 MiB where the file system has such. POSIX_FADV_WILLNEED makes pages of 4 KiB, whose
    // requests a virtual disk took at less than half the speed (docs/performance.md).
    const auto begin = reinterpret_cast<std::uintptr_t>(address);
    const std::uintptr_t page = begin / kPageSize * kPageSize;
    const auto bytes = static_cast<std::size_t>(begin - page + size);
    return Result(::madvise(reinterpret_cast<void*>(page), bytes, MADV_HUGEPAGE));
#else
    static_cast<void>(address), static_cast<void>(size);
    return 0;
#endif
  }

  int SetDirect(int descriptor, bool is_direct) override {
#if defined(O_DIRECT)
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0) return -errno;
    return Result(::fcntl(descriptor, F_SETFL, is_direct ? flags | O_DIRECT : flags & ~O_DIRECT));
#elif defined(F_NOCACHE)
    return Result(::fcntl(descriptor, F_NOCACHE, is_direct ? 1 : 0));
#else
    static_cast<void>(descriptor);
    return is_direct ? -EINVAL : 0;
#endif
  }

  int IsRemote(int descriptor) override {
#if defined(__linux__)
    struct statfs raw;
    if (::fstatfs(descriptor, &raw) != 0) return -errno;
    const auto type = static_cast<std::uint32_t>(raw.f_type);
    return std::ranges::find(kRemoteFileSystems, type) != kRemoteFileSystems.end() ? 1 : 0;
#else
    static_cast<void>(descriptor);
    return 0;
#endif
  }

  std::int64_t WriteAt(int descriptor, const void* source, std::size_t size,
                       std::uint64_t offset) override {
    const ssize_t count = ::pwrite(descriptor, source, size, static_cast<off_t>(offset));
    return count < 0 ? -errno : count;
  }

  int Truncate(int descriptor, std::uint64_t size) override {
    return Result(::ftruncate(descriptor, static_cast<off_t>(size)));
  }

  int Reserve(int descriptor, std::uint64_t size) override {
#if defined(__linux__)
    return Result(::fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)));
#else
    static_cast<void>(descriptor), static_cast<void>(size);
    return -EOPNOTSUPP;
#endif
  }

  int StartWriteback(int descriptor, std::uint64_t offset, std::uint64_t size) override {
#if defined(__linux__)
    return Result(::sync_file_range(descriptor, static_cast<off_t>(offset),
                                    static_cast<off_t>(size), SYNC_FILE_RANGE_WRITE));
#else
    static_cast<void>(descriptor), static_cast<void>(offset), static_cast<void>(size);
    return 0;
#endif
  }

  int Sync(int descriptor) override {
    struct stat raw;
    if (::fstat(descriptor, &raw) != 0) return -errno;
#if defined(__APPLE__)
    // There fsync stops at the drive's cache.
    return Result(::fcntl(descriptor, F_FULLFSYNC));
#else
    // Times are all that fdatasync leaves out, and they are worth nothing here; of directories it
    // promises nothing.
    return Result(S_ISDIR(raw.st_mode) ? ::fsync(descriptor) : ::fdatasync(descriptor));
#endif
  }

  int Lock(int descriptor) override { return Result(::flock(descriptor, LOCK_EX | LOCK_NB)); }

  int Unlock(int descriptor) override { return Result(::flock(descriptor, LOCK_UN)); }

  int StatPath(const std::string& path, FileStatus* status) override {
    struct stat raw;
    if (::stat(path.c_str(), &raw) != 0) return -errno;
    Convert(raw, status);
    return 0;
  }

  int Rename(const std::string& from, const std::string& to) override {
    return Result(::rename(from.c_str(), to.c_str()));
  }

  int Link(const std::string& from, const std::string& to) override {
    // Plain link() makes a second name of a symbolic link itself on Linux, of its target elsewhere.
    return Result(::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW));
  }

  int Unlink(const std::string& path) override { return Result(::unlink(path.c_str())); }

  int MakeDirectory(const std::string& path) override {
    return Result(::mkdir(path.c_str(), 0777));
  }

  int RemoveDirectory(const std::string& path) override { return Result(::rmdir(path.c_str())); }

  int List(const std::string& path, std::vector<std::string>* names) override {
    DIR* const directory = ::opendir(path.c_str());
    if (directory == nullptr) return -errno;
    names->clear();
    errno = 0;
    while (const dirent* entry = ::readdir(directory)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names->push_back(name);
      errno = 0;
    }
    const int number = errno;
    ::closedir(directory);
    return -number;
  }
};

}  // namespace

FileSystem& FileSystem::Posix() {
  static PosixFileSystem* const file_system = new PosixFileSystem;
  return *file_system;
}

}  // namespace fastckpt::io
