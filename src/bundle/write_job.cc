#include "bundle/write_job.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "base/prefetch.h"
#include "crc/crc32c.h"
#include "io/arena.h"

namespace fastckpt::bundle {
namespace {

// Below this, waking another thread costs more than it saves.
constexpr std::uint64_t kInlineBytes = std::uint64_t{1} << 20;
// Copied and checksummed in steps that stay in the first-level cache.
constexpr std::uint64_t kStepSize = 16 * 1024;
// How often the device is told to begin, in bytes.
constexpr std::uint64_t kWritebackBytes = std::uint64_t{8} << 20;

// Small arrays lie anywhere in memory: that of one so far ahead is asked for, up to so many bytes.
constexpr std::ptrdiff_t kAhead = 12;
constexpr std::uint64_t kSmallSpan = 1024;
constexpr std::uint64_t kCacheLine = 64;

void PrefetchSmall(const Span& span) {
  if (span.size > kSmallSpan) return;
  for (std::uint64_t at = 0; at < span.size; at += kCacheLine) Prefetch(span.data + at);
}

// A chunk holds at most one block boundary of a tensor, hence two pieces of it.
constexpr std::uint64_t kSlotsPerChunk = 2;
static_assert(kChunkSize <= kCrcBlockSize && kDirectChunkSize <= kCrcBlockSize);

}  // namespace

WriteJob::WriteJob(StoredItems* items, std::vector<ShardFile>* shards, WriteBatch batch,
                   const WriteOptions& options)
    : items_(items),
      shards_(shards),
      batch_(std::move(batch)),
      options_(options),
      chunk_size_(options.chunk_size),
      old_tails_(shards->size()) {
  std::uint64_t total = 0;
  for (std::uint32_t s = 0; s < shards_->size(); ++s) total += PlanShard(s);
  // Threads that work side by side work on different files: two in one file wait for each other.
  std::ranges::stable_sort(units_, {}, &Unit::chunk);
  const bool is_small = total < kInlineBytes;
  job_.emplace(
      units_.size(), [this](std::size_t i) { Run(units_[i]); }, is_small ? 0 : options_.num_threads,
      Job::Caller::kHelps);
}

WriteJob::~WriteJob() = default;

// Lists the chunks that this batch fills or begins; returns the bytes it adds.
std::uint64_t WriteJob::PlanShard(std::uint32_t shard) {
  ShardFile& file = (*shards_)[shard];
  const std::uint64_t end = batch_.ends[shard];
  if (end == file.size) return 0;
  PlanSlots(&batch_.spans[shard]);
  const std::uint64_t first = file.tail_begin / chunk_size_;
  const std::uint64_t full_end = end / chunk_size_ * chunk_size_;
  for (std::uint64_t chunk = first; chunk * chunk_size_ < end; ++chunk) {
    units_.push_back({shard, chunk});
  }
  // Two threads that make one file grow hinder each other.
  if (full_end > file.tail_begin + chunk_size_) file.sink->Reserve(full_end);
  if (full_end > file.tail_begin) {
    old_tails_[shard] = std::exchange(file.tail, {});
  }
  return end - file.size;
}

// Where this thread assembles a chunk, on a page boundary. It stays for the next save: to touch
// fresh memory takes as long as to write a chunk of it.
MutableBytes WriteJob::ChunkOfThread() const {
  thread_local std::shared_ptr<io::Arena> chunk;
  const auto size = static_cast<std::size_t>(chunk_size_);
  if (!chunk || chunk->bytes().size() < size) chunk = io::Arena::Allocate(size);
  return chunk->bytes().first(size);
}

bool WriteJob::IsSplit(const Span& span) const {
  return span.item != Span::kNone && span.size != 0 &&
         (FirstChunk(span) != LastChunk(span) || span.size > kCrcBlockSize);
}

void WriteJob::PlanSlots(std::vector<Span>* spans) {
  for (Span& span : *spans) {
    if (!IsSplit(span)) continue;
    span.first_slot = static_cast<std::uint32_t>(slots_.size());
    slots_.resize(slots_.size() + kSlotsPerChunk * (LastChunk(span) - FirstChunk(span) + 1));
  }
}

bool WriteJob::WaitFor(std::chrono::milliseconds timeout) {
  if (!job_->WaitFor(timeout)) return false;
  if (!std::exchange(complete_, true)) Complete();
  return true;
}

void WriteJob::Cancel() {
  job_->Cancel();
}

void WriteJob::Run(const Unit& unit) {
  ShardFile& file = (*shards_)[unit.shard];
  const std::uint64_t begin = unit.chunk * chunk_size_;
  const std::uint64_t shard_end = batch_.ends[unit.shard];
  const std::uint64_t end = std::min(begin + chunk_size_, shard_end);
  const std::uint64_t fresh = end - std::max(begin, file.size);
  if (end < begin + chunk_size_) {
    // The last chunk: kept until it is full. Only this unit touches the tail.
    file.tail.resize(end - begin);
    Assemble(unit.shard, std::max(begin, file.size), end,
             file.tail.data() + (std::max(begin, file.size) - begin));
  } else {
    WriteChunk(unit, begin, end);
  }
  bytes_done_.fetch_add(fresh, std::memory_order_relaxed);
}

void WriteJob::WriteChunk(const Unit& unit, std::uint64_t begin, std::uint64_t end) {
  const ShardFile& file = (*shards_)[unit.shard];
  if (const Span* const span = FrozenSpan(unit.shard, begin, end)) {
    const std::uint8_t* const data = span->data + (begin - span->offset);
    current_item_.store(span->item, std::memory_order_relaxed);
    FillSlots(*span, begin, end, [&](std::uint64_t at, std::uint64_t size) {
      return crc::Value(data + (at - begin), static_cast<std::size_t>(size));
    });
    file.sink->WriteAt(begin, ByteView(data, static_cast<std::size_t>(end - begin)));
  } else {
    const MutableBytes bytes = ChunkOfThread();
    const std::vector<std::uint8_t>& old = old_tails_[unit.shard];
    if (begin == file.tail_begin && !old.empty()) std::memcpy(bytes.data(), old.data(), old.size());
    const std::uint64_t from = std::max(begin, file.size);
    Assemble(unit.shard, from, end, bytes.data() + (from - begin));
    file.sink->WriteAt(begin, bytes);
  }
  if (options_.start_writeback && end % kWritebackBytes == 0) {
    file.sink->StartWriteback(end - kWritebackBytes, kWritebackBytes);
  }
}

// The span that a chunk can be written from as it lies in memory, or null.
const Span* WriteJob::FrozenSpan(std::uint32_t shard, std::uint64_t begin,
                                 std::uint64_t end) const {
  const std::vector<Span>& spans = batch_.spans[shard];
  const auto span =
      std::ranges::upper_bound(spans, begin, {}, [](const Span& s) { return s.offset + s.size; });
  const bool is_whole =
      span != spans.end() && span->offset <= begin && end <= span->offset + span->size;
  if (!is_whole || !span->is_frozen || span->array != Span::kNone) return nullptr;
  const bool fits = (*shards_)[shard].sink->TakesFrom(span->data + (begin - span->offset));
  return fits && span->first_slot != Span::kNone ? &*span : nullptr;
}

void WriteJob::Assemble(std::uint32_t shard, std::uint64_t begin, std::uint64_t end,
                        std::uint8_t* out) {
  const std::vector<Span>& spans = batch_.spans[shard];
  auto span =
      std::ranges::upper_bound(spans, begin, {}, [](const Span& s) { return s.offset + s.size; });
  std::uint64_t position = begin;
  for (; span != spans.end() && span->offset < end; ++span) {
    if (spans.end() - span > kAhead) PrefetchSmall(span[kAhead]);
    const std::uint64_t from = std::max(begin, span->offset);
    const std::uint64_t to = std::min(end, span->offset + span->size);
    std::memset(out + (position - begin), 0, from - position);
    AssembleSpan(*span, from, to, out + (from - begin));
    position = to;
  }
  std::memset(out + (position - begin), 0, end - position);
}

void WriteJob::AssembleSpan(const Span& span, std::uint64_t begin, std::uint64_t end,
                            std::uint8_t* out) {
  if (span.item == Span::kNone) {
    std::memcpy(out, span.data + (begin - span.offset), end - begin);
    return;
  }
  current_item_.store(span.item, std::memory_order_relaxed);
  if (span.first_slot == Span::kNone) {
    (*items_)[span.item].crc = Move(span, begin - span.offset, {out, end - begin});
    return;
  }
  FillSlots(span, begin, end, [&](std::uint64_t at, std::uint64_t size) {
    return Move(span, at - span.offset, {out + (at - begin), size});
  });
}

// Takes the CRCs of the pieces of a span that lie in one chunk, cut where blocks of the span end.
template <typename PieceCrcOf>
void WriteJob::FillSlots(const Span& span, std::uint64_t begin, std::uint64_t end,
                         PieceCrcOf crc_of) {
  std::uint64_t slot = span.first_slot + kSlotsPerChunk * (begin / chunk_size_ - FirstChunk(span));
  while (begin < end) {
    const std::uint64_t block_left = kCrcBlockSize - (begin - span.offset) % kCrcBlockSize;
    const std::uint64_t size = std::min(end - begin, block_left);
    slots_[slot++] = {crc_of(begin, size), static_cast<std::uint32_t>(size)};
    begin += size;
  }
}

// Copies [begin, begin + out.size()) of a span; returns the CRC of what was copied.
std::uint32_t WriteJob::Move(const Span& span, std::uint64_t begin, MutableBytes out) const {
  if (span.array != Span::kNone) tensor::Gather(batch_.arrays[span.array], begin, out);
  std::uint32_t crc = 0;
  for (std::uint64_t done = 0; done < out.size();) {
    const MutableBytes step = out.subspan(done, std::min(kStepSize, out.size() - done));
    if (span.array == Span::kNone) std::memcpy(step.data(), span.data + begin + done, step.size());
    crc = crc::Extend(crc, step.data(), step.size());
    done += step.size();
  }
  return crc;
}

// Joins the CRCs of a span's pieces, and those of each of its blocks.
void WriteJob::CollectCrcs(const Span& span) {
  StoredItem& item = (*items_)[span.item];
  std::vector<std::uint32_t> blocks;
  std::uint32_t block_crc = 0;
  std::uint64_t at = 0;
  const std::uint64_t num_slots = kSlotsPerChunk * (LastChunk(span) - FirstChunk(span) + 1);
  item.crc = 0;
  for (std::uint64_t i = 0; i < num_slots; ++i) {
    const PieceCrc& piece = slots_[span.first_slot + i];
    if (piece.size == 0) continue;
    item.crc = crc::Combine(item.crc, piece.crc, piece.size);
    block_crc = crc::Combine(block_crc, piece.crc, piece.size);
    at += piece.size;
    if (at % kCrcBlockSize == 0 || at == span.size) {
      blocks.push_back(crc::Mask(std::exchange(block_crc, 0)));
    }
  }
  if (options_.block_crcs && blocks.size() > 1) items_->SetBlocks(&item, blocks);
}

void WriteJob::Complete() {
  for (std::uint32_t s = 0; s < shards_->size(); ++s) {
    ShardFile& file = (*shards_)[s];
    file.size = batch_.ends[s];
    file.tail_begin = file.size / chunk_size_ * chunk_size_;
    for (const Span& span : batch_.spans[s]) {
      if (span.first_slot != Span::kNone) CollectCrcs(span);
    }
  }
}

}  // namespace fastckpt::bundle
