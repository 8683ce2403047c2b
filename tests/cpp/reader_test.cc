#include "bundle/reader.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "commit/names.h"
#include "faulty_file_system.h"
#include "harness.h"
#include "table_writer.h"

namespace fastckpt::bundle {
namespace {

using commit::DataFileName;
using testing::BundleWriter;
using testing::EncodeEntry;
using testing::FaultyFileSystem;
using testing::PatternBytes;
using testing::ReadFile;
using testing::StoreStrings;
using testing::StoreVariants;
using testing::TemporaryDirectory;
using testing::WriteFile;

constexpr io::Backend kBackends[] = {io::Backend::kMapped, io::Backend::kPositional,
                                     io::Backend::kAuto};

std::string Prefix() {
  return TemporaryDirectory() + "/model.ckpt-1";
}
std::string Shard(int id = 0, int num_shards = 1) {
  return DataFileName(Prefix(), id, num_shards);
}

std::shared_ptr<Reader> Open(io::Backend backend = io::Backend::kAuto, bool skip_damage = false) {
  return Reader::Open(Prefix(), {backend, skip_damage});
}

std::string FetchText(const Reader& reader, std::string_view name) {
  const StoredBytes stored = reader.Fetch(reader.Find(name));
  return std::string(AsText(stored.bytes));
}

// Three shards of plain tensors, strings, variants and an empty tensor.
BundleWriter Sample() {
  BundleWriter bundle;
  bundle.header.num_shards = 3;
  bundle.Add("w", 1, {50, 10}, PatternBytes(2000, 1), 0);
  bundle.Add("b", 9, {3}, PatternBytes(24, 2), 2);
  bundle.Add("empty", 1, {0}, "", 0);
  bundle.Add("names", 7, {3}, StoreStrings({"a", "", std::string(200, 'z')}), 2);
  bundle.Add("variant", 21, {2}, StoreVariants({"record", ""}), 0);
  return bundle;
}

// All of one kind of byte damage, and that it is found.
void CheckDamaged(const Reader& reader, const std::string& name) {
  const std::uint32_t id = reader.Find(name);
  try {
    reader.Verify(id);
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kDataLoss);
    CHECK(error.key() == name);
    CHECK(error.path().find(".data-") != std::string::npos);
    CHECK(error.offset().has_value());
  }
  CHECK(!reader.IsVerified(id));
}

TEST(every_backend_fetches_what_was_stored) {
  const BundleWriter bundle = Sample();
  bundle.Write(Prefix());
  for (const io::Backend backend : kBackends) {
    const auto reader = Open(backend);
    CHECK_EQ(reader->prefix(), Prefix());
    CHECK_EQ(reader->shards().size(), 2u);
    CHECK_EQ(reader->stored_bytes(),
             2000u + 24u +
                 static_cast<std::uint64_t>(bundle.entries.at("names").size +
                                            bundle.entries.at("variant").size));
    for (const auto& [name, spec] : bundle.entries) {
      const std::uint32_t id = reader->Find(name);
      CHECK_EQ(reader->name(id), name);
      const std::string& shard = bundle.shards.at(spec.shard_id);
      CHECK_EQ(FetchText(*reader, name), shard.substr(static_cast<std::size_t>(spec.offset),
                                                      static_cast<std::size_t>(spec.size)));
      CHECK(!reader->IsVerified(id));
      reader->Verify(id);
      CHECK(reader->IsVerified(id));
    }
    CHECK(reader->CheckFiles().empty());
    CHECK(reader->Damage().empty());
  }
}

TEST(mapped_bytes_are_borrowed_and_others_owned) {
  Sample().Write(Prefix());
  const auto mapped = Open(io::Backend::kMapped);
  const std::uint32_t id = mapped->Find("w");
  const StoredBytes borrowed = mapped->Fetch(id);
  CHECK(borrowed.owned.empty());
  CHECK(borrowed.bytes.data() == mapped->SourceOf(id).data());
  const auto positional = Open(io::Backend::kPositional);
  const StoredBytes owned = positional->Fetch(id);
  CHECK(owned.bytes.data() == owned.owned.data());
}

TEST(unknown_names_are_tensor_not_found) {
  Sample().Write(Prefix());
  const auto reader = Open();
  for (const char* const name : {"", "W", "w ", "zzz"}) {
    CHECK_ERROR(ErrorCode::kTensorNotFound, reader->Find(name));
  }
}

TEST(names_are_found_in_any_order_by_many_threads) {
  BundleWriter bundle;
  for (std::int64_t i = 0; i < 500; ++i) {
    bundle.Add(std::string("t").append(std::to_string(i * 7919 % 500)), 4, {1}, "x");
  }
  bundle.Write(Prefix());
  const auto reader = Open();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < 2000; ++i) {
        const auto id = static_cast<std::uint32_t>(t == 0 ? i % 500 : (i * (t * 31 + 1)) % 500);
        if (reader->Find(reader->name(id)) != id) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
}

TEST(a_missing_index_is_not_found_and_a_short_one_data_loss) {
  CHECK_ERROR(ErrorCode::kNotFound, Open());
  WriteFile(Prefix() + ".index", "");
  CHECK_ERROR(ErrorCode::kDataLoss, Open());
  WriteFile(Prefix() + ".index", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
  CHECK_ERROR(ErrorCode::kDataLoss, Open());
  std::filesystem::remove(Prefix() + ".index");
  std::filesystem::create_directory(Prefix() + ".index");
  CHECK_ERROR(ErrorCode::kInvalidArgument, Open());
}

TEST(a_missing_shard_concerns_its_tensors_only) {
  Sample().Write(Prefix());
  std::filesystem::remove(Shard(2, 3));
  for (const io::Backend backend : kBackends) {
    const auto reader = Open(backend);
    reader->Verify(reader->Find("w"));
    for (const char* const name : {"b", "names"}) {
      try {
        reader->Fetch(reader->Find(name));
        CHECK(false);
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::kNotFound);
        CHECK_EQ(error.path(), Shard(2, 3));
        CHECK(error.key() == name);
      }
    }
    CHECK(reader->CheckFiles().empty());
  }
}

TEST(a_shard_that_is_short_concerns_the_tensors_behind_its_end) {
  BundleWriter bundle;
  bundle.Add("a", 4, {1000}, PatternBytes(1000, 1));
  bundle.Add("b", 4, {1000}, PatternBytes(1000, 2));
  bundle.Add("empty", 4, {0}, "");
  bundle.Write(Prefix());
  std::filesystem::resize_file(Shard(), 1999);
  for (const io::Backend backend : kBackends) {
    const auto reader = Open(backend);
    reader->Verify(reader->Find("a"));
    reader->Verify(reader->Find("empty"));
    CHECK_ERROR(ErrorCode::kDataLoss, reader->SourceOf(reader->Find("b")));
    CheckDamaged(*reader, "b");
  }
}

TEST(offsets_near_the_end_of_64_bits_are_data_loss) {
  BundleWriter bundle;
  bundle.Add("a", 4, {4}, "abcd").offset = std::numeric_limits<std::int64_t>::max();
  bundle.Write(Prefix());
  for (const io::Backend backend : kBackends) CheckDamaged(*Open(backend), "a");
}

TEST(every_flipped_bit_of_every_kind_of_tensor_is_found) {
  BundleWriter bundle;
  bundle.Add("plain", 1, {5}, PatternBytes(20, 1));
  bundle.Add("strings", 7, {2}, StoreStrings({"ab", "c"}));
  bundle.Add("variant", 21, {1}, StoreVariants({"record"}));
  bundle.Write(Prefix());
  const std::string intact = ReadFile(Shard());
  for (const io::Backend backend : {io::Backend::kMapped, io::Backend::kPositional}) {
    for (const auto& [name, spec] : bundle.entries) {
      for (std::int64_t bit = spec.offset * 8; bit < (spec.offset + spec.size) * 8; ++bit) {
        std::string damaged = intact;
        char& byte = damaged[static_cast<std::size_t>(bit / 8)];
        byte = static_cast<char>(byte ^ (1 << bit % 8));
        WriteFile(Shard(), damaged);
        const auto reader = Open(backend);
        CheckDamaged(*reader, name);
        for (const auto& [other, unused] : bundle.entries) {
          if (other != name) reader->Verify(reader->Find(other));
        }
      }
    }
  }
}

TEST(a_wrong_checksum_in_the_entry_is_found) {
  BundleWriter bundle;
  bundle.Add("w", 1, {5}, PatternBytes(20, 1)).crc ^= 1;
  bundle.Add("empty", 1, {0}, "").crc ^= 1;
  bundle.Write(Prefix());
  CheckDamaged(*Open(), "w");
  CheckDamaged(*Open(), "empty");
}

TEST(big_endian_strings_verify) {
  BundleWriter bundle;
  bundle.header.endianness = 1;
  bundle.Add("strings", 7, {2}, StoreStrings({"ab", "c"}, true));
  bundle.Add("little", 7, {2}, StoreStrings({"ab", "c"}, false));
  bundle.Write(Prefix());
  const auto reader = Open();
  reader->Verify(reader->Find("strings"));
  CheckDamaged(*reader, "little");
}

TEST(big_endian_variants_are_unsupported) {
  BundleWriter bundle;
  bundle.header.endianness = 1;
  bundle.Add("variant", 21, {1}, StoreVariants({"record"}));
  bundle.Write(Prefix());
  const auto reader = Open();
  CHECK_ERROR(ErrorCode::kUnsupported, reader->Fetch(reader->Find("variant")));
  CHECK_ERROR(ErrorCode::kUnsupported, reader->Verify(reader->Find("variant")));
}

TEST(malformed_entries_have_errors_of_their_own) {
  BundleWriter bundle;
  bundle.Add("good", 1, {5}, PatternBytes(20, 1));
  bundle.Add("bad", 1, {5}, PatternBytes(20, 1)).size = 19;
  bundle.Write(Prefix());
  const auto reader = Open();
  const std::uint32_t id = reader->Find("bad");
  for (const auto& use : std::vector<std::function<void()>>{
           [&] { reader->CheckEntry(id); }, [&] { reader->SourceOf(id); },
           [&] { reader->Fetch(id); }, [&] { reader->Verify(id); }}) {
    try {
      use();
      CHECK(false);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kDataLoss);
      CHECK(error.key() == "bad");
      CHECK_EQ(error.path(), Prefix() + ".index");
    }
  }
  reader->Verify(reader->Find("good"));
  CHECK(reader->Damage().empty());
  const auto skipping = Open(io::Backend::kAuto, true);
  CHECK_EQ(skipping->index().num_visible(), 1u);
  const std::vector<table::DamagedRange> damage = skipping->Damage();
  CHECK_EQ(damage.size(), 1u);
  CHECK_EQ(damage[0].up_to, "bad");
}

