#include "commit/pending_file.h"

#include "base/error.h"
#include "io/system_error.h"

namespace fastckpt::commit {

io::Sink& PendingFile::Create() {
  sink_ = io::Sink::Open(temporary_, io::WriteMode::kCreateNew, file_system_);
  return *sink_;
}

void PendingFile::Finish(bool sync) {
  if (!sink_) return;
  if (sync) sink_->Sync();
  sink_->Close();
  sink_.reset();
}

void PendingFile::Rename(const std::string& final_name) {
  final_name_ = final_name;
  const int result = file_system_.Rename(temporary_, final_name);
  if (result < 0) throw io::SystemError("cannot rename a finished file", final_name, result);
}

void PendingFile::Replace(const std::string& final_name, const std::string& backup, bool sync) {
  backup_name_ = backup;
  backup_ = KeepOld(final_name, backup, sync, file_system_);
  Rename(final_name);
}

void PendingFile::Undo() noexcept {
  CloseQuietly();
  if (!final_name_.empty()) {
    if (backup_ == Backup::kKept) file_system_.Rename(backup_name_, final_name_);
    if (backup_ == Backup::kNone) file_system_.Unlink(final_name_);
  }
  file_system_.Unlink(temporary_);
  // The rename of a name onto another of the same file, which a failed Replace leaves, does
  // nothing.
  RemoveBackup();
}

void PendingFile::RemoveBackup() noexcept {
  if (backup_ == Backup::kKept) file_system_.Unlink(backup_name_);
}

}  // namespace fastckpt::commit
