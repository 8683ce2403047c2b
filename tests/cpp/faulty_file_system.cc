#include "faulty_file_system.h"

#include <algorithm>
#include <cerrno>

namespace fastckpt::testing {

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
  return -error_number_;
}

int FaultyFileSystem::OpenRead(const std::string& path) {
  if (const int fault = Enter(Call::kOpen, true)) return fault;
  const int descriptor = Posix().OpenRead(path);
  if (descriptor >= 0) ++open_files_;
  return descriptor;
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

}  // namespace fastckpt::testing
