// Opening a V1 checkpoint: the files, and the list of their tensors.
#include <algorithm>
#include <utility>

#include "crc/crc32c.h"
#include "legacy/reader.h"
#include "table/block.h"

namespace fastckpt::legacy {
namespace {

constexpr std::uint64_t kListAllowance = std::uint64_t{4} << 20;

// The value of the empty key, which sorts first: in the first block, or nowhere.
ByteView FindMeta(const table::TableReader& table, const io::Source& source,
                  std::vector<std::uint8_t>* block) {
  if (const auto handle = table.FindBlock({})) {
    *block = table.ReadBlock(*handle);
    table::BlockCursor cursor{ByteView(*block)};
    if (cursor.Next() && cursor.key().empty()) return cursor.value();
  }
  throw Error(ErrorCode::kDataLoss,
              "the file has no record of its tensors; it is not a V1 checkpoint")
      .At(source.path());
}

MetaSummary CheckMeta(ByteView meta, const std::string& path) {
  MetaSummary summary;
  if (!Summarise(meta, &summary) || !summary.has_meta) {
    throw Error(ErrorCode::kDataLoss, "the file's record of its tensors cannot be parsed").At(path);
  }
  const tensor::VersionDef& version = summary.version;
  if (version.is_supported()) return summary;
  throw Error(ErrorCode::kInvalidArgument,
              "the checkpoint's format version is not supported (producer " +
                  std::to_string(version.producer) + ", min_consumer " +
                  std::to_string(version.min_consumer) + "); this reader implements version 1")
      .At(path);
}

// By name; items of one tensor in the order of files and of the record.
bool Before(const Item& a, const Item& b) {
  const int order = a.name().compare(b.name());
  if (order != 0) return order < 0;
  return a.file != b.file ? a.file < b.file : a.message < b.message;
}

}  // namespace

std::shared_ptr<Reader> Reader::Open(const std::vector<std::string>& paths,
                                     const ReaderOptions& options, io::FileSystem& file_system) {
  std::shared_ptr<Reader> reader(new Reader());
  reader->paths_ = paths;
  reader->AddFiles(options, file_system);
  reader->CollectItems();
  reader->ListVisible(options.skip_damage);
  return reader;
}

Reader::File Reader::OpenFile(const std::string& path, io::FileSystem& file_system) {
  File file;
  // Read, not mapped: values are decoded from a block's verified copy in any case.
  file.source = io::OpenSource(path, io::Backend::kPositional, file_system);
  file.table = std::make_unique<table::TableReader>(file.source);
  file.meta = FindMeta(*file.table, *file.source, &file.block);
  CheckMeta(file.meta, path);
  file.fingerprint = file.table->Fingerprint();
  return file;
}

void Reader::AddFiles(const ReaderOptions& options, io::FileSystem& file_system) {
  for (const std::string& path : paths_) {
    try {
      files_.push_back(OpenFile(path, file_system));
    } catch (const Error& error) {
      if (!options.skip_damage || error.code() != ErrorCode::kDataLoss) throw;
      damage_.push_back({error, {}, {}});
      files_.emplace_back();
      continue;
    }
    const File& file = files_.back();
    file_bytes_ += file.source->size();
    fingerprint_ = crc::Extend(fingerprint_, &file.fingerprint, sizeof file.fingerprint);
  }
  if (!damage_.empty() && damage_.size() == files_.size()) throw Error(damage_.front().error);
}

void Reader::CollectItems() {
  std::uint64_t count = 0;
  for (const File& file : files_) {
    MetaSummary summary;
    Summarise(file.meta, &summary);
    count += summary.num_items;
  }
  // Two bytes can make an item, so the list is bounded by what is there before it is made.
  constexpr std::uint64_t kItemBytes = sizeof(Item) + 2 * sizeof(std::uint32_t);
  if (count * kItemBytes > kListAllowance + file_bytes_) {
    throw Error(
        ErrorCode::kLimitExceeded,
        "the list of tensors is too large in memory: it needs more than 4 MiB + the size of "
        "the checkpoint")
        .At(paths_.front());
  }
  items_.reserve(static_cast<std::size_t>(count));
  for (std::uint32_t i = 0; i < files_.size(); ++i) AppendItems(files_[i].meta, i, &items_);
  // One file lists its tensors in name order, which is cheap to see.
  if (!std::ranges::is_sorted(items_, Before)) std::ranges::sort(items_, Before);
  first_items_.reserve(items_.size() + 1);
  for (std::uint32_t i = 0; i < items_.size(); ++i) {
    if (i == 0 || items_[i].name() != items_[i - 1].name()) first_items_.push_back(i);
  }
  first_items_.push_back(static_cast<std::uint32_t>(items_.size()));
}

void Reader::ListVisible(bool skip_damage) {
  visible_.reserve(num_tensors());
  for (std::uint32_t id = 0; id < num_tensors(); ++id) {
    try {
      if (skip_damage) Describe(id);
      visible_.push_back(id);
    } catch (const Error& error) {
      const std::string key(name(id));
      damage_.push_back({error, key, key});
    }
  }
}

}  // namespace fastckpt::legacy
