// An allocator for containers that may grow large: huge pages from 2 MiB on, the heap below.
//
// First touch is what building a large index costs, and 4 KiB pages make it five times as slow.
#ifndef FASTCKPT_IO_LARGE_ALLOCATOR_H_
#define FASTCKPT_IO_LARGE_ALLOCATOR_H_

#include <cstddef>
#include <limits>
#include <new>

namespace fastckpt::io {

// `size` bytes, aligned as operator new aligns. Throws std::bad_alloc.
void* AllocateLarge(std::size_t size);
// Takes back what AllocateLarge gave for the same size.
void FreeLarge(void* memory, std::size_t size);

template <typename T>
struct LargeAllocator {
  using value_type = T;

  LargeAllocator() = default;
  template <typename Other>
  LargeAllocator(const LargeAllocator<Other>&) {}

  T* allocate(std::size_t count) {
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_alloc();
    return static_cast<T*>(AllocateLarge(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t count) { FreeLarge(memory, count * sizeof(T)); }

  friend bool operator==(const LargeAllocator&, const LargeAllocator&) { return true; }
};

}  // namespace fastckpt::io

#endif  // FASTCKPT_IO_LARGE_ALLOCATOR_H_
