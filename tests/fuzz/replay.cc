// Runs a fuzz target without a fuzzing engine, with any compiler:
//
//   replay_<target> CORPUS_DIRECTORY [MUTATIONS_PER_FILE]
//
// Every file of the directory goes through the target, and through its mutator the given number of
// times, always the same ones. A broken check names the file and aborts. Fails when there is no
// file that the target accepts, and when it accepts few of their mutated forms: the mutator then no
// longer gets past the checksums.
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
constexpr std::size_t kMaxInput = 2048;
// One accepted input in so many is enough.
constexpr std::uint64_t kAcceptedShare = 5;

// Counts over the accepted files.
struct Totals {
  std::uint64_t files = 0;
  std::uint64_t mutated = 0;
  std::uint64_t accepted = 0;
};

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

// Whether the target accepts the input.
bool RunOne(const std::string& input) {
  const std::uint64_t before = NumAccepted();
  const ExactCopy copy(AsBytes(input));
  LLVMFuzzerTestOneInput(copy.view().data(), copy.view().size());
  return NumAccepted() > before;
}

// How many mutated forms the target accepts. Each starts from the one before, as in a real run, for
// a few steps.
std::uint64_t RunMutated(const std::string& seed_input, unsigned rounds) {
  constexpr unsigned kSteps = 4;
  std::uint64_t accepted = 0;
  std::string input;
  for (unsigned round = 0; round < rounds; ++round) {
    if (round % kSteps == 0) input = seed_input;
    const std::size_t size = input.size();
    input.resize(std::max(size, kMaxInput));
    input.resize(LLVMFuzzerCustomMutator(reinterpret_cast<std::uint8_t*>(input.data()), size,
                                         input.size(), round));
    accepted += RunOne(input) ? 1 : 0;
  }
  return accepted;
}

int Replay(const char* directory, unsigned rounds) {
  const std::vector<std::string> paths = CorpusFiles(directory);
  Totals totals;
  for (const std::string& path : paths) {
    NameInput(path);
    const std::string input = ReadWhole(path);
    const bool is_accepted = RunOne(input);
    const std::uint64_t accepted = RunMutated(input, rounds);
    if (!is_accepted) continue;
    ++totals.files;
    totals.mutated += rounds;
    totals.accepted += accepted;
  }
  std::printf("%s: %zu files, %llu accepted; of %llu mutated forms of these %llu\n", directory,
              paths.size(), static_cast<unsigned long long>(totals.files),
              static_cast<unsigned long long>(totals.mutated),
              static_cast<unsigned long long>(totals.accepted));
  return totals.files == 0 || totals.accepted * kAcceptedShare < totals.mutated ? 1 : 0;
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
