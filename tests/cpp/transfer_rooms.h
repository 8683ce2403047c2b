// Where tests of transfers copy to, and what they copy.
#ifndef FASTCKPT_TESTS_CPP_TRANSFER_ROOMS_H_
#define FASTCKPT_TESTS_CPP_TRANSFER_ROOMS_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/transfer.h"
#include "table_writer.h"

namespace fastckpt::testing {

using bundle::Reader;
using bundle::Transfer;
using bundle::TransferJob;

constexpr std::size_t kMiB = std::size_t{1} << 20;
// The size above which a tensor is cut into pieces.
constexpr std::size_t kPiece = 8 * kMiB;

inline void WaitForEnd(TransferJob& job) {
  while (!job.WaitFor(std::chrono::milliseconds(50))) {
  }
}

// Rooms for many tensors side by side, with bytes between them that no transfer may touch.
class Rooms {
 public:
  Rooms(const Reader& reader, const std::vector<std::uint32_t>& ids) {
    std::size_t size = kGuard;
    for (const std::uint32_t id : ids) {
      offsets_.push_back(size);
      size += static_cast<std::size_t>(reader.entry(id).size) + kGuard;
    }
    bytes_.assign(size, kUntouched);
  }

  std::uint8_t* room(std::size_t i) { return bytes_.data() + offsets_[i]; }
  std::string_view value(std::size_t i, std::size_t size) const {
    return AsText(ByteView(bytes_).subspan(offsets_[i], size));
  }
  // Whether the bytes before and behind value i are as they were.
  bool IsGuarded(std::size_t i, std::size_t size) const {
    const auto untouched = [](std::uint8_t byte) { return byte == kUntouched; };
    const ByteView bytes(bytes_);
    return std::ranges::all_of(bytes.subspan(offsets_[i] - kGuard, kGuard), untouched) &&
           std::ranges::all_of(bytes.subspan(offsets_[i] + size, kGuard), untouched);
  }

 private:
  static constexpr std::size_t kGuard = 13;
  static constexpr std::uint8_t kUntouched = 0xEE;
  std::vector<std::size_t> offsets_;
  std::vector<std::uint8_t> bytes_;
};

inline std::vector<Transfer> TransfersInto(Rooms& rooms, const std::vector<std::uint32_t>& ids) {
  std::vector<Transfer> transfers;
  for (std::size_t i = 0; i < ids.size(); ++i) transfers.push_back({ids[i], rooms.room(i)});
  return transfers;
}

inline std::vector<Transfer> CheckOnly(const std::vector<std::uint32_t>& ids) {
  std::vector<Transfer> transfers;
  for (const std::uint32_t id : ids) transfers.push_back({id, nullptr});
  return transfers;
}

inline BundleWriter SizesAroundThePiece() {
  BundleWriter bundle;
  std::uint64_t seed = 0;
  const auto add = [&](const std::string& name, std::size_t size) {
    bundle.Add(name, 4, {static_cast<std::int64_t>(size)}, PatternBytes(size, ++seed));
  };
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4095}, kMiB + 3,
                                 kPiece - 1, kPiece, kPiece + 1, std::size_t{20} * kMiB}) {
    add(std::string("t").append(std::to_string(size)), size);
  }
  for (std::size_t i = 0; i < 100; ++i) add(std::string("s").append(std::to_string(i)), i * 13);
  return bundle;
}

}  // namespace fastckpt::testing

#endif  // FASTCKPT_TESTS_CPP_TRANSFER_ROOMS_H_
