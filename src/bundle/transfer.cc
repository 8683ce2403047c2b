#include "bundle/transfer.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "crc/crc32c.h"
#include "io/direct.h"
#include "tensor/dtype.h"

namespace fastckpt::bundle {
namespace {

// Large enough that combining CRCs is free, small enough that threads end together.
constexpr std::uint64_t kPieceBytes = std::uint64_t{8} << 20;
// Small tensors are taken together up to this many bytes or tensors.
constexpr std::uint64_t kBatchBytes = std::uint64_t{4} << 20;
constexpr std::size_t kBatchTensors = 4096;

}  // namespace

struct TransferJob::Unit {
  std::size_t first = 0;
  std::size_t count = 0;
  // For a piece of one large tensor:
  SplitState* split = nullptr;
  std::size_t piece = 0;
};

struct TransferJob::SplitState {
  explicit SplitState(std::size_t pieces) : crcs(pieces), left(pieces) {}
  std::vector<std::uint32_t> crcs;
  std::atomic<std::size_t> left;
  std::atomic<bool> failed{false};
};

TransferJob::TransferJob(std::shared_ptr<const Reader> reader, std::vector<Transfer> transfers,
                         const TransferOptions& options)
    : reader_(std::move(reader)),
      transfers_(std::move(transfers)),
      options_(options),
      access_(*reader_) {
  for (const Transfer& transfer : transfers_) access_.Want(transfer.id);
  access_.Choose(options_.keep_cached);
  Plan();
  for (const Unit& unit : units_) {
    // The first piece of a tensor speaks for all.
    if (unit.piece > 0) continue;
    access_.ExpectRead(transfers_[unit.first].id, transfers_[unit.first + unit.count - 1].id);
  }
  const bool is_inline = options_.num_threads == 0;
  const int num_threads = access_.waits() && !is_inline
                              ? std::max(options_.num_threads, io::kDirectDepth)
                              : options_.num_threads;
  const auto caller = options_.in_background ? Job::Caller::kWaits : Job::Caller::kHelps;
  job_.emplace(units_.size(), [this](std::size_t i) { Run(units_[i]); }, num_threads, caller);
}

TransferJob::~TransferJob() {
  job_.reset();
}

bool TransferJob::WaitFor(std::chrono::milliseconds timeout) {
  return job_->WaitFor(timeout);
}

void TransferJob::Cancel() {
  job_->Cancel();
}

std::vector<TransferFailure> TransferJob::TakeFailures() {
  std::lock_guard lock(mutex_);
  // Workers finish in any order; reports follow the order of the transfers.
  std::vector<std::size_t> rank(reader_->index().entries().size());
  for (std::size_t i = 0; i < transfers_.size() && !failures_.empty(); ++i) {
    rank[transfers_[i].id] = i;
  }
  std::ranges::stable_sort(failures_, {}, [&](const auto& failure) { return rank[failure.id]; });
  return std::move(failures_);
}

// A size that no file backs is not planned for: RunWhole reports it.
bool TransferJob::IsSplit(std::uint32_t id) const {
  const Entry& entry = reader_->entry(id);
  if (!tensor::IsPlain(entry.dtype) || entry.sliced || entry.size <= kPieceBytes) return false;
  try {
    reader_->SourceOf(id);
    return true;
  } catch (const Error&) {
    return false;
  }
}

void TransferJob::Plan() {
  std::uint64_t batch_bytes = 0;
  std::uint64_t batch_begin = 0;
  for (std::size_t i = 0; i < transfers_.size(); ++i) {
    const Entry& entry = reader_->entry(transfers_[i].id);
    if (IsSplit(transfers_[i].id)) {
      const auto pieces = static_cast<std::size_t>((entry.size + kPieceBytes - 1) / kPieceBytes);
      splits_.push_back(std::make_unique<SplitState>(pieces));
      for (std::size_t p = 0; p < pieces; ++p) units_.push_back({i, 1, splits_.back().get(), p});
      continue;
    }
    // Padding counts: a batch is to be one request where it can be.
    const std::uint64_t span = entry.offset - batch_begin + entry.size;
    const bool extends = !units_.empty() && units_.back().split == nullptr &&
                         units_.back().first + units_.back().count == i &&
                         units_.back().count < kBatchTensors &&
                         batch_bytes + entry.size <= kBatchBytes &&
                         (entry.offset < batch_begin || span <= kBatchBytes);
    if (!extends) {
      units_.push_back({i, 0, nullptr, 0});
      batch_bytes = 0;
      batch_begin = entry.offset;
    }
    ++units_.back().count;
    batch_bytes += entry.size;
  }
}

void TransferJob::Run(const Unit& unit) {
  current_id_.store(transfers_[unit.first].id, std::memory_order_relaxed);
  if (unit.split != nullptr) return RunPiece(unit);
  if (unit.count > 1 && RunTogether(unit)) return;
  for (std::size_t i = unit.first; i < unit.first + unit.count; ++i) RunWhole(transfers_[i], {});
}

// Reads neighbours in the file in one piece; false, and nothing is done, where that cannot be.
bool TransferJob::RunTogether(const Unit& unit) {
  const std::span transfers(&transfers_[unit.first], unit.count);
  const Entry& first = reader_->entry(transfers.front().id);
  const io::Source* source = nullptr;
  bool is_read = false;
  try {
    source = &access_.SourceOf(transfers.front().id);
    if (source->data() != nullptr) return false;
    std::uint64_t end = first.offset;
    for (const Transfer& transfer : transfers) {
      const Entry& entry = reader_->entry(transfer.id);
      if (&access_.SourceOf(transfer.id) != source || entry.offset < first.offset) return false;
      end = std::max(end, entry.offset + entry.size);
    }
    if (end - first.offset > source->piece_size()) return false;
    source->ForEachPiece(first.offset, end - first.offset, [&](ByteView bytes) {
      is_read = true;
      for (const Transfer& transfer : transfers) RunWhole(transfer, {first.offset, bytes});
    });
  } catch (const Error&) {
    // One by one each gets its own error.
    if (is_read) throw;
  }
  return is_read;
}

void TransferJob::RunWhole(const Transfer& transfer, const Window& window) {
  const Entry& entry = reader_->entry(transfer.id);
  try {
    if (transfer.destination == nullptr && !tensor::IsPlain(entry.dtype)) {
      if (options_.verify) reader_->Verify(transfer.id);
      bytes_read_.fetch_add(entry.size, std::memory_order_relaxed);
    } else {
      Finish(transfer, Move(transfer, 0, entry.size, window));
    }
  } catch (const Error& error) {
    Fail(transfer.id, error);
  }
  bytes_done_.fetch_add(entry.sliced ? 0 : entry.size, std::memory_order_relaxed);
  tensors_done_.fetch_add(1, std::memory_order_relaxed);
}

void TransferJob::RunPiece(const Unit& unit) {
  const Transfer& transfer = transfers_[unit.first];
  const Entry& entry = reader_->entry(transfer.id);
  SplitState& split = *unit.split;
  const std::uint64_t begin = unit.piece * kPieceBytes;
  const std::uint64_t size = std::min(kPieceBytes, entry.size - begin);
  try {
    split.crcs[unit.piece] = Move(transfer, begin, size, {});
  } catch (const Error& error) {
    if (!split.failed.exchange(true)) Fail(transfer.id, error);
  }
  bytes_done_.fetch_add(size, std::memory_order_relaxed);
  if (split.left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  tensors_done_.fetch_add(1, std::memory_order_relaxed);
  if (split.failed) return;
  std::uint32_t crc = split.crcs[0];
  for (std::size_t p = 1; p < split.crcs.size(); ++p) {
    crc = crc::Combine(crc, split.crcs[p], std::min(kPieceBytes, entry.size - p * kPieceBytes));
  }
  try {
    Finish(transfer, crc);
  } catch (const Error& error) {
    Fail(transfer.id, error);
  }
}

// Moves (or only reads) one range and returns the CRC of its stored bytes.
std::uint32_t TransferJob::Move(const Transfer& transfer, std::uint64_t begin, std::uint64_t size,
                                const Window& window) {
  const Entry& entry = reader_->entry(transfer.id);
  const io::Source& source = access_.SourceOf(transfer.id);
  if (size == 0 || (transfer.destination == nullptr && !options_.verify)) return 0;
  const std::uint64_t offset = entry.offset + begin;
  const auto count = static_cast<std::size_t>(size);
  std::uint8_t* const destination =
      transfer.destination == nullptr ? nullptr : transfer.destination + begin;
  std::uint32_t crc = 0;
  if (!window.bytes.empty()) {
    const ByteView stored = window.bytes.subspan(offset - window.offset, count);
    crc = MoveFrom(0, stored, destination);
  } else {
    crc = destination == nullptr ? CrcOfRange(source, offset, size)
                                 : Copy(source, offset, destination, count);
  }
  bytes_read_.fetch_add(size, std::memory_order_relaxed);
  reader_->CountRead(size);
  if (destination != nullptr) {
    const MutableBytes moved(destination, count);
    if (reader_->index().header().big_endian) {
      tensor::SwapBytes(tensor::SwapUnit(entry.dtype), moved);
    }
    tensor::Normalise(entry.dtype, moved);
  }
  return crc;
}

// Extends a CRC by bytes in memory, which are copied where there is a destination.
std::uint32_t TransferJob::MoveFrom(std::uint32_t crc, ByteView stored,
                                    std::uint8_t* destination) const {
  if (destination == nullptr) return crc::Extend(crc, stored.data(), stored.size());
  if (options_.verify) return crc::CopyExtend(crc, destination, stored.data(), stored.size());
  std::memcpy(destination, stored.data(), stored.size());
  return 0;
}

std::uint32_t TransferJob::Copy(const io::Source& source, std::uint64_t offset,
                                std::uint8_t* destination, std::size_t size) const {
  if (source.data() == nullptr && source.direct() == nullptr) {
    return CopyRead(source, offset, destination, size);
  }
  std::uint32_t crc = 0;
  source.ForEachPiece(offset, size, [&](ByteView piece) {
    crc = MoveFrom(crc, piece, destination);
    destination += piece.size();
  });
  return crc;
}

// Straight to where the bytes go: a copy would cost more than it saves.
std::uint32_t TransferJob::CopyRead(const io::Source& source, std::uint64_t offset,
                                    std::uint8_t* destination, std::size_t size) const {
  source.CheckPresent(offset, size);
  std::uint32_t crc = 0;
  const std::size_t most = static_cast<std::size_t>(source.piece_size());
  for (std::size_t done = 0; done < size;) {
    const std::size_t step = std::min(most, size - done);
    source.ReadAt(offset + done, MutableBytes(destination + done, step));
    if (options_.verify) crc = crc::Extend(crc, destination + done, step);
    done += step;
  }
  return crc;
}

void TransferJob::Finish(const Transfer& transfer, std::uint32_t crc) {
  if (!options_.verify) return;
  const Entry& entry = reader_->entry(transfer.id);
  if (crc != entry.crc && transfer.destination != nullptr) {
    // Damaged bytes are never handed out, not even in an array that the caller owns.
    std::memset(transfer.destination, 0, static_cast<std::size_t>(entry.size));
  }
  reader_->CompareCrc(transfer.id, crc);
  reader_->MarkVerified(transfer.id);
}

void TransferJob::Fail(std::uint32_t id, const Error& error) {
  if (!options_.keep_going) throw error;
  std::lock_guard lock(mutex_);
  failures_.push_back({id, error});
}

}  // namespace fastckpt::bundle
