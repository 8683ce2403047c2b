// What cannot be written as a V1 checkpoint, found before anything is written.
#ifndef FASTCKPT_LEGACY_CHECK_INPUTS_H_
#define FASTCKPT_LEGACY_CHECK_INPUTS_H_

#include <cstdint>
#include <span>

#include "legacy/encode.h"

namespace fastckpt::legacy {

// Throws, naming the tensor: Unsupported for dtypes that V1 files cannot hold; InvalidArgument for
// empty and repeated names (TensorFlow writes those, and nobody can read the file), shapes that are
// none, slices that leave the full shape, overlap, or do not make up the tensor together, shards
// that are none of `num_shards`, and records beyond kMaxRecordEstimate.
void CheckInputs(std::span<const tensor::Input> inputs, std::int32_t num_shards);

}  // namespace fastckpt::legacy

#endif  // FASTCKPT_LEGACY_CHECK_INPUTS_H_
