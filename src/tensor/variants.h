// Variant tensors (DT_VARIANT) as tensor bundles store them, one record per element:
//
//   varint64 size | size bytes of VariantTensorDataProto | fixed32 masked crc
//
// One running crc spans the tensor: it takes in each size as 8 bytes, then the bytes, is recorded,
// and takes in the four recorded bytes (tensor_bundle.cc, WriteVariantTensor).
#ifndef FASTCKPT_TENSOR_VARIANTS_H_
#define FASTCKPT_TENSOR_VARIANTS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace fastckpt::tensor {

enum class VariantError : std::uint8_t { kNone, kRecords, kRecordChecksum };

struct VariantLayout {
  VariantError error = VariantError::kNone;
  // The VariantTensorDataProto of each element, borrowed from the stored bytes.
  std::vector<ByteView> records;
  // CRC-32C of the tensor, unmasked, as the entry records it: filled when `verify` was asked for.
  std::uint32_t crc = 0;
};

// Finds the records of a variant tensor. `count` is hostile: at most stored.size() records are ever
// allocated for. With `verify` every record's checksum is compared.
VariantLayout ParseVariants(ByteView stored, std::uint64_t count, bool verify);

// Appends the stored form of a variant tensor, given the VariantTensorDataProto of each element.
// Returns the CRC-32C of the tensor, unmasked, as the entry records it.
std::uint32_t AppendVariants(std::string& out, std::span<const ByteView> records);

// The type_name of a VariantTensorDataProto (field 1); empty when it has none or is malformed.
ByteView VariantTypeName(ByteView record);

}  // namespace fastckpt::tensor

#endif  // FASTCKPT_TENSOR_VARIANTS_H_
