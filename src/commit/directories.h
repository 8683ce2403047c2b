// The directories around a checkpoint: made where missing, listed, synced.
#ifndef FASTCKPT_COMMIT_DIRECTORIES_H_
#define FASTCKPT_COMMIT_DIRECTORIES_H_

#include <string>
#include <string_view>
#include <vector>

#include "io/file_system.h"

namespace fastckpt::commit {

// The directory that holds a path: "." and "/" where the path names none.
std::string ParentOf(std::string_view path);

// An open directory, for its sync.
class OpenDirectory {
 public:
  // Throws Io.
  OpenDirectory(const std::string& path, io::FileSystem& file_system);
  ~OpenDirectory();
  OpenDirectory(const OpenDirectory&) = delete;
  OpenDirectory& operator=(const OpenDirectory&) = delete;

  // Returns when the names in it are on the device: 0, or minus the errno. A file system that does
  // not sync directories at all counts as done.
  int Sync();

 private:
  io::FileSystem& file_system_;
  int descriptor_;
};

// Brings the names of the directories on the way to `directory` to the device, up to where its file
// system is mounted: a writer that died may have made them. Those that cannot be synced are left.
void SyncAncestors(const std::string& directory, io::FileSystem& file_system);

// The missing directories on the way to one, made for a checkpoint that may not come to be.
class MadeDirectories {
 public:
  explicit MadeDirectories(io::FileSystem& file_system) : file_system_(file_system) {}
  // Removes what was made, as far as it is empty, unless Keep was called.
  ~MadeDirectories() { Remove(); }
  MadeDirectories(const MadeDirectories&) = delete;
  MadeDirectories& operator=(const MadeDirectories&) = delete;

  // Finds what is missing up to `directory`; returns the nearest one that exists. Throws Io where a
  // file stands in the way, InvalidArgument for names that are too long.
  std::string Plan(const std::string& directory);
  void Make();
  // Brings their names to the device. Throws Io.
  void Sync() const;
  void Keep() noexcept { made_.clear(); }
  void Remove() noexcept;

 private:
  void MakeOne(const std::string& path);

  io::FileSystem& file_system_;
  // Both from the outermost to the innermost.
  std::vector<std::string> missing_;
  std::vector<std::string> made_;
};

}  // namespace fastckpt::commit

#endif  // FASTCKPT_COMMIT_DIRECTORIES_H_
