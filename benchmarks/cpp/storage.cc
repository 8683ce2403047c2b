// What storage allows: plain loops that write new files and read past the page cache, and check
// nothing.
//
// benchmarks/native.py compiles this file into a shared library and calls it through ctypes. All
// functions return 0, or errno.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "parallel.h"

namespace {

constexpr std::uint64_t kDirectUnit = 4096;

struct Piece {
  std::uint64_t offset;
  std::uint64_t size;
  std::uint8_t* memory;
};

int WritePiece(int descriptor, Piece piece) {
  while (piece.size > 0) {
    const ssize_t put =
        ::pwrite(descriptor, piece.memory, piece.size, static_cast<off_t>(piece.offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return put < 0 ? errno : EIO;
    piece.offset += static_cast<std::uint64_t>(put);
    piece.size -= static_cast<std::uint64_t>(put);
    piece.memory += put;
  }
  return 0;
}

int WriteFile(const char* path, const Piece* pieces, std::size_t count) {
  const int descriptor = ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0) return errno;
  const std::uint64_t base = count > 0 ? pieces[0].offset : 0;
  const std::uint64_t end = count > 0 ? pieces[count - 1].offset + pieces[count - 1].size : 0;
  int code = ::ftruncate(descriptor, static_cast<off_t>(end - base)) == 0 ? 0 : errno;
  for (std::size_t i = 0; i < count && code == 0; ++i) {
    code = WritePiece(descriptor, {pieces[i].offset - base, pieces[i].size, pieces[i].memory});
  }
  if (::close(descriptor) != 0 && code == 0) code = errno;
  return code;
}

std::uint64_t RoundedUp(std::uint64_t size) {
  return (size + kDirectUnit - 1) / kDirectUnit * kDirectUnit;
}

// `memory` repeats after `window` bytes.
std::vector<Piece> DirectPieces(std::uint8_t* memory, std::uint64_t window, std::uint64_t size,
                                std::uint64_t call_bytes) {
  std::vector<Piece> pieces;
  for (std::uint64_t at = 0; at < size; at += call_bytes) {
    pieces.push_back({at, RoundedUp(std::min(call_bytes, size - at)), memory + at % window});
  }
  return pieces;
}

int ReadPiece(int descriptor, const Piece& piece, std::uint64_t file_size) {
  const std::uint64_t wanted = std::min(piece.size, file_size - piece.offset);
  for (;;) {
    const ssize_t got =
        ::pread(descriptor, piece.memory, piece.size, static_cast<off_t>(piece.offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    // A direct read is short at the end of the file only.
    return static_cast<std::uint64_t>(got) >= wanted ? 0 : EIO;
  }
}

}  // namespace

#define STORAGE_EXPORT extern "C" __attribute__((visibility("default")))

// Writes `count` ranges of memory, one after the other, to `num_files` new files through the page
// cache; every file gets a thread and about as many bytes as the others.
STORAGE_EXPORT int storage_write(const char* const* paths, std::size_t num_files,
                                 std::uint8_t* const* sources, const std::uint64_t* sizes,
                                 std::size_t count, std::uint64_t call_bytes) {
  std::vector<Piece> pieces;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::uint64_t at = 0; at < sizes[i]; at += call_bytes) {
      pieces.push_back({total + at, std::min(call_bytes, sizes[i] - at), sources[i] + at});
    }
    total += sizes[i];
  }
  const auto first_of = [&](std::size_t file) {
    const auto begins_before = [](const Piece& piece, std::uint64_t at) {
      return piece.offset < at;
    };
    const std::uint64_t from = total / num_files * file;
    const auto end = file == num_files
                         ? pieces.end()
                         : std::lower_bound(pieces.begin(), pieces.end(), from, begins_before);
    return static_cast<std::size_t>(end - pieces.begin());
  };
  std::atomic<int> failure{0};
  InParallel(num_files, static_cast<int>(num_files), [&](std::size_t file) {
    const std::size_t begin = first_of(file);
    const std::size_t pieces_of_file = first_of(file + 1) - begin;
    if (const int code = WriteFile(paths[file], pieces.data() + begin, pieces_of_file)) {
      failure = code;
    }
  });
  return failure;
}

// Writes a new file past the page cache, `depth` requests at a time, and waits for the device.
// `memory` begins at a page and is readable up to the next multiple of a page after `size`.
STORAGE_EXPORT int storage_direct_write(const char* path, std::uint8_t* memory, std::uint64_t size,
                                        std::uint64_t call_bytes, int depth) {
  const int descriptor = ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_DIRECT, 0644);
  if (descriptor < 0) return errno;
  const auto whole = static_cast<off_t>(RoundedUp(size));
  // Not every file system reserves space in advance; the size alone does nearly as well.
  if (::fallocate(descriptor, 0, 0, whole) != 0) static_cast<void>(::ftruncate(descriptor, whole));
  const std::vector<Piece> pieces = DirectPieces(memory, RoundedUp(size), size, call_bytes);
  std::atomic<int> failure{0};
  InParallel(pieces.size(), depth, [&](std::size_t i) {
    if (const int code = WritePiece(descriptor, pieces[i])) failure = code;
  });
  if (failure == 0 && ::ftruncate(descriptor, static_cast<off_t>(size)) != 0) failure = errno;
  if (failure == 0 && ::fdatasync(descriptor) != 0) failure = errno;
  ::close(descriptor);
  return failure;
}

// Reads a file past the page cache, `depth` requests at a time. `memory` begins at a page; offsets
// beyond `window`, a multiple of `call_bytes`, overwrite it from its start.
STORAGE_EXPORT int storage_direct_read(const char* path, std::uint8_t* memory, std::uint64_t window,
                                       std::uint64_t size, std::uint64_t call_bytes, int depth) {
  const int descriptor = ::open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
  if (descriptor < 0) return errno;
  const std::vector<Piece> pieces = DirectPieces(memory, window, size, call_bytes);
  std::atomic<int> failure{0};
  InParallel(pieces.size(), depth, [&](std::size_t i) {
    if (const int code = ReadPiece(descriptor, pieces[i], size)) failure = code;
  });
  ::close(descriptor);
  return failure;
}
