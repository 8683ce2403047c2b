#include "io/source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace fastckpt::io {
namespace {

[[noreturn]] void ThrowSystemError(const std::string& what, const std::string& path,
                                   std::int64_t result) {
  const int number = static_cast<int>(-result);
  const bool missing = number == ENOENT || number == ENOTDIR;
  std::string message = what + ": " + std::generic_category().message(number);
  if (number == EMFILE) message += "; raise the limit of open files (ulimit -n)";
  throw Error(missing ? ErrorCode::kNotFound : ErrorCode::kIo, std::move(message))
      .At(path)
      .WithSystemError(number);
}

// An open descriptor, closed with its owner.
class OpenFile {
 public:
  OpenFile(FileSystem& file_system, const std::string& path) : file_system_(file_system) {
    do {
      descriptor_ = file_system.OpenRead(path);
    } while (descriptor_ == -EINTR);
    if (descriptor_ < 0) ThrowSystemError("cannot open the file", path, descriptor_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() { file_system_.Close(descriptor_); }

  FileSystem& file_system() const { return file_system_; }
  int descriptor() const { return descriptor_; }

  FileStatus Status(const std::string& path) const {
    FileStatus status;
    const int result = file_system_.Stat(descriptor_, &status);
    if (result < 0) ThrowSystemError("cannot read the file's size", path, result);
    return status;
  }

 private:
  FileSystem& file_system_;
  int descriptor_ = -1;
};

class FileSource : public Source {
 public:
  FileSource(std::string path, std::uint64_t size, const std::uint8_t* data,
             std::unique_ptr<OpenFile> file)
      : Source(std::move(path), size, data), file_(std::move(file)) {}

  void CheckPresent(std::uint64_t offset, std::uint64_t size) const final {
    CheckInside(offset, size, std::min(file_->Status(path()).size_bytes, this->size()));
  }

  void ReadAt(std::uint64_t offset, MutableBytes destination) const override {
    while (!destination.empty()) {
      // Linux moves at most 0x7ffff000 bytes a call; smaller calls also let a signal in.
      const std::size_t step = std::min<std::size_t>(destination.size(), std::size_t{1} << 30);
      const std::int64_t count =
          file_->file_system().ReadAt(file_->descriptor(), destination.data(), step, offset);
      if (count == -EINTR) continue;
      if (count < 0) ThrowSystemError("cannot read the file", path(), count);
      if (count == 0) CheckInside(offset, destination.size(), offset);
      destination = destination.subspan(static_cast<std::size_t>(count));
      offset += static_cast<std::uint64_t>(count);
    }
  }

 protected:
  const OpenFile& file() const { return *file_; }

 private:
  std::unique_ptr<OpenFile> file_;
};

class MappedSource final : public FileSource {
 public:
  using FileSource::FileSource;
  ~MappedSource() override {
    if (data() != nullptr) file().file_system().Unmap(data(), static_cast<std::size_t>(size()));
  }

  void ReadAt(std::uint64_t offset, MutableBytes destination) const override {
    CheckPresent(offset, destination.size());
    if (!destination.empty()) std::memcpy(destination.data(), data() + offset, destination.size());
  }
};

class BytesSource final : public Source {
 public:
  BytesSource(std::string name, std::vector<std::uint8_t> bytes)
      : Source(std::move(name), bytes.size(), bytes.data()), bytes_(std::move(bytes)) {}

  void CheckPresent(std::uint64_t offset, std::uint64_t size) const override {
    CheckInside(offset, size, this->size());
  }

  void ReadAt(std::uint64_t offset, MutableBytes destination) const override {
    CheckPresent(offset, destination.size());
    if (!destination.empty()) std::memcpy(destination.data(), data() + offset, destination.size());
  }

 private:
  std::vector<std::uint8_t> bytes_;
};

// Mapping fails on some file systems (ENODEV) and past some limits (ENOMEM); "auto" then reads.
bool MapsByChoice(Backend backend, const OpenFile& file) {
  if (backend != Backend::kAuto) return backend == Backend::kMapped;
  return file.file_system().IsRemote(file.descriptor()) == 0;
}

}  // namespace

void Source::CheckInside(std::uint64_t offset, std::uint64_t size, std::uint64_t available) const {
  if (IsRange(offset, size, available)) return;
  throw Error(ErrorCode::kDataLoss, "the file is too short: bytes " + std::to_string(offset) +
                                        " to " + std::to_string(offset + size) +
                                        " are wanted, and " + std::to_string(available) +
                                        " are there; it is truncated or still being written")
      .At(path_, offset);
}

std::shared_ptr<const Source> OpenSource(const std::string& path, Backend backend,
                                         FileSystem& file_system) {
  auto file = std::make_unique<OpenFile>(file_system, path);
  const FileStatus status = file->Status(path);
  if (!status.is_regular) {
    throw Error(ErrorCode::kInvalidArgument, "not a regular file; pass a checkpoint's prefix")
        .At(path);
  }
  if (status.size_bytes == 0 || !MapsByChoice(backend, *file)) {
    return std::make_shared<FileSource>(path, status.size_bytes, nullptr, std::move(file));
  }
  const std::uint8_t* address = nullptr;
  const int result =
      file_system.Map(file->descriptor(), static_cast<std::size_t>(status.size_bytes), &address);
  if (result < 0 && backend == Backend::kMapped) {
    ThrowSystemError("cannot map the file", path, result);
  }
  if (result < 0) {
    return std::make_shared<FileSource>(path, status.size_bytes, nullptr, std::move(file));
  }
  return std::make_shared<MappedSource>(path, status.size_bytes, address, std::move(file));
}

std::shared_ptr<const Source> MemorySource(std::string name, std::vector<std::uint8_t> bytes) {
  return std::make_shared<BytesSource>(std::move(name), std::move(bytes));
}

}  // namespace fastckpt::io
