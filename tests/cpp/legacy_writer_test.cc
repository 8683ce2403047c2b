// V1 files against a twin that writes every message by hand, and what happens to them on the way.
#include "legacy_writer.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "faulty_file_system.h"
#include "harness.h"
#include "hex.h"
#include "legacy/reader.h"
#include "legacy/writer.h"
#include "legacy_inputs.h"
#include "saved_checkpoint.h"
#include "tensor/dtype.h"

namespace fastckpt::legacy {
namespace {

using coding::Extent;
using testing::Bytes;
using testing::BytesField;
using testing::Call;
using testing::EncodeItem;
using testing::EncodeMeta;
using testing::FaultyFileSystem;
using testing::KeyValues;
using testing::Plain;
using testing::ReadFile;
using testing::Record;
using testing::Slice;
using testing::Snapshot;
using testing::Table;
using testing::TakeSnapshot;
using testing::TemporaryDirectory;
using testing::Varints;
using namespace std::chrono_literals;

using Shape = std::vector<std::int64_t>;

constexpr std::int32_t kFloat = 1, kInt32 = 3, kUint8 = 4, kInt8 = 6, kInt64 = 9, kBfloat16 = 14;

std::string Path(const std::string& name = "model") {
  return TemporaryDirectory() + "/" + name;
}

// The whole of a save.
void Write(const std::string& path, const std::vector<tensor::Input>& inputs,
           const WriterOptions& options = {},
           io::FileSystem& file_system = io::FileSystem::Posix()) {
  Writer writer(path, inputs, options, file_system);
  while (!writer.WaitFor(10s)) continue;
  writer.Commit();
}

// --- Files ---------------------------------------------------------------------------------------

// One float32 tensor `x` = [1, 2].
TEST(legacy_file_of_the_format_document) {
  const Shape shape = {2};
  Write(Path(), {Plain("x", kFloat, shape, Bytes<float>({1, 2}))});
  const std::string meta =
      testing::FromHex("0a15 0a0f 0a0178 1204 1202 0802 1801 2202 0a00  1202 0801");
  const std::string record = testing::FromHex("1213 0a0178 1202 0a00 1a0a 2a08 0000803f00000040");
  CHECK_EQ(
      testing::Hex(ReadFile(Path())),
      testing::Hex(Table({{"", meta}, {testing::FromHex("00 78 00 01 01 01 80 7f"), record}})));
}

TEST(legacy_files_are_sorted_by_name_and_by_key) {
  const Shape one = {1};
  const Shape full = {5, 2};
  const Shape row = {1, 2};
  const Shape rows = {3, 2};
  const Shape last = {1, 1};
  const std::vector<Extent> places[] = {
      {{4, 1}, {0, 1}}, {{0, 3}, {}}, {{4, 1}, {1, 1}}, {{3, 1}, {}}};
  const std::string numbers = Bytes<std::int64_t>({1, 2, 3, 4, 5, 6});
  const std::string packed = Varints({1, 2, 3, 4, 5, 6});
  Write(Path(), {
                    Plain("z", kInt64, one, numbers),
                    Slice(Plain("part", kInt64, last, numbers), full, places[0]),
                    Plain("B", kInt64, {}, numbers),
                    Slice(Plain("part", kInt64, rows, numbers), full, places[1]),
                    Slice(Plain("part", kInt64, last, numbers), full, places[2]),
                    Slice(Plain("part", kInt64, row, numbers), full, places[3]),
                    Plain("pars", kInt64, one, numbers),
                });
  const auto record = [&](const char* name, const std::vector<Extent>& extents, std::size_t count) {
    return std::pair(coding::EncodeSliceKey(name, extents),
                     Record(name, extents, BytesField(10, packed.substr(0, count))));
  };
  const KeyValues expected = {
      {"", EncodeMeta({EncodeItem("B", {}, kInt64, {{}}), EncodeItem("pars", {1}, kInt64, {{{}}}),
                       EncodeItem("part", full, kInt64, {std::begin(places), std::end(places)}),
                       EncodeItem("z", {1}, kInt64, {{{}}})})},
      record("B", {}, 1),
      record("pars", {{}}, 1),
      record("part", places[1], 6),
      record("part", places[3], 2),
      record("part", places[0], 1),
      record("part", places[2], 1),
      record("z", {{}}, 1),
  };
  CHECK_EQ(testing::Hex(ReadFile(Path())), testing::Hex(Table(expected)));
}

TEST(legacy_files_with_large_records_read_back) {
  const std::string large = testing::PatternBytes(3 << 20, 1);
  const std::string small = testing::PatternBytes(1 << 18, 2);
  const Shape large_shape = {3 << 18};
  const Shape small_shape = {1 << 16};
  Write(Path(), {Plain("a", kFloat, small_shape, small), Plain("b", kFloat, large_shape, large),
                 Plain("c", kInt32, large_shape, large), Plain("d", kFloat, small_shape, small)});
  const auto reader = Reader::Open({Path()}, {});
  for (const auto& [name, bytes] :
       {std::pair("a", small), {"b", large}, {"c", large}, {"d", small}}) {
    const std::uint32_t id = reader->Find(name);
    std::vector<std::uint8_t> out(reader->PartSize(id, 0));
    reader->ReadPart(id, 0, out);
    CHECK(AsText(out) == bytes);
  }
  CHECK(reader->CheckFiles().empty());
}

TEST(legacy_shards_hold_what_fits_or_what_the_caller_says) {
  const Shape four = {4};
  const Shape two = {2};
  const std::string bytes(16, 'x');
  tensor::Input placed = Plain("placed", kFloat, four, bytes);
  placed.shard = 1;
  Write(Path(),
        {Plain("a", kFloat, four, bytes), Plain("b", kFloat, two, bytes),
         Plain("c", kFloat, two, bytes), placed},
        {.num_shards = 3, .num_threads = 3});
  const std::map<std::string, std::string> holders = {
      {"a", "00000"}, {"b", "00001"}, {"c", "00002"}, {"placed", "00001"}};
  for (const char* shard : {"00000", "00001", "00002"}) {
    const auto reader = Reader::Open({Path("model-" + std::string(shard) + "-of-00003")}, {});
    const auto expected =
        std::ranges::count_if(holders, [&](const auto& holder) { return holder.second == shard; });
    CHECK_EQ(reader->num_tensors(), static_cast<std::size_t>(expected));
    for (const auto& [name, holder] : holders) {
      if (holder == shard) CHECK(reader->Describe(reader->Find(name))->is_whole());
    }
  }
  CHECK_EQ(TakeSnapshot(TemporaryDirectory()).size(), std::size_t{3});
}

TEST(legacy_shard_names) {
  CHECK_EQ(ShardName("m", 1, 12), "m-00001-of-00012");
  CHECK_EQ(ShardName("m", 123456, 1234567), "m-123456-of-1234567");
}

TEST(legacy_files_without_tensors) {
  Write(Path(), {});
  CHECK_EQ(Reader::Open({Path()}, {})->num_tensors(), std::size_t{0});
  const Shape one = {1};
  Write(Path("s"), {Plain("a", kFloat, one, "abcd")}, {.num_shards = 2});
  CHECK_EQ(Reader::Open({ShardName(Path("s"), 1, 2)}, {})->num_tensors(), std::size_t{0});
}

TEST(legacy_progress_counts_everything) {
  const Shape four = {4};
  const std::string bytes(16, 'x');
  const std::vector<tensor::Input> inputs = {Plain("b", kFloat, four, bytes),
                                             Plain("a", kUint8, four, "abcd")};
  Writer writer(Path(), inputs, {});
  while (!writer.WaitFor(10s)) continue;
  CHECK_EQ(writer.bytes_done(), std::uint64_t{20});
  CHECK_EQ(writer.inputs_done(), std::size_t{2});
  CHECK_EQ(writer.current_input(), std::size_t{0});
}

// --- Refusals ------------------------------------------------------------------------------------

void CheckRefused(const std::vector<tensor::Input>& inputs, ErrorCode code,
                  const WriterOptions& options = {}) {
  CHECK_ERROR(code, Write(Path(), inputs, options));
  CHECK(TakeSnapshot(TemporaryDirectory()).empty());
}

TEST(legacy_writer_refuses_what_v1_cannot_hold) {
  const Shape two = {2};
  const std::string bytes(64, 'x');
  for (const std::int32_t dtype : {0, kBfloat16, 15, 16, 20, 21, 22, 23, 24, 28, 29, 33, 34, -1}) {
    CheckRefused({Plain("t", dtype, two, bytes)}, ErrorCode::kUnsupported);
  }
  const Shape negative = {-1};
  CheckRefused({Plain("t", kFloat, negative, bytes)}, ErrorCode::kInvalidArgument);
  CheckRefused({Plain("", kFloat, two, bytes)}, ErrorCode::kInvalidArgument);
  const Shape many = {214'748'365};
  CheckRefused({Plain("t", kInt8, many, "")}, ErrorCode::kInvalidArgument);
  const Shape huge = {std::int64_t{1} << 62};
  CheckRefused({Plain("t", kFloat, huge, "")}, ErrorCode::kInvalidArgument);
  CheckRefused({Plain("s", tensor::kString, two, "")}, ErrorCode::kInvalidArgument);
}

TEST(legacy_writer_refuses_names_twice) {
  const Shape two = {2};
  const Shape one = {1};
  const std::vector<Extent> first = {{0, 1}};
  const tensor::Input whole = Plain("t", kFloat, two, "abcdefgh");
  const tensor::Input half = Slice(Plain("t", kFloat, one, "abcd"), two, first);
  CheckRefused({whole, whole}, ErrorCode::kInvalidArgument);
  CheckRefused({whole, half}, ErrorCode::kInvalidArgument);
  CheckRefused({half, half}, ErrorCode::kInvalidArgument);
}

TEST(legacy_writer_refuses_slices_that_make_up_no_tensor) {
  const Shape full = {4, 2};
  const Shape other = {4, 3};
  const Shape half = {2, 2};
  const std::string bytes(64, 'x');
  const std::vector<Extent> top = {{0, 2}, {}}, bottom = {{2, 2}, {}}, beyond = {{3, 2}, {}},
                            middle = {{1, 2}, {}}, empty = {{0, 0}, {}}, flat = {{0, 2}};
  const auto part = [&](std::int32_t dtype, const Shape& whole, const std::vector<Extent>& place) {
    return Slice(Plain("t", dtype, half, bytes), whole, place);
  };
  const auto refuse = [&](const tensor::Input& a, const tensor::Input& b) {
    CheckRefused({a, b}, ErrorCode::kInvalidArgument);
  };
  const tensor::Input good = part(kFloat, full, top);
  CheckRefused({good}, ErrorCode::kInvalidArgument);
  for (const auto* place : {&beyond, &middle, &empty, &flat, &top}) {
    refuse(good, part(kFloat, full, *place));
  }
  refuse(good, part(kInt32, full, bottom));
  refuse(good, part(kFloat, other, bottom));
  Write(Path(), {good, part(kFloat, full, bottom)});
}

TEST(legacy_writer_refuses_equal_slices_without_elements) {
  const Shape full = {0, 4};
  const Shape half = {0, 2};
  const std::vector<Extent> left = {{}, {0, 2}}, right = {{}, {2, 2}};
  const tensor::Input part = Slice(Plain("t", kFloat, half, ""), full, left);
  CheckRefused({part, part}, ErrorCode::kInvalidArgument);
  Write(Path(), {part, Slice(Plain("t", kFloat, half, ""), full, right)});
  CHECK(Reader::Open({Path()}, {})->CheckFiles().empty());
}

TEST(legacy_writer_refuses_shards_that_are_not_there) {
  const Shape one = {1};
  tensor::Input input = Plain("t", kFloat, one, "abcd");
  CheckRefused({input}, ErrorCode::kInvalidArgument, {.num_shards = -1});
  input.shard = 2;
  CheckRefused({input}, ErrorCode::kInvalidArgument, {.num_shards = 2});
  input.shard = 1;
  CheckRefused({input}, ErrorCode::kInvalidArgument);
}

// --- Faults --------------------------------------------------------------------------------------

TEST(legacy_writer_leaves_nothing_unless_committed) {
  const Shape one = {1};
  const std::vector<tensor::Input> inputs = {Plain("t", kFloat, one, "abcd")};
  Write(Path(), inputs);
  const Snapshot before = TakeSnapshot(TemporaryDirectory());
  {
    Writer writer(Path(), inputs, {});
    CHECK_ERROR(ErrorCode::kBusy, Write(Path(), inputs));
    while (!writer.WaitFor(10s)) continue;
  }
  {
    Writer abandoned(Path(), inputs, {.num_shards = 4});
  }
  CHECK(TakeSnapshot(TemporaryDirectory()) == before);
}

// One fault in a save of two shards over two others; whether it was met.
bool SurvivesFault(Call call, int n, const std::vector<tensor::Input>& inputs) {
  const Snapshot before = TakeSnapshot(TemporaryDirectory());
  FaultyFileSystem faulty;
  faulty.FailNth(call, n, ENOSPC);
  faulty.LimitWrites(300);
  bool is_saved = true;
  try {
    Write(Path(), inputs, {.num_shards = 2}, faulty);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kIo);
    is_saved = error.message().find("is visible and complete") != std::string::npos;
  }
  for (const auto& [name, content] : TakeSnapshot(TemporaryDirectory())) {
    if (name.ends_with(".tmp")) continue;
    CHECK_EQ(before.at(name) == content, !is_saved);
  }
  CHECK_EQ(faulty.open_files(), 0);
  return faulty.failed();
}

TEST(legacy_writer_survives_every_fault) {
  const Shape shape = {200};
  const std::string old_bytes = testing::PatternBytes(800, 1);
  const std::string new_bytes = testing::PatternBytes(800, 2);
  int met = 0;
  for (std::size_t call = 0; call < testing::kNumCalls; ++call) {
    bool is_met = true;
    for (int n = 1; is_met; ++n) {
      Write(Path(), {Plain("a", kFloat, shape, old_bytes), Plain("b", kFloat, shape, old_bytes)},
            {.num_shards = 2, .sync = false});
      is_met = SurvivesFault(
          static_cast<Call>(call), n,
          {Plain("a", kFloat, shape, new_bytes), Plain("b", kFloat, shape, new_bytes)});
      met += is_met ? 1 : 0;
    }
  }
  CHECK(met >= 20);
}

}  // namespace
}  // namespace fastckpt::legacy
