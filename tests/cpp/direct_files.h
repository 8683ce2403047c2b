// Files for tests of what goes past the page cache.
#ifndef FASTCKPT_TESTS_CPP_DIRECT_FILES_H_
#define FASTCKPT_TESTS_CPP_DIRECT_FILES_H_

#include <string>

namespace fastckpt::testing {

// Whether the file system of this file has a direct mode worth the name. Where it has none a line
// says what is left out.
bool HasDirectMode(const std::string& path);

// Brings a file to the device and its pages out of the cache.
void DropFromCache(const std::string& path);

}  // namespace fastckpt::testing

#endif  // FASTCKPT_TESTS_CPP_DIRECT_FILES_H_
