#include "support.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "harness.h"

namespace fastckpt::testing {

// The writers of tests/cpp report through the harness, whose own runner is not linked here.
void Fail(const char* file, int line, const std::string& message) {
  fuzz::Broken(file, line, message.c_str());
}

}  // namespace fastckpt::testing

namespace fastckpt::fuzz {
namespace {

std::uint64_t num_accepted = 0;
std::string input_name;

}  // namespace

void Broken(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: broken: %s\n", file, line, condition);
  if (!input_name.empty()) std::fprintf(stderr, "input: %s, or mutated\n", input_name.c_str());
  std::abort();
}

void NameInput(const std::string& name) {
  input_name = name;
}

void CountAccepted() {
  ++num_accepted;
}
std::uint64_t NumAccepted() {
  return num_accepted;
}

Outcome OutcomeOf(const Error& error) {
  return {static_cast<int>(error.code()), error.message(), error.path(), error.offset(),
          error.key()};
}

std::uint8_t Taker::Byte() {
  return static_cast<std::uint8_t>(Number(1));
}

std::uint64_t Taker::Number(std::size_t num_bytes) {
  std::uint64_t value = 0;
  const ByteView bytes = Bytes(num_bytes);
  for (std::size_t i = 0; i < bytes.size(); ++i) value |= std::uint64_t{bytes[i]} << (8 * i);
  return value;
}

ByteView Taker::Bytes(std::size_t size) {
  const ByteView taken = bytes_.first(std::min(size, bytes_.size()));
  bytes_ = bytes_.subspan(taken.size());
  return taken;
}

ExactCopy::ExactCopy(std::size_t size)
    : data_(static_cast<std::uint8_t*>(std::calloc(std::max<std::size_t>(size, 1), 1))),
      size_(size) {}

ExactCopy::ExactCopy(ByteView bytes) : ExactCopy(bytes.size()) {
  if (size_ > 0) std::memcpy(data_, bytes.data(), size_);
}

ExactCopy::~ExactCopy() {
  std::free(data_);
}

}  // namespace fastckpt::fuzz
