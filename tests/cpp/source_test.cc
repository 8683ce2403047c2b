#include "io/source.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "faulty_file_system.h"
#include "harness.h"
#include "table_writer.h"

namespace fastckpt::io {
namespace {

using testing::Call;
using testing::FaultyFileSystem;
using testing::PatternBytes;
using testing::TemporaryDirectory;
using testing::WriteFile;

constexpr std::size_t kSize = 10000;  // no multiple of a page

std::string TestFile(const std::string& content) {
  const std::string path = TemporaryDirectory() + "/file";
  WriteFile(path, content);
  return path;
}

std::string Read(const Source& source, std::uint64_t offset, std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  source.ReadAt(offset, bytes);
  return std::string(AsText(bytes));
}

std::string ReadPieces(const Source& source, std::uint64_t offset, std::uint64_t size) {
  std::string all;
  source.ForEachPiece(offset, size, [&](ByteView piece) {
    CHECK(!piece.empty() && piece.size() <= source.piece_size());
    all.append(AsText(piece));
  });
  return all;
}

// The four kinds over the same content.
std::vector<std::shared_ptr<const Source>> EverySource(const std::string& content) {
  const std::string path = TestFile(content);
  return {OpenSource(path, Backend::kMapped), OpenSource(path, Backend::kPositional),
          OpenSource(path, Backend::kAuto), MemorySource(path, testing::Vector(content)),
          OpenSource(path, Backend::kDirect)};
}

TEST(every_source_reads_what_the_file_holds) {
  const std::string content = PatternBytes(kSize, 1);
  for (const auto& source : EverySource(content)) {
    CHECK_EQ(source->size(), kSize);
    CHECK_EQ(source->path(), TemporaryDirectory() + "/file");
    CHECK(source->piece_size() > 0);
    for (const std::size_t offset : {0u, 1u, 4095u, 4096u, 9999u, 10000u}) {
      for (const std::size_t size : {0u, 1u, 17u, 5000u, 10000u}) {
        if (IsRange(offset, size, kSize)) {
          CHECK_EQ(Read(*source, offset, size), content.substr(offset, size));
          CHECK_EQ(ReadPieces(*source, offset, size), content.substr(offset, size));
          source->CheckPresent(offset, size);
        } else {
          CHECK_ERROR(ErrorCode::kDataLoss, ReadPieces(*source, offset, size));
          CHECK_ERROR(ErrorCode::kDataLoss, Read(*source, offset, size));
          CHECK_ERROR(ErrorCode::kDataLoss, source->CheckPresent(offset, size));
        }
      }
    }
    if (source->data() != nullptr) {
      CHECK_EQ(AsText(ByteView(source->data(), kSize)), content);
    }
  }
}

TEST(only_sources_that_read_have_no_address) {
  const auto sources = EverySource("content");
  CHECK(sources[0]->data() != nullptr);
  CHECK(sources[1]->data() == nullptr);
  CHECK(sources[3]->data() != nullptr);
  CHECK(sources[4]->data() == nullptr);
}

TEST(ranges_that_overflow_are_data_loss) {
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  for (const auto& source : EverySource("content")) {
    CHECK_ERROR(ErrorCode::kDataLoss, source->CheckPresent(kMax, 1));
    CHECK_ERROR(ErrorCode::kDataLoss, source->CheckPresent(1, kMax));
    CHECK_ERROR(ErrorCode::kDataLoss, source->CheckPresent(kMax, kMax));
  }
}

TEST(errors_name_file_and_offset) {
  for (const auto& source : EverySource("content")) {
    try {
      Read(*source, 5, 10);
      CHECK(false);
    } catch (const Error& error) {
      CHECK_EQ(error.path(), source->path());
      // A positional source knows where the bytes ended, the others where they were wanted.
      CHECK(error.offset() == 5 || error.offset() == 7);
      CHECK(error.message().starts_with("the file is too short:"));
    }
  }
}

TEST(empty_files_open_with_every_backend) {
  for (const auto& source : EverySource("")) {
    CHECK_EQ(source->size(), 0u);
    CHECK_EQ(Read(*source, 0, 0), "");
    CHECK_ERROR(ErrorCode::kDataLoss, Read(*source, 0, 1));
  }
}

TEST(missing_files_directories_and_bad_paths_have_codes_of_their_own) {
  const std::string directory = TemporaryDirectory();
  const std::string file = TestFile("content");
  for (const Backend backend :
       {Backend::kAuto, Backend::kMapped, Backend::kPositional, Backend::kDirect}) {
    CHECK_ERROR(ErrorCode::kNotFound, OpenSource(directory + "/none", backend));
    CHECK_ERROR(ErrorCode::kNotFound, OpenSource(file + "/inside", backend));
    CHECK_ERROR(ErrorCode::kInvalidArgument, OpenSource(directory, backend));
    CHECK_ERROR(ErrorCode::kInvalidArgument, OpenSource("/dev/null", backend));
    CHECK_ERROR(ErrorCode::kIo, OpenSource(directory + "/" + std::string(5000, 'x'), backend));
  }
  try {
    OpenSource(directory + "/none", Backend::kAuto);
    CHECK(false);
  } catch (const Error& error) {
    CHECK_EQ(error.system_error(), ENOENT);
    CHECK_EQ(error.path(), directory + "/none");
  }
}

TEST(a_map_outlives_the_file_name) {
  const std::string path = TestFile("content");
  const auto mapped = OpenSource(path, Backend::kMapped);
  const auto positional = OpenSource(path, Backend::kPositional);
  WriteFile(path + ".other", "changed");
  std::filesystem::rename(path + ".other", path);
  CHECK_EQ(Read(*mapped, 0, 7), "content");
  CHECK_EQ(Read(*positional, 0, 7), "content");
}

TEST(truncation_after_opening_is_data_loss) {
  const std::string content = PatternBytes(kSize, 2);
  for (const Backend backend : {Backend::kMapped, Backend::kPositional, Backend::kDirect}) {
    const std::string path = TestFile(content);
    const auto source = OpenSource(path, backend);
    // Inside a page, at its edge, and pages away: only the last would fault.
    for (const std::size_t left : {9999u, 8192u, 100u, 0u}) {
      std::filesystem::resize_file(path, left);
      CHECK_EQ(source->size(), kSize);
      CHECK_EQ(Read(*source, 0, left), content.substr(0, left));
      CHECK_ERROR(ErrorCode::kDataLoss, Read(*source, 0, kSize));
      CHECK_ERROR(ErrorCode::kDataLoss, Read(*source, left, 1));
      CHECK_ERROR(ErrorCode::kDataLoss, source->CheckPresent(left, 1));
      source->CheckPresent(0, left);
    }
  }
}

TEST(remote_files_are_read_unless_a_map_is_asked_for) {
  const std::string path = TestFile("content");
  FaultyFileSystem files;
  files.MakeRemote();
  CHECK(OpenSource(path, Backend::kAuto, files)->data() == nullptr);
  CHECK(OpenSource(path, Backend::kMapped, files)->data() != nullptr);
  CHECK_EQ(files.open_files(), 0);
  CHECK_EQ(files.live_maps(), 0);
}

TEST(files_that_cannot_be_mapped_are_read_unless_a_map_is_asked_for) {
  const std::string path = TestFile("content");
  for (const int number : {ENODEV, ENOMEM, EACCES}) {
    FaultyFileSystem files;
    files.FailNth(Call::kMap, 1, number, 100);
    const auto source = OpenSource(path, Backend::kAuto, files);
    CHECK(source->data() == nullptr);
    CHECK_EQ(Read(*source, 0, 7), "content");
    CHECK_ERROR(ErrorCode::kIo, OpenSource(path, Backend::kMapped, files));
    CHECK_EQ(files.open_files(), 1);
  }
}

TEST(short_reads_and_interruptions_are_no_errors) {
  const std::string content = PatternBytes(kSize, 3);
  const std::string path = TestFile(content);
  for (const std::size_t step : {1u, 7u, 4096u}) {
    FaultyFileSystem files;
    files.LimitReads(step);
    files.InterruptOften();
    const auto source = OpenSource(path, Backend::kPositional, files);
    CHECK_EQ(Read(*source, 0, kSize), content);
    CHECK(files.calls(Call::kOpen) == 2);
    CHECK_EQ(files.calls(Call::kRead), 2 * static_cast<int>((kSize + step - 1) / step));
  }
}

TEST(a_source_closes_and_unmaps_once) {
  const std::string path = TestFile("content");
  FaultyFileSystem files;
  {
    const auto mapped = OpenSource(path, Backend::kMapped, files);
    const auto positional = OpenSource(path, Backend::kPositional, files);
    CHECK_EQ(files.open_files(), 2);
    CHECK_EQ(files.live_maps(), 1);
    CHECK_EQ(files.mapped_bytes(), 7u);
  }
  CHECK_EQ(files.open_files(), 0);
  CHECK_EQ(files.live_maps(), 0);
  CHECK_EQ(files.mapped_bytes(), 0u);
  CHECK_EQ(files.calls(Call::kClose), 2);
  CHECK_EQ(files.calls(Call::kUnmap), 1);
}

}  // namespace
}  // namespace fastckpt::io
