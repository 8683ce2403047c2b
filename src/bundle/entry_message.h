// BundleEntryProto as bytes: changed by appending, and written again as TensorFlow writes it.
//
// In a protobuf message the last of several equal numbers counts and repeated fields add up, so
// that fields behind a message change it.
#ifndef FASTCKPT_BUNDLE_ENTRY_MESSAGE_H_
#define FASTCKPT_BUNDLE_ENTRY_MESSAGE_H_

#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace fastckpt::bundle {

// Both append to a message what changes it: its shard id, and more slices, those that `entry`
// lists.
void AppendShardId(std::string& message, std::int32_t shard_id);
void AppendSlicesOf(std::string& message, ByteView entry);

// Appends what TensorFlow makes of a message that DecodeEntry accepts when it parses and serialises
// it: known fields in ascending order, numbers equal to zero left out; unknown fields (block CRCs
// among them) behind them in their own order, in nested messages too. Groups, which no writer of
// checkpoints ever made, are dropped.
void AppendCanonicalEntry(std::string& out, ByteView message);

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_ENTRY_MESSAGE_H_
