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

class StridedCopy {
 public:
  StridedCopy(const Reader& reader, std::uint32_t id, const io::Source& source)
      : entry_(reader.entry(id)),
        source_(source),
        swap_unit_(reader.index().header().big_endian ? tensor::SwapUnit(entry_.dtype) : 1) {}

  std::uint64_t Run(tensor::ShapeView shape, std::span<const StridedDim> dims,
                    std::uint8_t* destination) {
    if (std::ranges::any_of(dims, [](const StridedDim& dim) { return dim.count == 0; })) return 0;
    std::uint64_t offset = entry_.offset;
    Plan(shape, dims, &offset);
    source_.CheckPresent(entry_.offset, entry_.size);
    Walk(0, offset, destination);
    return bytes_read_;
  }

 private:
  // Splits the dimensions into loops and the run of bytes that is contiguous on both sides.
  void Plan(tensor::ShapeView shape, std::span<const StridedDim> dims, std::uint64_t* offset) {
    run_bytes_ = tensor::ItemSize(entry_.dtype);
    auto stride = static_cast<std::int64_t>(run_bytes_);
    bool contiguous = true;
    for (std::size_t d = dims.size(); d-- > 0;) {
      const StridedDim& dim = dims[d];
      *offset += static_cast<std::uint64_t>(dim.start * stride);
      const auto run = static_cast<std::int64_t>(run_bytes_);
      contiguous = contiguous && run == stride && dim.step == 1 &&
                   (dim.stride_bytes == run || dim.count == 1);
      if (contiguous) {
        run_bytes_ *= static_cast<std::uint64_t>(dim.count);
      } else if (dim.count > 1) {
        loops_.insert(loops_.begin(), {dim.count, dim.step * stride, dim.stride_bytes});
      }
      stride *= shape[d];
    }
  }

  void Walk(std::size_t depth, std::uint64_t offset, std::uint8_t* target) {
    if (depth == loops_.size()) return Move(offset, target);
    const Loop& loop = loops_[depth];
    if (depth + 1 == loops_.size() && ReadsOver(loop)) return MoveRow(loop, offset, target);
    for (std::int64_t i = 0; i < loop.count; ++i) {
      Walk(depth + 1, offset + static_cast<std::uint64_t>(i * loop.source_step),
           target + i * loop.target_step);
    }
  }

  bool ReadsOver(const Loop& loop) const {
    return source_.data() == nullptr &&
           static_cast<std::uint64_t>(loop.source_step) - run_bytes_ <= kReadOverBytes;
  }

  void Move(std::uint64_t offset, std::uint8_t* target) {
    const auto size = static_cast<std::size_t>(run_bytes_);
    if (source_.data() != nullptr) {
      std::memcpy(target, source_.data() + offset, size);
    } else {
      source_.ReadAt(offset, MutableBytes(target, size));
    }
    bytes_read_ += run_bytes_;
    Finish(target);
  }

  // Reads a row with its gaps, in pieces, and picks the runs from it.
  void MoveRow(const Loop& loop, std::uint64_t offset, std::uint8_t* target) {
    const auto step = static_cast<std::uint64_t>(loop.source_step);
    const auto per_piece = std::max<std::uint64_t>(1, kReadOverBytes * 4 / step);
    const auto size = static_cast<std::size_t>(run_bytes_);
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(loop.count); i += per_piece) {
      const auto runs = std::min(per_piece, static_cast<std::uint64_t>(loop.count) - i);
      row_.resize(static_cast<std::size_t>((runs - 1) * step + run_bytes_));
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
    const MutableBytes run(target, static_cast<std::size_t>(run_bytes_));
    if (swap_unit_ > 1) tensor::SwapBytes(swap_unit_, run);
    if (tensor::NeedsNormalising(entry_.dtype)) tensor::Normalise(entry_.dtype, run);
  }

  const Entry& entry_;
  const io::Source& source_;
  const std::uint32_t swap_unit_;
  std::uint64_t run_bytes_ = 0;
  std::vector<Loop> loops_;
  std::vector<std::uint8_t> row_;
  std::uint64_t bytes_read_ = 0;
};

}  // namespace

std::uint64_t ReadStrided(const Reader& reader, std::uint32_t id, std::span<const StridedDim> dims,
                          std::uint8_t* destination) {
  const io::Source& source = reader.SourceOf(id);
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
  const std::uint64_t bytes_read = StridedCopy(reader, id, source).Run(shape, dims, destination);
  reader.CountRead(bytes_read);
  return bytes_read;
}

}  // namespace fastckpt::bundle
