#include "io/direct_source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "io/direct.h"
#include "io/system_error.h"

namespace fastckpt::io {
namespace {

// A request may begin and end in the middle of a block.
constexpr std::uint64_t kRoomBytes = kDirectRequest + 2 * kDirectAlignment;

// Lives as long as any source that reads directly.
std::shared_ptr<ArenaPool> SharedPool() {
  static std::mutex mutex;
  static std::weak_ptr<ArenaPool> shared;
  std::lock_guard lock(mutex);
  std::shared_ptr<ArenaPool> pool = shared.lock();
  if (!pool) {
    pool = std::make_shared<ArenaPool>(kRoomBytes, std::size_t{2} * kDirectDepth);
    shared = pool;
  }
  return pool;
}

}  // namespace

DirectSource::DirectSource(std::string path, std::uint64_t size,
                           std::shared_ptr<const OpenFile> file)
    : Source(std::move(path), size, nullptr), file_(std::move(file)), pool_(SharedPool()) {}

void DirectSource::CheckPresent(std::uint64_t offset, std::uint64_t size) const {
  CheckInside(offset, size, std::min(file_->Status(path()).size_bytes, this->size()));
}

std::uint64_t DirectSource::piece_size() const {
  return kDirectRequest;
}

void DirectSource::ReadAt(std::uint64_t offset, MutableBytes destination) const {
  std::uint8_t* out = destination.data();
  ForEachPiece(offset, destination.size(), [&](ByteView piece) {
    std::memcpy(out, piece.data(), piece.size());
    out += piece.size();
  });
}

void DirectSource::ForEachPiece(std::uint64_t offset, std::uint64_t size,
                                const PieceUser& use) const {
  CheckInside(offset, size, this->size());
  if (size == 0) return;
  EnterDirect();
  const PooledArena room(pool_.get());
  for (std::uint64_t done = 0; done < size;) {
    const std::uint64_t at = offset + done;
    const std::uint64_t step = std::min(size - done, kDirectRequest);
    const std::uint64_t begin = AlignDown(at);
    Fill(begin, at + step - begin, room.bytes().first(AlignUp(at + step) - begin));
    use(room.bytes().subspan(at - begin, step));
    done += step;
  }
}

void DirectSource::Fill(std::uint64_t offset, std::uint64_t wanted, MutableBytes room) const {
  for (std::uint64_t done = 0; done < wanted;) {
    const std::int64_t count = ReadOnce(offset + done, room.subspan(done));
    if (count < 0) ThrowReadError("cannot read the file", path(), count);
    if (count == 0) CheckInside(offset + done, wanted - done, offset + done);
    done += static_cast<std::uint64_t>(count);
  }
}

// EINVAL means that the file system, or this file, takes no direct reads; or that a short read left
// a rest which begins in the middle of a block. The page cache takes over then, for good.
std::int64_t DirectSource::ReadOnce(std::uint64_t offset, MutableBytes room) const {
  FileSystem& files = file_->file_system();
  const int descriptor = file_->descriptor();
  const auto read = [&] { return files.ReadAt(descriptor, room.data(), room.size(), offset); };
  const std::int64_t count = Uninterrupted(read);
  if (count != -EINVAL) return count;
  files.SetDirect(descriptor, false);
  return Uninterrupted(read);
}

void DirectSource::EnterDirect() const {
  if (was_asked_.exchange(true)) return;
  file_->file_system().SetDirect(file_->descriptor(), true);
}

}  // namespace fastckpt::io
