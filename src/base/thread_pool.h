// A pool of worker threads that lives as long as the process, and the jobs that run on it.
//
// A Job is `count` independent pieces of work, taken in order from a shared counter by up to
// `num_threads` workers. The caller waits with a time-out, so that it can look after signals and
// progress between waits. Threads start on first use; starting one costs about 40 us.
#ifndef FASTCKPT_BASE_THREAD_POOL_H_
#define FASTCKPT_BASE_THREAD_POOL_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace fastckpt {

class Job {
 public:
  // Whether the caller is one of the threads: it then works while it waits, which saves waking one.
  enum class Caller : std::uint8_t { kWaits, kHelps };

  // Starts work(0) … work(count - 1). The first exception stops the rest and is kept for WaitFor.
  // With num_threads 0, in a piece of another job, and where the system starts no threads, all of
  // it runs on the calling thread before the constructor returns.
  Job(std::size_t count, std::function<void(std::size_t)> work, int num_threads,
      Caller caller = Caller::kWaits);
  // Cancels what has not started and waits for what has.
  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // Waits until all work is done, at most for `timeout`. True when done; rethrows the first
  // exception of the work then.
  bool WaitFor(std::chrono::milliseconds timeout);

  // Pieces not yet started are dropped; those under way finish.
  void Cancel();

 private:
  struct State;
  std::shared_ptr<State> state_;
  Caller caller_;
};

// Runs all of it and returns when done. One piece, or one thread, runs on the calling thread.
void ParallelFor(std::size_t count, const std::function<void(std::size_t)>& work, int num_threads);

// A forked child has none of the parent's threads: the pool is abandoned and a new one starts on
// demand. Jobs that were under way are lost to the child: WaitFor throws Closed, and destroying
// them waits for nobody.
void ResetThreadPoolAfterFork();

}  // namespace fastckpt

#endif  // FASTCKPT_BASE_THREAD_POOL_H_
