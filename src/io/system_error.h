// What the system's refusals become.
#ifndef FASTCKPT_IO_SYSTEM_ERROR_H_
#define FASTCKPT_IO_SYSTEM_ERROR_H_

#include <cerrno>
#include <cstdint>
#include <string>

#include "base/error.h"

namespace fastckpt::io {

// "`what`: the system's words; what to do", for a `result` that is minus an errno.
Error SystemError(const std::string& what, const std::string& path, std::int64_t result,
                  ErrorCode code = ErrorCode::kIo);

// Makes a call again for as long as signals interrupt it.
template <typename Call>
auto Uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result != -EINTR) return result;
  }
}

}  // namespace fastckpt::io

#endif  // FASTCKPT_IO_SYSTEM_ERROR_H_