TEST(sliced_tensors_are_told_apart_and_their_slices_read) {
  BundleWriter bundle;
  bundle.AddSlice("part", 4, {4}, {{0, 2}}, "ab");
  bundle.AddSlice("part", 4, {4}, {{2, 2}}, "cd");
  bundle.Write(Prefix());
  const auto reader = Open();
  CHECK_ERROR(ErrorCode::kUnsupported, reader->Fetch(reader->Find("part")));
  CHECK_ERROR(ErrorCode::kUnsupported, reader->Verify(reader->Find("part")));
  CHECK_EQ(FetchText(*reader, coding::EncodeSliceKey("part", {{2, 2}})), "cd");
  CHECK_EQ(reader->StoredIds().size(), 2u);
  CHECK_EQ(reader->stored_bytes(), 4u);
  CHECK(reader->CheckFiles().empty());
}

TEST(ids_sort_by_shard_and_offset) {
  BundleWriter bundle;
  bundle.header.num_shards = 4;
  for (const int i : {5, 1, 7, 3, 0, 6, 2, 4}) {
    bundle.Add(std::string("t").append(std::to_string(i)), 4, {3}, "xyz", i % 3 + 1);
  }
  bundle.Write(Prefix());
  const auto reader = Open();
  std::vector<std::pair<std::int32_t, std::uint64_t>> places;
  for (const std::uint32_t id : reader->StoredIds()) {
    const Entry& entry = reader->entry(id);
    places.emplace_back(reader->shards()[entry.shard_slot].id, entry.offset);
  }
  CHECK_EQ(places.size(), 8u);
  CHECK(std::ranges::is_sorted(places));
}

