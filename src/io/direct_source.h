// Reading past the page cache.
#ifndef FASTCKPT_IO_DIRECT_SOURCE_H_
#define FASTCKPT_IO_DIRECT_SOURCE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "io/arena_pool.h"
#include "io/open_file.h"
#include "io/source.h"

namespace fastckpt::io {

// Any range of a file, by whole blocks, in requests of kDirectRequest bytes, through aligned memory
// that all such sources share. Reads through the page cache where the file system refuses. The
// descriptor enters direct mode at the first read: nobody else may read from it.
class DirectSource final : public Source {
 public:
  DirectSource(std::string path, std::uint64_t size, std::shared_ptr<const OpenFile> file);

  void CheckPresent(std::uint64_t offset, std::uint64_t size) const override;
  void ReadAt(std::uint64_t offset, MutableBytes destination) const override;
  void ForEachPiece(std::uint64_t offset, std::uint64_t size, const PieceUser& use) const override;
  std::uint64_t piece_size() const override;
  const Source* direct() const override { return this; }

 private:
  // Puts at least `wanted` bytes, from `offset` on, into memory that has room for whole blocks.
  void Fill(std::uint64_t offset, std::uint64_t wanted, MutableBytes room) const;
  std::int64_t ReadOnce(std::uint64_t offset, MutableBytes room) const;
  void EnterDirect() const;

  const std::shared_ptr<const OpenFile> file_;
  const std::shared_ptr<ArenaPool> pool_;
  mutable std::atomic<bool> was_asked_{false};
};

}  // namespace fastckpt::io

#endif  // FASTCKPT_IO_DIRECT_SOURCE_H_
