// Checking what no reader of a V1 checkpoint needs.
#include <utility>

#include "legacy/reader.h"
#include "tensor/shape.h"

namespace fastckpt::legacy {

bool Reader::IsCovered(const Layout& layout) const {
  const auto wanted = static_cast<std::uint64_t>(*tensor::NumElements(layout.shape));
  std::uint64_t held = 0;
  for (std::size_t part = 0; part < layout.num_parts(); ++part) {
    const auto sum = CheckedAdd(held, CountOf(layout, part));
    if (!sum || *sum > wanted) return true;  // They overlap, which is another finding.
    held = *sum;
  }
  return held == wanted;
}

void Reader::CheckFile(const File& file, std::vector<Error>* findings) const {
  try {
    const table::TableReader table(file.source);
    const std::size_t before = findings->size();
    table.Scan([](std::string_view, ByteView) {},
               [&](const table::DamagedRange& damaged) { findings->push_back(damaged.error); });
    for (Error& finding : table.CheckUnread()) findings->push_back(std::move(finding));
    if (table.Fingerprint() != file.fingerprint && findings->size() == before) {
      findings->push_back(Error(ErrorCode::kChanged, "the file is not the one that was opened")
                              .At(file.source->path()));
    }
  } catch (const Error& error) {
    findings->push_back(error);
  }
}

std::vector<Error> Reader::CheckFiles() const {
  std::vector<Error> findings;
  for (const File& file : files_) {
    if (file.source) CheckFile(file, &findings);
  }
  for (const std::uint32_t id : visible_) {
    try {
      if (IsCovered(*Describe(id))) continue;
      findings.push_back(TensorError(
          ErrorCode::kDataLoss, "the stored slices do not cover the tensor; a shard may be missing",
          id, paths_.front()));
    } catch (const Error&) {
      continue;  // Reading the tensor reports it.
    }
  }
  return findings;
}

}  // namespace fastckpt::legacy
