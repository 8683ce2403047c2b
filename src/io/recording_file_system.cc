#include "io/recording_file_system.h"

#include "io/process.h"

namespace fastckpt::io {

template <typename Call>
std::int64_t RecordingFileSystem::Record(ChangeRecord record, Call call) {
  ++calls_;
  if (calls_ == kill_before_) KillProcess();
  record.result = call();
  if (record.result >= 0 && record.file == 0) record.file = BornNumber(record);
  if (calls_ == kill_after_) KillProcess();
  const std::int64_t result = record.result;
  if (record.change == Change::kWrite) {
    record.bytes.resize(result < 0 ? 0 : static_cast<std::size_t>(result));
  }
  trace_.push_back(std::move(record));
  return result;
}

ChangeRecord RecordingFileSystem::RecordOf(Change change, int descriptor) const {
  ChangeRecord record;
  record.change = change;
  const auto place = open_files_.find(descriptor);
  if (place == open_files_.end()) return record;
  record.path = place->second.path;
  record.file = place->second.file;
  return record;
}

ChangeRecord RecordingFileSystem::RecordOf(Change change, const std::string& path) {
  ChangeRecord record;
  record.change = change;
  record.path = path;
  record.file = NumberAt(path);
  return record;
}

std::uint64_t RecordingFileSystem::NumberOf(const FileStatus& status, bool new_born) {
  std::uint64_t& number = numbers_[{status.device, status.inode}];
  if (number == 0 || new_born) number = ++last_number_;
  return number;
}

std::uint64_t RecordingFileSystem::NumberAt(const std::string& path) {
  FileStatus status;
  return base_.StatPath(path, &status) < 0 ? 0 : NumberOf(status, false);
}

int RecordingFileSystem::Opened(int descriptor, const std::string& path, bool new_born) {
  FileStatus status;
  if (descriptor < 0 || base_.Stat(descriptor, &status) < 0) return descriptor;
  open_files_[descriptor] = {path, NumberOf(status, new_born), status.is_directory};
  return descriptor;
}

// Of a file or directory that the call of this record made or opened.
std::uint64_t RecordingFileSystem::BornNumber(const ChangeRecord& record) {
  if (record.change == Change::kMakeDirectory) {
    FileStatus status;
    return base_.StatPath(record.path, &status) < 0 ? 0 : NumberOf(status, true);
  }
  if (record.change != Change::kCreate) return 0;
  return open_files_[static_cast<int>(record.result)].file;
}

std::size_t RecordingFileSystem::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

std::vector<ChangeRecord> RecordingFileSystem::trace() const {
  const std::lock_guard lock(mutex_);
  return trace_;
}

int RecordingFileSystem::OpenRead(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return Opened(base_.OpenRead(path), path, false);
}

int RecordingFileSystem::OpenDirectory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return Opened(base_.OpenDirectory(path), path, false);
}

int RecordingFileSystem::OpenWrite(const std::string& path, WriteMode mode) {
  const std::lock_guard lock(mutex_);
  FileStatus status;
  const bool exists = base_.StatPath(path, &status) >= 0;
  ChangeRecord record;
  record.change = Change::kCreate;
  record.path = path;
  return static_cast<int>(Record(
      std::move(record), [&] { return Opened(base_.OpenWrite(path, mode), path, !exists); }));
}

int RecordingFileSystem::Close(int descriptor) {
  const std::lock_guard lock(mutex_);
  open_files_.erase(descriptor);
  return base_.Close(descriptor);
}

std::int64_t RecordingFileSystem::WriteAt(int descriptor, const void* source, std::size_t size,
                                          std::uint64_t offset) {
  const std::lock_guard lock(mutex_);
  ChangeRecord record = RecordOf(Change::kWrite, descriptor);
  record.offset = offset;
  const auto* bytes = static_cast<const std::uint8_t*>(source);
  record.bytes.assign(bytes, bytes + size);
  return Record(std::move(record), [&] { return base_.WriteAt(descriptor, source, size, offset); });
}

int RecordingFileSystem::Truncate(int descriptor, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  ChangeRecord record = RecordOf(Change::kTruncate, descriptor);
  record.offset = size;
  return static_cast<int>(
      Record(std::move(record), [&] { return base_.Truncate(descriptor, size); }));
}

int RecordingFileSystem::Sync(int descriptor) {
  const std::lock_guard lock(mutex_);
  const auto place = open_files_.find(descriptor);
  const bool is_directory = place != open_files_.end() && place->second.is_directory;
  ChangeRecord record =
      RecordOf(is_directory ? Change::kSyncDirectory : Change::kSyncFile, descriptor);
  return static_cast<int>(Record(std::move(record), [&] { return base_.Sync(descriptor); }));
}

int RecordingFileSystem::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  ChangeRecord record = RecordOf(Change::kRename, from);
  record.new_path = to;
  return static_cast<int>(Record(std::move(record), [&] { return base_.Rename(from, to); }));
}

int RecordingFileSystem::Link(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  ChangeRecord record = RecordOf(Change::kLink, from);
  record.new_path = to;
  return static_cast<int>(Record(std::move(record), [&] { return base_.Link(from, to); }));
}

int RecordingFileSystem::Unlink(const std::string& path) {
  const std::lock_guard lock(mutex_);
  ChangeRecord record = RecordOf(Change::kUnlink, path);
  return static_cast<int>(Record(std::move(record), [&] { return base_.Unlink(path); }));
}

int RecordingFileSystem::MakeDirectory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  ChangeRecord record = RecordOf(Change::kMakeDirectory, path);
  return static_cast<int>(Record(std::move(record), [&] { return base_.MakeDirectory(path); }));
}

int RecordingFileSystem::RemoveDirectory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  ChangeRecord record = RecordOf(Change::kRemoveDirectory, path);
  return static_cast<int>(Record(std::move(record), [&] { return base_.RemoveDirectory(path); }));
}

}  // namespace fastckpt::io
