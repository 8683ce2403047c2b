#include "faulty_file_system.h"

#include <algorithm>
#include <cerrno>

namespace fastckpt::testing {

const char* Name(Call call) {
  static constexpr std::array<const char*, kNumCalls> kNames = {"open",
                                                                "close",
                                                                "stat",
                                                                "read",
                                                                "map",
                                                                "unmap",
                                                                "is remote",
                                                                "is resident",
                                                                "start readahead",
                                                                "set direct",
                                                                "open to write",
                                                                "open directory",
                                                                "write",
                                                                "truncate",
                                                                "reserve",
                                                                "start writeback",
                                                                "sync",
                                                                "lock",
                                                                "unlock",
                                                                "stat path",
                                                                "rename",
                                                                "link",
                                                                "unlink",
                                                                "mkdir",
                                                                "rmdir",
                                                                "list"};
  return kNames[static_cast<std::size_t>(call)];
}

void FaultyFileSystem::FailNth(Call call, int n, int error_number, int repeats) {
  faulty_call_ = call;
  first_fault_ = calls(call) + n;
  last_fault_ = first_fault_ + repeats - 1;
  error_number_ = error_number;
  failed_ = false;
}

int FaultyFileSystem::Enter(Call call, bool interruptible) {
  const int number = ++calls_[static_cast<std::size_t>(call)];
  if (interruptible && interrupt_often_ && number % 2 == 1) return -EINTR;
  if (call != faulty_call_ || number < first_fault_ || number > last_fault_) return 0;
  failed_ = true;
  const int result = -error_number_;
  const auto hook = on_fault_;  // It may plan another.
  if (hook) hook();
  return result;
}

int FaultyFileSystem::Opened(int descriptor) {
  if (descriptor >= 0) ++open_files_;
  return descriptor;
}

template <typename Action>
int FaultyFileSystem::Perform(Call call, Action action, bool interruptible) {
  const int fault = Enter(call, interruptible);
  if (fault != 0 && !carry_out_faults_) return fault;
  const int result = action();
  return fault != 0 ? fault : result;
}

int FaultyFileSystem::OpenRead(const std::string& path) {
  if (const int fault = Enter(Call::kOpen, true)) return fault;
  return Opened(Posix().OpenRead(path));
}

int FaultyFileSystem::Close(int descriptor) {
  const int fault = Enter(Call::kClose);
  const int result = Posix().Close(descriptor);
  if (result == 0) --open_files_;
  return fault != 0 ? fault : result;
}

int FaultyFileSystem::Stat(int descriptor, io::FileStatus* status) {
  if (const int fault = Enter(Call::kStat)) return fault;
  return Posix().Stat(descriptor, status);
}

std::int64_t FaultyFileSystem::ReadAt(int descriptor, void* destination, std::size_t size,
                                      std::uint64_t offset) {
  if (before_read_) before_read_();
  if (const int fault = Enter(Call::kRead, true)) return fault;
  return Posix().ReadAt(descriptor, destination, std::min(size, max_read_), offset);
}

int FaultyFileSystem::Map(int descriptor, std::size_t size, const std::uint8_t** address) {
  if (const int fault = Enter(Call::kMap)) return fault;
  const int result = Posix().Map(descriptor, size, address);
  if (result == 0) {
    ++live_maps_;
    mapped_bytes_ += size;
  }
  return result;
}

int FaultyFileSystem::Unmap(const std::uint8_t* address, std::size_t size) {
  const int fault = Enter(Call::kUnmap);
  const int result = Posix().Unmap(address, size);
  if (result == 0) {
    --live_maps_;
    mapped_bytes_ -= size;
  }
  return fault != 0 ? fault : result;
}

int FaultyFileSystem::IsRemote(int descriptor) {
  if (const int fault = Enter(Call::kIsRemote)) return fault;
  return remote_ ? 1 : Posix().IsRemote(descriptor);
}

int FaultyFileSystem::IsResident(const std::uint8_t* address) {
  if (const int fault = Enter(Call::kIsResident)) return fault;
  return cold_ ? 0 : Posix().IsResident(address);
}

int FaultyFileSystem::ExpectReads(const std::uint8_t* address, std::uint64_t size) {
  if (const int fault = Enter(Call::kExpectReads)) return fault;
  if (on_expect_reads_) on_expect_reads_(address, size);
  return Posix().ExpectReads(address, size);
}

int FaultyFileSystem::SetDirect(int descriptor, bool is_direct) {
  if (const int fault = Enter(Call::kSetDirect)) return fault;
  if (is_direct && refuses_direct_) return -EINVAL;
  return Posix().SetDirect(descriptor, is_direct);
}

int FaultyFileSystem::OpenWrite(const std::string& path, io::WriteMode mode) {
  if (const int fault = Enter(Call::kOpenWrite, true)) return fault;
  return Opened(Posix().OpenWrite(path, mode));
}

int FaultyFileSystem::OpenDirectory(const std::string& path) {
  if (const int fault = Enter(Call::kOpenDirectory, true)) return fault;
  return Opened(Posix().OpenDirectory(path));
}

std::int64_t FaultyFileSystem::WriteAt(int descriptor, const void* source, std::size_t size,
                                       std::uint64_t offset) {
  if (const int fault = Enter(Call::kWrite, true)) return fault;
  return Posix().WriteAt(descriptor, source, std::min(size, max_write_), offset);
}

int FaultyFileSystem::Truncate(int descriptor, std::uint64_t size) {
  if (const int fault = Enter(Call::kTruncate, true)) return fault;
  return Posix().Truncate(descriptor, size);
}

int FaultyFileSystem::Reserve(int descriptor, std::uint64_t size) {
  if (const int fault = Enter(Call::kReserve)) return fault;
  return Posix().Reserve(descriptor, size);
}

int FaultyFileSystem::StartWriteback(int descriptor, std::uint64_t offset, std::uint64_t size) {
  if (const int fault = Enter(Call::kStartWriteback)) return fault;
  return Posix().StartWriteback(descriptor, offset, size);
}

int FaultyFileSystem::Sync(int descriptor) {
  return Perform(Call::kSync, [&] { return skip_syncs_ ? 0 : Posix().Sync(descriptor); }, true);
}

int FaultyFileSystem::Lock(int descriptor) {
  if (const int fault = Enter(Call::kLock, true)) return fault;
  return Posix().Lock(descriptor);
}

int FaultyFileSystem::Unlock(int descriptor) {
  if (const int fault = Enter(Call::kUnlock)) return fault;
  return Posix().Unlock(descriptor);
}

int FaultyFileSystem::StatPath(const std::string& path, io::FileStatus* status) {
  return Perform(Call::kStatPath, [&] { return Posix().StatPath(path, status); });
}

int FaultyFileSystem::Rename(const std::string& from, const std::string& to) {
  return Perform(Call::kRename, [&] { return Posix().Rename(from, to); });
}

int FaultyFileSystem::Link(const std::string& from, const std::string& to) {
  return Perform(Call::kLink, [&] { return Posix().Link(from, to); });
}

int FaultyFileSystem::Unlink(const std::string& path) {
  return Perform(Call::kUnlink, [&] { return Posix().Unlink(path); });
}

int FaultyFileSystem::MakeDirectory(const std::string& path) {
  return Perform(Call::kMakeDirectory, [&] { return Posix().MakeDirectory(path); });
}

int FaultyFileSystem::RemoveDirectory(const std::string& path) {
  return Perform(Call::kRemoveDirectory, [&] { return Posix().RemoveDirectory(path); });
}

int FaultyFileSystem::List(const std::string& path, std::vector<std::string>* names) {
  if (const int fault = Enter(Call::kList)) return fault;
  return Posix().List(path, names);
}

}  // namespace fastckpt::testing
