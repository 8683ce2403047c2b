#include "bundle/writer.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/error.h"
#include "bundle/index_writer.h"
#include "coding/ordered.h"
#include "crc/crc32c.h"
#include "io/process.h"
#include "tensor/dtype.h"
#include "tensor/strings.h"
#include "tensor/variants.h"

namespace fastckpt::bundle {
namespace {

constexpr std::uint64_t kAlignFromBytes = 4096;
// String elements below this are copied together; larger ones are written from where they lie.
constexpr std::uint64_t kSmallElement = 1024;
// More shards than this are a mistake, and a file each.
constexpr std::int32_t kMaxShards = 1 << 20;

Error InputError(std::string message, const tensor::Input& input) {
  return Error(ErrorCode::kInvalidArgument, std::move(message)).ForKey(std::string(input.name));
}

void CheckOptions(const WriterOptions& options) {
  if (options.num_shards < 1 || options.num_shards > kMaxShards) {
    throw Error(ErrorCode::kInvalidArgument,
                "num_shards must be from 1 to 1048576, not " + std::to_string(options.num_shards));
  }
  if (!std::has_single_bit(options.alignment) || options.alignment > kChunkSize) {
    throw Error(ErrorCode::kInvalidArgument,
                "alignment must be a power of two of at most 1 MiB, not " +
                    std::to_string(options.alignment));
  }
}

void CheckInput(const tensor::Input& input, std::int32_t num_shards) {
  if (input.name.empty()) throw InputError("a tensor must have a name", input);
  if (input.name.size() > 0xFFFFFFFFu) throw InputError("the name is longer than 4 GiB", input);
  const auto count = tensor::NumElements(input.shape);
  if (!count) throw InputError("the shape is not one that TensorFlow can hold", input);
  if (tensor::IsPlain(input.dtype)) {
    const auto size = CheckedMul(static_cast<std::uint64_t>(*count), tensor::ItemSize(input.dtype));
    if (!size || *size > std::uint64_t{1} << 62) throw InputError("the tensor is too large", input);
  } else {
    if (input.dtype != tensor::kString && input.dtype != tensor::kVariant) {
      throw InputError("tensors of DataType " + std::to_string(input.dtype) + " cannot be stored",
                       input);
    }
    if (input.elements.size() != static_cast<std::uint64_t>(*count)) {
      throw InputError("as many elements as the shape has must be given", input);
    }
  }
  if (input.shard != tensor::Input::kAnyShard && (input.shard < 0 || input.shard >= num_shards)) {
    throw InputError("shard " + std::to_string(input.shard) + " is not one of the " +
                         std::to_string(num_shards) + " shards",
                     input);
  }
}

std::uint64_t RoundUp(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

std::unique_ptr<Writer> Writer::Create(const std::string& prefix, const WriterOptions& options,
                                       io::FileSystem& file_system) {
  CheckOptions(options);
  return std::unique_ptr<Writer>(
      new Writer(commit::Transaction::Begin(prefix, {.sync = options.sync}, file_system), options));
}

Writer::Writer(std::unique_ptr<commit::Transaction> transaction, const WriterOptions& options)
    : transaction_(std::move(transaction)),
      options_(options),
      process_(io::ProcessId()),
      shards_(static_cast<std::size_t>(options.num_shards)) {
  for (std::int32_t s = 0; s < options.num_shards; ++s) {
    io::Sink& sink = transaction_->CreateShard(s);
    if (options.direct) sink.UseDirect();
    shards_[static_cast<std::size_t>(s)].sink = &sink;
  }
}

Writer::~Writer() {
  Abort();
}

void Writer::CheckUsable() const {
  if (process_ != io::ProcessId()) {
    throw Error(ErrorCode::kClosed,
                "the writer belongs to the parent of this forked process; make a new one, for "
                "another prefix")
        .At(transaction_->prefix());
  }
  if (is_broken_) {
    throw Error(ErrorCode::kClosed,
                "an earlier step of this save failed or was cancelled; nothing was saved; make a "
                "new writer")
        .At(transaction_->prefix());
  }
  if (is_done_) throw Error(ErrorCode::kClosed, "the writer is closed").At(transaction_->prefix());
}

WriteJob& Writer::Add(std::span<const tensor::Input> inputs) {
  CheckUsable();
  if (job_ && !job_->WaitFor(std::chrono::milliseconds(0))) {
    throw Error(ErrorCode::kInvalidArgument, "the writer is still at work on the tensors before");
  }
  job_.reset();
  for (const tensor::Input& input : inputs) CheckInput(input, options_.num_shards);
  WriteBatch batch;
  batch.spans.resize(shards_.size());
  for (const ShardFile& shard : shards_) batch.ends.push_back(shard.size);
  for (const tensor::Input& input : inputs) LayOut(input, &batch);
  job_.emplace(&items_, &shards_, std::move(batch), JobOptions());
  is_broken_ = false;
  return *job_;
}

WriteOptions Writer::JobOptions() const {
  WriteOptions options;
  options.block_crcs = options_.block_crcs;
  options.num_threads = options_.num_threads;
  if (options_.direct) {
    options.num_threads = std::max(options_.num_threads, io::kDirectDepth);
    options.chunk_size = kDirectChunkSize;
  } else {
    options.start_writeback = options_.sync;
  }
  return options;
}

void Writer::LayOut(const tensor::Input& input, WriteBatch* batch) {
  StoredItem& item = AppendItem(input);
  item.dtype = static_cast<std::uint8_t>(input.dtype);
  item.shard = static_cast<std::int32_t>(ChooseShard(input, *batch));
  const auto id = static_cast<std::uint32_t>(items_.size() - 1);
  if (input.dtype == tensor::kString) return LayOutStrings(input, id, batch);
  if (input.dtype == tensor::kVariant) return LayOutVariants(input, id, batch);
  LayOutPlain(input, id, batch);
}

// Throws before anything is changed, or not at all.
StoredItem& Writer::AppendItem(const tensor::Input& input) {
  if (input.extents.empty() || Partitions::CoversAll(input.full_shape, input.extents)) {
    is_broken_ = true;
    return items_.Append(input.name, input.shape);
  }
  partitions_.Add(input.name, input.dtype, input.full_shape, input.extents);
  is_broken_ = true;
  const std::vector<coding::Extent> extents(input.extents.begin(), input.extents.end());
  return items_.Append(coding::EncodeSliceKey(input.name, extents), input.shape);
}

// The emptiest shard, so that the largest is at most the mean and one tensor.
std::uint32_t Writer::ChooseShard(const tensor::Input& input, const WriteBatch& batch) const {
  if (input.shard != tensor::Input::kAnyShard) return static_cast<std::uint32_t>(input.shard);
  return static_cast<std::uint32_t>(std::ranges::min_element(batch.ends) - batch.ends.begin());
}

// Gives an item its offset, and the shard its new end.
void Writer::Place(std::uint32_t id, std::uint64_t size, std::uint64_t item_size,
                   WriteBatch* batch) {
  StoredItem& item = items_[id];
  std::uint64_t& end = batch->ends[static_cast<std::size_t>(item.shard)];
  const std::uint64_t alignment =
      size >= kAlignFromBytes ? options_.alignment : std::min(options_.alignment, item_size);
  item.offset = RoundUp(end, alignment);
  item.size = size;
  end = item.offset + size;
}

void Writer::LayOutPlain(const tensor::Input& input, std::uint32_t id, WriteBatch* batch) {
  const std::uint32_t item_size = tensor::ItemSize(input.dtype);
  const auto count = static_cast<std::uint64_t>(*tensor::NumElements(input.shape));
  const std::uint64_t size = count * item_size;
  Place(id, size, item_size, batch);
  if (size == 0) return;
  const StoredItem& item = items_[id];
  Span span{.offset = item.offset, .size = size, .data = input.data, .item = id};
  span.is_frozen = input.is_frozen;
  const std::uint32_t swap_unit = input.swap_bytes ? tensor::SwapUnit(input.dtype) : 1;
  const bool is_contiguous =
      input.strides.empty() || tensor::IsContiguous(input.shape, input.strides, item_size);
  if (swap_unit > 1 || !is_contiguous) {
    tensor::StridedArray array{input.data, item_size, swap_unit, {}, {}};
    if (is_contiguous) {
      array.shape = {static_cast<std::int64_t>(count)};
      array.strides = {item_size};
    } else {
      array.shape.assign(input.shape.begin(), input.shape.end());
      array.strides.assign(input.strides.begin(), input.strides.end());
    }
    tensor::Simplify(&array);
    span.array = static_cast<std::uint32_t>(batch->arrays.size());
    batch->arrays.push_back(std::move(array));
  }
  batch->spans[static_cast<std::size_t>(item.shard)].push_back(span);
}

void Writer::LayOutStrings(const tensor::Input& input, std::uint32_t id, WriteBatch* batch) {
  tensor::StringHeader header = tensor::EncodeStringHeader(input.elements);
  items_[id].crc = header.crc;
  std::uint64_t size = header.leading.size();
  for (const ByteView element : input.elements) size += element.size();
  Place(id, size, 1, batch);
  std::uint64_t offset = items_[id].offset;
  auto& spans = batch->spans[static_cast<std::size_t>(items_[id].shard)];
  std::string small = std::move(header.leading);
  const auto put_small = [&] {
    if (small.empty()) return;
    batch->owned.push_back(std::exchange(small, {}));
    const ByteView bytes = AsBytes(batch->owned.back());
    spans.push_back({.offset = offset, .size = bytes.size(), .data = bytes.data()});
    offset += bytes.size();
  };
  for (const ByteView element : input.elements) {
    if (element.size() < kSmallElement) {
      small.append(AsText(element));
      continue;
    }
    put_small();
    spans.push_back({.offset = offset, .size = element.size(), .data = element.data()});
    offset += element.size();
  }
  put_small();
}

void Writer::LayOutVariants(const tensor::Input& input, std::uint32_t id, WriteBatch* batch) {
  std::string stored;
  items_[id].crc = tensor::AppendVariants(stored, input.elements);
  Place(id, stored.size(), 1, batch);
  if (stored.empty()) return;
  batch->owned.push_back(std::move(stored));
  const ByteView bytes = AsBytes(batch->owned.back());
  batch->spans[static_cast<std::size_t>(items_[id].shard)].push_back(
      {.offset = items_[id].offset, .size = bytes.size(), .data = bytes.data()});
}

void Writer::AddCompanion(const std::string& suffix, ByteView content) {
  CheckUsable();
  transaction_->AddCompanion(suffix, content);
}

Job& Writer::Finish() {
  CheckUsable();
  if (job_ && !job_->WaitFor(std::chrono::milliseconds(0))) {
    throw Error(ErrorCode::kInvalidArgument, "the writer is still at work on the tensors before");
  }
  is_broken_ = true;
  partitions_.Check(options_.complete_slices);
  const auto finish_shard = [this](std::size_t s) {
    ShardFile& shard = shards_[s];
    if (!shard.tail.empty()) shard.sink->WriteLast(shard.tail_begin, shard.tail);
    if (options_.sync) shard.sink->Sync();
  };
  // Waiting for the device takes no processor: more threads than processors are of use.
  const int num_threads = options_.sync ? std::max(options_.num_threads, 4) : options_.num_threads;
  flush_.emplace(shards_.size(), finish_shard, num_threads, Job::Caller::kWaits);
  is_broken_ = false;
  return *flush_;
}

void Writer::Commit() {
  CheckUsable();
  if (!flush_ || !flush_->WaitFor(std::chrono::milliseconds(0))) {
    throw Error(ErrorCode::kInvalidArgument, "Finish comes before Commit");
  }
  is_broken_ = true;
  const std::int32_t total = transaction_->Settle(options_.num_shards);
  io::Sink& index = transaction_->index();
  std::uint64_t offset = 0;
  WriteIndex(items_, partitions_, total, [&](ByteView bytes) {
    index.WriteAt(offset, bytes);
    offset += bytes.size();
  });
  transaction_->Commit();
  is_broken_ = false;
  is_done_ = true;
}

void Writer::Cancel() noexcept {
  is_broken_ = true;
  if (job_) job_->Cancel();
  if (flush_) flush_->Cancel();
}

void Writer::Abort() noexcept {
  if (is_done_) return;
  Cancel();
  job_.reset();
  flush_.reset();
  transaction_->Abort();
  is_done_ = true;
}

std::size_t Writer::num_tensors() const {
  return items_.size();
}

std::uint64_t Writer::stored_bytes() const {
  std::uint64_t total = 0;
  for (const ShardFile& shard : shards_) total += shard.size;
  return total;
}

}  // namespace fastckpt::bundle
