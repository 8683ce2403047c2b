// Arithmetic modulo the CRC-32C polynomial at compile time: the source of every table and constant.
//
// Everything is consteval and no template, so this header leaves no code in any object file and may
// be included by kernel files. Polynomials are reflected: the top bit of a word is the coefficient
// of x^0, the lowest that of x^31.
#ifndef FASTCKPT_CRC_POLYNOMIAL_H_
#define FASTCKPT_CRC_POLYNOMIAL_H_

#include <cstdint>

namespace fastckpt::crc {

// x^32 modulo the polynomial (RFC 3720 section 12.1, reflected).
constexpr std::uint32_t kPolynomial = 0x82F63B78u;
// x^kOrder = 1: the polynomial is x + 1 times a primitive one of degree 31.
constexpr std::int64_t kOrder = 0x7FFFFFFF;

consteval std::uint32_t MultiplyModulo(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = (b & 1) != 0 ? (b >> 1) ^ kPolynomial : b >> 1;
  }
  return product;
}

// x^exponent. Negative exponents are allowed: x has an inverse.
consteval std::uint32_t PowerOfX(std::int64_t exponent) {
  std::int64_t remaining = ((exponent % kOrder) + kOrder) % kOrder;
  std::uint32_t power = 0x80000000u;
  std::uint32_t square = 0x40000000u;
  for (; remaining != 0; remaining >>= 1) {
    if ((remaining & 1) != 0) power = MultiplyModulo(power, square);
    square = MultiplyModulo(square, square);
  }
  return power;
}

static_assert(PowerOfX(32) == kPolynomial);
static_assert(MultiplyModulo(PowerOfX(kOrder - 1), PowerOfX(1)) == PowerOfX(0));

// Carry-less products of reflected words come out shifted, and the CRC instruction multiplies by
// x^32: moving a 32-bit value forward by n bits is "multiply by ShiftKey(n), then the CRC of the
// 64-bit product, starting from 0".
consteval std::uint32_t ShiftKey(std::int64_t bits) {
  return PowerOfX(bits - 33);
}

}  // namespace fastckpt::crc

#endif  // FASTCKPT_CRC_POLYNOMIAL_H_
