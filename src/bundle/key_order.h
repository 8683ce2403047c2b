// The order of many keys by their unsigned bytes.
//
// Names of tensors begin alike and lie all over memory, so that a sort that compares strings waits
// for memory at nearly every step. Here each key is looked at once, for the bytes behind what all
// of them have in common; these are sorted as numbers, and only keys that are still equal are
// looked at again.
#ifndef FASTCKPT_BUNDLE_KEY_ORDER_H_
#define FASTCKPT_BUNDLE_KEY_ORDER_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace fastckpt::bundle {

// Positions of the keys in ascending order; equal keys in that of their positions. At most 2^32.
// Time is linear in the bytes of the keys.
std::vector<std::uint32_t> KeyOrder(std::span<const std::string_view> keys);

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_KEY_ORDER_H_
