// What the machine allows: plain loops that read, copy and pread as fast as they can, and check
// nothing.
//
// benchmarks/native.py compiles this file into a shared library and calls it through ctypes. All
// functions return 0, or errno.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "parallel.h"

namespace {

constexpr std::size_t kPieceBytes = std::size_t{4} << 20;
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::atomic<std::uint64_t> sink;

// Every byte counts; the compiler may use the widest loads that the machine has.
#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
std::uint64_t SumWords(const std::uint64_t* words, std::size_t count) {
  std::uint64_t sum[32] = {};
  std::size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    for (std::size_t lane = 0; lane < 32; ++lane) sum[lane] += words[i + lane];
  }
  for (; i < count; ++i) sum[0] += words[i];
  std::uint64_t total = 0;
  for (const std::uint64_t part : sum) total += part;
  return total;
}

std::size_t Pieces(std::size_t size, std::size_t piece) {
  return (size + piece - 1) / piece;
}

void ReadMemory(const std::uint8_t* data, std::size_t size, int num_threads) {
  InParallel(Pieces(size, kPieceBytes), num_threads, [&](std::size_t i) {
    const std::size_t begin = i * kPieceBytes;
    const std::size_t count = std::min(kPieceBytes, size - begin) / sizeof(std::uint64_t);
    sink += SumWords(reinterpret_cast<const std::uint64_t*>(data + begin), count);
  });
}

struct Piece {
  std::uint64_t offset;
  std::uint64_t size;
  std::uint8_t* destination;
};

int ReadPiece(int descriptor, Piece piece) {
  while (piece.size > 0) {
    const ssize_t got =
        ::pread(descriptor, piece.destination, piece.size, static_cast<off_t>(piece.offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 ? errno : EIO;
    piece.offset += static_cast<std::uint64_t>(got);
    piece.size -= static_cast<std::uint64_t>(got);
    piece.destination += got;
  }
  return 0;
}

}  // namespace

#define CEILING_EXPORT extern "C" __attribute__((visibility("default")))

// Maps a file, or returns null. The size goes to `size`.
CEILING_EXPORT const void* ceiling_map(const char* path, std::uint64_t* size) {
  const int descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return nullptr;
  struct stat status = {};
  void* map = MAP_FAILED;
  if (::fstat(descriptor, &status) == 0) {
    *size = static_cast<std::uint64_t>(status.st_size);
    map = ::mmap(nullptr, *size, PROT_READ, MAP_SHARED, descriptor, 0);
  }
  ::close(descriptor);
  return map == MAP_FAILED ? nullptr : map;
}

// Reads every word of a range of memory.
CEILING_EXPORT int ceiling_read(const void* data, std::uint64_t size, int num_threads) {
  ReadMemory(static_cast<const std::uint8_t*>(data), size, num_threads);
  return 0;
}

// Maps a file, reads every word of it, and unmaps it.
CEILING_EXPORT int ceiling_map_read(const char* path, int num_threads) {
  std::uint64_t size = 0;
  const void* map = ceiling_map(path, &size);
  if (map == nullptr) return errno;
  ReadMemory(static_cast<const std::uint8_t*>(map), size, num_threads);
  return ::munmap(const_cast<void*>(map), size) == 0 ? 0 : errno;
}

// Copies memory with memcpy.
CEILING_EXPORT int ceiling_copy(void* to, const void* from, std::uint64_t size, int num_threads) {
  InParallel(Pieces(size, kPieceBytes), num_threads, [&](std::size_t i) {
    const std::size_t begin = i * kPieceBytes;
    std::memcpy(static_cast<std::uint8_t*>(to) + begin,
                static_cast<const std::uint8_t*>(from) + begin,
                std::min(kPieceBytes, size - begin));
  });
  return 0;
}

// Opens a file and reads `count` ranges of it to their destinations in calls of `call_bytes`.
CEILING_EXPORT int ceiling_pread(const char* path, const std::uint64_t* offsets,
                                 const std::uint64_t* sizes, std::uint8_t* const* destinations,
                                 std::size_t count, std::uint64_t call_bytes, int num_threads) {
  const int descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return errno;
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::uint64_t at = 0; at < sizes[i]; at += call_bytes) {
      pieces.push_back(
          {offsets[i] + at, std::min(call_bytes, sizes[i] - at), destinations[i] + at});
    }
  }
  std::atomic<int> failure{0};
  InParallel(pieces.size(), num_threads, [&](std::size_t i) {
    if (const int code = ReadPiece(descriptor, pieces[i])) failure = code;
  });
  ::close(descriptor);
  return failure;
}

// Fresh memory aligned to huge pages, with advice to use them; null when there is none. Its first
// touch is the caller's. `size` must be given to ceiling_free again.
CEILING_EXPORT void* ceiling_allocate(std::uint64_t size) {
  void* memory =
      ::mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const std::size_t skip = (kHugePage - address % kHugePage) % kHugePage;
  if (skip > 0) ::munmap(memory, skip);
  auto* const start = static_cast<std::uint8_t*>(memory) + skip;
  if (skip < kHugePage) ::munmap(start + size, kHugePage - skip);
  ::madvise(start, size, MADV_HUGEPAGE);
  return start;
}

// Writes to every page.
CEILING_EXPORT int ceiling_touch(void* memory, std::uint64_t size) {
  auto* const bytes = static_cast<volatile std::uint8_t*>(memory);
  for (std::uint64_t at = 0; at < size; at += kPageBytes) bytes[at] = 1;
  return 0;
}

CEILING_EXPORT int ceiling_free(void* memory, std::uint64_t size) {
  return ::munmap(memory, size) == 0 ? 0 : errno;
}
