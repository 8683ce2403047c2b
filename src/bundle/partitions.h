// The partitioned tensors of a checkpoint under construction: which slices each of them has.
#ifndef FASTCKPT_BUNDLE_PARTITIONS_H_
#define FASTCKPT_BUNDLE_PARTITIONS_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coding/ordered.h"
#include "tensor/shape.h"
#include "tensor/slice.h"

namespace fastckpt::bundle {

// Entries that name the slices of one tensor.
struct Partitioned {
  std::int32_t dtype = 0;
  std::vector<std::int64_t> shape;
  // As many for each slice as the shape has dimensions, in the order of the calls.
  std::vector<coding::Extent> extents;
};

// Where the slices lie.
std::vector<tensor::Box> Boxes(const Partitioned& tensor);
// Throws InvalidArgument, naming the tensor, when slices that are disjoint leave elements out.
void CheckComplete(const std::string& name, const Partitioned& tensor,
                   const std::vector<tensor::Box>& boxes);

class Partitions {
 public:
  // Notes one slice. Throws InvalidArgument, naming the tensor, for extents that are empty or leave
  // the shape, and for a dtype or a full shape other than that of the slices before.
  void Add(std::string_view name, std::int32_t dtype, tensor::ShapeView full_shape,
           std::span<const coding::Extent> extents);

  // Throws InvalidArgument when slices of one tensor overlap (twice the same slice included) or,
  // with `complete`, leave elements out.
  void Check(bool complete) const;

  const std::map<std::string, Partitioned, std::less<>>& tensors() const { return tensors_; }

  // Whether the slice is all of the tensor, which is then stored as an ordinary one.
  static bool CoversAll(tensor::ShapeView full_shape, std::span<const coding::Extent> extents);

 private:
  std::map<std::string, Partitioned, std::less<>> tensors_;
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_PARTITIONS_H_
