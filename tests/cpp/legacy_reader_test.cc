#include <cerrno>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "faulty_file_system.h"
#include "harness.h"
#include "legacy/reader.h"
#include "legacy_writer.h"

namespace fastckpt::legacy {
namespace {

using coding::Extent;
using testing::BytesField;
using testing::Call;
using testing::EncodeItem;
using testing::EncodeMeta;
using testing::EncodeRecord;
using testing::FaultyFileSystem;
using testing::KeyValues;
using testing::MakeTable;
using testing::OneTensor;
using testing::VarintField;

std::string Write(const KeyValues& entries, const std::string& name = "model",
                  const testing::TableOptions& options = {}) {
  const std::string path = testing::TemporaryDirectory() + "/" + name;
  testing::WriteFile(path, MakeTable(entries, options));
  return path;
}

std::shared_ptr<Reader> Open(const std::vector<std::string>& paths, bool skip_damage = false) {
  return Reader::Open(paths, {.skip_damage = skip_damage});
}

std::string ReadText(const Reader& reader, std::uint32_t id, std::size_t part = 0) {
  std::vector<std::uint8_t> out(reader.PartSize(id, part));
  reader.ReadPart(id, part, out);
  return std::string(AsText(out));
}

// A float32 tensor of [4]: its first half under `name` in one table, its second in another.
KeyValues Half(std::int64_t start, const std::string& values) {
  const std::vector<Extent> slice = {{start, 2}};
  return {{"", EncodeMeta({EncodeItem("t", {4}, 1, {slice})})},
          {coding::EncodeSliceKey("t", slice), EncodeRecord(BytesField(5, values))}};
}

TEST(legacy_one_tensor) {
  const auto reader = Open({Write(OneTensor())});
  CHECK_EQ(reader->num_tensors(), std::size_t{1});
  CHECK_EQ(reader->name(0), "t");
  CHECK_EQ(reader->Find("t"), 0u);
  CHECK_ERROR(ErrorCode::kTensorNotFound, reader->Find("s"));
  CHECK_ERROR(ErrorCode::kTensorNotFound, reader->Find("tt"));
  CHECK(reader->Describe(0)->is_whole());
  CHECK_EQ(ReadText(*reader, 0), "abcdefgh");
  CHECK(reader->CheckFiles().empty());
}

TEST(legacy_buffer_of_another_size) {
  const auto reader = Open({Write(OneTensor())});
  std::vector<std::uint8_t> out(12);
  CHECK_ERROR(ErrorCode::kInvalidArgument, reader->ReadPart(0, 0, out));
}

TEST(legacy_slices_in_two_files) {
  const auto reader =
      Open({Write(Half(2, "ijklmnop"), "second"), Write(Half(0, "abcdefgh"), "first")});
  CHECK_EQ(reader->num_tensors(), std::size_t{1});
  const auto layout = reader->DescribeDisjoint(0);
  CHECK_EQ(layout->num_parts(), std::size_t{2});
  CHECK(!layout->is_whole());
  const tensor::Box box = layout->box(0);
  CHECK_EQ(box.starts[0], 2);
  CHECK_EQ(ReadText(*reader, 0, 0), "ijklmnop");
  CHECK_EQ(ReadText(*reader, 0, 1), "abcdefgh");
  CHECK(reader->CheckFiles().empty());
}

TEST(legacy_slices_that_do_not_fit_together) {
  const std::string first = Write(Half(0, "abcdefgh"), "first");
  const auto twice = Open({first, Write(Half(0, "ijklmnop"), "again")});
  CHECK_ERROR(ErrorCode::kDataLoss, twice->DescribeDisjoint(0));
  const auto overlapping = Open({first, Write(Half(1, "ijklmnop"), "next")});
  CHECK_ERROR(ErrorCode::kInvalidArgument, overlapping->DescribeDisjoint(0));
  const auto partial = Open({first});
  CHECK_EQ(partial->CheckFiles().size(), std::size_t{1});
}

TEST(legacy_no_file) {
  CHECK_ERROR(ErrorCode::kNotFound, Open({testing::TemporaryDirectory() + "/none"}));
  CHECK_ERROR(ErrorCode::kNotFound, Open({testing::TemporaryDirectory() + "/none"}, true));
}

TEST(legacy_damaged_files_are_left_out_on_request) {
  const std::string good = Write(OneTensor(), "good");
  const std::string bad = testing::TemporaryDirectory() + "/bad";
  testing::WriteFile(bad, std::string(100, 'x'));
  CHECK_ERROR(ErrorCode::kDataLoss, Open({bad, good}));
  CHECK_ERROR(ErrorCode::kDataLoss, Open({bad}, true));
  const auto reader = Open({bad, good}, true);
  CHECK_EQ(reader->damage().size(), std::size_t{1});
  CHECK_EQ(reader->Describe(0)->files[0], 1u);
  CHECK_EQ(ReadText(*reader, 0), "abcdefgh");
  CHECK(reader->CheckFiles().empty());
}

TEST(legacy_list_larger_than_the_file_justifies) {
  std::string meta;
  for (int i = 0; i < 400'000; ++i) meta += BytesField(1, "");
  KeyValues entries = {{"", BytesField(1, meta)}};
  CHECK_ERROR(ErrorCode::kLimitExceeded, Open({Write(entries)}));
}

TEST(legacy_slices_more_than_the_file_justifies) {
  const std::vector<std::vector<Extent>> slices(200'000, std::vector<Extent>(1));
  KeyValues entries = {{"", EncodeMeta({EncodeItem("t", {4}, 1, slices)})}};
  const auto reader = Open({Write(entries)});
  CHECK_ERROR(ErrorCode::kLimitExceeded, reader->Describe(0));
}

TEST(legacy_every_read_may_fail) {
  const std::string path = Write(OneTensor(), "model", {.block_bytes = 1});
  bool reached_end = false;
  for (int n = 1; !reached_end; ++n) {
    FaultyFileSystem file_system;
    file_system.FailNth(Call::kRead, n, EIO);
    try {
      const auto reader = Reader::Open({path}, {}, file_system);
      CHECK_EQ(ReadText(*reader, 0), "abcdefgh");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kIo);
    }
    reached_end = !file_system.failed();
    CHECK_EQ(file_system.open_files(), 0);
  }
}

TEST(legacy_short_and_interrupted_reads) {
  FaultyFileSystem file_system;
  file_system.LimitReads(3);
  file_system.InterruptOften();
  const auto reader = Reader::Open({Write(OneTensor())}, {}, file_system);
  CHECK_EQ(ReadText(*reader, 0), "abcdefgh");
}

TEST(legacy_blocks_are_read_once_in_order) {
  KeyValues entries = {{"", ""}};
  std::vector<std::string> items;
  const std::vector<Extent> whole(1);
  for (int i = 0; i < 200; ++i) {
    const std::string name = "t" + std::to_string(1000 + i);
    items.push_back(EncodeItem(name, {2}, 1, {whole}));
    entries.emplace_back(coding::EncodeSliceKey(name, whole),
                         EncodeRecord(BytesField(5, "abcdefgh")));
  }
  entries[0].second = EncodeMeta(items);
  const std::string path = Write(entries, "model", {.block_bytes = 512});
  const auto reader = Open({path});
  CHECK_EQ(reader->bytes_read(), std::uint64_t{0});
  for (std::uint32_t id = 0; id < 200; ++id) CHECK_EQ(ReadText(*reader, id), "abcdefgh");
  CHECK(reader->bytes_read() <= reader->file_bytes());
}

TEST(legacy_large_blocks_are_let_go) {
  const std::string values(std::size_t{3} << 20, 'v');
  const std::vector<Extent> whole(1);
  const std::int64_t count = static_cast<std::int64_t>(values.size() / 4);
  const auto reader = Open({Write({
      {"", EncodeMeta({EncodeItem("t", {count}, 1, {whole})})},
      {coding::EncodeSliceKey("t", whole), EncodeRecord(BytesField(5, values))},
  })});
  reader->Fetch(0, 0);
  const std::uint64_t once = reader->bytes_read();
  CHECK(ReadText(*reader, 0) == values);
  CHECK_EQ(reader->bytes_read(), once);
  reader->Release();
  reader->Fetch(0, 0);
  CHECK_EQ(reader->bytes_read(), 2 * once);
}

TEST(legacy_many_threads) {
  KeyValues entries = {{"", ""}};
  std::vector<std::string> items;
  const std::vector<Extent> whole(1);
  for (int i = 0; i < 64; ++i) {
    const std::string name(1, static_cast<char>('0' + i));
    items.push_back(EncodeItem(name, {2}, 1, {whole}));
    entries.emplace_back(coding::EncodeSliceKey(name, whole),
                         EncodeRecord(BytesField(5, std::string(8, name[0]))));
  }
  entries[0].second = EncodeMeta(items);
  const auto reader = Open({Write(entries, "model", {.block_bytes = 100})});
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint32_t i = 0; i < 2000; ++i) {
        const auto id = static_cast<std::uint32_t>((i * (2 * t + 1)) % 64);
        const std::string expected(8, static_cast<char>('0' + id));
        wrong[t] += ReadText(*reader, id) == expected ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : wrong) CHECK_EQ(count, 0);
}

}  // namespace
}  // namespace fastckpt::legacy
