#include "memory_files.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "coding/fixed.h"

namespace fastckpt::fuzz {

ImageFile* Image::Find(std::uint8_t name) {
  const auto found = std::ranges::find(files, name, &ImageFile::name);
  return found == files.end() ? nullptr : &*found;
}

std::string& Image::index() {
  if (Find(kIndexName) == nullptr) files.insert(files.begin(), {kIndexName, ""});
  return Find(kIndexName)->bytes;
}

Image ParseImage(ByteView input) {
  Image image;
  Taker taker(input);
  image.options = taker.Byte();
  while (!taker.empty()) {
    ImageFile file{taker.Byte(), {}};
    const std::uint64_t size = taker.Number(4);
    file.bytes = AsText(taker.Bytes(static_cast<std::size_t>(size)));
    image.files.push_back(std::move(file));
  }
  return image;
}

std::string EncodeImage(const Image& image) {
  std::string out(1, static_cast<char>(image.options));
  for (const ImageFile& file : image.files) {
    out.push_back(static_cast<char>(file.name));
    coding::AppendFixed32(out, static_cast<std::uint32_t>(file.bytes.size()));
    out += file.bytes;
  }
  return out;
}

MemoryFiles::MemoryFiles(const Image& image) {
  for (const ImageFile& file : image.files) {
    names_.push_back(file.name);
    contents_.push_back(std::make_unique<ExactCopy>(AsBytes(file.bytes)));
  }
}

int MemoryFiles::OpenRead(const std::string& path) {
  unsigned long name = kIndexName;
  if (path.starts_with("p.data-")) {
    name = std::strtoul(path.c_str() + 7, nullptr, 10);
    if (name >= kIndexName) return -ENOENT;
  } else if (path.starts_with("p-")) {
    const unsigned long place = std::strtoul(path.c_str() + 2, nullptr, 10);
    return place < names_.size() ? static_cast<int>(place) : -ENOENT;
  } else if (path != "p.index") {
    return -ENOENT;
  }
  const auto found = std::ranges::find(names_, name);
  return found == names_.end() ? -ENOENT : static_cast<int>(found - names_.begin());
}

int MemoryFiles::Stat(int descriptor, io::FileStatus* status) {
  *status = {.size_bytes = bytes(descriptor).size(), .is_regular = true};
  return 0;
}

std::int64_t MemoryFiles::ReadAt(int descriptor, void* destination, std::size_t size,
                                 std::uint64_t offset) {
  const ByteView content = bytes(descriptor);
  if (offset >= content.size()) return 0;
  const ByteView part = content.subspan(static_cast<std::size_t>(offset));
  const std::size_t count = std::min(size, part.size());
  std::memcpy(destination, part.data(), count);
  return static_cast<std::int64_t>(count);
}

int MemoryFiles::Map(int descriptor, std::size_t, const std::uint8_t** address) {
  *address = bytes(descriptor).data();
  return 0;
}

}  // namespace fastckpt::fuzz
