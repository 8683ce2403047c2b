// Arenas: writable memory for many arrays at once, on huge pages where the system gives them.
//
// First touch of 4 KiB pages is five times slower than of huge ones (docs/performance.md), so loads
// carve their arrays from arenas. An arena lives until its last owner lets go of it.
#ifndef FASTCKPT_IO_ARENA_H_
#define FASTCKPT_IO_ARENA_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace fastckpt::io {

class Arena {
 public:
  // `size` zero bytes, aligned to 64 at least and to 2 MiB when that large. Throws std::bad_alloc.
  static std::shared_ptr<Arena> Allocate(std::size_t size);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  MutableBytes bytes() const { return bytes_; }

 private:
  Arena(void* mapping, std::size_t mapping_size, MutableBytes bytes)
      : mapping_(mapping), mapping_size_(mapping_size), bytes_(bytes) {}

  void* mapping_;
  std::size_t mapping_size_;
  MutableBytes bytes_;
};

}  // namespace fastckpt::io

#endif  // FASTCKPT_IO_ARENA_H_
