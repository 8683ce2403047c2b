// Times CRC and copy functions of several calling conventions through function pointers, so that
// every contender pays the same call.
#ifndef FASTCKPT_BENCHMARKS_CPP_CRC_TIMING_H_
#define FASTCKPT_BENCHMARKS_CPP_CRC_TIMING_H_

#include <cstddef>
#include <cstdint>

extern "C" {

enum CrcConvention : int {
  kCrcDataSize = 0,         // uint32_t (uint32_t crc, const void* data, size_t size)
  kCrcDataSizeChained = 1,  // same; each call continues the CRC of the one before
  kDataSizeCrc = 2,         // uint32_t (const void* data, size_t size, uint32_t crc)
  kDataSizeCrcChained = 3,  // same; each call continues the CRC of the one before
  kCrcToFromSize = 4,       // uint32_t (uint32_t crc, void* to, const void* from, size_t size)
  kToFromSize = 5,          // void* (void* to, const void* from, size_t size), as memcpy
  kCrcCrcSize = 6,          // uint32_t (uint32_t a, uint32_t b, uint64_t size), as Combine
};

// Nanoseconds that one call took, averaged over `calls` calls of `function` on the same `size`
// bytes.
__attribute__((visibility("default"))) double fastckpt_crc_time(
    const void* function, int convention, std::uint8_t* destination, const std::uint8_t* source,
    std::size_t size, std::size_t calls);

// This library's functions by name: "extend", "copy_extend", "combine", or a kernel's name with an
// optional "+copy". Null when there is none, or when this machine does not support the kernel.
__attribute__((visibility("default"))) const void* fastckpt_crc_function(const char* name);
}

#endif  // FASTCKPT_BENCHMARKS_CPP_CRC_TIMING_H_
