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
#include <vector>

#include "io/file_system.h"

namespace fastckpt::testing {

enum class Call : std::size_t {
  kOpen,
  kClose,
  kStat,
  kRead,
  kMap,
  kUnmap,
  kIsRemote,
  kIsResident,
  kExpectReads,
  kSetDirect,
  kOpenWrite,
  kOpenDirectory,
  kWrite,
  kTruncate,
  kReserve,
  kStartWriteback,
  kSync,
  kLock,
  kUnlock,
  kStatPath,
  kRename,
  kLink,
  kUnlink,
  kMakeDirectory,
  kRemoveDirectory,
  kList,
};
constexpr std::size_t kNumCalls = static_cast<std::size_t>(Call::kList) + 1;
const char* Name(Call call);

// Safe to use from many threads once planned. A failing Close or Unmap releases all the same, as
// Linux does.
class FaultyFileSystem final : public io::FileSystem {
 public:
  // The n-th call (counted from 1, from now) of this kind fails with `error_number`; so do the
  // `repeats` - 1 calls of this kind after it.
  void FailNth(Call call, int n, int error_number, int repeats = 1);
  // The calls that fail are carried out all the same, as network file systems may do whose answer
  // got lost. Calls on paths and Sync only.
  void CarryOutFaults() { carry_out_faults_ = true; }
  // Reads return at most this many bytes.
  void LimitReads(std::size_t size) { max_read_ = size; }
  // Writes take at most this many bytes.
  void LimitWrites(std::size_t size) { max_write_ = size; }
  // Every call that a signal may interrupt (open, read, write, truncate, sync, lock) fails with
  // EINTR each second time.
  void InterruptOften() { interrupt_often_ = true; }
  // Sync returns at once.
  void SkipSyncs() { skip_syncs_ = true; }
  // Called when the planned fault is met, once for each failing call; it may plan the next one.
  void OnFault(std::function<void()> hook) { on_fault_ = std::move(hook); }
  // Called before each read, in the reading thread.
  void BeforeReads(std::function<void()> hook) { before_read_ = std::move(hook); }
  // Called with the address and size of each range that is expected to be read.
  void OnExpectReads(std::function<void(const std::uint8_t*, std::uint64_t)> hook) {
    on_expect_reads_ = std::move(hook);
  }
  // No page counts as being in memory.
  void MakeCold() { cold_ = true; }
  // The file system has no direct mode.
  void RefuseDirect() { refuses_direct_ = true; }
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
  int IsResident(const std::uint8_t* address) override;
  int ExpectReads(const std::uint8_t* address, std::uint64_t size) override;
  int SetDirect(int descriptor, bool is_direct) override;
  int OpenWrite(const std::string& path, io::WriteMode mode) override;
  int OpenDirectory(const std::string& path) override;
  std::int64_t WriteAt(int descriptor, const void* source, std::size_t size,
                       std::uint64_t offset) override;
  int Truncate(int descriptor, std::uint64_t size) override;
  int Reserve(int descriptor, std::uint64_t size) override;
  int StartWriteback(int descriptor, std::uint64_t offset, std::uint64_t size) override;
  int Sync(int descriptor) override;
  int Lock(int descriptor) override;
  int Unlock(int descriptor) override;
  int StatPath(const std::string& path, io::FileStatus* status) override;
  int Rename(const std::string& from, const std::string& to) override;
  int Link(const std::string& from, const std::string& to) override;
  int Unlink(const std::string& path) override;
  int MakeDirectory(const std::string& path) override;
  int RemoveDirectory(const std::string& path) override;
  int List(const std::string& path, std::vector<std::string>* names) override;

 private:
  // Counts the call; minus an errno when it is to fail, else 0.
  int Enter(Call call, bool interruptible = false);
  // Counts an opened descriptor.
  int Opened(int descriptor);
  // Carries the call out unless it fails, or even then.
  template <typename Action>
  int Perform(Call call, Action action, bool interruptible = false);

  std::array<std::atomic<int>, kNumCalls> calls_{};
  Call faulty_call_ = Call::kOpen;
  int first_fault_ = 0;
  int last_fault_ = 0;
  int error_number_ = 0;
  std::size_t max_read_ = std::numeric_limits<std::size_t>::max();
  std::size_t max_write_ = std::numeric_limits<std::size_t>::max();
  std::function<void()> before_read_;
  std::function<void(const std::uint8_t*, std::uint64_t)> on_expect_reads_;
  std::function<void()> on_fault_;
  bool interrupt_often_ = false;
  bool skip_syncs_ = false;
  bool carry_out_faults_ = false;
  bool remote_ = false;
  bool cold_ = false;
  bool refuses_direct_ = false;
  std::atomic<bool> failed_{false};
  std::atomic<int> open_files_{0};
  std::atomic<int> live_maps_{0};
  std::atomic<std::uint64_t> mapped_bytes_{0};
};

}  // namespace fastckpt::testing

#endif  // FASTCKPT_TESTS_CPP_FAULTY_FILE_SYSTEM_H_
