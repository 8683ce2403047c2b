#include "snappy_model.h"

#include "mutation.h"

namespace fastckpt::fuzz {
namespace {

std::optional<std::uint64_t> TakeLittleEndian(ByteView* bytes, std::size_t width) {
  if (bytes->size() < width) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;) value = value << 8 | (*bytes)[i];
  *bytes = bytes->subspan(width);
  return value;
}

bool TakeLiteral(ByteView* bytes, std::uint64_t tag, std::string* out) {
  std::uint64_t length = tag >> 2;
  if (length >= 60) {
    const auto wide = TakeLittleEndian(bytes, static_cast<std::size_t>(length - 59));
    if (!wide) return false;
    length = *wide;
  }
  if (length >= bytes->size()) return false;
  const auto size = static_cast<std::size_t>(length + 1);
  out->append(AsText(bytes->first(size)));
  *bytes = bytes->subspan(size);
  return true;
}

bool TakeCopy(ByteView* bytes, std::uint64_t tag, std::string* out) {
  constexpr std::size_t kWidths[] = {0, 1, 2, 4};
  const auto low = TakeLittleEndian(bytes, kWidths[tag & 3]);
  if (!low) return false;
  const bool is_short = (tag & 3) == 1;
  const std::uint64_t distance = is_short ? (tag >> 5 << 8 | *low) : *low;
  const std::uint64_t length = is_short ? 4 + (tag >> 2 & 7) : 1 + (tag >> 2);
  if (distance == 0 || distance > out->size()) return false;
  for (std::uint64_t i = 0; i < length; ++i) {
    out->push_back((*out)[out->size() - static_cast<std::size_t>(distance)]);
  }
  return true;
}

}  // namespace

SnappyResult DecodeSnappyNaively(ByteView stream, std::size_t limit) {
  SnappyResult result;
  const std::size_t total = stream.size();
  std::uint64_t size = 0;
  if (!TakeVarint(&stream, &size) || total - stream.size() > 5 || size >> 32 != 0) return result;
  result.claimed = static_cast<std::uint32_t>(size);
  std::string& out = result.content;
  while (true) {
    result.good_bytes = total - stream.size();
    if (stream.empty()) break;
    const std::size_t before = out.size();
    const std::uint64_t tag = stream.front();
    stream = stream.subspan(1);
    const bool is_whole =
        (tag & 3) == 0 ? TakeLiteral(&stream, tag, &out) : TakeCopy(&stream, tag, &out);
    if (!is_whole || out.size() > limit) {
      out.resize(before);
      return result;
    }
  }
  result.ok = true;
  return result;
}

}  // namespace fastckpt::fuzz
