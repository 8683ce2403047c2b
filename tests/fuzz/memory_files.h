// The files of one checkpoint packed into one fuzz input, and a file system that serves them.
//
//   options byte | { name byte, fixed32 size, bytes } per file
//
// Any bytes are an image: the last file ends with the input, and of equal names the first counts.
#ifndef FASTCKPT_TESTS_FUZZ_MEMORY_FILES_H_
#define FASTCKPT_TESTS_FUZZ_MEMORY_FILES_H_

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "io/file_system.h"
#include "support.h"

namespace fastckpt::fuzz {

// The name byte of the index; data shards have their number for a name.
constexpr std::uint8_t kIndexName = 0xFF;

struct ImageFile {
  std::uint8_t name = 0;
  std::string bytes;
};

struct Image {
  std::uint8_t options = 0;
  std::vector<ImageFile> files;

  ImageFile* Find(std::uint8_t name);
  std::string& index();
};

Image ParseImage(ByteView input);
std::string EncodeImage(const Image& image);

// Serves `p.index`, and `p.data-…` by shard number, whatever the number of shards is said to be;
// and each file by its place, as `p-00000-of-…`. Maps are the bytes themselves, which live as long
// as this.
class MemoryFiles final : public io::FileSystem {
 public:
  explicit MemoryFiles(const Image& image);

  int OpenRead(const std::string& path) override;
  int Close(int) override { return 0; }
  int Stat(int descriptor, io::FileStatus* status) override;
  std::int64_t ReadAt(int descriptor, void* destination, std::size_t size,
                      std::uint64_t offset) override;
  int Map(int descriptor, std::size_t size, const std::uint8_t** address) override;
  int Unmap(const std::uint8_t*, std::size_t) override { return 0; }
  int IsResident(const std::uint8_t*) override { return 1; }
  int ExpectReads(const std::uint8_t*, std::uint64_t) override { return 0; }
  int SetDirect(int, bool) override { return 0; }
  int IsRemote(int) override { return 0; }

  // Nothing can be written.
  int OpenWrite(const std::string&, io::WriteMode) override { return -EROFS; }
  int OpenDirectory(const std::string&) override { return -ENOENT; }
  std::int64_t WriteAt(int, const void*, std::size_t, std::uint64_t) override { return -EROFS; }
  int Truncate(int, std::uint64_t) override { return -EROFS; }
  int Reserve(int, std::uint64_t) override { return -EROFS; }
  int StartWriteback(int, std::uint64_t, std::uint64_t) override { return -EROFS; }
  int Sync(int) override { return -EROFS; }
  int Lock(int) override { return -EROFS; }
  int Unlock(int) override { return -EROFS; }
  int StatPath(const std::string&, io::FileStatus*) override { return -ENOENT; }
  int Rename(const std::string&, const std::string&) override { return -EROFS; }
  int Link(const std::string&, const std::string&) override { return -EROFS; }
  int Unlink(const std::string&) override { return -EROFS; }
  int MakeDirectory(const std::string&) override { return -EROFS; }
  int RemoveDirectory(const std::string&) override { return -EROFS; }
  int List(const std::string&, std::vector<std::string>*) override { return -ENOENT; }

 private:
  ByteView bytes(int descriptor) const {
    return contents_[static_cast<std::size_t>(descriptor)]->view();
  }

  std::vector<std::uint8_t> names_;
  std::vector<std::unique_ptr<ExactCopy>> contents_;
};

}  // namespace fastckpt::fuzz

#endif  // FASTCKPT_TESTS_FUZZ_MEMORY_FILES_H_
