#include "io/system_error.h"

#include <system_error>
#include <utility>

namespace fastckpt::io {
namespace {

const char* NextStep(int number) {
  if (number == EMFILE) return "; raise the limit of open files (ulimit -n)";
  if (number == ENOSPC) return "; free some space and try again";
  if (number == EDQUOT) return "; free some of your quota and try again";
  if (number == EFBIG) return "; raise the limit of file sizes (ulimit -f), or use more shards";
  return "";
}

}  // namespace

Error SystemError(const std::string& what, const std::string& path, std::int64_t result,
                  ErrorCode code) {
  const int number = static_cast<int>(-result);
  std::string message = what + ": " + std::generic_category().message(number) + NextStep(number);
  return Error(code, std::move(message)).At(path).WithSystemError(number);
}

}  // namespace fastckpt::io
