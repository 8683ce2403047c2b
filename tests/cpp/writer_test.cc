// The bundle writer: the same files whatever the number of threads, and nothing at all after a
// fault.
#include "bundle/writer.h"

#include <cerrno>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "bundle/reader.h"
#include "faulty_file_system.h"
#include "harness.h"
#include "saved_checkpoint.h"
#include "tensor/dtype.h"
#include "tensor/input_list.h"

namespace fastckpt::bundle {
namespace {

using std::chrono::milliseconds;
using testing::Call;
using testing::FaultyFileSystem;
using testing::Snapshot;
using testing::TakeSnapshot;

constexpr std::int32_t kFloat = 1;
constexpr std::int64_t kMiB = std::int64_t{1} << 20;

// Tensors round the sizes of chunks and blocks, small ones between them, and strings.
class Model {
 public:
  explicit Model(std::uint32_t seed) {
    std::mt19937 random(seed);
    for (std::uint32_t& number : memory_) number = static_cast<std::uint32_t>(random());
    for (std::int64_t size : {kMiB, kMiB - 4, kMiB + 4, 4 * kMiB, 9 * kMiB + 12}) Add(size / 4);
    for (std::int64_t count = 0; count < 40; ++count) Add(count * count);
    Add(3 * kMiB / 4);
  }

  std::vector<std::string> names;
  std::vector<std::int64_t> counts;

  void FillIn(tensor::InputList* list) const {
    const std::int64_t two = 2;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::uint32_t* data = memory_.data() + i;
      list->AddPlain(names[i], kFloat, 1, &counts[i], nullptr, data, false);
    }
    list->AddElements("strings", tensor::kString, 1, &two, {AsBytes("ab"), AsBytes(long_)});
  }

 private:
  void Add(std::int64_t count) {
    names.push_back("t" + std::to_string(names.size()));
    counts.push_back(count);
  }

  std::vector<std::uint32_t> memory_ = std::vector<std::uint32_t>(3 * kMiB);
  std::string long_ = std::string(5000, 'x');
};

void Save(const Model& model, const WriterOptions& options,
          io::FileSystem& files = io::FileSystem::Posix()) {
  const auto writer = Writer::Create(testing::TemporaryDirectory() + "/ck", options, files);
  tensor::InputList list;
  model.FillIn(&list);
  WriteJob& job = writer->Add(list.inputs());
  while (!job.WaitFor(milliseconds(10))) {
  }
  Job& flush = writer->Finish();
  while (!flush.WaitFor(milliseconds(10))) {
  }
  writer->Commit();
}

Snapshot Saved(const Model& model, const WriterOptions& options) {
  for (const auto& [name, content] : TakeSnapshot(testing::TemporaryDirectory())) {
    io::FileSystem::Posix().Unlink(testing::TemporaryDirectory() + "/" + name);
  }
  Save(model, options);
  return TakeSnapshot(testing::TemporaryDirectory());
}

TEST(writer_gives_the_same_files_for_any_number_of_threads) {
  const Model model(1);
  for (const std::int32_t num_shards : {1, 3}) {
    for (const bool block_crcs : {false, true}) {
      WriterOptions options;
      options.num_shards = num_shards;
      options.alignment = block_crcs ? 64 : 1;
      options.block_crcs = block_crcs;
      options.sync = false;
      const Snapshot expected = Saved(model, options);
      for (options.num_threads = 2; options.num_threads <= 8; options.num_threads *= 2) {
        CHECK(Saved(model, options) == expected);
      }
    }
  }
}

TEST(writer_gives_checksums_that_a_reader_agrees_with) {
  const Model model(2);
  WriterOptions options;
  options.num_shards = 2;
  options.alignment = 64;
  options.block_crcs = true;
  options.num_threads = 4;
  Save(model, options);
  const auto reader = Reader::Open(testing::TemporaryDirectory() + "/ck", {});
  CHECK_EQ(reader->index().num_visible(), model.names.size() + 1);
  for (const std::uint32_t id : reader->StoredIds()) reader->Verify(id);
  CHECK(reader->CheckFiles().empty());
}

// Whether the save under way met its fault and left things as they were, or was complete.
bool FailsCleanly(const Model& model, const WriterOptions& options, FaultyFileSystem* files,
                  const Snapshot& before) {
  try {
    Save(model, options, *files);
    return false;
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kIo);
    CHECK_EQ(error.system_error(), ENOSPC);
  }
  CHECK(TakeSnapshot(testing::TemporaryDirectory()) == before);
  CHECK_EQ(files->open_files(), 0);
  return true;
}

TEST(writer_that_meets_a_full_disk_leaves_the_checkpoint_before) {
  const Model old(3);
  const Model next(4);
  WriterOptions options;
  options.num_shards = 2;
  options.num_threads = 3;
  Save(old, options);
  const Snapshot before = TakeSnapshot(testing::TemporaryDirectory());
  for (const Call call : {Call::kWrite, Call::kTruncate, Call::kSync}) {
    int n = 1;
    for (;; n += call == Call::kWrite ? 5 : 1) {
      FaultyFileSystem files;
      files.FailNth(call, n, ENOSPC);
      if (!FailsCleanly(next, options, &files, before)) break;
    }
    CHECK(n > 1);
    CHECK(TakeSnapshot(testing::TemporaryDirectory()) != before);
    // Shard totals alternate: after an odd number of saves the names differ.
    Save(old, options);
    Save(old, options);
    if (TakeSnapshot(testing::TemporaryDirectory()) != before) Save(old, options);
    CHECK(TakeSnapshot(testing::TemporaryDirectory()) == before);
  }
}

TEST(writer_that_is_cancelled_can_only_be_aborted) {
  const Model model(5);
  {
    const auto writer = Writer::Create(testing::TemporaryDirectory() + "/ck", {});
    tensor::InputList list;
    model.FillIn(&list);
    writer->Add(list.inputs());
    writer->Cancel();
    CHECK_ERROR(ErrorCode::kClosed, writer->Finish());
    CHECK_ERROR(ErrorCode::kClosed, writer->Add(list.inputs()));
  }
  CHECK(TakeSnapshot(testing::TemporaryDirectory()).empty());
}

TEST(writer_survives_an_input_that_it_refuses) {
  const auto writer = Writer::Create(testing::TemporaryDirectory() + "/ck", {});
  const std::int64_t one = 1;
  const std::int64_t negative = -1;
  const float value = 1;
  for (const auto& fill : std::vector<std::function<void(tensor::InputList*)>>{
           [&](tensor::InputList* list) {
             list->AddPlain("", kFloat, 1, &one, nullptr, &value, false);
           },
           [&](tensor::InputList* list) {
             list->AddPlain("a", 20, 1, &one, nullptr, &value, false);
           },
           [&](tensor::InputList* list) {
             list->AddPlain("a", kFloat, 1, &negative, nullptr, &value, false);
           },
           [&](tensor::InputList* list) { list->AddElements("a", tensor::kString, 1, &one, {}); },
       }) {
    tensor::InputList list;
    fill(&list);
    CHECK_ERROR(ErrorCode::kInvalidArgument, writer->Add(list.inputs()));
  }
  tensor::InputList list;
  list.AddPlain("a", kFloat, 1, &one, nullptr, &value, false);
  CHECK(writer->Add(list.inputs()).WaitFor(milliseconds(0)));
  CHECK(writer->Finish().WaitFor(std::chrono::hours(1)));
  writer->Commit();
  CHECK_EQ(Reader::Open(testing::TemporaryDirectory() + "/ck", {})->index().num_visible(), 1u);
}

}  // namespace
}  // namespace fastckpt::bundle
