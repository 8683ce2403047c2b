#include "commit/names.h"

#include <string>

#include "harness.h"

namespace fastckpt::commit {
namespace {

TEST(file_names_are_those_of_tensorflow) {
  CHECK_EQ(DataFileName("p", 0, 1), "p.data-00000-of-00001");
  CHECK_EQ(DataFileName("p", 12, 345), "p.data-00012-of-00345");
  CHECK_EQ(DataFileName("p", 123456, 1234567), "p.data-123456-of-1234567");
  CHECK_EQ(DataFileName("p", 2147483646, 2147483647), "p.data-2147483646-of-2147483647");
  CHECK_EQ(IndexFileName("dir/p"), "dir/p.index");
}

TEST(temporary_names_are_no_longer_than_the_longest_final_one) {
  const std::size_t longest = DataFileName("p", 0, 1).size();
  for (const std::string& name :
       {LockName("p"), TemporaryIndexName("p"), BackupIndexName("p"), TemporaryDataName("p", 99999),
        TemporaryCompanionName("p", ".abcde"), BackupCompanionName("p", ".abcde")}) {
    CHECK(name.starts_with("p."));
    CHECK(name.ends_with(".tmp"));
    CHECK(name.size() <= longest);
  }
}

TEST(data_file_names_are_parsed_back) {
  for (const auto& [shard, total] :
       {std::pair{0, 1}, {12, 345}, {99999, 100000}, {0, 2147483647}}) {
    const auto file = ParseDataFileName("p.q", DataFileName("p.q", shard, total));
    CHECK(file.has_value());
    CHECK_EQ(file->shard, shard);
    CHECK_EQ(file->num_shards, total);
  }
}

TEST(names_that_no_writer_gives_are_no_data_files) {
  for (const char* const name :
       {"p.data-00000-of-00000", "p.data-00002-of-00002", "p.data-0000-of-00001",
        "p.data-000000-of-00001", "p.data-00000-of-000001", "p.data-00000-of-00001x",
        "p.data-00000-of-00001.tmp", "p.data-00000-of-2147483648", "p.data-00000-of-",
        "p.data--0000-of-00001", "p.data-00000of-00001", "p.index", "p", "",
        "q.data-00000-of-00001", "pp.data-00000-of-00001", "p.p.data-00000-of-00001"}) {
    CHECK(!ParseDataFileName("p", name));
  }
}

TEST(every_temporary_but_the_lock_is_recognised) {
  for (const std::string& name :
       {TemporaryDataName("p", 0), TemporaryDataName("p", 123456), TemporaryIndexName("p"),
        BackupIndexName("p"), TemporaryCompanionName("p", ".meta"),
        BackupCompanionName("p", ".meta")}) {
    CHECK(IsTemporaryName("p", name));
  }
  CHECK(!IsTemporaryName("p", LockName("p")));
}

TEST(files_of_others_are_no_temporaries) {
  for (const std::string& name :
       {std::string("p.index"), std::string("p.tmp"), std::string("p.meta.tmp"),
        std::string("p.data-0000.tmp"), std::string("p.data-00000-of-00001"),
        std::string("p.data-00000-of-00001.tmp"), std::string("p.index..tmp"),
        std::string("p.index.a.b.tmp"), std::string("p.index.a-b.tmp"), TemporaryIndexName("q"),
        TemporaryIndexName("pp"), TemporaryIndexName("p.q"), TemporaryIndexName("p.index"),
        LockName("p.index"), TemporaryDataName("p.index", 0), BackupIndexName("p.index")}) {
    if (IsTemporaryName("p", name)) testing::Fail(__FILE__, __LINE__, name);
  }
}

TEST(companion_suffixes_are_a_dot_and_a_short_word) {
  for (const char* const suffix : {".meta", ".a", ".ab_12"}) CHECK(IsCompanionSuffix(suffix));
  for (const char* const suffix : {"", ".", "meta", ".meta.x", ".me/ta", ".index", ".lock", ".old",
                                   ".old_a", ".toolong", ".m-a", ".\xC3\xA4"}) {
    CHECK(!IsCompanionSuffix(suffix));
  }
}

}  // namespace
}  // namespace fastckpt::commit
