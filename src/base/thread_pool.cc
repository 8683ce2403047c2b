#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"

namespace fastckpt {
namespace {

using Clock = std::chrono::steady_clock;

// Whether this thread belongs to a pool.
thread_local bool t_is_worker = false;

class ThreadPool {
 public:
  // Runs `task` on a worker; there are at least `min_threads` workers afterwards, or as many as the
  // system grants. False, and the task is dropped, when it grants none.
  bool Submit(std::function<void()> task, int min_threads) {
    std::lock_guard lock(mutex_);
    try {
      for (; num_threads_ < min_threads; ++num_threads_) std::thread([this] { Run(); }).detach();
    } catch (const std::system_error&) {
      if (num_threads_ == 0) return false;
    }
    tasks_.push_back(std::move(task));
    wake_.notify_one();
    return true;
  }

 private:
  void Run() {
    t_is_worker = true;
    for (;;) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !tasks_.empty(); });
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  int num_threads_ = 0;
};

std::atomic<ThreadPool*> g_pool{nullptr};

// Counts forks. A job of an older generation has no workers in this process, and a lock that one of
// them held stays locked for ever.
std::atomic<int> g_generation{0};

// Never destroyed: workers are detached and may outlive static destructors.
ThreadPool& Pool() {
  ThreadPool* pool = g_pool.load(std::memory_order_acquire);
  if (pool != nullptr) return *pool;
  auto* fresh = new ThreadPool;
  if (g_pool.compare_exchange_strong(pool, fresh)) return *fresh;
  delete fresh;
  return *pool;
}

}  // namespace

struct Job::State {
  State(std::size_t count, std::function<void(std::size_t)> body)
      : total(count), work(std::move(body)) {}

  // Takes pieces until none is left or `deadline` has passed.
  void RunUntil(Clock::time_point deadline) {
    try {
      do {
        const std::size_t index = next.fetch_add(1, std::memory_order_relaxed);
        if (index >= total) break;
        work(index);
      } while (Clock::now() < deadline);
    } catch (...) {
      Stop(std::current_exception());
    }
  }

  void RunWorker() {
    RunUntil(Clock::time_point::max());
    std::lock_guard lock(mutex);
    if (--workers == 0) done.notify_all();
  }

  void Stop(std::exception_ptr cause) {
    next.store(total, std::memory_order_relaxed);
    std::lock_guard lock(mutex);
    if (cause && !failure) failure = std::move(cause);
  }

  bool IsTaken() const { return next.load(std::memory_order_relaxed) >= total; }
  bool IsOrphan() const { return generation != g_generation.load(std::memory_order_relaxed); }

  const int generation = g_generation.load(std::memory_order_relaxed);
  const std::size_t total;
  const std::function<void(std::size_t)> work;
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::condition_variable done;
  int workers = 0;
  std::exception_ptr failure;
};

Job::Job(std::size_t count, std::function<void(std::size_t)> work, int num_threads, Caller caller)
    : state_(std::make_shared<State>(count, std::move(work))), caller_(caller) {
  // A worker that waited for other workers could wait for ever: all of them may be waiting.
  if (num_threads <= 0 || t_is_worker) {
    state_->workers = 1;
    state_->RunWorker();
    return;
  }
  const int others = caller == Caller::kHelps ? num_threads - 1 : num_threads;
  const int workers = static_cast<int>(std::min(count, static_cast<std::size_t>(others)));
  state_->workers = workers;
  for (int i = 0; i < workers; ++i) {
    if (!Pool().Submit([state = state_] { state->RunWorker(); }, workers)) state_->RunWorker();
  }
}

Job::~Job() {
  if (state_->IsOrphan()) {
    static_cast<void>(new std::shared_ptr<State>(state_));  // its mutex cannot be destroyed
    return;
  }
  Cancel();
  std::unique_lock lock(state_->mutex);
  state_->done.wait(lock, [this] { return state_->workers == 0; });
  // A worker may hold the state a little longer; exceptions die on the thread that saw them.
  state_->failure = nullptr;
}

bool Job::WaitFor(std::chrono::milliseconds timeout) {
  if (state_->IsOrphan()) {
    throw Error(ErrorCode::kClosed, "this read was started before a fork; start it again here");
  }
  const auto deadline = Clock::now() + timeout;
  if (caller_ == Caller::kHelps) state_->RunUntil(deadline);
  if (caller_ == Caller::kHelps && !state_->IsTaken()) return false;
  std::unique_lock lock(state_->mutex);
  if (!state_->done.wait_until(lock, deadline, [this] { return state_->workers == 0; })) {
    return false;
  }
  if (state_->failure) std::rethrow_exception(state_->failure);
  return true;
}

void Job::Cancel() {
  if (!state_->IsOrphan()) state_->Stop(nullptr);
}

void ParallelFor(std::size_t count, const std::function<void(std::size_t)>& work, int num_threads) {
  if (count <= 1 || num_threads <= 1) {
    for (std::size_t i = 0; i < count; ++i) work(i);
    return;
  }
  Job job(count, work, num_threads);
  while (!job.WaitFor(std::chrono::hours(1))) {
  }
}

void ResetThreadPoolAfterFork() {
  g_generation.fetch_add(1, std::memory_order_relaxed);
  g_pool.store(nullptr, std::memory_order_release);
}

}  // namespace fastckpt
