#include "io/sink.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "io/arena.h"
#include "io/direct.h"
#include "io/system_error.h"

namespace fastckpt::io {

std::unique_ptr<Sink> Sink::Open(const std::string& path, WriteMode mode, FileSystem& file_system) {
  const int descriptor = Uninterrupted([&] { return file_system.OpenWrite(path, mode); });
  if (descriptor < 0) throw SystemError("cannot create the file", path, descriptor);
  return std::unique_ptr<Sink>(new Sink(path, descriptor, file_system));
}

Sink::~Sink() {
  if (descriptor_ >= 0) file_system_.Close(descriptor_);
}

void Sink::UseDirect() noexcept {
  wants_direct_ = file_system_.SetDirect(descriptor_, true) >= 0;
}

// EINVAL means that the file system takes no direct writes after all, or not this one.
std::int64_t Sink::Write(std::uint64_t offset, ByteView bytes) {
  // Linux moves at most 0x7ffff000 bytes a call; smaller calls also let a signal in.
  const std::size_t step = std::min<std::size_t>(bytes.size(), std::size_t{1} << 30);
  const auto write = [&] { return file_system_.WriteAt(descriptor_, bytes.data(), step, offset); };
  const std::int64_t count = Uninterrupted(write);
  if (count != -EINVAL || !wants_direct_) return count;
  file_system_.SetDirect(descriptor_, false);
  return Uninterrupted(write);
}

void Sink::WriteAt(std::uint64_t offset, ByteView bytes) {
  if (!bytes.empty()) is_dirty_.store(true, std::memory_order_relaxed);
  while (!bytes.empty()) {
    const std::int64_t count = Write(offset, bytes);
    // A system that takes no byte and names no reason would keep the loop going for ever.
    const std::int64_t refusal = count == 0 ? -EIO : count;
    if (refusal < 0) {
      throw SystemError("cannot write the file", path_, refusal).At(path_, offset);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

bool Sink::TakesFrom(const std::uint8_t* address) const {
  return !wants_direct_ || reinterpret_cast<std::uintptr_t>(address) % kDirectAlignment == 0;
}

void Sink::WriteLast(std::uint64_t offset, ByteView bytes) {
  if (!wants_direct_ || bytes.empty()) return WriteAt(offset, bytes);
  const auto padded = Arena::Allocate(static_cast<std::size_t>(AlignUp(bytes.size())));
  std::memcpy(padded->bytes().data(), bytes.data(), bytes.size());
  WriteAt(offset, padded->bytes());
  if (padded->bytes().size() != bytes.size()) Truncate(offset + bytes.size());
}

void Sink::Truncate(std::uint64_t size) {
  is_dirty_.store(true, std::memory_order_relaxed);
  const int result = Uninterrupted([&] { return file_system_.Truncate(descriptor_, size); });
  if (result < 0) throw SystemError("cannot set the file's size", path_, result).At(path_, size);
}

void Sink::Reserve(std::uint64_t size) {
  if (wants_direct_) {
    const int result = Uninterrupted([&] { return file_system_.Reserve(descriptor_, size); });
    // The one refusal that the writes would meet as well.
    if (result == -ENOSPC)
      throw SystemError("cannot write the file", path_, result).At(path_, size);
  }
  Truncate(size);
}

void Sink::StartWriteback(std::uint64_t offset, std::uint64_t size) noexcept {
  file_system_.StartWriteback(descriptor_, offset, size);
}

void Sink::Sync() {
  if (!is_dirty_.exchange(false)) return;
  const int result = Uninterrupted([&] { return file_system_.Sync(descriptor_); });
  if (result >= 0) return;
  is_dirty_ = true;
  throw SystemError("cannot bring the file to the device", path_, result);
}

void Sink::Close() {
  if (descriptor_ < 0) return;
  const int result = file_system_.Close(descriptor_);
  descriptor_ = -1;
  // The descriptor is gone even then, and what the signal cut short goes on in the background.
  if (result == -EINTR) return;
  if (result < 0) throw SystemError("cannot close the file", path_, result);
}

}  // namespace fastckpt::io
