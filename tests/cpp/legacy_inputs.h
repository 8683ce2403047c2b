// Tensors for the V1 writer, and the bytes they should become.
#ifndef FASTCKPT_TESTS_CPP_LEGACY_INPUTS_H_
#define FASTCKPT_TESTS_CPP_LEGACY_INPUTS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "legacy/encode.h"
#include "legacy_writer.h"
#include "table/table_builder.h"

namespace fastckpt::testing {

// These borrow all they are given.
inline tensor::Input Plain(std::string_view name, std::int32_t dtype,
                           const std::vector<std::int64_t>& shape, std::string_view bytes) {
  tensor::Input input;
  input.name = name;
  input.dtype = dtype;
  input.shape = shape;
  input.data = AsBytes(bytes).data();
  return input;
}

inline tensor::Input Slice(tensor::Input input, const std::vector<std::int64_t>& full_shape,
                           const std::vector<coding::Extent>& extents) {
  input.full_shape = full_shape;
  input.extents = extents;
  return input;
}

inline std::string Record(std::string_view name, const std::vector<coding::Extent>& extents,
                          const std::string& tensor) {
  return BytesField(
      2, BytesField(1, name) + BytesField(2, EncodeSlice(extents)) + BytesField(3, tensor));
}

template <typename Element>
std::string Bytes(const std::vector<Element>& elements) {
  return std::string(reinterpret_cast<const char*>(elements.data()),
                     elements.size() * sizeof(Element));
}

inline std::string Varints(const std::vector<std::int64_t>& values) {
  std::string out;
  for (const std::int64_t value : values) out += Varint(static_cast<std::uint64_t>(value));
  return out;
}

// A table of these entries; the builder has tests of its own.
inline std::string Table(const KeyValues& entries) {
  std::string bytes;
  table::TableBuilder builder([&](ByteView more) { bytes.append(AsText(more)); });
  for (const auto& [key, value] : entries) builder.Add(key, value);
  builder.Finish();
  return bytes;
}

}  // namespace fastckpt::testing

#endif  // FASTCKPT_TESTS_CPP_LEGACY_INPUTS_H_
