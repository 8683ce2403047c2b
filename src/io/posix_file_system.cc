#include <fcntl.h>
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

class PosixFileSystem final : public FileSystem {
 public:
  int OpenRead(const std::string& path) override {
    // Without O_NONBLOCK a FIFO in place of a shard would block for ever; files do not mind it.
    return Result(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  }

  int Close(int descriptor) override { return Result(::close(descriptor)); }

  int Stat(int descriptor, FileStatus* status) override {
    struct stat raw;
    if (::fstat(descriptor, &raw) != 0) return -errno;
    status->size_bytes = static_cast<std::uint64_t>(raw.st_size);
    status->is_regular = S_ISREG(raw.st_mode);
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
};

}  // namespace

FileSystem& FileSystem::Posix() {
  static PosixFileSystem* const file_system = new PosixFileSystem;
  return *file_system;
}

}  // namespace fastckpt::io
