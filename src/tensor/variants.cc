#include "tensor/variants.h"

#include "coding/fixed.h"
#include "coding/varint.h"
#include "coding/wire.h"
#include "crc/crc32c.h"

namespace fastckpt::tensor {
namespace {

constexpr std::size_t kChecksumSize = 4;

}  // namespace

VariantLayout ParseVariants(ByteView stored, std::uint64_t count, bool verify) {
  VariantLayout layout;
  layout.error = VariantError::kRecords;
  // Every record has a size of at least one byte and a checksum.
  if (count > stored.size() / (1 + kChecksumSize)) return layout;
  layout.records.reserve(static_cast<std::size_t>(count));
  const std::uint8_t* p = stored.data();
  const std::uint8_t* const end = p + stored.size();
  bool checksums_match = true;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t size;
    p = coding::DecodeVarint64(p, end, &size);
    if (p == nullptr) return layout;
    const auto left = static_cast<std::uint64_t>(end - p);
    if (left < kChecksumSize || size > left - kChecksumSize) return layout;
    const auto record_size = static_cast<std::size_t>(size);
    layout.records.emplace_back(p, record_size);
    if (verify) {
      layout.crc = crc::Extend(layout.crc, &size, sizeof size);
      layout.crc = crc::Extend(layout.crc, p, record_size);
      checksums_match &= crc::Unmask(coding::LoadFixed32(p + record_size)) == layout.crc;
      layout.crc = crc::Extend(layout.crc, p + record_size, kChecksumSize);
    }
    p += record_size + kChecksumSize;
  }
  if (p != end) return layout;
  layout.error = checksums_match ? VariantError::kNone : VariantError::kRecordChecksum;
  return layout;
}

std::uint32_t AppendVariants(std::string& out, std::span<const ByteView> records) {
  std::uint32_t crc = 0;
  for (const ByteView record : records) {
    const std::uint64_t size = record.size();
    crc = crc::Extend(crc, &size, sizeof size);
    crc = crc::Extend(crc, record.data(), record.size());
    const std::uint32_t checksum = crc::Mask(crc);
    coding::AppendVarint64(out, size);
    out += AsText(record);
    coding::AppendFixed32(out, checksum);
    crc = crc::Extend(crc, &checksum, kChecksumSize);
  }
  return crc;
}

ByteView VariantTypeName(ByteView record) {
  ByteView name;
  coding::WireReader reader(record);
  for (coding::WireField field; reader.Next(&field);) {
    if (field.Is(1, coding::WireType::kBytes)) name = field.bytes;
  }
  return reader.ok() ? name : ByteView();
}

}  // namespace fastckpt::tensor
