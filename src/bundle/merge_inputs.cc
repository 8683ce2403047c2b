#include "bundle/merge_inputs.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "commit/names.h"
#include "io/source.h"
#include "io/system_error.h"
#include "table/table_reader.h"

namespace fastckpt::bundle {
namespace {

// Memory that the entries may take beside a multiple of the bytes that are there.
constexpr std::uint64_t kMemoryAllowance = std::uint64_t{16} << 20;
constexpr std::uint64_t kMemoryFactor = 4;
constexpr std::size_t kMaxNamed = 10;

bool IsMissing(int result) {
  return result == -ENOENT || result == -ENOTDIR;
}

bool IsSameFile(const io::FileStatus& a, const io::FileStatus& b) {
  return a.device == b.device && a.inode == b.inode;
}

Error InvalidArgument(std::string message, const std::string& path) {
  return Error(ErrorCode::kInvalidArgument, std::move(message)).At(path);
}

Error MissingIndexes(const std::vector<std::string>& missing, std::size_t num_inputs) {
  std::string names;
  for (std::size_t i = 0; i < std::min(missing.size(), kMaxNamed); ++i) {
    names += (i == 0 ? " " : ", ") + missing[i];
  }
  if (missing.size() > kMaxNamed) names += ", …";
  return Error(ErrorCode::kNotFound,
               "checkpoints to be merged are missing: " + std::to_string(missing.size()) + " of " +
                   std::to_string(num_inputs) + " have no index:" + names + "; nothing was merged")
      .At(commit::IndexFileName(missing.front()));
}

bool IsEqual(const tensor::VersionDef& a, const tensor::VersionDef& b) {
  return a.producer == b.producer && a.min_consumer == b.min_consumer &&
         a.bad_consumers == b.bad_consumers;
}

}  // namespace

MergeInputs::MergeInputs(std::vector<std::string> prefixes, const std::string& destination,
                         bool complete_slices, io::FileSystem& file_system)
    : prefixes_(std::move(prefixes)), file_system_(file_system), entries_(prefixes_) {
  if (prefixes_.empty()) throw InvalidArgument("there is no checkpoint to merge", destination);
  FindIndexes(destination);
  CheckDistinct(destination);
  limit_bytes_ = kMemoryAllowance;
  for (; input_ < prefixes_.size(); ++input_) Read(input_);
  entries_.Finish(complete_slices);
  FindData();
}

void MergeInputs::FindIndexes(const std::string& destination) {
  std::vector<std::string> missing;
  for (const std::string& prefix : prefixes_) {
    if (prefix == destination) break;  // for CheckDistinct to report
    const std::string path = commit::IndexFileName(prefix);
    const int result = file_system_.StatPath(path, &index_status_.emplace_back());
    if (IsMissing(result)) {
      missing.push_back(prefix);
    } else if (result < 0) {
      throw io::SystemError("cannot look at the index", path, result);
    }
  }
  if (!missing.empty()) throw MissingIndexes(missing, prefixes_.size());
}

void MergeInputs::CheckDistinct(const std::string& destination) const {
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t> seen;
  io::FileStatus old;
  const int result = file_system_.StatPath(commit::IndexFileName(destination), &old);
  if (result < 0 && !IsMissing(result)) {
    throw io::SystemError("cannot look at the index", commit::IndexFileName(destination), result);
  }
  for (std::size_t i = 0; i < prefixes_.size(); ++i) {
    if (prefixes_[i] == destination || (result >= 0 && IsSameFile(index_status_[i], old))) {
      throw InvalidArgument("the destination " + destination +
                                " is one of the checkpoints to be merged (" + prefixes_[i] +
                                "); merge to another prefix",
                            destination);
    }
    const io::FileStatus& status = index_status_[i];
    const auto [first, is_new] = seen.try_emplace({status.device, status.inode}, i);
    if (is_new) continue;
    throw InvalidArgument("one checkpoint stands twice among those to be merged: " +
                              prefixes_[first->second] + " and " + prefixes_[i],
                          prefixes_[i]);
  }
}

void MergeInputs::Throw(ErrorCode code, std::string message, std::string_view key) const {
  Error error = Error(code, std::move(message)).At(commit::IndexFileName(prefixes_[input_]));
  if (!key.empty()) throw std::move(error).ForKey(std::string(key));
  throw error;
}

// --- The index of one input ----------------------------------------------------------------------

void MergeInputs::Read(std::uint32_t input) {
  const auto source = io::OpenSource(commit::IndexFileName(prefixes_[input]),
                                     io::Backend::kPositional, file_system_);
  limit_bytes_ += kMemoryFactor * source->size();
  num_shards_.reset();
  numbers_.clear();
  const table::TableReader table(source);
  const auto take = [this](std::string_view key, ByteView message) {
    num_shards_ ? TakeEntry(key, message) : TakeHeader(key, message);
  };
  table.Scan(take, [](table::DamagedRange damaged) { throw std::move(damaged.error); });
  if (!num_shards_) Throw(ErrorCode::kDataLoss, "the index is empty; it has no header entry", {});
  fingerprints_.push_back(table.Fingerprint());
}

void MergeInputs::TakeHeader(std::string_view key, ByteView message) {
  Header header;
  if (!key.empty()) {
    Throw(ErrorCode::kDataLoss, "the first entry of the index is not the header", {});
  }
  if (!DecodeHeader(message, &header) || header.num_shards < 0) {
    Throw(ErrorCode::kDataLoss, "the header of the index is malformed", {});
  }
  if (!header.version.is_supported()) {
    Throw(ErrorCode::kInvalidArgument, "the checkpoint's format version is not supported", {});
  }
  num_shards_ = header.num_shards;
  CheckSameKind(header, commit::IndexFileName(prefixes_[input_]));
  if (!header_) header_ = std::move(header);
}

void MergeInputs::CheckSameKind(const Header& header, const std::string& path) const {
  if (!header_) return;
  const char* what = nullptr;
  if (header.big_endian != header_->big_endian) what = "byte orders";
  if (!IsEqual(header.version, header_->version)) what = "format versions";
  if (what == nullptr) return;
  throw InvalidArgument("checkpoints of different " + std::string(what) +
                            " cannot be merged: " + prefixes_[0] + " and " + prefixes_[input_] +
                            "; load one and save it again",
                        path);
}

void MergeInputs::TakeEntry(std::string_view key, ByteView message) {
  dims_.clear();
  extents_.clear();
  EntryFields fields;
  if (!DecodeEntry(message, &fields, &dims_, &extents_)) {
    Throw(ErrorCode::kDataLoss, "the tensor's index entry cannot be parsed", key);
  }
  CheckEntry(key, fields);
  const InputEntry entry = {key, message, fields, dims_, extents_};
  if (!entries_.TakeSlices(input_, entry)) {
    const std::int32_t number = Number(fields.shard_id);
    if (fields.size > 0) {
      std::uint64_t& needed = data_[static_cast<std::size_t>(number)].needed_bytes;
      needed = std::max(needed, static_cast<std::uint64_t>(fields.offset + fields.size));
    }
    entries_.Add(input_, entry, number);
  }
  if (entries_.used_bytes() > limit_bytes_) CheckMemory();
}

void MergeInputs::CheckEntry(std::string_view key, const EntryFields& fields) const {
  if (fields.shard_id < 0 || fields.shard_id >= *num_shards_) {
    Throw(ErrorCode::kDataLoss, "the tensor's shard number is outside the checkpoint's shards",
          key);
  }
  std::int64_t end = 0;
  if (fields.offset < 0 || fields.size < 0 ||
      __builtin_add_overflow(fields.offset, fields.size, &end)) {
    Throw(ErrorCode::kDataLoss, "the tensor's offset or size cannot be", key);
  }
}

// The shard number in the result of a shard of this input.
std::int32_t MergeInputs::Number(std::int32_t shard_id) {
  const auto [number, is_new] =
      numbers_.try_emplace(shard_id, static_cast<std::int32_t>(data_.size()));
  if (is_new) data_.push_back({commit::DataFileName(prefixes_[input_], shard_id, *num_shards_)});
  return number->second;
}

// Prefix compression lets a few bytes of an index claim long keys, so that memory is bounded by
// what is there: the indexes, and the data that the keys belong to.
void MergeInputs::CheckMemory() {
  std::uint64_t limit = limit_bytes_;
  for (InputData& data : data_) {
    io::FileStatus status;
    if (data.size_bytes != 0 || file_system_.StatPath(data.path, &status) < 0) continue;
    data.size_bytes = status.size_bytes;
    limit += kMemoryFactor * std::min(data.size_bytes, std::uint64_t{1} << 40);
  }
  limit_bytes_ = limit;
  if (entries_.used_bytes() <= limit_bytes_) return;
  Throw(ErrorCode::kLimitExceeded,
        "the index is too large in memory: with those before it, it needs more than 16 MiB + 4 x "
        "the bytes of the checkpoints",
        {});
}

// --- The data ------------------------------------------------------------------------------------

void MergeInputs::FindData() {
  for (InputData& data : data_) {
    io::FileStatus status;
    const int result = file_system_.StatPath(data.path, &status);
    if (IsMissing(result)) {
      throw Error(ErrorCode::kNotFound, "a data file is missing; nothing was merged").At(data.path);
    }
    if (result < 0) throw io::SystemError("cannot look at the data file", data.path, result);
    if (!status.is_regular) throw InvalidArgument("the data file is no regular file", data.path);
    data.size_bytes = status.size_bytes;
    if (data.size_bytes >= data.needed_bytes) continue;
    throw Error(ErrorCode::kDataLoss,
                "the data file is too short: it has " + std::to_string(data.size_bytes) + " of " +
                    std::to_string(data.needed_bytes) + " bytes; nothing was merged")
        .At(data.path, data.size_bytes);
  }
}

void MergeInputs::CheckUnchanged() const {
  for (std::size_t i = 0; i < prefixes_.size(); ++i) {
    if (IsUnchanged(i)) continue;
    throw Error(ErrorCode::kChanged,
                "the checkpoint was replaced while it was merged; nothing was merged, and the "
                "merge can be tried again")
        .At(commit::IndexFileName(prefixes_[i]));
  }
}

// By its content: the system gives the identity of a removed file to the next one.
bool MergeInputs::IsUnchanged(std::size_t input) const {
  try {
    const table::TableReader table(io::OpenSource(commit::IndexFileName(prefixes_[input]),
                                                  io::Backend::kPositional, file_system_));
    return table.Fingerprint() == fingerprints_[input];
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) return false;
    throw;
  }
}

}  // namespace fastckpt::bundle
