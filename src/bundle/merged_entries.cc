#include "bundle/merged_entries.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "bundle/entry_message.h"
#include "coding/ordered.h"
#include "commit/names.h"
#include "table/table_builder.h"
#include "tensor/messages.h"
#include "tensor/slice.h"

namespace fastckpt::bundle {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{1} << 20;
// What the table builder can hold of one entry.
constexpr std::uint64_t kMaxEntryBytes = (std::uint64_t{1} << 31) - 1;
// Beside its message and its extents.
constexpr std::uint64_t kBytesPerSliced = 256;

// The tensor that a key belongs to.
std::string TensorOf(std::string_view key) {
  auto slice = coding::DecodeSliceKey(AsBytes(key));
  return slice ? std::move(slice->name) : std::string(key);
}

Error Conflict(std::string message, std::string_view key) {
  return Error(ErrorCode::kInvalidArgument, std::move(message)).ForKey(TensorOf(key));
}

void CheckSize(std::string_view key, std::string_view message) {
  if (key.size() + message.size() <= kMaxEntryBytes) return;
  throw Error(ErrorCode::kLimitExceeded, "the entry takes more than 2 GiB").ForKey(TensorOf(key));
}

void CheckInside(const InputEntry& entry, const std::string& prefix) {
  bool fits = !entry.shape.empty() && tensor::NumElements(entry.shape).has_value();
  for (std::size_t i = 0; fits && i < entry.extents.size(); ++i) {
    fits = tensor::IsInside(entry.extents[i], entry.shape[i % entry.shape.size()]);
  }
  if (fits) return;
  throw Error(ErrorCode::kDataLoss, "the slices of the tensor do not fit its shape")
      .At(commit::IndexFileName(prefix))
      .ForKey(std::string(entry.key));
}

}  // namespace

bool MergedEntries::TakeSlices(std::uint32_t input, const InputEntry& entry) {
  if (entry.fields.num_slices == 0) return false;
  CheckInside(entry, prefixes_[input]);
  const auto found = sliced_by_name_.find(std::string(entry.key));
  if (found == sliced_by_name_.end()) return false;
  Sliced& sliced = sliced_[found->second];
  CheckAgreement(sliced, input, entry);
  AppendSlicesOf(sliced.message, entry.message);
  Extend(&sliced, input, entry);
  return true;
}

void MergedEntries::Add(std::uint32_t input, const InputEntry& entry, std::int32_t shard_id) {
  while (runs_.size() <= input) runs_.push_back(rows_.size());
  used_bytes_ += sizeof(Row);
  if (entry.fields.num_slices > 0) return AddSliced(input, entry, shard_id);
  message_ = AsText(entry.message);
  AppendShardId(message_, shard_id);
  canonical_.clear();
  AppendCanonicalEntry(canonical_, AsBytes(message_));
  const char* const text = Store(entry.key, canonical_);
  rows_.push_back({text, static_cast<std::uint32_t>(entry.key.size()),
                   static_cast<std::uint32_t>(canonical_.size()), input, kWhole});
}

void MergedEntries::AddSliced(std::uint32_t input, const InputEntry& entry, std::int32_t shard_id) {
  const auto id = static_cast<std::uint32_t>(sliced_.size());
  sliced_by_name_.emplace(entry.key, id);
  Sliced& sliced = sliced_.emplace_back();
  sliced.message = AsText(entry.message);
  AppendShardId(sliced.message, shard_id);
  sliced.tensor = {entry.fields.dtype, {entry.shape.begin(), entry.shape.end()}, {}};
  Extend(&sliced, input, entry);
  used_bytes_ += kBytesPerSliced + entry.key.size();
  const char* const text = Store(entry.key, {});
  rows_.push_back({text, static_cast<std::uint32_t>(entry.key.size()), 0, input, id});
}

void MergedEntries::Extend(Sliced* sliced, std::uint32_t input, const InputEntry& entry) {
  std::vector<coding::Extent>& extents = sliced->tensor.extents;
  extents.insert(extents.end(), entry.extents.begin(), entry.extents.end());
  sliced->inputs.insert(sliced->inputs.end(), entry.fields.num_slices, input);
  used_bytes_ += entry.message.size() + entry.extents.size_bytes() + 4 * entry.fields.num_slices;
}

void MergedEntries::CheckAgreement(const Sliced& sliced, std::uint32_t input,
                                   const InputEntry& entry) const {
  const char* what = nullptr;
  if (sliced.tensor.dtype != entry.fields.dtype) what = "dtypes";
  if (!std::ranges::equal(sliced.tensor.shape, entry.shape)) what = "full shapes";
  if (what == nullptr) return;
  throw Conflict(std::string("slices of the tensor have different ") + what + " in " +
                     Both(sliced.inputs.front(), input),
                 entry.key);
}

