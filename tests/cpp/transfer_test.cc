#include "bundle/transfer.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "harness.h"
#include "table_writer.h"
#include "transfer_rooms.h"

namespace fastckpt::bundle {
namespace {

using testing::BundleWriter;
using testing::CheckOnly;
using testing::EntrySpec;
using testing::kMiB;
using testing::PatternBytes;
using testing::Rooms;
using testing::SizesAroundThePiece;
using testing::TemporaryDirectory;
using testing::TransfersInto;
using testing::WaitForEnd;

constexpr io::Backend kBackends[] = {io::Backend::kMapped, io::Backend::kPositional,
                                     io::Backend::kDirect};

std::string Prefix() {
  return TemporaryDirectory() + "/model.ckpt-1";
}

// What a transfer leaves at the destination, from the format's text alone.
std::string ExpectedValue(const BundleWriter& bundle, const EntrySpec& spec) {
  std::string value =
      bundle.shards.at(spec.shard_id)
          .substr(static_cast<std::size_t>(spec.offset), static_cast<std::size_t>(spec.size));
  // complex128 and complex64 are two numbers an element.
  static const std::vector<std::pair<std::int64_t, std::ptrdiff_t>> units = {
      {1, 4}, {2, 8}, {3, 4}, {5, 2}, {8, 4}, {9, 8}, {14, 2}, {17, 2}, {18, 8}, {19, 2}};
  for (const auto& [dtype, unit] : units) {
    if (bundle.header.endianness == 0 || spec.dtype != dtype) continue;
    for (auto p = value.begin(); p != value.end(); p += unit) std::reverse(p, p + unit);
  }
  for (char& byte : value) {
    if (spec.dtype == 4) break;
    if (spec.dtype == 10) byte = byte != 0 ? 1 : 0;
    if (spec.dtype == 29 || spec.dtype == 30 || spec.dtype == 33) byte &= 0x0F;
    if (spec.dtype == 31 || spec.dtype == 32) byte &= 0x03;
  }
  return value;
}

using Values = std::map<std::string, std::string, std::less<>>;

Values ExpectedValues(const BundleWriter& bundle) {
  Values values;
  for (const auto& [name, spec] : bundle.entries) values[name] = ExpectedValue(bundle, spec);
  return values;
}

// Copies everything and compares it with the plain rule.
void CheckCopy(const Values& values, io::Backend backend, const TransferOptions& options) {
  const auto reader = Reader::Open(Prefix(), {backend, false});
  const std::vector<std::uint32_t> ids = reader->StoredIds();
  Rooms rooms(*reader, ids);
  TransferJob job(reader, TransfersInto(rooms, ids), options);
  WaitForEnd(job);
  CHECK_EQ(job.bytes_done(), reader->stored_bytes());
  CHECK_EQ(job.bytes_read(), reader->stored_bytes());
  CHECK_EQ(job.tensors_done(), ids.size());
  CHECK(job.TakeFailures().empty());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::string& expected = values.find(reader->name(ids[i]))->second;
    CHECK(rooms.value(i, expected.size()) == expected);
    CHECK(rooms.IsGuarded(i, expected.size()));
    CHECK_EQ(reader->IsVerified(ids[i]), options.verify);
  }
}

TEST(copies_equal_a_plain_loop_for_any_number_of_threads) {
  const BundleWriter bundle = SizesAroundThePiece();
  bundle.Write(Prefix());
  const Values values = ExpectedValues(bundle);
  for (const io::Backend backend : kBackends) {
    for (int threads = 0; threads <= 8; ++threads) {
      CheckCopy(values, backend, {threads % 2 == 0, false, threads});
    }
    CheckCopy(values, backend, {true, true, 3});
    CheckCopy(values, backend, {false, true, 4});
  }
}

TEST(values_are_in_native_order_and_normal_form) {
  for (const std::int64_t endianness : {0, 1}) {
    BundleWriter bundle;
    bundle.header.endianness = endianness;
    for (const auto& [dtype, item] : std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 4},
                                                                                        {2, 8},
                                                                                        {3, 4},
                                                                                        {4, 1},
                                                                                        {5, 2},
                                                                                        {8, 8},
                                                                                        {9, 8},
                                                                                        {10, 1},
                                                                                        {14, 2},
                                                                                        {17, 2},
                                                                                        {18, 16},
                                                                                        {19, 2},
                                                                                        {24, 1},
                                                                                        {29, 1},
                                                                                        {30, 1},
                                                                                        {31, 1},
                                                                                        {32, 1},
                                                                                        {33, 1}}) {
      const std::string name = std::string("d").append(std::to_string(dtype));
      for (const std::int64_t count : {0, 1, 1000}) {
        const auto size = static_cast<std::size_t>(count * item);
        bundle.Add(name + (count == 0   ? "e"
                           : count == 1 ? "s"
                                        : "v"),
                   dtype, {count}, PatternBytes(size, static_cast<std::uint64_t>(dtype)));
      }
    }
    // Large enough for pieces, in the types that are changed after copying.
    for (const std::int64_t dtype : {10, 18, 29}) {
      const std::int64_t item = dtype == 18 ? 16 : 1;
      bundle.Add(std::string("large").append(std::to_string(dtype)), dtype,
                 {static_cast<std::int64_t>(9 * kMiB) / item}, PatternBytes(9 * kMiB, 77));
    }
    bundle.Write(Prefix());
    const Values values = ExpectedValues(bundle);
    for (const io::Backend backend : kBackends) {
      for (const int threads : {1, 4}) {
        CheckCopy(values, backend, {true, false, threads});
        CheckCopy(values, backend, {false, false, threads});
      }
    }
  }
}

