// What Reader notices when files are damaged, replaced or cut while they are open.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bundle/reader.h"
#include "commit/names.h"
#include "harness.h"
#include "table_writer.h"

namespace fastckpt::bundle {
namespace {

using commit::DataFileName;
using commit::IndexFileName;
using testing::BundleWriter;
using testing::PatternBytes;
using testing::ReadFile;
using testing::TemporaryDirectory;
using testing::WriteFile;

std::string Prefix() {
  return TemporaryDirectory() + "/model.ckpt-1";
}
std::string IndexFile() {
  return IndexFileName(Prefix());
}
std::string Shard() {
  return DataFileName(Prefix(), 0, 1);
}

std::shared_ptr<Reader> Open(io::Backend backend = io::Backend::kAuto) {
  return Reader::Open(Prefix(), {backend, false});
}

// Tensors of 100 bytes at multiples of 128.
BundleWriter Padded() {
  BundleWriter bundle;
  for (const char* const name : {"a", "b", "c"}) {
    bundle.Add(name, 4, {100}, PatternBytes(100, 1), 0, 128);
  }
  return bundle;
}

// Writes over bytes of a file that stays the same file.
void Overwrite(const std::string& path, std::uint64_t offset, const std::string& bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  CHECK(file.good());
}

TEST(zero_padding_is_no_finding) {
  Padded().Write(Prefix());
  for (const io::Backend backend : {io::Backend::kMapped, io::Backend::kPositional}) {
    CHECK(Open(backend)->CheckFiles().empty());
  }
}

TEST(every_byte_of_padding_is_looked_at) {
  const BundleWriter bundle = Padded();
  for (const std::size_t at : {100u, 127u, 228u, 255u, 356u, 383u}) {
    BundleWriter damaged = bundle;
    damaged.shards[0][at] = '\1';
    damaged.Write(Prefix());
    const std::vector<Error> findings = Open()->CheckFiles();
    CHECK_EQ(findings.size(), 1u);
    CHECK(findings[0].code() == ErrorCode::kDataLoss);
    CHECK_EQ(findings[0].path(), Shard());
    CHECK(findings[0].offset() == at / 128 * 128 + 100);
  }
}

TEST(long_gaps_belong_to_others) {
  BundleWriter bundle;
  bundle.shards[0] = PatternBytes(5000, 9);
  bundle.Add("a", 4, {10}, PatternBytes(10, 1));
  bundle.shards[0] += PatternBytes(5000, 9);
  bundle.Write(Prefix());
  CHECK(Open()->CheckFiles().empty());
  bundle.shards[0].resize(5010 + 4096);
  bundle.Write(Prefix());
  CHECK_EQ(Open()->CheckFiles().size(), 1u);
}

TEST(tensors_that_share_bytes_are_no_finding) {
  BundleWriter bundle;
  bundle.Add("a", 4, {100}, PatternBytes(100, 1));
  bundle.Add("b", 4, {100}, PatternBytes(100, 1)).offset = 0;
  bundle.shards[0].resize(100);
  bundle.Write(Prefix());
  CHECK(Open()->CheckFiles().empty());
}

TEST(the_place_of_a_malformed_entry_is_not_padding) {
  BundleWriter bundle;
  bundle.Add("a", 4, {100}, PatternBytes(100, 1)).size = 99;
  bundle.Write(Prefix());
  CHECK(Open()->CheckFiles().empty());
}

TEST(an_index_overwritten_with_another_valid_one_is_changed) {
  Padded().Write(Prefix());
  const auto reader = Open();
  BundleWriter other = Padded();
  other.entries["b"].crc ^= 1;
  other.Write(Prefix());
  const std::vector<Error> findings = reader->CheckFiles();
  CHECK_EQ(findings.size(), 1u);
  CHECK(findings[0].code() == ErrorCode::kChanged);
  CHECK_EQ(findings[0].path(), IndexFile());
}

TEST(an_index_replaced_by_rename_is_not_looked_at) {
  Padded().Write(Prefix());
  const auto reader = Open();
  WriteFile(IndexFile() + ".new", "garbage");
  std::filesystem::rename(IndexFile() + ".new", IndexFile());
  CHECK(reader->CheckFiles().empty());
}

TEST(an_index_damaged_after_opening_is_found_at_every_bit) {
  Padded().Write(Prefix());
  const std::string intact = ReadFile(IndexFile());
  const auto reader = Open();
  for (std::size_t bit = 0; bit < intact.size() * 8; ++bit) {
    const char byte = static_cast<char>(intact[bit / 8] ^ (1 << bit % 8));
    Overwrite(IndexFile(), bit / 8, std::string(1, byte));
    const std::vector<Error> findings = reader->CheckFiles();
    CHECK(!findings.empty());
    for (const Error& finding : findings) CHECK_EQ(finding.path(), IndexFile());
    Overwrite(IndexFile(), bit / 8, intact.substr(bit / 8, 1));
  }
  CHECK(reader->CheckFiles().empty());
}

TEST(an_index_cut_after_opening_is_a_finding) {
  Padded().Write(Prefix());
  const std::string intact = ReadFile(IndexFile());
  const auto reader = Open();
  for (std::size_t size = intact.size(); size-- > 0;) {
    std::filesystem::resize_file(IndexFile(), size);
    const std::vector<Error> findings = reader->CheckFiles();
    CHECK_EQ(findings.size(), 1u);
    CHECK(findings[0].code() == ErrorCode::kDataLoss);
  }
}

TEST(all_findings_are_told_and_not_only_the_first) {
  BundleWriter bundle = Padded();
  bundle.shards[0][100] = '\1';
  bundle.shards[0][228] = '\1';
  bundle.Write(Prefix());
  testing::TableFile index;
  index.AppendDataBlock(bundle.IndexEntries());
  testing::FooterFields footer;
  footer.metaindex = index.AppendBlock(testing::BlockWriter().Finish(), 0, 1);
  footer.padding.back() = footer.padding.front() = '\1';
  WriteFile(IndexFile(), index.Finish(footer));
  // With the metaindex block that no handle points to.
  CHECK_EQ(Open()->CheckFiles().size(), 5u);
}

TEST(a_shard_cut_under_a_live_map_is_data_loss_and_no_signal) {
  for (const io::Backend backend : {io::Backend::kMapped, io::Backend::kPositional}) {
    BundleWriter bundle;
    bundle.Add("first", 4, {100}, PatternBytes(100, 1));
    bundle.Add("large", 4, {1 << 20}, PatternBytes(1 << 20, 2));
    bundle.Add("strings", 7, {1}, testing::StoreStrings({std::string(5000, 's')}));
    bundle.Write(Prefix());
    const auto reader = Open(backend);
    reader->Verify(reader->Find("large"));
    for (const std::size_t left : {1000000u, 4096u, 100u}) {
      std::filesystem::resize_file(Shard(), left);
      for (const char* const name : {"large", "strings"}) {
        const std::uint32_t id = reader->Find(name);
        CHECK_ERROR(ErrorCode::kDataLoss, reader->Fetch(id));
        CHECK_ERROR(ErrorCode::kDataLoss, reader->Verify(id));
      }
      reader->Verify(reader->Find("first"));
      reader->CheckFiles();
    }
    std::filesystem::resize_file(Shard(), 0);
    CHECK_ERROR(ErrorCode::kDataLoss, reader->Verify(reader->Find("first")));
  }
}

TEST(padding_cut_under_a_live_map_is_a_finding) {
  for (const io::Backend backend : {io::Backend::kMapped, io::Backend::kPositional}) {
    Padded().Write(Prefix());
    const auto reader = Open(backend);
    std::filesystem::resize_file(Shard(), 360);
    const std::vector<Error> findings = reader->CheckFiles();
    CHECK_EQ(findings.size(), 1u);
    CHECK(findings[0].code() == ErrorCode::kDataLoss);
  }
}

}  // namespace
}  // namespace fastckpt::bundle
