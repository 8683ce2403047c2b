// The checkpoints that a merge reads: their indexes, and where their data files are.
#ifndef FASTCKPT_BUNDLE_MERGE_INPUTS_H_
#define FASTCKPT_BUNDLE_MERGE_INPUTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "bundle/entry.h"
#include "bundle/merged_entries.h"
#include "io/file_system.h"

namespace fastckpt::bundle {

// A data file of an input; its place in the list is its shard number in the result.
struct InputData {
  std::string path;
  // Where the last tensor in it ends.
  std::uint64_t needed_bytes = 0;
  std::uint64_t size_bytes = 0;
};

class MergeInputs {
 public:
  // Reads every index. Data files get numbers in the order in which entries mention them: prefixes
  // in their order, keys in byte order, as TensorFlow gives them. Throws
  //   NotFound         a missing index, naming all of them; a missing data file
  //   DataLoss         damage in any block of an index, an entry that cannot be, a data file that
  //                    is too short
  //   InvalidArgument  an input that stands twice or is the destination, no inputs, versions or
  //                    byte orders that differ, two entries of one key, slices that overlap or,
  //                    with `complete_slices`, leave elements out
  //   LimitExceeded    an index that is too large in memory
  MergeInputs(std::vector<std::string> prefixes, const std::string& destination,
              bool complete_slices, io::FileSystem& file_system);
  MergeInputs(const MergeInputs&) = delete;
  MergeInputs& operator=(const MergeInputs&) = delete;

  const std::vector<std::string>& prefixes() const { return prefixes_; }
  const MergedEntries& entries() const { return entries_; }
  const std::vector<InputData>& data() const { return data_; }
  // Of all inputs, but for the number of shards.
  const Header& header() const { return *header_; }

  // The index file of an input as it was when it was read.
  const io::FileStatus& index_status(std::size_t input) const { return index_status_[input]; }
  // Throws Changed when an index has other content than when it was read.
  void CheckUnchanged() const;

 private:
  void FindIndexes(const std::string& destination);
  void CheckDistinct(const std::string& destination) const;
  void Read(std::uint32_t input);
  void TakeHeader(std::string_view key, ByteView message);
  void CheckSameKind(const Header& header, const std::string& path) const;
  void TakeEntry(std::string_view key, ByteView message);
  void CheckEntry(std::string_view key, const EntryFields& fields) const;
  std::int32_t Number(std::int32_t shard_id);
  void CheckMemory();
  void FindData();
  bool IsUnchanged(std::size_t input) const;
  [[noreturn]] void Throw(ErrorCode code, std::string message, std::string_view key) const;

  const std::vector<std::string> prefixes_;
  io::FileSystem& file_system_;
  std::vector<io::FileStatus> index_status_;
  std::vector<std::uint32_t> fingerprints_;
  MergedEntries entries_;
  std::vector<InputData> data_;
  std::optional<Header> header_;
  std::uint64_t limit_bytes_ = 0;

  // Of the index that is being read.
  std::uint32_t input_ = 0;
  std::optional<std::int32_t> num_shards_;
  std::unordered_map<std::int32_t, std::int32_t> numbers_;
  std::vector<std::int64_t> dims_;
  std::vector<coding::Extent> extents_;
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_MERGE_INPUTS_H_
