// Threads that share work by a counter; each call starts its own.
#ifndef FASTCKPT_BENCHMARKS_CPP_PARALLEL_H_
#define FASTCKPT_BENCHMARKS_CPP_PARALLEL_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

inline void InParallel(std::size_t count, int num_threads,
                       const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  const auto loop = [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::thread> helpers;
  for (int i = 1; i < num_threads; ++i) helpers.emplace_back(loop);
  loop();
  for (std::thread& helper : helpers) helper.join();
}

#endif  // FASTCKPT_BENCHMARKS_CPP_PARALLEL_H_
