// Where the arrays of one load lie: carved from few arenas, because fresh memory is the cost of a
// load.
#ifndef FASTCKPT_BUNDLE_LOAD_PLAN_H_
#define FASTCKPT_BUNDLE_LOAD_PLAN_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "bundle/reader.h"
#include "bundle/transfer.h"
#include "io/arena.h"

namespace fastckpt::bundle {

struct Placement {
  std::uint32_t arena = 0;
  std::uint64_t offset = 0;
};

// Places every entry that has a plain dtype. Strings and variants get no room and a check-only
// transfer, partitioned tensors get neither: their parts are read one by one.
// One kept array keeps its arena, so an arena holds at most 64 MiB, and larger tensors get their
// own. Throws the error of the first entry whose bytes cannot be there, before anything is
// allocated.
struct LoadPlan {
  LoadPlan(const Reader& reader, const std::vector<std::uint32_t>& ids);

  std::vector<std::shared_ptr<io::Arena>> arenas;
  std::vector<Placement> placements;  // one for each id
  std::vector<Transfer> transfers;    // in the order of the ids
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_LOAD_PLAN_H_
