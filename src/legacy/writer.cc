#include "legacy/writer.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "legacy/check_inputs.h"

namespace fastckpt::legacy {
namespace {

using Inputs = std::vector<const tensor::Input*>;

// TensorFlow refuses messages that are larger.
constexpr std::size_t kMaxMetaSize = (std::size_t{1} << 31) - 1;

// By name, as TensorFlow's op sorts them: std::sort leaves the slices of one tensor in an order
// that depends on the library, and the file records it. With libstdc++ it is TensorFlow's.
Inputs SortedByName(Inputs inputs) {
  std::sort(inputs.begin(), inputs.end(),
            [](const tensor::Input* a, const tensor::Input* b) { return a->name < b->name; });
  return inputs;
}

std::vector<std::pair<std::string, const tensor::Input*>> SortedByKey(const Inputs& inputs) {
  std::vector<std::pair<std::string, const tensor::Input*>> sorted;
  sorted.reserve(inputs.size());
  for (const tensor::Input* input : inputs) {
    sorted.emplace_back(coding::EncodeSliceKey(input->name, ExtentsOf(*input)), input);
  }
  std::ranges::sort(sorted);
  return sorted;
}

std::string Meta(const Inputs& inputs, const std::string& path) {
  std::string meta = EncodeMeta(SortedByName(inputs));
  if (meta.size() <= kMaxMetaSize) return meta;
  throw Error(ErrorCode::kInvalidArgument,
              "the names and shapes of the tensors take more than 2 GiB; use more shards")
      .At(path);
}

std::span<const tensor::Input> Checked(std::span<const tensor::Input> inputs,
                                       const WriterOptions& options) {
  if (options.num_shards < 0) {
    throw Error(ErrorCode::kInvalidArgument, "the number of shards is negative");
  }
  CheckInputs(inputs, std::max(options.num_shards, 1));
  return inputs;
}

}  // namespace

std::string ShardName(const std::string& path, std::int32_t shard, std::int32_t num_shards) {
  std::array<char, 40> suffix;
  std::snprintf(suffix.data(), suffix.size(), "-%05d-of-%05d", shard, num_shards);
  return path + suffix.data();
}

Writer::Writer(const std::string& path, std::span<const tensor::Input> inputs,
               const WriterOptions& options, io::FileSystem& file_system)
    : inputs_(Checked(inputs, options)),
      options_(options),
      files_(path, {.sync = options.sync}, file_system) {
  const std::int32_t num_shards = std::max(options.num_shards, 1);
  AssignShards(num_shards);
  for (std::int32_t i = 0; i < num_shards; ++i) {
    const bool is_single = options.num_shards == 0;
    const std::string name = is_single ? path : ShardName(path, i, num_shards);
    shards_[static_cast<std::size_t>(i)].sink = &files_.Create(name);
  }
  job_.emplace(
      shards_.size(), [this](std::size_t i) { WriteShard(shards_[i]); },
      std::max(options.num_threads, 1));
}

Writer::~Writer() {
  is_cancelled_ = true;
}

void Writer::AssignShards(std::int32_t num_shards) {
  shards_.resize(static_cast<std::size_t>(num_shards));
  std::vector<std::uint64_t> sizes(shards_.size());
  for (const tensor::Input& input : inputs_) {
    const auto emptiest = std::ranges::min_element(sizes) - sizes.begin();
    const auto shard =
        static_cast<std::size_t>(input.shard == tensor::Input::kAnyShard ? emptiest : input.shard);
    shards_[shard].inputs.push_back(&input);
    sizes[shard] += ElementBytes(input);
  }
}

void Writer::WriteShard(const Shard& shard) {
  std::uint64_t offset = 0;
  table::TableBuilder table([&](ByteView bytes) {
    shard.sink->WriteAt(offset, bytes);
    offset += bytes.size();
  });
  table.Add("", Meta(shard.inputs, shard.sink->path()));
  WriteRecords(shard, &table);
  table.Finish();
  if (options_.sync) shard.sink->Sync();
}

void Writer::WriteRecords(const Shard& shard, table::TableBuilder* table) {
  RecordEncoder encoder;
  for (const auto& [key, input] : SortedByKey(shard.inputs)) {
    if (is_cancelled_) throw Error(ErrorCode::kClosed, "the save was cancelled");
    current_input_ = static_cast<std::size_t>(input - inputs_.data());
    table->Add(key, encoder.Encode(*input));
    bytes_done_ += ElementBytes(*input);
    ++inputs_done_;
  }
}

bool Writer::WaitFor(std::chrono::milliseconds timeout) {
  return job_->WaitFor(timeout);
}

}  // namespace fastckpt::legacy
