#include "base/thread_pool.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "harness.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

namespace fastckpt {
namespace {

using std::chrono::milliseconds;

// Waits as the library's callers do; a lost wake-up shows as a hang of the whole suite.
void WaitForEnd(Job& job) {
  while (!job.WaitFor(milliseconds(50))) {
  }
}

// What a job threw, or the empty string.
std::string FailureOf(Job& job) {
  try {
    WaitForEnd(job);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

TEST(every_piece_runs_once_for_any_number_of_threads) {
  for (int threads = 0; threads <= 8; ++threads) {
    for (const std::size_t count : {0u, 1u, 2u, 7u, 1000u}) {
      std::vector<std::atomic<int>> runs(count);
      Job job(count, [&](std::size_t i) { ++runs[i]; }, threads);
      WaitForEnd(job);
      for (const auto& n : runs) CHECK_EQ(n.load(), 1);
      std::vector<std::atomic<int>> loop_runs(count);
      ParallelFor(count, [&](std::size_t i) { ++loop_runs[i]; }, threads);
      for (const auto& n : loop_runs) CHECK_EQ(n.load(), 1);
      std::vector<std::atomic<int>> helped_runs(count);
      Job helped(count, [&](std::size_t i) { ++helped_runs[i]; }, threads, Job::Caller::kHelps);
      WaitForEnd(helped);
      for (const auto& n : helped_runs) CHECK_EQ(n.load(), 1);
    }
  }
}

TEST(without_threads_the_constructor_does_all_on_the_calling_thread) {
  std::vector<std::size_t> order;
  const auto caller = std::this_thread::get_id();
  bool elsewhere = false;
  Job job(
      5,
      [&](std::size_t i) {
        order.push_back(i);
        elsewhere |= std::this_thread::get_id() != caller;
      },
      0);
  CHECK((order == std::vector<std::size_t>{0, 1, 2, 3, 4}));
  CHECK(!elsewhere);
  CHECK(job.WaitFor(milliseconds(0)));
}

TEST(without_threads_an_exception_is_kept_for_the_wait) {
  int runs = 0;
  Job job(
      9,
      [&](std::size_t i) {
        ++runs;
        if (i == 3) throw std::runtime_error("piece 3");
      },
      0);
  CHECK_EQ(runs, 4);
  CHECK_EQ(FailureOf(job), "piece 3");
  CHECK_EQ(FailureOf(job), "piece 3");
}

TEST(one_thread_takes_the_pieces_in_order) {
  std::vector<std::size_t> order;
  Job job(100, [&](std::size_t i) { order.push_back(i); }, 1);
  WaitForEnd(job);
  for (std::size_t i = 0; i < 100; ++i) CHECK_EQ(order[i], i);
}

TEST(one_piece_or_one_thread_of_a_loop_runs_on_the_calling_thread) {
  const auto caller = std::this_thread::get_id();
  std::thread::id one_piece;
  ParallelFor(1, [&](std::size_t) { one_piece = std::this_thread::get_id(); }, 8);
  CHECK(one_piece == caller);
  bool elsewhere = false;
  ParallelFor(50, [&](std::size_t) { elsewhere |= std::this_thread::get_id() != caller; }, 1);
  CHECK(!elsewhere);
}

TEST(as_many_pieces_as_threads_run_at_the_same_time) {
  std::latch all_there(6);
  Job job(6, [&](std::size_t) { all_there.arrive_and_wait(); }, 6);
  WaitForEnd(job);
}

TEST(a_wait_ends_at_its_time_out) {
  std::latch release(1);
  Job job(1, [&](std::size_t) { release.wait(); }, 1);
  CHECK(!job.WaitFor(milliseconds(1)));
  CHECK(!job.WaitFor(milliseconds(0)));
  release.count_down();
  WaitForEnd(job);
}

TEST(the_first_exception_stops_the_rest) {
  for (int threads = 1; threads <= 4; ++threads) {
    std::atomic<int> runs{0};
    Job job(
        100000,
        [&](std::size_t i) {
          ++runs;
          if (i == 10) throw std::runtime_error("piece 10");
        },
        threads);
    CHECK_EQ(FailureOf(job), "piece 10");
    CHECK(runs < 100000);
    CHECK(runs > 10);
  }
}

TEST(of_two_exceptions_one_is_rethrown) {
  std::latch both(2);
  const auto work = [&](std::size_t i) {
    both.arrive_and_wait();
    throw std::runtime_error("piece " + std::to_string(i));
  };
  Job job(2, work, 2);
  const std::string failure = FailureOf(job);
  CHECK(failure == "piece 0" || failure == "piece 1");
}

TEST(exceptions_of_a_loop_reach_its_caller) {
  for (int threads = 0; threads <= 3; ++threads) {
    std::string failure;
    const auto work = [](std::size_t i) {
      if (i == 2) throw std::runtime_error("two");
    };
    try {
      ParallelFor(5, work, threads);
    } catch (const std::runtime_error& error) {
      failure = error.what();
    }
    CHECK_EQ(failure, "two");
  }
}

TEST(the_pool_works_on_after_an_exception) {
  for (int round = 0; round < 20; ++round) {
    Job bad(4, [](std::size_t) { throw std::runtime_error("bad"); }, 4);
    CHECK_EQ(FailureOf(bad), "bad");
    std::atomic<int> runs{0};
    ParallelFor(64, [&](std::size_t) { ++runs; }, 4);
    CHECK_EQ(runs.load(), 64);
  }
}

TEST(cancelling_drops_what_has_not_started) {
  std::latch started(1);
  std::latch release(1);
  std::atomic<int> runs{0};
  Job job(
      1000,
      [&](std::size_t i) {
        ++runs;
        if (i != 0) return;
        started.count_down();
        release.wait();
      },
      1);
  started.wait();
  job.Cancel();
  CHECK(!job.WaitFor(milliseconds(0)));
  release.count_down();
  WaitForEnd(job);
  CHECK_EQ(runs.load(), 1);
  job.Cancel();
}

TEST(destruction_waits_for_what_is_under_way) {
  for (int round = 0; round < 50; ++round) {
    std::vector<int> touched(64);
    std::atomic<int> started{0};
    {
      Job job(
          touched.size(),
          [&](std::size_t i) {
            ++started;
            touched[i] = 1;
          },
          4);
    }
    // A piece that ran on after this point would be a race on `touched`.
    int done = 0;
    for (const int t : touched) done += t;
    CHECK_EQ(done, started.load());
  }
}

TEST(a_caller_who_helps_is_one_of_the_threads) {
  const auto caller = std::this_thread::get_id();
  std::vector<std::size_t> order;
  bool elsewhere = false;
  const auto work = [&](std::size_t i) {
    order.push_back(i);
    elsewhere |= std::this_thread::get_id() != caller;
  };
  Job alone(5, work, 1, Job::Caller::kHelps);
  CHECK(order.empty());
  // A wait of no time does one piece.
  CHECK(!alone.WaitFor(milliseconds(0)));
  CHECK((order == std::vector<std::size_t>{0}));
  WaitForEnd(alone);
  CHECK((order == std::vector<std::size_t>{0, 1, 2, 3, 4}));
  CHECK(!elsewhere);
  // Two pieces that wait for each other need caller and worker.
  std::latch both(2);
  Job together(2, [&](std::size_t) { both.arrive_and_wait(); }, 2, Job::Caller::kHelps);
  WaitForEnd(together);
}

TEST(a_caller_who_helps_gets_what_its_own_piece_threw) {
  for (int threads = 1; threads <= 3; ++threads) {
    std::atomic<int> runs{0};
    const auto work = [&](std::size_t i) {
      ++runs;
      if (i >= 10) throw std::runtime_error("late");
    };
    Job job(100000, work, threads, Job::Caller::kHelps);
    CHECK_EQ(FailureOf(job), "late");
    CHECK(runs < 100000);
  }
}

TEST(a_cancelled_job_of_a_caller_who_helps_ends) {
  int runs = 0;
  Job job(9, [&](std::size_t) { ++runs; }, 1, Job::Caller::kHelps);
  CHECK(!job.WaitFor(milliseconds(0)));
  job.Cancel();
  CHECK(job.WaitFor(milliseconds(0)));
  CHECK_EQ(runs, 1);
  {
    const Job dropped(9, [&](std::size_t) { ++runs; }, 1, Job::Caller::kHelps);
  }
  CHECK_EQ(runs, 1);
}

TEST(several_callers_share_the_pool) {
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 6; ++caller) {
    callers.emplace_back([&, caller] {
      for (int round = 0; round < 30; ++round) {
        const auto count = static_cast<std::size_t>(caller * 17 + round);
        std::atomic<std::size_t> sum{0};
        ParallelFor(count, [&](std::size_t i) { sum += i + 1; }, 1 + round % 4);
        if (sum != count * (count + 1) / 2) ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK_EQ(wrong.load(), 0);
}

TEST(a_piece_may_run_a_loop_of_its_own) {
  // Another test may have left a pool with threads to spare.
  ResetThreadPoolAfterFork();
  std::atomic<int> runs{0};
  // No worker is left for the inner loops: all wait inside the outer one.
  ParallelFor(4, [&](std::size_t) { ParallelFor(8, [&](std::size_t) { ++runs; }, 2); }, 4);
  CHECK_EQ(runs.load(), 32);
  std::atomic<int> job_runs{0};
  const auto outer = [&](std::size_t) {
    Job inner(8, [&](std::size_t) { ++job_runs; }, 3);
    WaitForEnd(inner);
  };
  ParallelFor(4, outer, 4);
  CHECK_EQ(job_runs.load(), 32);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Leaves the process no room for another thread's stack; sanitizers need that room themselves.
class NoRoomForThreads {
 public:
  NoRoomForThreads() {
    ::getrlimit(RLIMIT_AS, &before_);
    long pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(pages * ::sysconf(_SC_PAGESIZE)) + (1 << 20);
    ::setrlimit(RLIMIT_AS, &limit);
    // The C library keeps stacks of ended threads; these threads use them up.
    try {
      for (;;) idle_.emplace_back([this] { release_.wait(); });
    } catch (const std::system_error&) {
    }
  }
  ~NoRoomForThreads() {
    ::setrlimit(RLIMIT_AS, &before_);
    release_.count_down();
    for (std::thread& thread : idle_) thread.join();
  }

 private:
  rlimit before_{};
  std::latch release_{1};
  std::vector<std::thread> idle_;
};

TEST(work_is_done_when_no_thread_can_be_started) {
  ResetThreadPoolAfterFork();
  std::atomic<int> runs{0};
  const auto caller = std::this_thread::get_id();
  std::atomic<int> elsewhere{0};
  const auto work = [&](std::size_t) {
    ++runs;
    if (std::this_thread::get_id() != caller) ++elsewhere;
  };
  {
    const NoRoomForThreads no_room;
    ParallelFor(100, work, 4);
  }
  CHECK_EQ(runs.load(), 100);
  CHECK_EQ(elsewhere.load(), 0);
  // With one thread there, more are wished for and not needed.
  ResetThreadPoolAfterFork();
  Job first(1, work, 1);
  WaitForEnd(first);
  CHECK_EQ(elsewhere.load(), 1);
  const NoRoomForThreads no_room;
  ParallelFor(100, work, 4);
  CHECK_EQ(runs.load(), 201);
}
#endif

TEST(a_forgotten_pool_is_replaced) {
  ResetThreadPoolAfterFork();
  std::atomic<int> runs{0};
  ParallelFor(100, [&](std::size_t) { ++runs; }, 3);
  CHECK_EQ(runs.load(), 100);
}

TEST(a_job_from_before_a_fork_is_closed_and_waits_for_nobody) {
#if defined(__SANITIZE_ADDRESS__)
  // What such a job holds stays behind on purpose.
  const __lsan::ScopedDisabler no_leak_check;
#endif
  // Owned by the piece, which outlives the job.
  const auto started = std::make_shared<std::latch>(1);
  const auto release = std::make_shared<std::latch>(1);
  {
    const auto work = [started, release](std::size_t) {
      started->count_down();
      release->wait();
    };
    Job job(1, work, 1);
    started->wait();
    ResetThreadPoolAfterFork();
    CHECK_ERROR(ErrorCode::kClosed, job.WaitFor(milliseconds(0)));
    job.Cancel();
    std::atomic<int> runs{0};
    ParallelFor(100, [&](std::size_t) { ++runs; }, 3);
    CHECK_EQ(runs.load(), 100);
  }
  release->count_down();
}

}  // namespace
}  // namespace fastckpt
