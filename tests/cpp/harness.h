// A small test harness: tests register themselves, checks throw, the runner reports and goes on.
//
//   TEST(varint_rejects_an_eleventh_byte) { CHECK(DecodeVarint64(…) == nullptr); CHECK_EQ(a, b); }
//   CHECK_ERROR(ErrorCode::kDataLoss, OpenTable(bytes));
//
// Run `fastckpt_tests` for all, `fastckpt_tests crc` for names that contain "crc", `--list` for
// names.
#ifndef FASTCKPT_TESTS_CPP_HARNESS_H_
#define FASTCKPT_TESTS_CPP_HARNESS_H_

#include <sstream>
#include <string>

#include "base/error.h"

namespace fastckpt::testing {

struct Failure {
  std::string message;
};

void Register(const char* file, const char* name, void (*body)());

template <typename T>
std::string Show(const T& value) {
  if constexpr (requires(std::ostringstream& out) { out << value; }) {
    std::ostringstream out;
    out << value;
    return out.str();
  } else {
    return "(value)";
  }
}

[[noreturn]] void Fail(const char* file, int line, const std::string& message);

// A directory of its own for the running test, emptied before it and removed after the run.
std::string TemporaryDirectory();

}  // namespace fastckpt::testing

#define TEST(name)                                                                   \
  static void fastckpt_test_##name();                                                \
  [[maybe_unused]] static const bool fastckpt_registered_##name =                    \
      (::fastckpt::testing::Register(__FILE__, #name, &fastckpt_test_##name), true); \
  static void fastckpt_test_##name()

#define CHECK(condition)                                                                      \
  do {                                                                                        \
    if (!(condition)) ::fastckpt::testing::Fail(__FILE__, __LINE__, "CHECK(" #condition ")"); \
  } while (false)

#define CHECK_EQ(left, right)                                                           \
  do {                                                                                  \
    const auto& check_left = (left);                                                    \
    const auto& check_right = (right);                                                  \
    if (!(check_left == check_right))                                                   \
      ::fastckpt::testing::Fail(                                                        \
          __FILE__, __LINE__,                                                           \
          "CHECK_EQ(" #left ", " #right "): " + ::fastckpt::testing::Show(check_left) + \
              " != " + ::fastckpt::testing::Show(check_right));                         \
  } while (false)

// The expression throws fastckpt::Error of this code.
#define CHECK_ERROR(expected_code, expression)                                                 \
  do {                                                                                         \
    bool check_thrown = false;                                                                 \
    try {                                                                                      \
      static_cast<void>(expression);                                                           \
    } catch (const ::fastckpt::Error& error) {                                                 \
      check_thrown = true;                                                                     \
      if (error.code() != (expected_code))                                                     \
        ::fastckpt::testing::Fail(__FILE__, __LINE__, "wrong error code: " + error.message()); \
    }                                                                                          \
    if (!check_thrown)                                                                         \
      ::fastckpt::testing::Fail(__FILE__, __LINE__, "no error from " #expression);             \
  } while (false)

#endif  // FASTCKPT_TESTS_CPP_HARNESS_H_
