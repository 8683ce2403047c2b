#include "bundle/strided.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "tensor/dtype.h"

namespace fastckpt::bundle {
namespace {

// Reading over a gap of this size costs less than another system call.
constexpr std::uint64_t kReadOverBytes = std::uint64_t{64} << 10;

// One loop around the contiguous run, outermost first.
struct Loop {
  std::int64_t count;
  std::int64_t source_step;  // bytes
  std::int64_t target_step;  // bytes
};

// A region as nested loops around a run of bytes that is contiguous in the file and, where strides
// of the destination are given, there.
struct Nest {
  // Of the first wanted byte, counted from the entry's first.
  std::uint64_t offset = 0;
  std::uint64_t run_bytes = 0;
  std::vector<Loop> loops;
};

Nest MakeNest(std::uint64_t item_size, tensor::ShapeView shape, std::span<const StridedDim> dims) {
  Nest nest;
  nest.run_bytes = item_size;
  auto stride = static_cast<std::int64_t>(item_size);
  bool contiguous = true;
  for (std::size_t d = dims.size(); d-- > 0;) {
    const StridedDim& dim = dims[d];
    nest.offset += static_cast<std::uint64_t>(dim.start * stride);
    const auto run = static_cast<std::int64_t>(nest.run_bytes);
    contiguous =
        contiguous && run == stride && dim.step == 1 && (dim.stride_bytes == run || dim.count == 1);
    if (contiguous) {
      nest.run_bytes *= static_cast<std::uint64_t>(dim.count);
    } else if (dim.count > 1) {
      nest.loops.insert(nest.loops.begin(), {dim.count, dim.step * stride, dim.stride_bytes});
    }
    stride *= shape[d];
  }
  return nest;
}

bool IsEmpty(std::span<const StridedDim> dims) {
  return std::ranges::any_of(dims, [](const StridedDim& dim) { return dim.count == 0; });
}

class BlockMarks {
 public:
  BlockMarks(const Nest& nest, std::uint64_t block_size) : nest_(nest), block_size_(block_size) {}

  std::vector<std::uint32_t> Take() {
    Mark(0, nest_.offset);
    return std::move(blocks_);
  }

 private:
  // Steps of at most a block leave no block between the first and the last byte untouched.
  void Mark(std::size_t depth, std::uint64_t begin) {
    const auto& loops = nest_.loops;
    const bool has_gaps =
        depth < loops.size() && static_cast<std::uint64_t>(loops[depth].source_step) > block_size_;
    if (!has_gaps) return MarkRange(begin, begin + Span(depth));
    for (std::int64_t i = 0; i < loops[depth].count; ++i) {
      Mark(depth + 1, begin + static_cast<std::uint64_t>(i * loops[depth].source_step));
    }
  }

  // Bytes from the first to the last one of the loops from `depth` on.
  std::uint64_t Span(std::size_t depth) const {
    std::uint64_t span = nest_.run_bytes;
    for (std::size_t d = depth; d < nest_.loops.size(); ++d) {
      const Loop& loop = nest_.loops[d];
      span += static_cast<std::uint64_t>((loop.count - 1) * loop.source_step);
    }
    return span;
  }

  // Ranges come in ascending order.
  void MarkRange(std::uint64_t begin, std::uint64_t end) {
    auto block = static_cast<std::uint32_t>(begin / block_size_);
    if (!blocks_.empty()) block = std::max(block, blocks_.back() + 1);
    for (; block * block_size_ < end; ++block) blocks_.push_back(block);
  }

  const Nest& nest_;
  const std::uint64_t block_size_;
  std::vector<std::uint32_t> blocks_;
};

// Throws InvalidArgument unless the region lies inside a tensor of a plain dtype.
void CheckRegion(const Reader& reader, std::uint32_t id, std::span<const StridedDim> dims) {
  const tensor::ShapeView shape = reader.index().shape(reader.entry(id));
  if (!tensor::IsPlain(reader.entry(id).dtype) || dims.size() != shape.size()) {
    throw reader.EntryError(ErrorCode::kInvalidArgument, "not a tensor of a plain dtype and rank",
                            id);
  }
  for (std::size_t d = 0; d < dims.size(); ++d) {
    const StridedDim& dim = dims[d];
    const bool inside =
        dim.start >= 0 && dim.step >= 1 && dim.count >= 0 &&
        (dim.count == 0 ||
         (dim.start < shape[d] && dim.count - 1 <= (shape[d] - 1 - dim.start) / dim.step));
    if (!inside) {
      throw reader.EntryError(ErrorCode::kInvalidArgument, "range outside the tensor's shape", id);
    }
  }
}

class StridedCopy {
 public:
  StridedCopy(const Reader& reader, std::uint32_t id, const io::Source& source)
      : entry_(reader.entry(id)),
        source_(source),
        swap_unit_(reader.index().header().big_endian ? tensor::SwapUnit(entry_.dtype) : 1) {}

