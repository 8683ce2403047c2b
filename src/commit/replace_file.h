// Files that become visible by their own rename, without an index that ties them together: V1
// checkpoints, and the checkpoint state.
//
//   FileReplacement files("models/checkpoint", {.sync = true});
//   files.Create("models/checkpoint").WriteAt(0, content);
//   files.Commit();
//
// A single file is replaced at one stroke: readers see the old one or the new one, whole. Of
// several, each is complete whenever it is visible, but they are renamed one after another, when
// all are written: a process that dies between two renames leaves new files beside old ones (or
// beside none). Nothing in a V1 file tells which save it belongs to, so a reader takes such a set
// for a checkpoint; whoever overwrites a sharded V1 checkpoint in place takes that risk, as with
// TensorFlow. Failures that the process lives through are undone.
#ifndef FASTCKPT_COMMIT_REPLACE_FILE_H_
#define FASTCKPT_COMMIT_REPLACE_FILE_H_

#include <map>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "commit/directories.h"
#include "commit/pending_file.h"
#include "commit/prefix_lock.h"
#include "commit/transaction.h"
#include "io/file_system.h"
#include "io/process.h"
#include "io/sink.h"

namespace fastckpt::commit {

// For one thread at a time; the sinks may be written by others.
class FileReplacement {
 public:
  // Makes missing parent directories and takes the lock of the prefix `name`, which owns the
  // temporaries of all files until the end. Throws Busy while a live writer holds it,
  // InvalidArgument for a name that is empty or ends in a separator, and Io.
  FileReplacement(const std::string& name, const Options& options,
                  io::FileSystem& file_system = io::FileSystem::Posix());
  // Aborts unless committed. In a forked child it closes and removes nothing.
  ~FileReplacement() { Abort(); }
  FileReplacement(const FileReplacement&) = delete;
  FileReplacement& operator=(const FileReplacement&) = delete;

  // An empty file, `path` + ".tmp", that will stand at `path`, in the directory of `name`; each
  // path once. What a dead writer left under that name is removed. Throws InvalidArgument for a
  // directory, and Io.
  io::Sink& Create(const std::string& path);

  // Syncs the files, renames them and syncs the directory. Whatever it throws, nothing has changed
  // for readers and the replacement is aborted; an Io error that says so is the one exception:
  // where the last sync failed.
  void Commit();
  // Removes the temporaries and drops the lock; idempotent.
  void Abort() noexcept;

 private:
  void CheckUsable() const;
  void FinishFiles();
  void MoveOne(const std::string& path, PendingFile* file);
  void MoveAll();
  void SyncDirectory();
  void Leave() noexcept;

  const std::string name_;
  const Options options_;
  io::FileSystem& file_system_;
  const int process_ = io::ProcessId();
  // What comes first is let go last.
  MadeDirectories made_directories_;
  PrefixLock lock_;
  std::optional<OpenDirectory> directory_;
  std::map<std::string, PendingFile> files_;
  // Of the file created last.
  io::FileStatus identity_;
  bool is_done_ = false;
};

// Gives the file at `path` this content, at one stroke; throws as FileReplacement does.
void ReplaceFile(const std::string& path, ByteView content, const Options& options,
                 io::FileSystem& file_system = io::FileSystem::Posix());

}  // namespace fastckpt::commit

#endif  // FASTCKPT_COMMIT_REPLACE_FILE_H_
