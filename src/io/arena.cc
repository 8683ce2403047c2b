#include "io/arena.h"

#include <sys/mman.h>

#include <new>

namespace fastckpt::io {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

std::shared_ptr<Arena> Arena::Allocate(std::size_t size) {
  const std::size_t slack = size >= kHugePage ? kHugePage : 0;
  const std::size_t wanted = size + slack;
  if (wanted < size) throw std::bad_alloc();
  void* mapping = nullptr;
  std::uint8_t* start = nullptr;
  if (wanted > 0) {
    mapping = ::mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) throw std::bad_alloc();
    const auto address = reinterpret_cast<std::uintptr_t>(mapping);
    const std::uintptr_t aligned = slack > 0 ? (address + slack - 1) & ~(slack - 1) : address;
    start = reinterpret_cast<std::uint8_t*>(aligned);
#if defined(MADV_HUGEPAGE)
    // Advice only: without huge pages the arena works and is slower to touch.
    if (slack > 0) ::madvise(start, size, MADV_HUGEPAGE);
#endif
  }
  return std::shared_ptr<Arena>(new Arena(mapping, wanted, MutableBytes(start, size)));
}

Arena::~Arena() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapping_size_);
}

}  // namespace fastckpt::io
