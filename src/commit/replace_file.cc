#include "commit/replace_file.h"

#include "base/error.h"
#include "io/system_error.h"

namespace fastckpt::commit {
namespace {

Error InvalidArgument(const char* message, const std::string& path) {
  return Error(ErrorCode::kInvalidArgument, message).At(path);
}

void CheckName(const std::string& name) {
  if (name.empty()) throw InvalidArgument("the path is empty; pass the path of a file", name);
  if (name.back() == '/') throw InvalidArgument("the path of a file ends in a separator", name);
  if (name.find('\0') != std::string::npos) {
    throw InvalidArgument("the path holds a NUL character", name);
  }
}

void CheckNoDirectory(const std::string& path, io::FileSystem& file_system) {
  io::FileStatus status;
  if (file_system.StatPath(path, &status) < 0 || !status.is_directory) return;
  throw InvalidArgument("the path is a directory; pass that of a file inside it", path);
}

// Both are shorter than the name of the lock: what is too long fails before anything is written.
std::string TemporaryName(const std::string& path) {
  return path + ".tmp";
}

std::string BackupName(const std::string& path) {
  return path + ".old.tmp";
}

}  // namespace

FileReplacement::FileReplacement(const std::string& name, const Options& options,
                                 io::FileSystem& file_system)
    : name_(name),
      options_(options),
      file_system_(file_system),
      made_directories_(file_system),
      lock_(file_system) {
  CheckName(name);
  const std::string parent = ParentOf(name);
  made_directories_.Plan(parent);
  made_directories_.Make();
  if (options.sync) directory_.emplace(parent, file_system);
  lock_.Take(name);
}

void FileReplacement::CheckUsable() const {
  if (is_done_) throw Error(ErrorCode::kClosed, "the save is over").At(name_);
  if (process_ == io::ProcessId()) return;
  throw InvalidArgument("a forked child cannot go on with a save of its parent", name_);
}

io::Sink& FileReplacement::Create(const std::string& path) {
  CheckUsable();
  CheckNoDirectory(path, file_system_);
  const auto [place, is_new] = files_.try_emplace(path, TemporaryName(path), file_system_);
  if (!is_new) throw InvalidArgument("the file is created already", path);
  file_system_.Unlink(TemporaryName(path));
  file_system_.Unlink(BackupName(path));
  io::Sink& sink = place->second.Create();
  const int result = file_system_.Stat(sink.descriptor(), &identity_);
  if (result < 0) throw io::SystemError("cannot look at the file", sink.path(), result);
  return sink;
}

void FileReplacement::Commit() {
  CheckUsable();
  try {
    FinishFiles();
    if (files_.size() == 1) {
      MoveOne(files_.begin()->first, &files_.begin()->second);
    } else {
      MoveAll();
    }
  } catch (...) {
    Abort();
    throw;
  }
  for (auto& [path, file] : files_) file.RemoveBackup();
  SyncDirectory();
  Leave();
}

// Every byte is written, and with sync on the device, as are the names of the directories.
void FileReplacement::FinishFiles() {
  for (auto& [path, file] : files_) file.Finish(options_.sync);
  if (options_.sync) made_directories_.Sync();
}

// The rename of one file happens or does not: there is nothing to go back to.
void FileReplacement::MoveOne(const std::string& path, PendingFile* file) {
  const int result = file_system_.Rename(file->temporary(), path);
  if (result >= 0) return;
  // Network file systems report failures of renames that happened.
  io::FileStatus status;
  if (file_system_.StatPath(path, &status) >= 0 && status.device == identity_.device &&
      status.inode == identity_.inode) {
    return;
  }
  throw io::SystemError(
      "cannot rename the finished file; nothing was saved, and what was there before is intact",
      path, result);
}

void FileReplacement::MoveAll() {
  for (auto& [path, file] : files_) file.Replace(path, BackupName(path), options_.sync);
}

void FileReplacement::SyncDirectory() {
  if (!directory_) return;
  const int result = directory_->Sync();
  if (result >= 0) return;
  Leave();
  throw io::SystemError(
      "cannot sync the directory; what was saved is visible and complete, and may not survive a "
      "power cut; save again",
      name_, result);
}

// Lets go of everything and removes nothing but the lock.
void FileReplacement::Leave() noexcept {
  is_done_ = true;
  made_directories_.Keep();
  directory_.reset();
  lock_.Release();
}

void FileReplacement::Abort() noexcept {
  if (is_done_) return;
  is_done_ = true;
  directory_.reset();
  if (process_ != io::ProcessId()) {
    for (auto& [path, file] : files_) file.CloseQuietly();
    made_directories_.Keep();
    return lock_.Forget();
  }
  for (auto& [path, file] : files_) file.Undo();
  lock_.Release();
  made_directories_.Remove();
}

void ReplaceFile(const std::string& path, ByteView content, const Options& options,
                 io::FileSystem& file_system) {
  FileReplacement replacement(path, options, file_system);
  replacement.Create(path).WriteAt(0, content);
  replacement.Commit();
}

}  // namespace fastckpt::commit
