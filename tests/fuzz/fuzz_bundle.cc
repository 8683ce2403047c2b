// A whole checkpoint, index and data shards: opened, listed, verified, read whole and in part, from
// mapped and from positional sources, with and without skip_damage; all must agree.
//
// Input: an image (memory_files.h). Bit 0 of its options asks for skip_damage, the other bits
// choose what partial reads ask for.

#include "bundle_checks.h"
#include "bundle_model.h"
#include "memory_files.h"
#include "table_model.h"

namespace fastckpt::fuzz {
namespace {

struct Opened {
  std::shared_ptr<bundle::Reader> reader;
  Outcome outcome;
};

Opened Open(MemoryFiles& files, std::size_t input_bytes, io::Backend backend, bool skip_damage) {
  Opened opened;
  const MemoryBound bound(input_bytes);
  opened.outcome =
      Try([&] { opened.reader = bundle::Reader::Open("p", {backend, skip_damage}, files); });
  REQUIRE(opened.outcome.ok() || !opened.outcome.path.empty());
  return opened;
}

void CheckAgainstOtherMode(const bundle::Reader& reader, const Opened& other, bool skip_damage) {
  if (!other.reader) return REQUIRE(skip_damage);
  const bundle::Reader& strict = skip_damage ? *other.reader : reader;
  const bundle::Reader& lenient = skip_damage ? reader : *other.reader;
  // What opens strictly has the same entries either way.
  REQUIRE(strict.index().entries().size() == lenient.index().entries().size());
  REQUIRE(strict.fingerprint() == lenient.fingerprint());
  REQUIRE(lenient.index().damage().empty() && strict.Damage().empty());
  REQUIRE(strict.index().num_visible() >= lenient.index().num_visible());
}

void ChangeIndexEntry(Random& random, std::pair<std::string, std::string>* entry) {
  if (random.OneIn(8)) return MutateText(random, &entry->first);
  MutateMessage(random, &entry->second);
}

std::string ChangeCheckpoint(Random& random, ByteView input) {
  Image image = ParseImage(input);
  TableModel table = DecodeTable(AsBytes(image.index()));
  if (random.OneIn(4)) image.options = static_cast<std::uint8_t>(random.Next());
  for (std::size_t i = 1 + random.Below(3); i > 0; --i) {
    const std::size_t choice = random.Below(8);
    if (choice == 0) {
      MutateShard(random, &image);
    } else if (choice == 1) {
      MoveSlice(random, &table);
    } else {
      MutateTable(random, &table, ChangeIndexEntry);
    }
  }
  if (!random.OneIn(8)) FixTensorChecksums(&image, &table);
  image.index() = EncodeTable(table);
  return EncodeImage(image);
}

}  // namespace
}  // namespace fastckpt::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fastckpt;
  using namespace fastckpt::fuzz;
  const Image image = ParseImage(ByteView(data, size));
  MemoryFiles files(image);
  const bool skip_damage = (image.options & 1) != 0;
  const Opened mapped = Open(files, size, io::Backend::kMapped, skip_damage);
  const Opened positional = Open(files, size, io::Backend::kPositional, skip_damage);
  REQUIRE(mapped.outcome == positional.outcome);
  if (!mapped.reader) return 0;
  if ((image.options & 2) != 0) {
    const Opened other = Open(files, size, io::Backend::kMapped, !skip_damage);
    CheckAgainstOtherMode(*mapped.reader, other, skip_damage);
  }
  BundleChecks checks(mapped.reader, positional.reader, image.options);
  checks.CheckListing(skip_damage);
  checks.CheckEntries();
  checks.CheckLoad();
  checks.CheckFindings();
  if (checks.num_verified() > 0) CountAccepted();
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return fastckpt::fuzz::MutateInput(data, size, max_size, seed, fastckpt::fuzz::ChangeCheckpoint);
}