TEST(fingerprints_are_those_of_the_content) {
  Sample().Write(Prefix());
  const std::uint32_t fingerprint = Open()->fingerprint();
  CHECK_EQ(Open()->fingerprint(), fingerprint);
  BundleWriter changed = Sample();
  changed.entries["w"].crc ^= 1;
  changed.Write(Prefix());
  CHECK(Open()->fingerprint() != fingerprint);
}

TEST(the_data_of_all_shards_justifies_a_large_index) {
  BundleWriter bundle;
  const std::string stem(10000, 's');
  for (int i = 0; i < 3000; ++i) {
    bundle.Add(stem + std::to_string(1000 + i), 4, {1}, "x");
  }
  bundle.Write(Prefix(), {std::size_t{1} << 30, std::size_t{1} << 30, false});
  FaultyFileSystem files;
  CHECK_ERROR(ErrorCode::kLimitExceeded, Reader::Open(Prefix(), {}, files));
  std::filesystem::resize_file(Shard(), std::size_t{64} << 20);
  CHECK_EQ(Reader::Open(Prefix(), {}, files)->index().num_visible(), 3000u);
  std::filesystem::remove(Shard());
  CHECK_ERROR(ErrorCode::kLimitExceeded, Reader::Open(Prefix(), {}, files));
  CHECK_EQ(files.open_files(), 0);
  CHECK_EQ(files.live_maps(), 0);
}

}  // namespace
}  // namespace fastckpt::bundle
