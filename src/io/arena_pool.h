// Memory for pieces of files on their way, kept from one use to the next.
#ifndef FASTCKPT_IO_ARENA_POOL_H_
#define FASTCKPT_IO_ARENA_POOL_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "io/arena.h"

namespace fastckpt::io {

// Arenas of one size, on page boundaries; at most `max_free` of them wait for their next use. Safe
// to use from many threads.
class ArenaPool {
 public:
  ArenaPool(std::size_t arena_size, std::size_t max_free)
      : arena_size_(arena_size), max_free_(max_free) {}

  // What it holds is unspecified. Throws std::bad_alloc.
  std::shared_ptr<Arena> Take() {
    {
      std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        std::shared_ptr<Arena> arena = std::move(free_.back());
        free_.pop_back();
        return arena;
      }
      // Room for its way back, which cannot fail then.
      free_.reserve(++num_arenas_);
    }
    return Arena::Allocate(arena_size_);
  }

  void Give(std::shared_ptr<Arena> arena) noexcept {
    std::lock_guard lock(mutex_);
    if (free_.size() < max_free_) {
      free_.push_back(std::move(arena));
    } else {
      --num_arenas_;
    }
  }

 private:
  const std::size_t arena_size_;
  const std::size_t max_free_;
  std::mutex mutex_;
  std::size_t num_arenas_ = 0;
  std::vector<std::shared_ptr<Arena>> free_;
};

// An arena that goes back to its pool.
class PooledArena {
 public:
  explicit PooledArena(ArenaPool* pool) : pool_(pool), arena_(pool->Take()) {}
  ~PooledArena() { pool_->Give(std::move(arena_)); }
  PooledArena(const PooledArena&) = delete;
  PooledArena& operator=(const PooledArena&) = delete;

  MutableBytes bytes() const { return arena_->bytes(); }

 private:
  ArenaPool* pool_;
  std::shared_ptr<Arena> arena_;
};

}  // namespace fastckpt::io

#endif  // FASTCKPT_IO_ARENA_POOL_H_