  std::uint64_t Run(tensor::ShapeView shape, std::span<const StridedDim> dims,
                    std::uint8_t* destination) {
    if (IsEmpty(dims)) return 0;
    nest_ = MakeNest(tensor::ItemSize(entry_.dtype), shape, dims);
    source_.CheckPresent(entry_.offset, entry_.size);
    Walk(0, entry_.offset + nest_.offset, destination);
    return bytes_read_;
  }

 private:
  void Walk(std::size_t depth, std::uint64_t offset, std::uint8_t* target) {
    if (depth == nest_.loops.size()) return Move(offset, target);
    const Loop& loop = nest_.loops[depth];
    if (depth + 1 == nest_.loops.size() && ReadsOver(loop)) return MoveRow(loop, offset, target);
    for (std::int64_t i = 0; i < loop.count; ++i) {
      Walk(depth + 1, offset + static_cast<std::uint64_t>(i * loop.source_step),
           target + i * loop.target_step);
    }
  }

  bool ReadsOver(const Loop& loop) const {
    return source_.data() == nullptr &&
           static_cast<std::uint64_t>(loop.source_step) - nest_.run_bytes <= kReadOverBytes;
  }

  void Move(std::uint64_t offset, std::uint8_t* target) {
    const auto size = static_cast<std::size_t>(nest_.run_bytes);
    if (source_.data() != nullptr) {
      std::memcpy(target, source_.data() + offset, size);
    } else {
      source_.ReadAt(offset, MutableBytes(target, size));
    }
    bytes_read_ += nest_.run_bytes;
    Finish(target);
  }

  // Reads a row with its gaps, in pieces, and picks the runs from it.
  void MoveRow(const Loop& loop, std::uint64_t offset, std::uint8_t* target) {
    const auto step = static_cast<std::uint64_t>(loop.source_step);
    const auto per_piece = std::max<std::uint64_t>(1, kReadOverBytes * 4 / step);
    const auto size = static_cast<std::size_t>(nest_.run_bytes);
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(loop.count); i += per_piece) {
      const auto runs = std::min(per_piece, static_cast<std::uint64_t>(loop.count) - i);
      row_.resize(static_cast<std::size_t>((runs - 1) * step + nest_.run_bytes));
      source_.ReadAt(offset + i * step, row_);
      bytes_read_ += row_.size();
      for (std::uint64_t k = 0; k < runs; ++k) {
        std::uint8_t* const to = target + static_cast<std::int64_t>(i + k) * loop.target_step;
        std::memcpy(to, row_.data() + k * step, size);
        Finish(to);
      }
    }
  }

  void Finish(std::uint8_t* target) const {
    const MutableBytes run(target, static_cast<std::size_t>(nest_.run_bytes));
    if (swap_unit_ > 1) tensor::SwapBytes(swap_unit_, run);
    if (tensor::NeedsNormalising(entry_.dtype)) tensor::Normalise(entry_.dtype, run);
  }

  const Entry& entry_;
  const io::Source& source_;
  const std::uint32_t swap_unit_;
  Nest nest_;
  std::vector<std::uint8_t> row_;
  std::uint64_t bytes_read_ = 0;
};

}  // namespace

std::vector<std::uint32_t> TouchedBlocks(const Reader& reader, std::uint32_t id,
                                         std::span<const StridedDim> dims,
                                         std::uint64_t block_size) {
  CheckRegion(reader, id, dims);
  if (IsEmpty(dims)) return {};
  const Entry& entry = reader.entry(id);
  const Nest nest = MakeNest(tensor::ItemSize(entry.dtype), reader.index().shape(entry), dims);
  return BlockMarks(nest, block_size).Take();
}

std::uint64_t ReadStrided(const Reader& reader, std::uint32_t id, std::span<const StridedDim> dims,
                          std::uint8_t* destination) {
  const io::Source& source = reader.SourceOf(id);
  CheckRegion(reader, id, dims);
  const tensor::ShapeView shape = reader.index().shape(reader.entry(id));
  const std::uint64_t bytes_read = StridedCopy(reader, id, source).Run(shape, dims, destination);
  reader.CountRead(bytes_read);
  return bytes_read;
}

}  // namespace fastckpt::bundle
