#include "direct_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "harness.h"
#include "io/file_system.h"

namespace fastckpt::testing {

// Memory file systems accept the mode and go on as before: they do not mind odd addresses.
bool HasDirectMode(const std::string& path) {
  io::FileSystem& files = io::FileSystem::Posix();
  const int descriptor = files.OpenRead(path);
  CHECK(descriptor >= 0);
  std::vector<char> room(10);
  const bool is_granted = files.SetDirect(descriptor, true) >= 0 &&
                          files.ReadAt(descriptor, room.data() + 1, 3, 1) == -EINVAL;
  files.Close(descriptor);
  if (!is_granted) std::printf("skipped: no direct mode in the file system of %s\n", path.c_str());
  return is_granted;
}

void DropFromCache(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY);
  CHECK(descriptor >= 0);
  CHECK_EQ(::fsync(descriptor), 0);
  CHECK_EQ(::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED), 0);
  ::close(descriptor);
}

}  // namespace fastckpt::testing
