#include "saved_checkpoint.h"

#include <filesystem>

#include "bundle/reader.h"
#include "harness.h"
#include "table_writer.h"

namespace fastckpt::testing {
namespace {

constexpr std::int64_t kUint8 = 4;
constexpr std::size_t kTensorBytes = 3000;

std::string TensorBytes(const CheckpointSpec& spec, std::int32_t shard) {
  return PatternBytes(kTensorBytes, spec.seed * 1000 + static_cast<std::uint64_t>(shard));
}

std::string TensorName(std::int32_t shard) {
  return std::string("t").append(std::to_string(shard));
}

std::string Companion(const CheckpointSpec& spec) {
  return "graph " + std::to_string(spec.seed);
}

std::string EncodeIndex(const CheckpointSpec& spec, std::int32_t total) {
  BundleWriter bundle;
  bundle.header.num_shards = total;
  for (std::int32_t s = 0; s < spec.num_shards; ++s) {
    bundle.Add(TensorName(s), kUint8, {kTensorBytes}, TensorBytes(spec, s), s);
  }
  return MakeTable(bundle.IndexEntries());
}

}  // namespace

std::int32_t Fill(commit::Transaction* transaction, const CheckpointSpec& spec) {
  for (std::int32_t s = 0; s < spec.num_shards; ++s) {
    transaction->CreateShard(s).WriteAt(0, AsBytes(TensorBytes(spec, s)));
  }
  if (spec.has_companion) transaction->AddCompanion(".meta", AsBytes(Companion(spec)));
  const std::int32_t total = transaction->Settle(spec.num_shards);
  transaction->index().WriteAt(0, AsBytes(EncodeIndex(spec, total)));
  return total;
}

std::int32_t Save(const std::string& prefix, const CheckpointSpec& spec,
                  io::FileSystem& file_system) {
  const auto transaction = commit::Transaction::Begin(prefix, {.sync = spec.sync}, file_system);
  const std::int32_t total = Fill(transaction.get(), spec);
  transaction->Commit();
  return total;
}

void CheckSaved(const std::string& prefix, const CheckpointSpec& spec) {
  const auto reader = bundle::Reader::Open(prefix, {});
  CHECK_EQ(reader->index().entries().size(), static_cast<std::size_t>(spec.num_shards));
  for (std::int32_t s = 0; s < spec.num_shards; ++s) {
    const std::uint32_t id = reader->Find(TensorName(s));
    reader->Verify(id);
    CHECK(AsText(reader->Fetch(id).bytes) == TensorBytes(spec, s));
  }
  if (spec.has_companion) CHECK_EQ(ReadFile(prefix + ".meta"), Companion(spec));
}

Snapshot TakeSnapshot(const std::string& directory) {
  Snapshot snapshot;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    const std::string name = std::filesystem::relative(entry.path(), directory).string();
    if (entry.is_directory()) snapshot[name + "/"];
    if (entry.is_regular_file()) snapshot[name] = ReadFile(entry.path().string());
  }
  return snapshot;
}

std::string Names(const Snapshot& snapshot) {
  std::string names;
  for (const auto& [name, content] : snapshot) names.append(name).append(" ");
  return names;
}

std::string Prefix() {
  return TemporaryDirectory() + "/ck";
}

std::string NamesThere() {
  return Names(TakeSnapshot(TemporaryDirectory()));
}

std::unique_ptr<commit::Transaction> Begin() {
  return commit::Transaction::Begin(Prefix(), {});
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace fastckpt::testing
