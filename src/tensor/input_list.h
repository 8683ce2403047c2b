// Many inputs and the shapes that they borrow.
#ifndef FASTCKPT_TENSOR_INPUT_LIST_H_
#define FASTCKPT_TENSOR_INPUT_LIST_H_

#include <cstdint>
#include <deque>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "coding/ordered.h"
#include "tensor/input.h"

namespace fastckpt::tensor {

// Names and data are still borrowed from the caller.
class InputList {
 public:
  // Elements in memory, `rank` dimensions; null strides mean contiguous.
  void AddPlain(std::string_view name, std::int32_t dtype, std::size_t rank,
                const std::int64_t* shape, const std::int64_t* strides, const void* data,
                bool swap_bytes) {
    Input& input = Add(name, dtype, rank, shape);
    input.data = static_cast<const std::uint8_t*>(data);
    input.swap_bytes = swap_bytes;
    rows_.back().has_strides = strides != nullptr;
    if (strides != nullptr) numbers_.insert(numbers_.end(), strides, strides + rank);
  }

  // Strings, or the records of variants.
  void AddElements(std::string_view name, std::int32_t dtype, std::size_t rank,
                   const std::int64_t* shape, std::vector<ByteView> elements) {
    Input& input = Add(name, dtype, rank, shape);
    input.elements = elements_.emplace_back(std::move(elements));
  }

  // Says of the input added last that it is a slice; `extents` and `full_shape` are copied.
  void MakeSlice(std::vector<coding::Extent> extents, std::vector<std::int64_t> full_shape) {
    inputs_.back().extents = extents_.emplace_back(std::move(extents));
    inputs_.back().full_shape = full_shapes_.emplace_back(std::move(full_shape));
  }

  // Says that nobody changes the data of the input added last.
  void SetFrozen() { inputs_.back().is_frozen = true; }

  // Where the input added last shall lie.
  void SetShard(std::int32_t shard) { inputs_.back().shard = shard; }

  void Reserve(std::size_t count) {
    inputs_.reserve(count);
    rows_.reserve(count);
  }

  // Forgets all of them and keeps the memory for others.
  void Clear() {
    inputs_.clear();
    rows_.clear();
    numbers_.clear();
    elements_.clear();
    extents_.clear();
    full_shapes_.clear();
  }

  std::size_t size() const { return inputs_.size(); }

  // All of them; valid until the next Add.
  std::span<const Input> inputs() {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const std::int64_t* numbers = numbers_.data() + rows_[i].first_number;
      inputs_[i].shape = {numbers, rows_[i].rank};
      if (rows_[i].has_strides) inputs_[i].strides = {numbers + rows_[i].rank, rows_[i].rank};
    }
    return inputs_;
  }

 private:
  struct Row {
    std::size_t first_number;
    std::size_t rank;
    bool has_strides;
  };

  Input& Add(std::string_view name, std::int32_t dtype, std::size_t rank,
             const std::int64_t* shape) {
    rows_.push_back({numbers_.size(), rank, false});
    numbers_.insert(numbers_.end(), shape, shape + rank);
    Input& input = inputs_.emplace_back();
    input.name = name;
    input.dtype = dtype;
    return input;
  }

  std::vector<Input> inputs_;
  std::vector<Row> rows_;
  // Shapes, each followed by the strides where there are any.
  std::vector<std::int64_t> numbers_;
  std::deque<std::vector<ByteView>> elements_;
  std::deque<std::vector<coding::Extent>> extents_;
  std::deque<std::vector<std::int64_t>> full_shapes_;
};

}  // namespace fastckpt::tensor

#endif  // FASTCKPT_TENSOR_INPUT_LIST_H_
