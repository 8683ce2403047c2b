#include "table/table_builder.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "coding/fixed.h"
#include "coding/varint.h"
#include "crc/crc32c.h"

namespace fastckpt::table {
namespace {

// The options of TensorFlow's checkpoint writers.
constexpr std::size_t kBlockSize = 262144;
constexpr std::uint32_t kDataRestartInterval = 16;
constexpr std::uint32_t kIndexRestartInterval = 1;
// An entry of this size starts a block of its own.
constexpr std::size_t kLargeEntrySize = 2 * kBlockSize;

// Large enough to make system calls rare, small enough to stay in the cache.
constexpr std::size_t kWriteSize = std::size_t{1} << 20;

constexpr char kHighestByte = '\xff';

// How many leading bytes two keys have in common.
std::size_t SharedSize(std::string_view a, std::string_view b) {
  const std::size_t limit = std::min(a.size(), b.size());
  std::size_t i = 0;
  for (; i + 8 <= limit; i += 8) {
    const std::uint64_t differing =
        coding::LoadFixed64(AsBytes(a).data() + i) ^ coding::LoadFixed64(AsBytes(b).data() + i);
    if (differing != 0) return i + static_cast<std::size_t>(std::countr_zero(differing)) / 8;
  }
  while (i < limit && a[i] == b[i]) ++i;
  return i;
}

char Incremented(char byte) {
  return static_cast<char>(static_cast<std::uint8_t>(byte) + 1);
}

// A key in [last, next), short where the first differing byte leaves room for one in between
// (LevelDB util/comparator.cc, FindShortestSeparator).
std::string Separator(std::string_view last, std::string_view next) {
  const std::size_t i = SharedSize(last, next);
  const bool is_prefix = i == std::min(last.size(), next.size());
  if (is_prefix || AsBytes(last)[i] + 1 >= AsBytes(next)[i]) return std::string(last);
  std::string separator(last.substr(0, i + 1));
  separator[i] = Incremented(separator[i]);
  return separator;
}

// A short key that is not less than `last` (FindShortSuccessor).
std::string Successor(std::string_view last) {
  std::string successor(last);
  const std::size_t i = last.find_first_not_of(kHighestByte);
  if (i == std::string_view::npos) return successor;
  successor.resize(i + 1);
  successor[i] = Incremented(successor[i]);
  return successor;
}

}  // namespace

BlockBuilder::BlockBuilder(std::uint32_t restart_interval) : restart_interval_(restart_interval) {}

void BlockBuilder::Add(std::string_view key, std::string_view value) {
  if (since_restart_ == restart_interval_) {
    restarts_.push_back(static_cast<std::uint32_t>(entries_.size()));
    since_restart_ = 0;
  }
  const std::size_t shared = since_restart_ == 0 ? 0 : SharedSize(last_key_, key);
  ++since_restart_;
  const std::string_view unshared = key.substr(shared);
  std::array<char, 3 * coding::kMaxVarint64Bytes> sizes;
  char* end = sizes.data();
  for (const std::size_t size : {shared, unshared.size(), value.size()}) {
    end = coding::PutVarint64(end, size);
  }
  entries_.append(sizes.data(), static_cast<std::size_t>(end - sizes.data()));
  entries_.append(unshared).append(value);
  last_key_.resize(shared);
  last_key_.append(unshared);
}

std::string_view BlockBuilder::Finish() {
  for (const std::uint32_t restart : restarts_) coding::AppendFixed32(entries_, restart);
  coding::AppendFixed32(entries_, static_cast<std::uint32_t>(restarts_.size()));
  return entries_;
}

void BlockBuilder::Reset() {
  since_restart_ = 0;
  entries_.clear();
  restarts_.assign(1, 0);
}

TableBuilder::TableBuilder(std::function<void(ByteView)> write)
    : write_(std::move(write)), data_(kDataRestartInterval), index_(kIndexRestartInterval) {}

void TableBuilder::Add(std::string_view key, std::string_view value) {
  if (key.size() + value.size() >= kLargeEntrySize) Flush();
  if (pending_) AddToIndex(Separator(data_.last_key(), key));
  data_.Add(key, value);
  if (data_.size() >= kBlockSize) Flush();
}

void TableBuilder::Finish() {
  Flush();
  const BlockHandle metaindex = WriteBlock(BlockBuilder(kDataRestartInterval).Finish());
  if (pending_) AddToIndex(Successor(data_.last_key()));
  const BlockHandle index = WriteBlock(index_.Finish());
  EncodeFooter(out_, metaindex, index);
  Emit();
}

void TableBuilder::Flush() {
  if (data_.empty()) return;
  pending_ = WriteBlock(data_.Finish());
  data_.Reset();
}

BlockHandle TableBuilder::WriteBlock(std::string_view content) {
  const BlockHandle handle{size(), content.size()};
  const std::size_t at = out_.size();
  out_.append(content);
  out_.push_back(static_cast<char>(BlockType::kRaw));
  const std::uint32_t crc = crc::Value(out_.data() + at, content.size() + 1);
  coding::AppendFixed32(out_, crc::Mask(crc));
  if (out_.size() >= kWriteSize) Emit();
  return handle;
}

void TableBuilder::AddToIndex(std::string_view key) {
  std::string value;
  EncodeHandle(value, *pending_);
  index_.Add(key, value);
  pending_.reset();
}

void TableBuilder::Emit() {
  write_(AsBytes(out_));
  written_ += out_.size();
  out_.clear();
}

}  // namespace fastckpt::table
