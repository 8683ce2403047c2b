#include "bundle_checks.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "bundle/load_plan.h"
#include "bundle/parts.h"
#include "bundle/strided.h"
#include "bundle/transfer.h"
#include "coding/ordered.h"
#include "tensor/dtype.h"

namespace fastckpt::fuzz {
namespace {

using bundle::Entry;
using bundle::EntryStatus;
using bundle::Reader;

// Reads of more bytes than this are left out: the copies of this file would be slow, not the
// reader.
constexpr std::uint64_t kMaxRead = std::uint64_t{1} << 20;

std::set<std::string, std::less<>> MentionedSlices(const Reader& reader) {
  std::set<std::string, std::less<>> keys;
  for (const Entry& entry : reader.index().entries()) {
    for (std::size_t s = 0; entry.sliced && s < entry.size; ++s) {
      const auto extents = reader.index().slice(entry, s);
      keys.insert(
          coding::EncodeSliceKey(reader.index().name(entry), {extents.begin(), extents.end()}));
    }
  }
  return keys;
}

// Along each dimension something inside the shape; `positions` are the elements that it means.
std::vector<bundle::StridedDim> RandomRegion(Random& random, tensor::ShapeView shape,
                                             std::int64_t item_size,
                                             std::vector<std::int64_t>* positions) {
  std::vector<bundle::StridedDim> dims(shape.size());
  if (std::ranges::count(shape, 0) > 0) {
    // All of an empty tensor: its other dimensions may be of any size.
    std::ranges::transform(shape, dims.begin(),
                           [](std::int64_t extent) { return bundle::StridedDim{0, extent, 1, 0}; });
    return dims;
  }
  std::int64_t target_stride = item_size;
  std::int64_t source_stride = 1;
  *positions = {0};
  for (std::size_t d = shape.size(); d-- > 0;) {
    const auto extent = static_cast<std::size_t>(shape[d]);
    bundle::StridedDim& dim = dims[d];
    dim.start = static_cast<std::int64_t>(random.OneIn(2) ? 0 : random.Below(extent));
    dim.step = random.OneIn(2) ? 1 : 1 + static_cast<std::int64_t>(random.Below(extent));
    const std::int64_t most = extent == 0 ? 0 : (shape[d] - 1 - dim.start) / dim.step + 1;
    dim.count = random.OneIn(2)
                    ? most
                    : static_cast<std::int64_t>(random.Below(static_cast<std::size_t>(most) + 1));
    dim.stride_bytes = target_stride;
    std::vector<std::int64_t> wider;
    for (std::int64_t i = 0; i < dim.count; ++i) {
      for (const std::int64_t inner : *positions) {
        wider.push_back((dim.start + i * dim.step) * source_stride + inner);
      }
    }
    *positions = std::move(wider);
    if (positions->empty()) return dims;
    target_stride *= dim.count;
    source_stride *= shape[d];
  }
  return dims;
}

bool AreDisjoint(const tensor::Box& a, const tensor::Box& b) {
  for (std::size_t d = 0; d < a.starts.size(); ++d) {
    const std::int64_t begin = std::max(a.starts[d], b.starts[d]);
    const std::int64_t end = std::min(a.starts[d] + a.sizes[d], b.starts[d] + b.sizes[d]);
    if (begin >= end) return true;
  }
  return false;
}

std::vector<Outcome> Outcomes(const std::vector<Error>& errors) {
  std::vector<Outcome> outcomes;
  std::ranges::transform(errors, std::back_inserter(outcomes), OutcomeOf);
  return outcomes;
}

}  // namespace

void BundleChecks::CheckListing(bool skip_damage) const {
  const bundle::Index& index = mapped_->index();
  REQUIRE(index.entries().size() == positional_->index().entries().size());
  REQUIRE(mapped_->fingerprint() == positional_->fingerprint());
  const auto mentioned = MentionedSlices(*mapped_);
  std::size_t visible = 0;
  for (std::uint32_t id = 0; id < index.entries().size(); ++id) {
    const std::string_view name = mapped_->name(id);
    REQUIRE(name == positional_->name(id));
    REQUIRE(!name.empty() && (id == 0 || mapped_->name(id - 1) < name));
    REQUIRE(mapped_->Find(name) == id);
    const bool is_bad = mapped_->entry(id).status != EntryStatus::kOk;
    const bool is_hidden = mentioned.contains(name) || (skip_damage && is_bad);
    const bool is_listed = visible < index.num_visible() && index.visible(visible) == id;
    REQUIRE(is_listed == !is_hidden);
    visible += is_listed ? 1 : 0;
  }
  REQUIRE(visible == index.num_visible());
}

void BundleChecks::CheckEntries() {
  for (std::uint32_t id = 0; id < mapped_->index().entries().size(); ++id) {
    const Outcome verified = Try([&] { mapped_->Verify(id); });
    REQUIRE(verified == Try([&] { positional_->Verify(id); }));
    REQUIRE(mapped_->IsVerified(id) == verified.ok());
    REQUIRE(verified.ok() || verified.key == mapped_->TensorName(id));
    num_verified_ += verified.ok() ? 1 : 0;
    verified_.push_back(verified);
    const Entry& entry = mapped_->entry(id);
    if (entry.status != EntryStatus::kOk) continue;
    if (entry.sliced) {
      CheckParts(id);
    } else if (verified.ok() || Try([&] { mapped_->SourceOf(id); }).ok()) {
      loadable_.push_back(id);
      CheckBytes(id);
    }
  }
}

void BundleChecks::CheckBytes(std::uint32_t id) {
  const Entry& entry = mapped_->entry(id);
  const bundle::StoredBytes stored = mapped_->Fetch(id);
  REQUIRE(stored.bytes.size() == entry.size);
  REQUIRE(std::ranges::equal(stored.bytes, positional_->Fetch(id).bytes));
  if (tensor::IsPlain(entry.dtype) && entry.size <= kMaxRead) CheckStrided(id, Values(id));
}

std::string BundleChecks::Values(std::uint32_t id) const {
  const Entry& entry = mapped_->entry(id);
  std::string values(AsText(mapped_->Fetch(id).bytes));
  const std::size_t unit = mapped_->index().header().big_endian ? tensor::SwapUnit(entry.dtype) : 1;
  for (std::size_t i = 0; i + unit <= values.size(); i += unit) {
    std::reverse(values.begin() + static_cast<std::ptrdiff_t>(i),
                 values.begin() + static_cast<std::ptrdiff_t>(i + unit));
  }
  tensor::Normalise(entry.dtype, {reinterpret_cast<std::uint8_t*>(values.data()), values.size()});
  return values;
}

void BundleChecks::CheckStrided(std::uint32_t id, const std::string& values) {
  const Entry& entry = mapped_->entry(id);
  const std::size_t item_size = tensor::ItemSize(entry.dtype);
  std::vector<std::int64_t> positions;
  const auto dims = RandomRegion(random_, mapped_->index().shape(entry),
                                 static_cast<std::int64_t>(item_size), &positions);
  std::string expected;
  for (const std::int64_t position : positions) {
    expected += values.substr(static_cast<std::size_t>(position) * item_size, item_size);
  }
  for (const auto& reader : {mapped_, positional_}) {
    std::vector<std::uint8_t> read(expected.size());
    const std::uint64_t touched = bundle::ReadStrided(*reader, id, dims, read.data());
    REQUIRE(AsText(read) == expected);
    REQUIRE(touched >= expected.size() && touched <= entry.size);
  }
}

void BundleChecks::CheckParts(std::uint32_t id) const {
  std::vector<bundle::Part> parts;
  const Outcome found = Try([&] { parts = bundle::FindParts(*mapped_, id); });
  REQUIRE(found == Try([&] { bundle::FindParts(*positional_, id); }));
  if (!found.ok()) return;
  const auto shape = mapped_->index().shape(mapped_->entry(id));
  std::uint64_t size = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const tensor::Box& box = parts[i].box;
    REQUIRE(box.starts.size() == shape.size() && box.sizes.size() == shape.size());
    for (std::size_t d = 0; d < shape.size(); ++d) {
      REQUIRE(box.starts[d] >= 0 && box.sizes[d] >= 0 && box.starts[d] <= shape[d]);
      REQUIRE(box.sizes[d] <= shape[d] - box.starts[d]);
    }
    for (std::size_t j = 0; j < i; ++j) REQUIRE(AreDisjoint(box, parts[j].box));
    if (parts[i].id == bundle::Part::kMissing) continue;
    REQUIRE(mapped_->entry(parts[i].id).dtype == mapped_->entry(id).dtype);
    size += mapped_->entry(parts[i].id).size;
  }
  REQUIRE(bundle::StoredSize(*mapped_, id) == size);
}

