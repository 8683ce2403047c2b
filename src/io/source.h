// Sources: the immutable bytes of one file, read at offsets.
//
// Four kinds: mapped (a shared, read-only memory map), positional (pread on each call), direct (the
// same past the page cache, io/direct_source.h) and memory.
// A source is immutable after construction, safe to use from many threads, and owned by shared_ptr;
// whoever hands out a view keeps the source alive.
#ifndef FASTCKPT_IO_SOURCE_H_
#define FASTCKPT_IO_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "io/file_system.h"

namespace fastckpt::io {

class Source {
 public:
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  const std::string& path() const { return path_; }
  // The size when the source was opened.
  std::uint64_t size() const { return size_; }
  // Where byte 0 stands in memory, or nullptr when the bytes are not addressable (positional).
  const std::uint8_t* data() const { return data_; }

  // Throws DataLoss unless the file still holds [offset, offset + size): truncation under a live
  // map becomes an error here, before a loop of the library faults on it. Costs one fstat for
  // files.
  virtual void CheckPresent(std::uint64_t offset, std::uint64_t size) const = 0;

  // Copies [offset, offset + destination.size()) to `destination`. Throws DataLoss when the file
  // ends early, Io when the system refuses.
  virtual void ReadAt(std::uint64_t offset, MutableBytes destination) const = 0;

  // Hands the bytes of a range to `use`, in order, piece_size() bytes at a time; a piece is in
  // memory until `use` returns. Throws what ReadAt and `use` throw. `use` must not call this.
  using PieceUser = std::function<void(ByteView)>;
  virtual void ForEachPiece(std::uint64_t offset, std::uint64_t size, const PieceUser& use) const;
  virtual std::uint64_t piece_size() const;

  // The same file read past the page cache; null unless the backend is "direct", or "auto" and the
  // file is mapped. Lives as long as this source.
  virtual const Source* direct() const { return nullptr; }
  // Whether most of a range is not in memory; a few samples are looked at. Always false for what is
  // not mapped.
  virtual bool IsCold(std::uint64_t offset, std::uint64_t size) const;
  // A range, not an empty one, is to be read next, from begin to end: the system is told how to
  // read what is missing of a map where that is much, or follows what was announced before.
  virtual void ExpectRead(std::uint64_t offset, std::uint64_t size) const noexcept;

 protected:
  Source(std::string path, std::uint64_t size, const std::uint8_t* data)
      : path_(std::move(path)), size_(size), data_(data) {}

  // Throws DataLoss unless [offset, offset + size) lies inside `available` bytes.
  void CheckInside(std::uint64_t offset, std::uint64_t size, std::uint64_t available) const;

 private:
  std::string path_;
  std::uint64_t size_;
  const std::uint8_t* data_;
};

enum class Backend : std::uint8_t {
  kAuto = 0,  // mapped, unless the file lies on a network or user-space file system
  kMapped = 1,
  kPositional = 2,
  kDirect = 3,  // positional where the file system has no direct mode
};

// Opens a file. Throws NotFound when there is none, InvalidArgument when it is a directory or other
// special file, Io for any other refusal.
std::shared_ptr<const Source> OpenSource(const std::string& path, Backend backend,
                                         FileSystem& file_system = FileSystem::Posix());

// A source over bytes in memory; `name` stands for the path in messages.
std::shared_ptr<const Source> MemorySource(std::string name, std::vector<std::uint8_t> bytes);

}  // namespace fastckpt::io

#endif  // FASTCKPT_IO_SOURCE_H_
