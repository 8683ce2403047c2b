// Sinks: one file under construction, written at offsets, through the page cache or past it.
#ifndef FASTCKPT_IO_SINK_H_
#define FASTCKPT_IO_SINK_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "io/file_system.h"

namespace fastckpt::io {

// Throws Io, with path, errno and offset, for every refusal; interrupted and short writes go on.
// Writes of disjoint ranges may run at once; all else is one thread's business.
class Sink {
 public:
  // Opens `path` as `mode` says.
  static std::unique_ptr<Sink> Open(const std::string& path, WriteMode mode,
                                    FileSystem& file_system);
  // Closes without looking at the result, unless that was done.
  ~Sink();
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  const std::string& path() const { return path_; }
  int descriptor() const { return descriptor_; }

  // Asks for the page cache to be left alone. Offsets, addresses and sizes of writes that are all
  // multiples of kDirectAlignment (io/direct.h) then go straight to the device. What is not
  // aligned, and everything where the file system has no direct mode, is written as without, and
  // so is everything after it. Before the first write; never fails.
  void UseDirect() noexcept;

  void WriteAt(std::uint64_t offset, ByteView bytes);
  // Whether bytes at this address are written straight from there.
  bool TakesFrom(const std::uint8_t* address) const;
  // Writes what the file ends with: bytes of any size and address, from an aligned offset on.
  void WriteLast(std::uint64_t offset, ByteView bytes);
  void Truncate(std::uint64_t size);
  // Sets the size, and reserves room for it in direct mode: writes to reserved blocks may run at
  // once.
  void Reserve(std::uint64_t size);
  // Lets the device begin while the writer goes on; never fails.
  void StartWriteback(std::uint64_t offset, std::uint64_t size) noexcept;
  // Returns when every byte is on the device. Does nothing when nothing was written since the last
  // time.
  void Sync();
  // Idempotent. The descriptor is gone even when this throws.
  void Close();

 private:
  Sink(std::string path, int descriptor, FileSystem& file_system)
      : path_(std::move(path)), descriptor_(descriptor), file_system_(file_system) {}

  std::int64_t Write(std::uint64_t offset, ByteView bytes);

  std::string path_;
  int descriptor_;
  FileSystem& file_system_;
  bool wants_direct_ = false;
  // A new file's existence is worth a sync too.
  std::atomic<bool> is_dirty_{true};
};

}  // namespace fastckpt::io

#endif  // FASTCKPT_IO_SINK_H_
