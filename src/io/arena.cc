#include "io/arena.h"

#include <sys/mman.h>

#include <new>

#include "io/large_allocator.h"

namespace fastckpt::io {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

void* MapAnonymous(std::size_t size) {
  void* const mapping =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  return mapping;
}

// The first huge page boundary inside a mapping.
std::uint8_t* AlignUp(void* mapping) {
  const auto address = reinterpret_cast<std::uintptr_t>(mapping);
  return reinterpret_cast<std::uint8_t*>((address + kHugePage - 1) & ~(kHugePage - 1));
}

// Advice only: without huge pages the memory works and is slower to touch.
void AdviseHuge(void* start, std::size_t size) {
#if defined(MADV_HUGEPAGE)
  ::madvise(start, size, MADV_HUGEPAGE);
#else
  static_cast<void>(start);
  static_cast<void>(size);
#endif
}

std::size_t WithSlack(std::size_t size) {
  if (size + kHugePage < size) throw std::bad_alloc();
  return size + kHugePage;
}

}  // namespace

std::shared_ptr<Arena> Arena::Allocate(std::size_t size) {
  if (size == 0) return std::shared_ptr<Arena>(new Arena(nullptr, 0, {}));
  const bool is_large = size >= kHugePage;
  const std::size_t wanted = is_large ? WithSlack(size) : size;
  void* const mapping = MapAnonymous(wanted);
  std::uint8_t* const start = is_large ? AlignUp(mapping) : static_cast<std::uint8_t*>(mapping);
  if (is_large) AdviseHuge(start, size);
  return std::shared_ptr<Arena>(new Arena(mapping, wanted, MutableBytes(start, size)));
}

Arena::~Arena() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapping_size_);
}

void* AllocateLarge(std::size_t size) {
  if (size < kHugePage) return ::operator new(size);
  // The slack around the aligned part goes back at once, so that its end is all that is to
  // remember.
  const std::size_t rounded = WithSlack(size) / kHugePage * kHugePage;
  const std::size_t wanted = WithSlack(rounded);
  auto* const mapping = static_cast<std::uint8_t*>(MapAnonymous(wanted));
  std::uint8_t* const start = AlignUp(mapping);
  if (start != mapping) ::munmap(mapping, static_cast<std::size_t>(start - mapping));
  std::uint8_t* const end = start + rounded;
  if (end < mapping + wanted) ::munmap(end, static_cast<std::size_t>(mapping + wanted - end));
  AdviseHuge(start, rounded);
  return start;
}

void FreeLarge(void* memory, std::size_t size) {
  if (size < kHugePage) {
    ::operator delete(memory);
  } else {
    ::munmap(memory, WithSlack(size) / kHugePage * kHugePage);
  }
}

}  // namespace fastckpt::io
