// A file system that keeps a trace of what is changed through it, and dies where it is told to.
//
// The trace is what a power cut is simulated from: which bytes and names were asked for, in which
// order, and what was synced in between.
#ifndef FASTCKPT_IO_RECORDING_FILE_SYSTEM_H_
#define FASTCKPT_IO_RECORDING_FILE_SYSTEM_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "io/file_system.h"

namespace fastckpt::io {

enum class Change : std::uint8_t {
  kCreate,  // or open for writing
  kWrite,
  kTruncate,
  kSyncFile,
  kSyncDirectory,
  kRename,
  kLink,
  kUnlink,
  kMakeDirectory,
  kRemoveDirectory,
};

// One call that changes files, or that makes changes lasting.
struct ChangeRecord {
  Change change = Change::kCreate;
  // Of an open file: the path that it was opened at.
  std::string path;
  // Of renames and links: the new name.
  std::string new_path;
  // Which file or directory it is, whatever its names: numbers from 1 on, never given twice. 0 when
  // there is none.
  std::uint64_t file = 0;
  // Of writes, and in truncates the size.
  std::uint64_t offset = 0;
  // Those that were written.
  std::vector<std::uint8_t> bytes;
  // What the call returned.
  std::int64_t result = 0;
};

// Forwards every call to another file system. Calls that are recorded run one at a time, so that
// the trace has the order in which they happened; others run at once.
class RecordingFileSystem final : public FileSystem {
 public:
  explicit RecordingFileSystem(FileSystem& base = Posix()) : base_(base) {}

  // The process is killed right before, or right after, the n-th recorded call from the start,
  // counted from 1. 0 for never.
  void KillBefore(std::size_t n) { kill_before_ = n; }
  void KillAfter(std::size_t n) { kill_after_ = n; }

  // Recorded calls so far.
  std::size_t calls() const;
  std::vector<ChangeRecord> trace() const;

  int OpenRead(const std::string& path) override;
  int OpenWrite(const std::string& path, WriteMode mode) override;
  int OpenDirectory(const std::string& path) override;
  int Close(int descriptor) override;
  int Stat(int descriptor, FileStatus* status) override { return base_.Stat(descriptor, status); }
  std::int64_t ReadAt(int descriptor, void* destination, std::size_t size,
                      std::uint64_t offset) override {
    return base_.ReadAt(descriptor, destination, size, offset);
  }
  int Map(int descriptor, std::size_t size, const std::uint8_t** address) override {
    return base_.Map(descriptor, size, address);
  }
  int Unmap(const std::uint8_t* address, std::size_t size) override {
    return base_.Unmap(address, size);
  }
  int IsResident(const std::uint8_t* address) override { return base_.IsResident(address); }
  int ExpectReads(const std::uint8_t* address, std::uint64_t size) override {
    return base_.ExpectReads(address, size);
  }
  int SetDirect(int descriptor, bool is_direct) override {
    return base_.SetDirect(descriptor, is_direct);
  }
  int IsRemote(int descriptor) override { return base_.IsRemote(descriptor); }
  std::int64_t WriteAt(int descriptor, const void* source, std::size_t size,
                       std::uint64_t offset) override;
  int Truncate(int descriptor, std::uint64_t size) override;
  int Reserve(int descriptor, std::uint64_t size) override {
    return base_.Reserve(descriptor, size);
  }
  int StartWriteback(int descriptor, std::uint64_t offset, std::uint64_t size) override {
    return base_.StartWriteback(descriptor, offset, size);
  }
  int Sync(int descriptor) override;
  int Lock(int descriptor) override { return base_.Lock(descriptor); }
  int Unlock(int descriptor) override { return base_.Unlock(descriptor); }
  int StatPath(const std::string& path, FileStatus* status) override {
    return base_.StatPath(path, status);
  }
  int Rename(const std::string& from, const std::string& to) override;
  int Link(const std::string& from, const std::string& to) override;
  int Unlink(const std::string& path) override;
  int MakeDirectory(const std::string& path) override;
  int RemoveDirectory(const std::string& path) override;
  int List(const std::string& path, std::vector<std::string>* names) override {
    return base_.List(path, names);
  }

 private:
  struct OpenFile {
    std::string path;
    std::uint64_t file = 0;
    bool is_directory = false;
  };
  using Identity = std::pair<std::uint64_t, std::uint64_t>;

  // Runs the call as the next recorded one, and keeps the record with its result. The caller holds
  // the mutex.
  template <typename Call>
  std::int64_t Record(ChangeRecord record, Call call);
  ChangeRecord RecordOf(Change change, int descriptor) const;
  ChangeRecord RecordOf(Change change, const std::string& path);
  // The number of a file; a new one when it has none yet, or when a file is `new_born`: systems
  // give the inode of a removed file to the next one.
  std::uint64_t NumberOf(const FileStatus& status, bool new_born);
  std::uint64_t NumberAt(const std::string& path);
  std::uint64_t BornNumber(const ChangeRecord& record);
  int Opened(int descriptor, const std::string& path, bool new_born);

  FileSystem& base_;
  mutable std::mutex mutex_;
  std::size_t kill_before_ = 0;
  std::size_t kill_after_ = 0;
  std::size_t calls_ = 0;
  std::vector<ChangeRecord> trace_;
  std::map<int, OpenFile> open_files_;
  std::map<Identity, std::uint64_t> numbers_;
  std::uint64_t last_number_ = 0;
};

}  // namespace fastckpt::io

#endif  // FASTCKPT_IO_RECORDING_FILE_SYSTEM_H_
