// Runs a fuzz target without libFuzzer: all seeds, then inputs that are made of
// them by a generator with a fixed start, so that each run is the same.
//
//   target [--runs=N] FILE_OR_FOLDER ...
//
// When the target ends the process, the input is written to crash-input in
// TEST_UNDECLARED_OUTPUTS_DIR or the working directory.

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_target.h"

extern "C" void __sanitizer_set_death_callback(void (*callback)(void))
    __attribute__((weak));

namespace monoquant::fuzz {
namespace {

std::string current_input;

void SaveInput() {
  const char* folder = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  const std::string path =
      (folder == nullptr ? std::string() : std::string(folder) + "/") +
      "crash-input";
  std::ofstream(path, std::ios::binary) << current_input;
  std::fprintf(stderr, "the input is in %s\n", path.c_str());
}

void OnSignal(int number) {
  SaveInput();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void RunInput(const std::string& input) {
  current_input = input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()),
                         input.size());
}

// splitmix64.
class Random {
 public:
  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  size_t Below(size_t limit) { return static_cast<size_t>(Next() % limit); }

 private:
  uint64_t state_ = 1;
};

constexpr uint8_t kBytes[] = {0x00, 0x01, 0x02, 0x7F, 0x80, 0x81,
                              0xFE, 0xFF, '(',  '.',  'R',  '}'};

void Mutate(const std::vector<std::string>& seeds, Random* random,
            std::string* input) {
  if (input->empty()) input->push_back('\0');
  const size_t at = random->Below(input->size());
  const size_t size =
      std::min(input->size() - at, size_t{1} << random->Below(6));
  switch (random->Below(7)) {
    case 0:
      (*input)[at] = static_cast<char>((*input)[at] ^ (1 << random->Below(8)));
      break;
    case 1:
      (*input)[at] =
          static_cast<char>(kBytes[random->Below(std::size(kBytes))]);
      break;
    case 2:
      input->erase(at, size);
      break;
    case 3:
      input->insert(random->Below(input->size()), input->substr(at, size));
      break;
    case 4: {
      // A number at an edge: 2, 4 or 8 bytes of ones, or the sign alone.
      const size_t width =
          std::min(input->size() - at, size_t{2} << random->Below(3));
      std::fill_n(input->begin() + static_cast<std::ptrdiff_t>(at), width,
                  random->Below(2) == 0 ? '\xFF' : '\0');
      if (random->Below(2) == 0) (*input)[at + width - 1] = '\x80';
      break;
    }
    case 5: {
      const std::string& other = seeds[random->Below(seeds.size())];
      if (other.empty()) break;
      const size_t from = random->Below(other.size());
      input->replace(at, size, other.substr(from, size));
      break;
    }
    default:
      input->resize(at);
      break;
  }
}

std::vector<std::string> ReadSeeds(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      files.push_back(entry.path().string());
    }
  }
  // The order of a directory differs from machine to machine.
  std::sort(files.begin(), files.end());
  std::vector<std::string> seeds;
  for (const std::string& file : files) {
    std::ifstream in(file, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(in),
                       std::istreambuf_iterator<char>());
  }
  return seeds;
}

int Main(int argc, char** argv) {
  int runs = 0;
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg.rfind("--runs=", 0) == 0) {
      runs = std::atoi(arg.c_str() + 7);
    } else {
      paths.push_back(arg);
    }
  }
  const std::vector<std::string> seeds = ReadSeeds(paths);
  if (seeds.empty()) {
    std::fprintf(stderr, "usage: %s [--runs=N] FILE_OR_FOLDER ...\n", argv[0]);
    return 2;
  }
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(SaveInput);
  }
  std::signal(SIGABRT, OnSignal);
  for (const std::string& seed : seeds) RunInput(seed);
  Random random;
  for (int i = 0; i < runs; ++i) {
    std::string input = seeds[random.Below(seeds.size())];
    for (size_t k = 1 + random.Below(4); k > 0; --k) {
      Mutate(seeds, &random, &input);
    }
    RunInput(input);
  }
  std::printf("%zu seeds, %d inputs made of them\n", seeds.size(), runs);
  return 0;
}

}  // namespace
}  // namespace monoquant::fuzz

int main(int argc, char** argv) { return monoquant::fuzz::Main(argc, argv); }
