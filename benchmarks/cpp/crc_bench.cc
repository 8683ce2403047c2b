// CRC-32C at C level: every supported kernel, the dispatched functions and a memcpy ceiling.
//
//   crc_bench [--json] [--max-bytes N] [--samples N]
//
// One thread. The memory is touched before anything is timed, the contenders take turns within each
// round, and the figure is the median over rounds. Sizes that fit a cache are timed in that cache.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "crc/crc32c.h"
#include "crc_timing.h"

namespace {

constexpr std::size_t kSizes[] = {64,      128,      200,       256,      512,
                                  1 << 10, 4 << 10,  16 << 10,  64 << 10, 256 << 10,
                                  1 << 20, 16 << 20, 256 << 20, 1 << 30};
constexpr std::size_t kPageSize = 4096;

struct Options {
  bool json = false;
  std::size_t max_bytes = std::size_t{1} << 30;
  int samples = 9;
};

struct Contender {
  std::string name;
  const void* function;
  int convention;
};

struct Result {
  std::string contender;
  std::size_t size;
  double median;  // GB/s, 10^9 bytes per second
  double best;
  double worst;
};

[[noreturn]] void Usage() {
  std::fputs("usage: crc_bench [--json] [--max-bytes N] [--samples N]\n", stderr);
  std::exit(2);
}

std::size_t ParseCount(const char* text) {
  char* end = nullptr;
  const unsigned long long count = text == nullptr ? 0 : std::strtoull(text, &end, 10);
  if (count == 0 || *end != '\0') Usage();
  return count;
}

Options ParseOptions(char** arguments) {
  Options options;
  for (char** next = arguments + 1; *next != nullptr; ++next) {
    const std::string_view argument = *next;
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--max-bytes") {
      options.max_bytes = ParseCount(*++next);
    } else if (argument == "--samples") {
      options.samples = static_cast<int>(std::min<std::size_t>(ParseCount(*++next), 1000));
    } else {
      Usage();
    }
  }
  return options;
}

std::vector<Contender> MakeContenders() {
  std::vector<Contender> contenders;
  const auto add = [&](const std::string& name, int convention, const std::string& suffix = "") {
    if (const void* function = fastckpt_crc_function(name.c_str())) {
      contenders.push_back({name + suffix, function, convention});
    }
  };
  for (const fastckpt::crc::Kernel* kernel : fastckpt::crc::Kernels()) {
    add(kernel->name, kCrcDataSize);
    add(std::string(kernel->name) + "+copy", kCrcToFromSize);
  }
  add("extend", kCrcDataSize);
  add("extend", kCrcDataSizeChained, " chained");
  add("copy_extend", kCrcToFromSize);
  void* (*copy)(void*, const void*, std::size_t) = &std::memcpy;
  contenders.push_back({"memcpy", reinterpret_cast<const void*>(copy), kToFromSize});
  return contenders;
}

struct Buffer {
  explicit Buffer(std::size_t bytes)
      : memory(static_cast<std::uint8_t*>(std::aligned_alloc(kPageSize, bytes)), &std::free) {
    if (memory == nullptr) {
      std::fprintf(stderr, "crc_bench: no memory for %zu bytes; pass a smaller --max-bytes\n",
                   bytes);
      std::exit(1);
    }
    std::uint32_t word = 1;
    for (std::size_t i = 0; i < bytes; ++i) {
      word =
          word * 1664525u + 1013904223u;  // Numerical Recipes: incompressible enough, reproducible
      memory.get()[i] = static_cast<std::uint8_t>(word >> 24);
    }
  }
  std::unique_ptr<std::uint8_t, void (*)(void*)> memory;
};

double Time(const Contender& contender, Buffer& to, const Buffer& from, std::size_t size,
            std::size_t calls) {
  return fastckpt_crc_time(contender.function, contender.convention, to.memory.get(),
                           from.memory.get(), size, calls);
}

// Enough calls for two milliseconds, so that the clock and the loop do not show.
std::size_t CallsFor(const Contender& contender, Buffer& to, const Buffer& from, std::size_t size) {
  const std::size_t trial = Time(contender, to, from, size, 1) > 1e5 ? 1 : 1000;
  const double nanoseconds = Time(contender, to, from, size, trial);
  return static_cast<std::size_t>(std::max(1.0, 2e6 / std::max(nanoseconds, 0.1)));
}

std::vector<Result> Measure(const std::vector<Contender>& contenders, Buffer& to,
                            const Buffer& from, std::size_t size, int samples) {
  std::vector<std::vector<double>> rates(contenders.size());
  std::vector<std::size_t> calls;
  for (const Contender& contender : contenders) {
    calls.push_back(CallsFor(contender, to, from, size));
  }
  for (int round = 0; round < samples; ++round) {
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      // Untimed: the contender before left its own data in the caches.
      Time(contenders[i], to, from, size, 1);
      const double nanoseconds = Time(contenders[i], to, from, size, calls[i]);
      rates[i].push_back(static_cast<double>(size) / nanoseconds);
    }
  }
  std::vector<Result> results;
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    std::sort(rates[i].begin(), rates[i].end());
    results.push_back({contenders[i].name, size, rates[i][rates[i].size() / 2], rates[i].back(),
                       rates[i].front()});
  }
  return results;
}

void PrintRow(const std::vector<Result>& results, bool header) {
  if (header) {
    std::printf("%12s", "GB/s, bytes");
    for (const Result& result : results) std::printf(" %14s", result.contender.c_str());
    std::printf("\n");
  }
  std::printf("%12zu", results.front().size);
  for (const Result& result : results) std::printf(" %14.1f", result.median);
  std::printf("\n");
  std::fflush(stdout);
}

void PrintJson(const std::vector<Result>& results) {
  std::printf(
      "{\"benchmark\": \"crc\", \"unit\": \"GB/s\", \"compiler\": \"%s\", \"kernel\": \"%s\",\n",
      __VERSION__, fastckpt::crc::ActiveKernel().name);
  std::printf(" \"results\": [");
  const char* separator = "\n";
  for (const Result& result : results) {
    std::printf(
        "%s  {\"contender\": \"%s\", \"size\": %zu, \"median\": %.3f, \"best\": %.3f, "
        "\"worst\": %.3f}",
        separator, result.contender.c_str(), result.size, result.median, result.best, result.worst);
    separator = ",\n";
  }
  std::printf("\n]}\n");
}

}  // namespace

int main(int, char** argv) {
  const Options options = ParseOptions(argv);
  const std::vector<Contender> contenders = MakeContenders();
  const std::size_t bytes =
      std::max(kPageSize, (options.max_bytes + kPageSize - 1) / kPageSize * kPageSize);
  Buffer to(bytes);
  const Buffer from(bytes);
  std::vector<Result> all;
  for (const std::size_t size : kSizes) {
    if (size > options.max_bytes) break;
    const std::vector<Result> results = Measure(contenders, to, from, size, options.samples);
    if (!options.json) PrintRow(results, size == kSizes[0]);
    all.insert(all.end(), results.begin(), results.end());
  }
  if (options.json) PrintJson(all);
  return 0;
}
