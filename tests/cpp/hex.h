// Bytes as hexadecimal text, the way format documents spell them.
#ifndef FASTCKPT_TESTS_CPP_HEX_H_
#define FASTCKPT_TESTS_CPP_HEX_H_

#include <string>
#include <string_view>

namespace fastckpt::testing {

// Two digits a byte, without spaces.
inline std::string Hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    out.push_back(kDigits[value >> 4]);
    out.push_back(kDigits[value & 15]);
  }
  return out;
}

// The inverse; spaces are for the reader's eye.
inline std::string FromHex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  int high = -1;
  for (const char c : text) {
    if (c == ' ') continue;
    if (high < 0) {
      high = digit(c);
    } else {
      out.push_back(static_cast<char>(high << 4 | digit(c)));
      high = -1;
    }
  }
  return out;
}

}  // namespace fastckpt::testing

#endif  // FASTCKPT_TESTS_CPP_HEX_H_