TEST(check_only_transfers_verify_every_kind) {
  BundleWriter bundle = SizesAroundThePiece();
  bundle.Add("strings", 7, {2}, testing::StoreStrings({"ab", std::string(100000, 'c')}));
  bundle.Add("variant", 21, {1}, testing::StoreVariants({"record"}));
  bundle.Write(Prefix());
  for (const io::Backend backend : kBackends) {
    for (const int threads : {0, 1, 2, 5}) {
      const auto reader = Reader::Open(Prefix(), {backend, false});
      const std::vector<std::uint32_t> ids = reader->StoredIds();
      TransferJob job(reader, CheckOnly(ids), {true, false, threads});
      WaitForEnd(job);
      CHECK_EQ(job.bytes_read(), reader->stored_bytes());
      for (const std::uint32_t id : ids) CHECK(reader->IsVerified(id));
    }
  }
}

TEST(check_only_transfers_without_verify_do_nothing) {
  BundleWriter bundle;
  bundle.Add("bad", 4, {3}, "abc").crc ^= 1;
  bundle.Add("strings", 7, {2}, testing::StoreStrings({"ab", "c"})).crc ^= 1;
  bundle.Write(Prefix());
  const auto reader = Reader::Open(Prefix(), {});
  TransferJob job(reader, CheckOnly(reader->StoredIds()), {false, false, 2});
  WaitForEnd(job);
  CHECK(!reader->IsVerified(0));
}

// Ten tensors, of which those with a number divisible by three are damaged; one is large.
BundleWriter ThirdsDamaged() {
  BundleWriter bundle;
  for (int i = 0; i < 10; ++i) {
    const std::size_t size = i == 6 ? 20 * kMiB : 1000;
    EntrySpec& spec =
        bundle.Add(std::string("t").append(std::to_string(i)), 4, {static_cast<std::int64_t>(size)},
                   PatternBytes(size, static_cast<std::uint64_t>(i)));
    if (i % 3 == 0) bundle.shards[0][static_cast<std::size_t>(spec.offset) + size / 2] ^= 1;
  }
  return bundle;
}

TEST(damage_is_found_and_never_handed_out) {
  const BundleWriter bundle = ThirdsDamaged();
  bundle.Write(Prefix());
  for (const io::Backend backend : kBackends) {
    for (int threads = 0; threads <= 4; ++threads) {
      const auto reader = Reader::Open(Prefix(), {backend, false});
      std::vector<std::uint32_t> ids = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
      Rooms rooms(*reader, ids);
      TransferJob job(reader, TransfersInto(rooms, ids), {true, true, threads});
      WaitForEnd(job);
      std::vector<std::uint32_t> failed;
      for (const TransferFailure& failure : job.TakeFailures()) {
        failed.push_back(failure.id);
        CHECK(failure.error.code() == ErrorCode::kDataLoss);
        CHECK(failure.error.key() == reader->name(failure.id));
      }
      CHECK((failed == std::vector<std::uint32_t>{9, 6, 3, 0}));
      CHECK_EQ(job.tensors_done(), 10u);
      CHECK_EQ(job.bytes_done(), reader->stored_bytes());
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const EntrySpec& spec = bundle.entries.at(std::string(reader->name(ids[i])));
        const std::string expected = ids[i] % 3 == 0
                                         ? std::string(static_cast<std::size_t>(spec.size), '\0')
                                         : ExpectedValue(bundle, spec);
        CHECK(rooms.value(i, expected.size()) == expected);
        CHECK(rooms.IsGuarded(i, expected.size()));
        CHECK_EQ(reader->IsVerified(ids[i]), ids[i] % 3 != 0);
      }
    }
  }
}

TEST(without_keep_going_the_first_failure_ends_the_job) {
  ThirdsDamaged().Write(Prefix());
  for (int threads = 0; threads <= 4; ++threads) {
    const auto reader = Reader::Open(Prefix(), {});
    TransferJob job(reader, CheckOnly(reader->StoredIds()), {true, false, threads});
    CHECK_ERROR(ErrorCode::kDataLoss, WaitForEnd(job));
    CHECK(job.TakeFailures().empty());
  }
}

TEST(without_verify_damage_is_copied_as_it_is) {
  const BundleWriter bundle = ThirdsDamaged();
  bundle.Write(Prefix());
  CheckCopy(ExpectedValues(bundle), io::Backend::kMapped, {false, false, 2});
}

}  // namespace
}  // namespace fastckpt::bundle
