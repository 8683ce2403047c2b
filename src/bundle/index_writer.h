// The index of a checkpoint under construction: header, then every entry in key order.
#ifndef FASTCKPT_BUNDLE_INDEX_WRITER_H_
#define FASTCKPT_BUNDLE_INDEX_WRITER_H_

#include <cstdint>
#include <functional>

#include "base/bytes.h"
#include "bundle/partitions.h"
#include "bundle/stored_items.h"

namespace fastckpt::bundle {

// Gives the bytes of the index to `write`, in order. Throws InvalidArgument when two entries have
// one key.
void WriteIndex(const StoredItems& items, const Partitions& partitions, std::int32_t num_shards,
                std::function<void(ByteView)> write);

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_INDEX_WRITER_H_
