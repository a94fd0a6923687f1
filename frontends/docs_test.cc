// Guards: README.md and docs/containers.md have the registry's table of
// containers, and the latter states the limits that the code has.

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/dcp/box_cover.h"
#include "frontends/dcp/dcp_metadata.h"
#include "frontends/frontend.h"
#include "frontends/legacy/legacy_storages.h"
#include "frontends/mobile/mobile_module.h"
#include "frontends/pickle/pickle_machine.h"
#include "frontends/safetensors/safetensors_header.h"
#include "frontends/safetensors/shard_index.h"
#include "frontends/tar/tar_directory.h"
#include "frontends/tar/tar_tables.h"
#include "frontends/torch/place_quantized.h"
#include "frontends/torch/state_dict.h"
#include "frontends/torch/torch_archive.h"
#include "frontends/zip/zip_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/checkpoint.h"
#include "ir/json.h"

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
  expect("pickle: memory, its own bytes included", mib(pickle.memory));
  expect("pickle: stack and marks", Grouped(pickle.stack));
  expect("pickle: memo", Grouped(pickle.memo));
  expect("pickle: one string", mib(pickle.string_bytes));
  expect("pickle: one integer",
         absl::StrCat(pickle.integer_bytes >> 10, " KiB"));
  const StateDictLimits state_dict;
  const IndexLimits index;
  expect("tensors", absl::StrCat(Grouped(index.tensors), ", names of ",
                                 mib(index.name_bytes), ", ",
                                 Grouped(index.dims), " dimensions together"));
  expect("tensors that torch quantized", Grouped(state_dict.quantized));
  expect("parameters of quantized modules that are read on opening",
         mib(kMaxModuleParams));
  expect("entries of a value and all it is nested in",
         Grouped(state_dict.open_entries));
  expect("JSON: values held at once", Grouped(kMaxJsonValues));
  expect("nesting of dicts, lists and modules", Grouped(state_dict.nesting));
  expect("entries of dicts, lists and modules that are looked at again",
         Grouped(state_dict.revisits));
  expect("attributes of tensors, together", Grouped(state_dict.attributes));
  expect("zip: members", absl::StrCat(Grouped(kMaxZipEntries), ", names of ",
                                      mib(kMaxZipNameBytes)));
  expect("zip: directory", mib(kMaxZipDirectoryBytes));
  expect("JSON that lists the tensors of a zip archive", mib(kMaxArchiveJson));
  expect("zip: compression", absl::StrCat("1 : ", kMaxInflateRatio));
  expect("legacy stream: storages", Grouped(kMaxLegacyStorages));
  expect("tar: members", Grouped(kMaxTarMembers));
  expect("tar: rows of a table", Grouped(kMaxTarRows));
  expect("mobile module: values looked at", Grouped(kMaxMobileVisits));
  expect("safetensors: header", Grouped(kMaxSafetensorsHeader));
  expect("shard index", absl::StrCat(Grouped(kMaxShardIndexBytes), " bytes, ",
                                     Grouped(kMaxShards), " shards"));
  expect("`.metadata`: entries",
         absl::StrCat(Grouped(kMaxDcpEntries), ", paths of ",
                      mib(kMaxDcpNameBytes), " together, of ",
                      Grouped(kMaxDcpPathParts), " parts each"));
  expect("offsets and sizes of the chunks of all tensors",
         Grouped(kMaxChunkNumbers));
  expect("corners of the chunks of one tensor", Grouped(kMaxBoxCorners));
}

}  // namespace
}  // namespace monoquant
