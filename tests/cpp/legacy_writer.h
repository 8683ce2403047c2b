// Messages of V1 files for tests, valid ones and wrong ones.
#ifndef FASTCKPT_TESTS_CPP_LEGACY_WRITER_H_
#define FASTCKPT_TESTS_CPP_LEGACY_WRITER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "coding/ordered.h"
#include "table_writer.h"

namespace fastckpt::testing {

inline std::string VarintField(std::uint32_t number, std::uint64_t value) {
  return Varint(number << 3) + Varint(value);
}

inline std::string BytesField(std::uint32_t number, std::string_view content) {
  return Varint(number << 3 | 2) + Varint(content.size()) + std::string(content);
}

// SavedSliceMeta.
inline std::string EncodeItem(const std::string& name, const std::vector<std::int64_t>& shape,
                              std::uint64_t dtype,
                              const std::vector<std::vector<coding::Extent>>& slices) {
  std::string item =
      BytesField(1, name) + BytesField(2, EncodeShape(shape)) + VarintField(3, dtype);
  for (const auto& extents : slices) item += BytesField(4, EncodeSlice(extents));
  return item;
}

// The record at the empty key; `version` is a VersionDef.
inline std::string EncodeMeta(const std::vector<std::string>& items,
                              const std::string& version = VarintField(1, 1)) {
  std::string meta;
  for (const std::string& item : items) meta += BytesField(1, item);
  return BytesField(1, meta + BytesField(2, version));
}

// A SavedTensorSlices with nothing but a TensorProto in it.
inline std::string EncodeRecord(const std::string& tensor) {
  return BytesField(2, BytesField(3, tensor));
}

// A table of one plain tensor: name "t", float32 [2].
inline KeyValues OneTensor() {
  const std::vector<coding::Extent> whole(1);
  return {{"", EncodeMeta({EncodeItem("t", {2}, 1, {whole})})},
          {coding::EncodeSliceKey("t", whole), EncodeRecord(BytesField(5, "abcdefgh"))}};
}

}  // namespace fastckpt::testing

#endif  // FASTCKPT_TESTS_CPP_LEGACY_WRITER_H_
