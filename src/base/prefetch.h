// Asks for memory ahead of its use.
#ifndef FASTCKPT_BASE_PREFETCH_H_
#define FASTCKPT_BASE_PREFETCH_H_

namespace fastckpt {

// Lets the cache line at an address, which need not be valid, come while other work goes on.
[[gnu::always_inline]] inline void Prefetch(const void* address) {
  __builtin_prefetch(address);
  // GCC takes a function that only prefetches for one that does nothing, and drops its calls.
  asm volatile("");
}

}  // namespace fastckpt

#endif  // FASTCKPT_BASE_PREFETCH_H_
