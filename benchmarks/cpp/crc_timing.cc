#include "crc_timing.h"

#include <chrono>
#include <string_view>

#include "crc/crc32c.h"

namespace {

using CrcDataSize = std::uint32_t (*)(std::uint32_t, const void*, std::size_t);
using DataSizeCrc = std::uint32_t (*)(const void*, std::size_t, std::uint32_t);
using CrcToFromSize = std::uint32_t (*)(std::uint32_t, void*, const void*, std::size_t);
using ToFromSize = void* (*)(void*, const void*, std::size_t);
using CrcCrcSize = std::uint32_t (*)(std::uint32_t, std::uint32_t, std::uint64_t);

template <typename Function>
Function As(const void* function) {
  return reinterpret_cast<Function>(reinterpret_cast<std::uintptr_t>(function));
}

template <typename Function>
const void* AddressOf(Function function) {
  return reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(function));
}

template <typename Call>
double NanosecondsPerCall(std::size_t calls, Call call) {
  std::uint32_t value = 0;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < calls; ++i) value = call(value);
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
  // The last result counts as used, or the calls could go.
  __asm__ volatile("" : : "r"(value));
  return spent.count() / static_cast<double>(calls);
}

}  // namespace

double fastckpt_crc_time(const void* function, int convention, std::uint8_t* destination,
                         const std::uint8_t* source, std::size_t size, std::size_t calls) {
  switch (convention) {
    case kCrcDataSize:
      return NanosecondsPerCall(
          calls, [=](std::uint32_t) { return As<CrcDataSize>(function)(0, source, size); });
    case kCrcDataSizeChained:
      return NanosecondsPerCall(
          calls, [=](std::uint32_t crc) { return As<CrcDataSize>(function)(crc, source, size); });
    case kDataSizeCrc:
      return NanosecondsPerCall(
          calls, [=](std::uint32_t) { return As<DataSizeCrc>(function)(source, size, 0); });
    case kDataSizeCrcChained:
      return NanosecondsPerCall(
          calls, [=](std::uint32_t crc) { return As<DataSizeCrc>(function)(source, size, crc); });
    case kCrcToFromSize:
      return NanosecondsPerCall(calls, [=](std::uint32_t) {
        return As<CrcToFromSize>(function)(0, destination, source, size);
      });
    case kToFromSize:
      return NanosecondsPerCall(calls, [=](std::uint32_t crc) {
        As<ToFromSize>(function)(destination, source, size);
        return crc;
      });
    case kCrcCrcSize:
      return NanosecondsPerCall(
          calls, [=](std::uint32_t crc) { return As<CrcCrcSize>(function)(crc, 1, size); });
    default:
      return 0;
  }
}

const void* fastckpt_crc_function(const char* name) {
  namespace crc = fastckpt::crc;
  const std::string_view wanted = name;
  if (wanted == "extend") return AddressOf(&crc::Extend);
  if (wanted == "copy_extend") return AddressOf(&crc::CopyExtend);
  if (wanted == "combine") return AddressOf(&crc::Combine);
  for (const crc::Kernel* kernel : crc::Kernels()) {
    const std::string_view own = kernel->name;
    if (!kernel->supported() || !wanted.starts_with(own)) continue;
    if (wanted == own) return AddressOf(kernel->extend);
    if (wanted.substr(own.size()) == "+copy") return AddressOf(kernel->copy_extend);
  }
  return nullptr;
}
