#include "io/source.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/error.h"
#include "io/direct_source.h"
#include "io/open_file.h"

namespace fastckpt::io {
namespace {

// Bytes read at a time where there is no map: a checksum then finds them in the cache.
constexpr std::size_t kReadBytes = std::size_t{256} << 10;

// Pages looked at to tell whether a range is in memory, and how many of them may be.
constexpr std::uint64_t kColdSamples = 16;
constexpr std::uint64_t kMaxResident = 4;

// The system reads about this much at once of what is expected to be read. It is told of reads that
// are as large, and of smaller ones only where they follow each other: others would make it read
// what nobody wants. In a sequence it is told this far ahead, so that it is told seldom.
constexpr std::uint64_t kExpectedBytes = std::uint64_t{8} << 20;
// A read follows another when it begins at most this much behind its end.
constexpr std::uint64_t kNear = std::uint64_t{4} << 20;
// No read begins near this.
constexpr std::uint64_t kNowhere = std::uint64_t{1} << 63;
// Each range of a map that the system is told of may become one more map to it, and a process may
// have 65530 on Linux.
constexpr std::uint64_t kMaxExpectedRanges = 8192;

class FileSource : public Source {
 public:
  FileSource(std::string path, std::uint64_t size, const std::uint8_t* data,
             std::shared_ptr<const OpenFile> file)
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
      if (count < 0) ThrowReadError("cannot read the file", path(), count);
      if (count == 0) CheckInside(offset, destination.size(), offset);
      destination = destination.subspan(static_cast<std::size_t>(count));
      offset += static_cast<std::uint64_t>(count);
    }
  }

 protected:
  const OpenFile& file() const { return *file_; }

 private:
  std::shared_ptr<const OpenFile> file_;
};

class MappedSource final : public FileSource {
 public:
  MappedSource(const std::string& path, std::uint64_t size, const std::uint8_t* data,
               const std::shared_ptr<const OpenFile>& file, bool may_be_direct)
      : FileSource(path, size, data, file) {
    if (may_be_direct) direct_.emplace(path, size, file);
  }
  ~MappedSource() override {
    if (data() != nullptr) file().file_system().Unmap(data(), static_cast<std::size_t>(size()));
  }

  void ReadAt(std::uint64_t offset, MutableBytes destination) const override {
    CheckPresent(offset, destination.size());
    if (!destination.empty()) std::memcpy(destination.data(), data() + offset, destination.size());
  }

  const Source* direct() const override { return direct_ ? &*direct_ : nullptr; }

  bool IsCold(std::uint64_t offset, std::uint64_t size) const override {
    std::uint64_t num_resident = 0;
    for (std::uint64_t i = 0; i < kColdSamples && num_resident <= kMaxResident; ++i) {
      const std::uint64_t at = offset + size / kColdSamples * i;
      num_resident += file().file_system().IsResident(data() + at) != 0 ? 1 : 0;
    }
    return num_resident <= kMaxResident;
  }

  void ExpectRead(std::uint64_t offset, std::uint64_t size) const noexcept override {
    const std::uint64_t end = offset + size;
    const bool follows = offset - expected_.exchange(end, std::memory_order_relaxed) <= kNear;
    const std::uint64_t least = std::max(kExpectedBytes, this->size() / kMaxExpectedRanges);
    if (!follows && size < least) return;
    const std::uint64_t told = told_.load(std::memory_order_relaxed);
    if (follows && end <= told && told - end <= least) return;
    const std::uint64_t until = follows ? std::min(end + least, this->size()) : end;
    told_.store(until, std::memory_order_relaxed);
    FileSystem& file_system = file().file_system();
    if (file_system.IsResident(data() + until - 1) != 0) return;
    file_system.ExpectReads(data() + offset, until - offset);
  }

 private:
  // Ends of what was announced last, and of what the system was told of last. Threads that announce
  // at once may hide sequences from each other, no more.
  mutable std::atomic<std::uint64_t> expected_{kNowhere};
  mutable std::atomic<std::uint64_t> told_{0};
  // Nobody reads from the descriptor of a map but this.
  std::optional<DirectSource> direct_;
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

void Source::ForEachPiece(std::uint64_t offset, std::uint64_t size, const PieceUser& use) const {
  static thread_local std::vector<std::uint8_t> scratch;
  CheckPresent(offset, size);
  if (size == 0) return;
  if (data_ != nullptr) return use(ByteView(data_ + offset, static_cast<std::size_t>(size)));
  scratch.resize(kReadBytes);
  for (std::uint64_t done = 0; done < size;) {
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, size - done));
    const MutableBytes piece(scratch.data(), step);
    ReadAt(offset + done, piece);
    use(piece);
    done += step;
  }
}

std::uint64_t Source::piece_size() const {
  return data_ != nullptr ? size_ : kReadBytes;
}

bool Source::IsCold(std::uint64_t, std::uint64_t) const {
  return false;
}

void Source::ExpectRead(std::uint64_t, std::uint64_t) const noexcept {}

std::shared_ptr<const Source> OpenSource(const std::string& path, Backend backend,
                                         FileSystem& file_system) {
  const auto file = std::make_shared<const OpenFile>(file_system, path);
  const FileStatus status = file->Status(path);
  if (!status.is_regular) {
    throw Error(ErrorCode::kInvalidArgument, "not a regular file; pass a checkpoint's prefix")
        .At(path);
  }
  if (backend == Backend::kDirect) {
    return std::make_shared<DirectSource>(path, status.size_bytes, file);
  }
  if (status.size_bytes == 0 || !MapsByChoice(backend, *file)) {
    return std::make_shared<FileSource>(path, status.size_bytes, nullptr, file);
  }
  const std::uint8_t* address = nullptr;
  const int result =
      file_system.Map(file->descriptor(), static_cast<std::size_t>(status.size_bytes), &address);
  if (result < 0 && backend == Backend::kMapped) {
    ThrowReadError("cannot map the file", path, result);
  }
  if (result < 0) {
    return std::make_shared<FileSource>(path, status.size_bytes, nullptr, file);
  }
  return std::make_shared<MappedSource>(path, status.size_bytes, address, file,
                                        backend == Backend::kAuto);
}

std::shared_ptr<const Source> MemorySource(std::string name, std::vector<std::uint8_t> bytes) {
  return std::make_shared<BytesSource>(std::move(name), std::move(bytes));
}

}  // namespace fastckpt::io