std::vector<std::uint32_t> BundleChecks::IdsToLoad() const {
  std::vector<std::uint32_t> ids = loadable_;
  mapped_->SortByFileOrder(&ids);
  std::uint64_t total = 0;
  std::erase_if(ids, [&](std::uint32_t id) {
    total += mapped_->entry(id).size;
    return total > kMaxRead;
  });
  return ids;
}

void BundleChecks::CheckLoad() const {
  const std::vector<std::uint32_t> ids = IdsToLoad();
  for (const auto& reader : {mapped_, positional_}) {
    bundle::LoadPlan plan(*reader, ids);
    bundle::TransferJob job(reader, plan.transfers, {true, true, 0});
    REQUIRE(job.WaitFor(std::chrono::milliseconds(0)));
    REQUIRE(job.tensors_done() == plan.transfers.size());
    std::map<std::uint32_t, Outcome> failures;
    for (const auto& failure : job.TakeFailures()) {
      failures.emplace(failure.id, OutcomeOf(failure.error));
    }
    for (const bundle::Transfer& transfer : plan.transfers) {
      const Outcome& verified = verified_[transfer.id];
      REQUIRE(failures.contains(transfer.id) ? failures[transfer.id] == verified : verified.ok());
      if (transfer.destination == nullptr) continue;
      const auto size = static_cast<std::size_t>(reader->entry(transfer.id).size);
      const std::string expected = verified.ok() ? Values(transfer.id) : std::string(size, '\0');
      REQUIRE(AsText({transfer.destination, size}) == expected);
    }
  }
}

void BundleChecks::CheckFindings() const {
  REQUIRE(Outcomes(mapped_->CheckFiles()) == Outcomes(positional_->CheckFiles()));
  std::vector<Outcome> damage;
  for (const auto& range : mapped_->Damage()) damage.push_back(OutcomeOf(range.error));
  std::vector<Outcome> same;
  for (const auto& range : positional_->Damage()) same.push_back(OutcomeOf(range.error));
  REQUIRE(damage == same);
}

}  // namespace fastckpt::fuzz
