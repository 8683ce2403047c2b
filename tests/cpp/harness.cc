#include "harness.h"

#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <random>
#include <vector>

namespace fastckpt::testing {
namespace {

struct TestCase {
  std::string name;
  void (*body)();
};

std::vector<TestCase>& Tests() {
  static std::vector<TestCase> tests;
  return tests;
}

std::string& CurrentDirectory() {
  static std::string directory;
  return directory;
}

std::string MakeRoot() {
  std::random_device random;
  const auto root =
      std::filesystem::temp_directory_path() / ("fastckpt-tests-" + std::to_string(random()));
  std::filesystem::create_directories(root);
  return root.string();
}

bool RunOne(const TestCase& test) {
  try {
    test.body();
    return true;
  } catch (const Failure& failure) {
    std::fprintf(stderr, "FAILED %s\n  %s\n", test.name.c_str(), failure.message.c_str());
  } catch (const Error& error) {
    std::fprintf(stderr, "FAILED %s\n  unexpected Error: %s (%s)\n", test.name.c_str(),
                 error.message().c_str(), error.path().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "FAILED %s\n  unexpected exception: %s\n", test.name.c_str(),
                 error.what());
  }
  return false;
}

}  // namespace

void Register(const char* file, const char* name, void (*body)()) {
  const std::string stem = std::filesystem::path(file).stem().string();
  Tests().push_back({stem + "." + name, body});
}

void Fail(const char* file, int line, const std::string& message) {
  throw Failure{std::string(file) + ":" + std::to_string(line) + ": " + message};
}

std::string TemporaryDirectory() {
  std::filesystem::create_directories(CurrentDirectory());
  return CurrentDirectory();
}

int Main(int argc, char** argv) {
  const std::string filter = argc > 1 ? argv[1] : "";
  const std::string root = MakeRoot();
  int passed = 0;
  int failed = 0;
  for (const TestCase& test : Tests()) {
    if (filter == "--list") {
      std::printf("%s\n", test.name.c_str());
      continue;
    }
    if (test.name.find(filter) == std::string::npos) continue;
    CurrentDirectory() = root + "/" + test.name;
    (RunOne(test) ? passed : failed) += 1;
    std::filesystem::remove_all(CurrentDirectory());
  }
  std::filesystem::remove_all(root);
  if (filter != "--list") std::printf("C++: %d passed, %d failed\n", passed, failed);
  return failed == 0 && (passed > 0 || filter == "--list") ? 0 : 1;
}

}  // namespace fastckpt::testing

int main(int argc, char** argv) {
  return fastckpt::testing::Main(argc, argv);
}
