// One file of a checkpoint that is not visible yet.
#ifndef FASTCKPT_COMMIT_PENDING_FILE_H_
#define FASTCKPT_COMMIT_PENDING_FILE_H_

#include <memory>
#include <string>
#include <utility>

#include "commit/copy.h"
#include "io/file_system.h"
#include "io/sink.h"

namespace fastckpt::commit {

class PendingFile {
 public:
  PendingFile(std::string temporary, io::FileSystem& file_system)
      : temporary_(std::move(temporary)), file_system_(file_system) {}

  const std::string& temporary() const { return temporary_; }

  // Makes the file, empty. Throws Io.
  io::Sink& Create();
  // Ends the writing: closed, and with `sync` on the device. Does nothing to a closed one.
  void Finish(bool sync);
  void CloseQuietly() noexcept { sink_.reset(); }

  // Gives the file its final name, which no file has. Throws Io.
  void Rename(const std::string& final_name);
  // The same where one may have it: that one is kept under the name `backup` until then.
  void Replace(const std::string& final_name, const std::string& backup, bool sync);
  // Removes it, and puts back what it replaced.
  void Undo() noexcept;
  // Removes what it replaced.
  void RemoveBackup() noexcept;

 private:
  std::string temporary_;
  io::FileSystem& file_system_;
  std::unique_ptr<io::Sink> sink_;
  // Empty before Rename. A failed rename may have happened all the same, on network file systems.
  std::string final_name_;
  std::string backup_name_;
  Backup backup_ = Backup::kNone;
};

}  // namespace fastckpt::commit

#endif  // FASTCKPT_COMMIT_PENDING_FILE_H_
