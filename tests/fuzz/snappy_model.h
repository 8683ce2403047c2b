// Snappy decoding from the text of the format alone, one byte at a time.
#ifndef FASTCKPT_TESTS_FUZZ_SNAPPY_MODEL_H_
#define FASTCKPT_TESTS_FUZZ_SNAPPY_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace fastckpt::fuzz {

struct SnappyResult {
  // What the preamble says; nothing when it is malformed.
  std::optional<std::uint32_t> claimed;
  // Whether every element is well-formed and no more than `limit` bytes came out.
  bool ok = false;
  // What the elements yield, up to the first wrong one, and the bytes before that.
  std::string content;
  std::size_t good_bytes = 0;
};

SnappyResult DecodeSnappyNaively(ByteView stream, std::size_t limit);

}  // namespace fastckpt::fuzz

#endif  // FASTCKPT_TESTS_FUZZ_SNAPPY_MODEL_H_
