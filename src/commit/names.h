// Names of the files of a checkpoint: final ones as TensorFlow has them (naming.cc), and temporary
// ones, which end in ".tmp", lie beside them, and are no longer than the longest final one.
#ifndef FASTCKPT_COMMIT_NAMES_H_
#define FASTCKPT_COMMIT_NAMES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fastckpt::commit {

// `prefix` + ".data-SSSSS-of-NNNNN", both numbers with five digits or more.
std::string DataFileName(const std::string& prefix, std::int32_t shard, std::int32_t num_shards);
// `prefix` + ".index".
std::string IndexFileName(const std::string& prefix);

// `prefix` + ".index.lock.tmp": an empty file. Whoever holds its lock owns the prefix and all its
// temporaries. It is no other file, because whoever renames a locked file gives the name away while
// there is still work to do.
std::string LockName(const std::string& prefix);
// `prefix` + ".data-SSSSS.tmp": a shard before the number of shards is settled.
std::string TemporaryDataName(const std::string& prefix, std::int32_t shard);
// `prefix` + ".index.tmp": the index under construction.
std::string TemporaryIndexName(const std::string& prefix);
// `prefix` + ".index.old.tmp": the index that is being replaced, for the way back.
std::string BackupIndexName(const std::string& prefix);
// The same for `prefix` + `suffix`: ".index.meta.tmp" and ".index.old_meta.tmp" for ".meta".
std::string TemporaryCompanionName(const std::string& prefix, std::string_view suffix);
std::string BackupCompanionName(const std::string& prefix, std::string_view suffix);
// Whether a companion may have this suffix: a dot and a word of at most five letters, digits and
// underscores, other than "index", "lock" and "old".
bool IsCompanionSuffix(std::string_view suffix);

// The shard number and shard total of a data file of `base` (the last component of a prefix);
// nothing when `name` is no such file name.
struct DataFile {
  std::int32_t shard = 0;
  std::int32_t num_shards = 0;
};
std::optional<DataFile> ParseDataFileName(std::string_view base, std::string_view name);

// Whether `name` is a temporary of `base`: ".data-SSSSS.tmp", ".index.tmp" or ".index.<word>.tmp"
// after it, the lock excluded.
bool IsTemporaryName(std::string_view base, std::string_view name);

}  // namespace fastckpt::commit

#endif  // FASTCKPT_COMMIT_NAMES_H_
