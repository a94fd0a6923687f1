// Sound zip archives of strange members: the kinds of archive that torch and
// its relatives write are told apart by the names, and each reads others.
//
// The input is a byte for the names, and the members' contents.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/testing/zip_builder.h"
#include "tests/fuzz/fuzz_target.h"

namespace monoquant::fuzz {
namespace {

// What each kind is made of, the first member being the most telling.
constexpr absl::string_view kKinds[][8] = {
    {"data.pkl", "data/0", "byteorder", "version", "monoquant.json"},
    {"data.pkl", "constants.pkl", "code/__torch__.py", "data/0", "constants/0"},
    {"data.pkl", "constants.pkl", "bytecode.pkl", "data/0", "data/1"},
    {"model.json", "tensors/0", "tensors/1", "code/m.py"},
    {"data.pkl", "constants.pkl", "tensors/0", "attributes.pkl"},
    {"data/weights/model_weights_config.json", "archive_format",
     "archive_version", "data/weights/weight_0", "data/weights/weight_1",
     "data/constants/model_constants_config.json", "data/constants/tensor_0"},
    {"data/aotinductor/model/weights_config.json", "archive_format",
     "archive_version", "data/weights/weight_0"},
    {"serialized_state_dict.pt", "serialized_exported_program.json", "version",
     "serialized_constants.pt"},
};

}  // namespace
}  // namespace monoquant::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace monoquant::fuzz;
  Decisions decisions(data, size);
  const uint8_t head = decisions.Byte();
  const auto& kind = kKinds[head % std::size(kKinds)];
  const bool rootless = head >= 0xF0;
  monoquant::testing::ZipBuilder builder;
  size_t i = 0;
  for (const std::string& part : decisions.Parts()) {
    if (i == std::size(kind) || kind[i].empty()) break;
    builder.Add(absl::StrCat(rootless ? "" : "m/", kind[i++]), part);
  }
  OpenAndRead(OneFile("model.pt", builder.Build()));
  return 0;
}
