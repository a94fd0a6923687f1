// Guards: README.md and docs/containers.md have the registry's table of
// containers, and the latter states the limits that the code has.

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/frontend.h"
#include "frontends/pickle/pickle_machine.h"
#include "frontends/safetensors/safetensors_header.h"
#include "frontends/safetensors/shard_index.h"
#include "frontends/torch/state_dict.h"
#include "frontends/zip/zip_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

using ::testing::HasSubstr;

std::string ReadPage(const char* path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Page() { return ReadPage("docs/containers.md"); }

// 1 000 000, as the page writes it.
std::string Grouped(uint64_t value) {
  std::string digits = absl::StrCat(value);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, " ");
  return digits;
}

TEST(ContainersPageTest, HasEveryContainer) {
  for (const char* page : {"README.md", "docs/containers.md"}) {
    EXPECT_THAT(ReadPage(page), HasSubstr(ContainerTable()))
        << "bazel run //frontends:update_docs writes it into " << page;
  }
}

TEST(ContainersPageTest, HasTheLimits) {
  const std::string page = Page();
  const auto expect = [&](absl::string_view what, absl::string_view limit) {
    EXPECT_THAT(page, HasSubstr(absl::StrCat("\n| ", what, " | ", limit)));
  };
  const auto mib = [](uint64_t bytes) {
    return absl::StrCat(bytes >> 20, " MiB");
  };
  const PickleLimits pickle;
  expect("pickle: size", mib(pickle.bytes));
  expect("pickle: instructions", Grouped(pickle.opcodes));
  expect("pickle: values", Grouped(pickle.values));
  expect("pickle: stack and marks", Grouped(pickle.stack));
  expect("pickle: memo", Grouped(pickle.memo));
  expect("pickle: one string", mib(pickle.string_bytes));
  expect("pickle: one integer",
         absl::StrCat(pickle.integer_bytes >> 10, " KiB"));
  const StateDictLimits state_dict;
  expect("tensors", absl::StrCat(Grouped(state_dict.tensors), ", names of ",
                                 mib(state_dict.name_bytes)));
  expect("nesting of dicts, lists and modules", Grouped(state_dict.nesting));
  expect("entries of dicts, lists and modules that are looked at",
         Grouped(state_dict.visits));
  expect("zip: members", Grouped(kMaxZipEntries));
  expect("zip: directory", mib(kMaxZipDirectoryBytes));
  expect("zip: compression", absl::StrCat("1 : ", kMaxInflateRatio));
  expect("safetensors: header", Grouped(kMaxSafetensorsHeader));
  expect("shard index", absl::StrCat(Grouped(kMaxShardIndexBytes), " bytes, ",
                                     Grouped(kMaxShards), " shards"));
}

}  // namespace
}  // namespace monoquant
