// The real file system with one planned fault, and a count of every call and of what is left open.
#ifndef FASTCKPT_TESTS_CPP_FAULTY_FILE_SYSTEM_H_
#define FASTCKPT_TESTS_CPP_FAULTY_FILE_SYSTEM_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "io/file_system.h"

namespace fastckpt::testing {

enum class Call : std::size_t { kOpen, kClose, kStat, kRead, kMap, kUnmap, kIsRemote };
constexpr std::size_t kNumCalls = 7;

// Safe to use from many threads once planned. A failing Close or Unmap releases all the same, as
// Linux does.
class FaultyFileSystem final : public io::FileSystem {
 public:
  // The n-th call (counted from 1, from now) of this kind fails with `error_number`; so do the
  // `repeats` - 1 calls of this kind after it.
  void FailNth(Call call, int n, int error_number, int repeats = 1);
  // Reads return at most this many bytes.
  void LimitReads(std::size_t size) { max_read_ = size; }
  // Every call that POSIX lets a signal interrupt (open, read) fails with EINTR each second time.
  void InterruptOften() { interrupt_often_ = true; }
  // Called before each read, in the reading thread.
  void BeforeReads(std::function<void()> hook) { before_read_ = std::move(hook); }
  // Files count as remote.
  void MakeRemote() { remote_ = true; }

  int calls(Call call) const { return calls_[static_cast<std::size_t>(call)]; }
  // Whether the planned fault was reached.
  bool failed() const { return failed_; }
  int open_files() const { return open_files_; }
  int live_maps() const { return live_maps_; }
  std::uint64_t mapped_bytes() const { return mapped_bytes_; }

  int OpenRead(const std::string& path) override;
  int Close(int descriptor) override;
  int Stat(int descriptor, io::FileStatus* status) override;
  std::int64_t ReadAt(int descriptor, void* destination, std::size_t size,
                      std::uint64_t offset) override;
  int Map(int descriptor, std::size_t size, const std::uint8_t** address) override;
  int Unmap(const std::uint8_t* address, std::size_t size) override;
  int IsRemote(int descriptor) override;

 private:
  // Counts the call; minus an errno when it is to fail, else 0.
  int Enter(Call call, bool interruptible = false);

  std::array<std::atomic<int>, kNumCalls> calls_{};
  Call faulty_call_ = Call::kOpen;
  int first_fault_ = 0;
  int last_fault_ = 0;
  int error_number_ = 0;
  std::size_t max_read_ = std::numeric_limits<std::size_t>::max();
  std::function<void()> before_read_;
  bool interrupt_often_ = false;
  bool remote_ = false;
  std::atomic<bool> failed_{false};
  std::atomic<int> open_files_{0};
  std::atomic<int> live_maps_{0};
  std::atomic<std::uint64_t> mapped_bytes_{0};
};

}  // namespace fastckpt::testing

#endif  // FASTCKPT_TESTS_CPP_FAULTY_FILE_SYSTEM_H_
