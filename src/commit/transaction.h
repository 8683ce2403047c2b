// How the files of a checkpoint become visible: the one way, for every writer.
//
//   1. The lock of the prefix is taken; what a dead writer left behind is removed.
//   2. Data shards are written under temporary names.
//   3. They are synced and renamed to a shard total that no live file has, companions (.meta)
//      after them, and the directory is synced.
//   4. The index, synced, is renamed. That is the commit: before it every reader sees the old
//      checkpoint whole, after it the new one.
//   5. The directory is synced, and the data files of the old checkpoint are removed.
//   6. The lock is dropped: until then nobody else writes at the prefix.
//
// Whatever fails before the end of 4, or in the sync of 5, is undone: temporaries and renamed data
// go, and the old index stands as it stood. A process that dies leaves files that no index
// mentions, which the next writer of the prefix removes under its lock. There is nothing to recover
// at open.
#ifndef FASTCKPT_COMMIT_TRANSACTION_H_
#define FASTCKPT_COMMIT_TRANSACTION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "commit/copy.h"
#include "io/file_system.h"
#include "io/sink.h"

namespace fastckpt::commit {

struct Options {
  // Sync files and directories, so that what was committed survives a power cut.
  bool sync = true;
};

// One attempt to replace or create the checkpoint at a prefix. Not for two threads at once.
class Transaction {
 public:
  // Makes missing parent directories, takes the lock and removes what dead writers left. Throws
  // Busy while a live writer holds the prefix, InvalidArgument for a prefix that is empty, ends in
  // a separator, "." or "..", or is too long for the names of its files, and Io.
  static std::unique_ptr<Transaction> Begin(const std::string& prefix, const Options& options,
                                            io::FileSystem& file_system = io::FileSystem::Posix());
  // Aborts unless committed. In a forked child it closes and removes nothing: the files belong to
  // the parent.
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  const std::string& prefix() const;
  const Options& options() const;

  // A new, empty temporary file for this shard; each shard once.
  io::Sink& CreateShard(std::int32_t shard);
  // The shard gets the content of an existing file: a second name for it where the file system has
  // links (the file must then never change in place), else, or with `copy`, a copy, of whose
  // progress `on_copied` is told. Throws NotFound when there is none. Several threads may import at
  // once, and nothing else may run meanwhile.
  void ImportShard(std::int32_t shard, const std::string& path, bool copy,
                   const OnCopied& on_copied = nullptr);
  // `prefix` + `suffix` (".meta"; see IsCompanionSuffix) gets this content, before the index
  // appears; each suffix once.
  void AddCompanion(const std::string& suffix, ByteView content);

  // The total that the shards get, for the header of the index: `wanted`, or the next one that no
  // live data file has. Shards that nobody created become empty files.
  std::int32_t Settle(std::int32_t wanted);
  // The index under construction, empty at first; not after Commit or Abort.
  io::Sink& index();

  // Steps 3 to 6, after Settle. Whatever it throws, nothing has changed for readers and the
  // transaction is aborted; an Io error that says so is the one exception: where even the way back
  // failed.
  void Commit();
  // Removes the temporaries and drops the lock; idempotent.
  void Abort() noexcept;

 private:
  struct State;
  explicit Transaction(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fastckpt::commit

#endif  // FASTCKPT_COMMIT_TRANSACTION_H_
