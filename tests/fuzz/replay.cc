// Runs a fuzz target without a fuzzing engine, with any compiler:
//
//   replay_<target> CORPUS_DIRECTORY [MUTATIONS_PER_FILE]
//
// Every file of the directory goes through the target, and through its mutator the given number of
// times, always the same ones. Fails when there is no file, and when the target accepts nearly none
// of the mutated inputs: the mutator then no longer gets past the checksums. A broken check aborts.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "mutation.h"
#include "support.h"

namespace fastckpt::fuzz {
namespace {

// As large as the inputs of scripts/run_fuzzers.sh.
constexpr std::size_t kMaxInput = 4096;
// One accepted input in so many is enough.
constexpr std::uint64_t kAcceptedShare = 4;

std::vector<std::string> CorpusFiles(const char* directory) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(directory, error)) {
    paths.push_back(file.path().string());
  }
  std::ranges::sort(paths);
  return paths;
}

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void RunOne(const std::string& input) {
  const ExactCopy copy(AsBytes(input));
  LLVMFuzzerTestOneInput(copy.view().data(), copy.view().size());
}

// Each mutation starts from the one before, as in a real run, for a few steps.
std::uint64_t RunMutated(const std::string& seed_input, unsigned rounds) {
  constexpr unsigned kSteps = 4;
  const std::uint64_t before = NumAccepted();
  std::string input;
  for (unsigned round = 0; round < rounds; ++round) {
    if (round % kSteps == 0) input = seed_input;
    const std::size_t size = input.size();
    input.resize(std::max(size, kMaxInput));
    input.resize(LLVMFuzzerCustomMutator(reinterpret_cast<std::uint8_t*>(input.data()), size,
                                         input.size(), round));
    RunOne(input);
  }
  return NumAccepted() - before;
}

int Replay(const char* directory, unsigned rounds) {
  const std::vector<std::string> paths = CorpusFiles(directory);
  std::uint64_t accepted = 0;
  for (const std::string& path : paths) {
    const std::string input = ReadWhole(path);
    RunOne(input);
    accepted += RunMutated(input, rounds);
  }
  const std::uint64_t mutated = std::uint64_t{rounds} * paths.size();
  std::printf("%s: %zu files, %llu mutated inputs, %llu of them accepted\n", directory,
              paths.size(), static_cast<unsigned long long>(mutated),
              static_cast<unsigned long long>(accepted));
  return paths.empty() || accepted * kAcceptedShare < mutated ? 1 : 0;
}

}  // namespace
}  // namespace fastckpt::fuzz

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: replay CORPUS_DIRECTORY [MUTATIONS_PER_FILE]\n");
    return 2;
  }
  const unsigned long rounds = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0;
  return fastckpt::fuzz::Replay(argv[1], static_cast<unsigned>(rounds));
}