const char* MergedEntries::Store(std::string_view key, std::string_view message) {
  const std::size_t size = key.size() + message.size();
  CheckSize(key, message);
  if (size > block_left_) {
    const std::size_t block_size = std::max(size, kBlockBytes);
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(block_size));
    block_end_ = blocks_.back().get();
    block_left_ = block_size;
    used_bytes_ += block_size;
  }
  char* const text = block_end_;
  std::ranges::copy(key, text);
  std::ranges::copy(message, text + key.size());
  block_end_ += size;
  block_left_ -= size;
  return text;
}

// --- After the last input ------------------------------------------------------------------------

void MergedEntries::Finish(bool complete) {
  MergeRuns();
  CheckKeys();
  for (const Row& row : rows_) {
    if (row.sliced != kWhole) CheckSlices(std::string(row.key()), sliced_[row.sliced], complete);
  }
}

// Pairs of neighbouring runs become one, until there is one.
void MergedEntries::MergeRuns() {
  runs_.push_back(rows_.size());
  const auto at = [this](std::size_t run) {
    return rows_.begin() + static_cast<std::ptrdiff_t>(runs_[run]);
  };
  while (runs_.size() > 2) {
    std::vector<std::size_t> merged{0};
    for (std::size_t run = 0; run + 1 < runs_.size(); run += 2) {
      const std::size_t end = std::min(run + 2, runs_.size() - 1);
      std::ranges::inplace_merge(at(run), at(run + 1), at(end), {}, &Row::key);
      merged.push_back(runs_[end]);
    }
    runs_ = std::move(merged);
  }
}

void MergedEntries::CheckKeys() const {
  const auto twice = std::ranges::adjacent_find(rows_, {}, &Row::key);
  if (twice == rows_.end()) return;
  const Row& first = twice[0];
  const Row& second = twice[1];
  std::string what = coding::IsSliceKey(first.key()) ? "one slice of the tensor" : "the tensor";
  if ((first.sliced == kWhole) != (second.sliced == kWhole)) what = "the tensor, once in slices,";
  throw Conflict(what + " is stored in " + Both(first.input, second.input) +
                     "; a merge takes each tensor from one checkpoint",
                 first.key());
}

void MergedEntries::CheckSlices(const std::string& name, const Sliced& sliced,
                                bool complete) const {
  const std::vector<tensor::Box> boxes = Boxes(sliced.tensor);
  const tensor::OverlapResult overlap = tensor::FindOverlap(boxes);
  if (overlap == tensor::OverlapResult::kOverlap) ThrowOverlap(name, sliced, boxes);
  if (overlap == tensor::OverlapResult::kTooMany) {
    throw Error(ErrorCode::kLimitExceeded, "too many slices to compare with each other")
        .ForKey(name);
  }
  if (complete) CheckComplete(name, sliced.tensor, boxes);
}

// The first slice that overlaps one before it, and that one.
void MergedEntries::ThrowOverlap(const std::string& name, const Sliced& sliced,
                                 const std::vector<tensor::Box>& boxes) const {
  std::size_t disjoint = 1;
  std::size_t overlapping = boxes.size();
  while (overlapping - disjoint > 1) {
    const std::size_t middle = disjoint + (overlapping - disjoint) / 2;
    const auto end = boxes.begin() + static_cast<std::ptrdiff_t>(middle);
    const bool is_disjoint =
        tensor::FindOverlap({boxes.begin(), end}) == tensor::OverlapResult::kDisjoint;
    (is_disjoint ? disjoint : overlapping) = middle;
  }
  std::size_t first = 0;
  while (first + 1 < disjoint &&
         tensor::FindOverlap({boxes[first], boxes[disjoint]}) != tensor::OverlapResult::kOverlap) {
    ++first;
  }
  throw Conflict("slices of the tensor overlap, in " +
                     Both(sliced.inputs[first], sliced.inputs[disjoint]) +
                     "; TensorFlow could not read it",
                 name);
}

std::string MergedEntries::Both(std::uint32_t first, std::uint32_t second) const {
  if (first == second) return prefixes_[first] + " itself";
  return prefixes_[first] + " and in " + prefixes_[second];
}

void MergedEntries::Write(const std::string& header,
                          const std::function<void(ByteView)>& write) const {
  table::TableBuilder builder(write);
  builder.Add({}, header);
  std::string message;
  for (const Row& row : rows_) {
    if (row.sliced == kWhole) {
      builder.Add(row.key(), row.message());
      continue;
    }
    message.clear();
    AppendCanonicalEntry(message, AsBytes(sliced_[row.sliced].message));
    CheckSize(row.key(), message);
    builder.Add(row.key(), message);
  }
  builder.Finish();
}

}  // namespace fastckpt::bundle
