// Keeps count of the memory in use: through the hooks of the address sanitizer's allocator where
// that is linked, whose own operator new must stay, and through a global operator new elsewhere.
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "support.h"

#if defined(__SANITIZE_ADDRESS__)
#define FASTCKPT_HAS_ALLOCATOR_HOOKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FASTCKPT_HAS_ALLOCATOR_HOOKS 1
#endif
#endif

namespace fastckpt::fuzz {
namespace {

constexpr std::size_t kAllowance = std::size_t{16} << 20;
constexpr std::size_t kTimesInput = 4;

// Far from zero: what was taken before counting began is released all the same.
std::atomic<std::size_t> live_bytes{std::size_t{1} << 40};
std::atomic<std::size_t> peak_bytes{0};

void CountTaken(std::size_t size) {
  const std::size_t live = live_bytes += size;
  std::size_t peak = peak_bytes;
  while (live > peak && !peak_bytes.compare_exchange_weak(peak, live)) {
  }
}

}  // namespace

void StartCounting();

MemoryBound::MemoryBound(std::size_t input_bytes)
    : allowed_(kAllowance + kTimesInput * input_bytes) {
  StartCounting();
  peak_bytes = start_ = live_bytes;
}

MemoryBound::~MemoryBound() {
  REQUIRE(peak_bytes <= start_ + allowed_);
}

}  // namespace fastckpt::fuzz

#ifdef FASTCKPT_HAS_ALLOCATOR_HOOKS

// Compilers ship these without their header (sanitizer/allocator_interface.h) at times.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*taken)(const volatile void*,
                                                                       std::size_t),
                                                         void (*released)(const volatile void*));
extern "C" std::size_t __sanitizer_get_allocated_size(const volatile void* memory);

namespace fastckpt::fuzz {
namespace {

void Taken(const volatile void*, std::size_t size) {
  CountTaken(size);
}

void Released(const volatile void* memory) {
  if (memory != nullptr) live_bytes -= __sanitizer_get_allocated_size(memory);
}

}  // namespace

void StartCounting() {
  static const int installed = __sanitizer_install_malloc_and_free_hooks(Taken, Released);
  REQUIRE(installed > 0);
}

}  // namespace fastckpt::fuzz

#else

namespace fastckpt::fuzz {
namespace {

void* Allocate(std::size_t size, std::size_t alignment) {
  size = size == 0 ? 1 : size;
  void* const memory =
      alignment == 0
          ? std::malloc(size)
          : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  CountTaken(::malloc_usable_size(memory));
  return memory;
}

void Release(void* memory) noexcept {
  if (memory == nullptr) return;
  live_bytes -= ::malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace

void StartCounting() {}

}  // namespace fastckpt::fuzz

void* operator new(std::size_t size) {
  return fastckpt::fuzz::Allocate(size, 0);
}
void* operator new[](std::size_t size) {
  return fastckpt::fuzz::Allocate(size, 0);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return fastckpt::fuzz::Allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return fastckpt::fuzz::Allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  fastckpt::fuzz::Release(memory);
}
void operator delete[](void* memory) noexcept {
  fastckpt::fuzz::Release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  fastckpt::fuzz::Release(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  fastckpt::fuzz::Release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  fastckpt::fuzz::Release(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  fastckpt::fuzz::Release(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  fastckpt::fuzz::Release(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  fastckpt::fuzz::Release(memory);
}

#endif
