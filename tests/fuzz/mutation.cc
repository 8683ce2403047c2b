#include "mutation.h"

#include <algorithm>
#include <array>
#include <utility>

#include "coding/fixed.h"
#include "coding/varint.h"

namespace fastckpt::fuzz {
namespace {

constexpr std::uint8_t kVarint = 0;
constexpr std::uint8_t kFixed64 = 1;
constexpr std::uint8_t kBytes = 2;
constexpr std::uint8_t kStartGroup = 3;
constexpr std::uint8_t kEndGroup = 4;
constexpr std::uint8_t kFixed32 = 5;
constexpr int kMaxGroups = 100;

// Tags and lengths: at most five bytes and 32 bits.
bool TakeVarint32(ByteView* bytes, std::uint32_t* value) {
  const std::size_t before = bytes->size();
  std::uint64_t wide = 0;
  if (!TakeVarint(bytes, &wide) || before - bytes->size() > 5 || wide >> 32 != 0) return false;
  *value = static_cast<std::uint32_t>(wide);
  return true;
}

bool TakeFixed(ByteView* bytes, std::size_t width, std::uint64_t* value) {
  if (bytes->size() < width) return false;
  for (std::size_t i = 0; i < width; ++i) *value |= std::uint64_t{(*bytes)[i]} << (8 * i);
  *bytes = bytes->subspan(width);
  return true;
}

bool TakeItem(ByteView* bytes, WireItem* item, int depth);

bool TakeGroup(ByteView* bytes, WireItem* group, int depth) {
  if (depth >= kMaxGroups) return false;
  const ByteView all = *bytes;
  for (WireItem item;; item = {}) {
    const std::size_t inside = all.size() - bytes->size();
    if (!TakeItem(bytes, &item, depth + 1)) return false;
    if (item.type != kEndGroup) continue;
    group->bytes = AsText(all.first(inside));
    return item.number == group->number;
  }
}

bool TakeItem(ByteView* bytes, WireItem* item, int depth) {
  std::uint32_t tag = 0;
  std::uint32_t size = 0;
  if (!TakeVarint32(bytes, &tag) || tag < 8) return false;
  item->number = tag >> 3;
  item->type = tag & 7;
  switch (item->type) {
    case kVarint:
      return TakeVarint(bytes, &item->value);
    case kFixed64:
      return TakeFixed(bytes, 8, &item->value);
    case kFixed32:
      return TakeFixed(bytes, 4, &item->value);
    case kStartGroup:
      return TakeGroup(bytes, item, depth);
    case kEndGroup:
      return true;
    case kBytes:
      if (!TakeVarint32(bytes, &size) || size > bytes->size()) return false;
      item->bytes = AsText(bytes->first(size));
      *bytes = bytes->subspan(size);
      return true;
    default:
      return false;
  }
}

std::string EncodeItem(const WireItem& item) {
  std::string out;
  coding::AppendVarint64(out, std::uint64_t{item.number} << 3 | item.type);
  if (item.type == kVarint) coding::AppendVarint64(out, item.value);
  if (item.type == kFixed64) coding::AppendFixed64(out, item.value);
  if (item.type == kFixed32) coding::AppendFixed32(out, static_cast<std::uint32_t>(item.value));
  if (item.type == kBytes) coding::AppendVarint64(out, item.bytes.size());
  out += item.bytes;
  if (item.type == kStartGroup) {
    coding::AppendVarint64(out, std::uint64_t{item.number} << 3 | kEndGroup);
  }
  return out;
}

WireItem RandomItem(Random& random) {
  constexpr std::array<std::uint8_t, 5> kTypes = {kVarint, kFixed64, kBytes, kStartGroup, kFixed32};
  WireItem item;
  item.number =
      static_cast<std::uint32_t>(random.OneIn(8) ? random.Next() >> 35 : 1 + random.Below(8));
  item.type = kTypes[random.Below(kTypes.size())];
  item.value = HostileNumber(random);
  if (item.type == kBytes) item.bytes.resize(random.Below(6));
  return item;
}

void MutateItem(Random& random, WireItem* item, int depth) {
  if (item->type != kBytes && item->type != kStartGroup) {
    item->value = MutateNumber(random, item->value);
  } else if (random.OneIn(4)) {
    MutateText(random, &item->bytes);
  } else {
    MutateMessage(random, &item->bytes, depth + 1);
  }
}

}  // namespace

std::uint64_t Random::Next() {
  std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

std::uint64_t HostileNumber(Random& random) {
  const std::uint64_t power = std::uint64_t{1} << random.Below(64);
  switch (random.Below(4)) {
    case 0:
      return random.Below(40);
    case 1:
      return power + random.Below(3) - 1;
    case 2:
      return ~random.Below(3);
    default:
      return random.Next() >> random.Below(64);
  }
}

std::uint64_t MutateNumber(Random& random, std::uint64_t value) {
  switch (random.Below(4)) {
    case 0:
      return value + random.Below(9) - 4;
    case 1:
      return value ^ std::uint64_t{1} << random.Below(64);
    case 2:
      return random.OneIn(2) ? value * 2 : value / 2;
    default:
      return HostileNumber(random);
  }
}

void MutateText(Random& random, std::string* text) {
  // The engine leaves at least one byte.
  if (random.OneIn(16)) return text->clear();
  const std::size_t room = text->size() + 1 + random.Below(16);
  std::string buffer = *text;
  buffer.resize(room);
  buffer.resize(
      LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(buffer.data()), text->size(), room));
  *text = std::move(buffer);
}

bool TakeVarint(ByteView* bytes, std::uint64_t* value) {
  *value = 0;
  for (unsigned i = 0; i < 10 && !bytes->empty(); ++i) {
    const std::uint8_t byte = bytes->front();
    *bytes = bytes->subspan(1);
    if (i == 9 && byte > 1) return false;
    *value |= std::uint64_t{byte & 0x7Fu} << (7 * i);
    if (byte < 0x80) return true;
  }
  return false;
}

WireMessage ParseMessage(ByteView bytes) {
  WireMessage message;
  while (!bytes.empty()) {
    WireItem item;
    const ByteView before = bytes;
    message.ok = TakeItem(&bytes, &item, 0) && item.type != kEndGroup;
    if (!message.ok) {
      message.tail = AsText(before);
      break;
    }
    message.items.push_back(std::move(item));
  }
  return message;
}

std::string EncodeMessage(const WireMessage& message) {
  std::string out;
  for (const WireItem& item : message.items) out += EncodeItem(item);
  return out + message.tail;
}

void MutateMessage(Random& random, std::string* text, int depth) {
  WireMessage message = ParseMessage(AsBytes(*text));
  std::vector<WireItem>& items = message.items;
  const auto at = static_cast<std::ptrdiff_t>(random.Below(items.size()));
  const std::size_t choice = items.empty() || depth > 4 ? 0 : random.Below(12);
  if (choice == 0) {
    items.insert(items.begin() + at, RandomItem(random));
  } else if (choice == 1) {
    items.erase(items.begin() + at);
  } else if (choice == 2) {
    const WireItem copy = items[static_cast<std::size_t>(at)];
    items.insert(items.begin() + at, copy);
  } else if (choice == 3) {
    std::swap(items[random.Below(items.size())], items[static_cast<std::size_t>(at)]);
  } else if (choice == 4) {
    message.tail.clear();
  } else {
    MutateItem(random, &items[static_cast<std::size_t>(at)], depth);
  }
  *text = EncodeMessage(message);
}

}  // namespace fastckpt::fuzz
