// Directories: a distributed checkpoint's metadata and data, shards and their
// index. The input is a byte for the names, and the files' contents.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "ir/byte_source.h"
#include "tests/fuzz/fuzz_target.h"

namespace monoquant::fuzz {
namespace {

constexpr absl::string_view kKinds[][3] = {
    {".metadata", "__0_0.distcp", "__1_0.distcp"},
    {"model.safetensors.index.json", "a.safetensors", "b.safetensors"},
    {"pytorch_model.bin.index.json", "a.bin", "b.bin"},
    {"model.safetensors", "config.json", "tokenizer.json"},
};

}  // namespace
}  // namespace monoquant::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace monoquant::fuzz;
  Decisions decisions(data, size);
  const auto& kind = kKinds[decisions.Byte() % std::size(kKinds)];
  std::vector<std::pair<std::string, std::string>> files;
  for (std::string& part : decisions.Parts()) {
    if (files.size() == std::size(kind)) break;
    files.emplace_back(kind[files.size()], std::move(part));
  }
  OpenAndRead(monoquant::InMemoryFiles("model", std::move(files)));
  return 0;
}
