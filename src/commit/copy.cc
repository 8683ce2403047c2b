#include "commit/copy.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "io/sink.h"
#include "io/source.h"
#include "io/system_error.h"

namespace fastckpt::commit {
namespace {

constexpr std::uint64_t kCopyBytes = std::uint64_t{1} << 20;

// What a link is refused with where a copy may succeed: another file system, one without links,
// a file of another owner. A missing file is for the copy to report.
constexpr std::array<int, 8> kCopyInstead = {EPERM,  EOPNOTSUPP, ENOTSUP, EXDEV,
                                             EMLINK, ENOSYS,     EACCES,  ENOENT};

void CopyBytes(const io::Source& source, const OnCopied& on_copied, io::Sink* sink) {
  std::vector<std::uint8_t> buffer(static_cast<std::size_t>(std::min(source.size(), kCopyBytes)));
  for (std::uint64_t offset = 0; offset < source.size(); offset += kCopyBytes) {
    const std::uint64_t size = std::min(source.size() - offset, kCopyBytes);
    const MutableBytes bytes(buffer.data(), static_cast<std::size_t>(size));
    source.ReadAt(offset, bytes);
    sink->WriteAt(offset, bytes);
    if (on_copied) on_copied(size);
  }
}

void Copy(const std::string& from, const std::string& to, bool sync, io::FileSystem& file_system,
          const OnCopied& on_copied = nullptr) {
  const auto source = io::OpenSource(from, io::Backend::kPositional, file_system);
  const auto sink = io::Sink::Open(to, io::WriteMode::kCreateNew, file_system);
  CopyBytes(*source, on_copied, sink.get());
  if (sync) sink->Sync();
  sink->Close();
}

void SyncFile(const std::string& path, io::FileSystem& file_system) {
  const int descriptor = io::Uninterrupted([&] { return file_system.OpenRead(path); });
  if (descriptor < 0) throw io::SystemError("cannot open the file", path, descriptor);
  const int result = io::Uninterrupted([&] { return file_system.Sync(descriptor); });
  file_system.Close(descriptor);
  if (result < 0) throw io::SystemError("cannot bring the file to the device", path, result);
}

}  // namespace

void LinkOrCopy(const std::string& from, const std::string& to, CopyMode mode, bool sync,
                io::FileSystem& file_system, const OnCopied& on_copied) {
  if (mode == CopyMode::kCopy) return Copy(from, to, sync, file_system, on_copied);
  const int result = file_system.Link(from, to);
  if (result >= 0) {
    if (sync) SyncFile(to, file_system);
    return;
  }
  if (std::ranges::find(kCopyInstead, -result) == kCopyInstead.end()) {
    throw io::SystemError("cannot link the file " + from, to, result);
  }
  Copy(from, to, sync, file_system, on_copied);
}

Backup KeepOld(const std::string& path, const std::string& backup, bool sync,
               io::FileSystem& file_system) {
  const int result = file_system.Link(path, backup);
  if (result >= 0) return Backup::kKept;
  if (result == -ENOENT) return Backup::kNone;
  try {
    Copy(path, backup, sync, file_system);
    return Backup::kKept;
  } catch (const Error&) {
    file_system.Unlink(backup);
    return Backup::kMissing;
  }
}

}  // namespace fastckpt::commit
