// The one exception of the C++ core.
//
// Leaf decoders (coding/) report failure by return value. The first layer that knows file and
// offset throws Error; the binding turns it into the Python class of the same meaning
// (docs/errors.md).
#ifndef FASTCKPT_BASE_ERROR_H_
#define FASTCKPT_BASE_ERROR_H_

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace fastckpt {

// Numbers are shared with the binding's table of Python classes; append, never renumber.
enum class ErrorCode : int {
  kDataLoss = 1,         // bad magic, bad CRC, truncation, impossible lengths
  kNotFound = 2,         // no such checkpoint, or a missing shard
  kTensorNotFound = 3,   // no such tensor
  kInvalidArgument = 4,  // wrong shape, dtype, slice, name or mode
  kUnsupported = 5,      // known, and not supported here
  kLimitExceeded = 6,    // a documented limit, found before allocating
  kChanged = 7,          // the files are not the ones that were opened
  kBusy = 8,             // another live writer owns the prefix
  kIo = 9,               // the operating system refused; system_error() says why
  kClosed = 10,          // use after close
};

// What went wrong, and where. Message form: what, where, so what; the text before the first colon
// or parenthesis is stable. The builder calls add the location:
//
//   throw Error(ErrorCode::kDataLoss, "block checksum mismatch").At(path, offset);
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  Error&& At(std::string path) && {
    path_ = std::move(path);
    return std::move(*this);
  }
  Error&& At(std::string path, std::uint64_t offset) && {
    path_ = std::move(path);
    offset_ = offset;
    return std::move(*this);
  }
  Error&& ForKey(std::string key) && {
    key_ = std::move(key);
    return std::move(*this);
  }
  Error&& WithSystemError(int error_number) && {
    system_error_ = error_number;
    return std::move(*this);
  }

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  // Empty where no file is concerned.
  const std::string& path() const { return path_; }
  // Byte offset inside path(), where one is known.
  std::optional<std::uint64_t> offset() const { return offset_; }
  // The tensor (raw key bytes), where one is concerned.
  const std::optional<std::string>& key() const { return key_; }
  // errno of the failed call, 0 when no call failed.
  int system_error() const { return system_error_; }

  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ErrorCode code_;
  std::string message_;
  std::string path_;
  std::optional<std::uint64_t> offset_;
  std::optional<std::string> key_;
  int system_error_ = 0;
};

}  // namespace fastckpt

#endif  // FASTCKPT_BASE_ERROR_H_
