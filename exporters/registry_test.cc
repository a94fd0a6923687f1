// Guards: every format is found by name and by extension, and has its place in
// docs/formats.md.

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "exporters/exporter.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

using ::testing::HasSubstr;

TEST(RegistryTest, EveryRowIsFoundByNameAndExtension) {
  std::set<absl::string_view> seen;
  std::set<absl::string_view> extensions;
  for (const ExporterRow& row : AllExporters()) {
    const absl::string_view name = row.exporter->name();
    EXPECT_TRUE(seen.insert(name).second) << name << " twice";
    EXPECT_FALSE(row.description.empty()) << name;
    const auto found = FindExporter(name);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ((*found)->exporter, row.exporter);
    ASSERT_FALSE(row.extensions.empty()) << name;
    for (absl::string_view extension : row.extensions) {
      // The first row with an extension is the one that it chooses.
      if (!extensions.insert(extension).second) continue;
      const auto by_path =
          FindExporterForPath("a.b/c." + std::string(extension));
      ASSERT_TRUE(by_path.ok()) << by_path.status();
      EXPECT_EQ((*by_path)->exporter, row.exporter);
    }
  }
}

TEST(RegistryTest, EveryRowIsDocumented) {
  std::ifstream file("docs/formats.md");
  std::stringstream document;
  document << file.rdbuf();
  ASSERT_THAT(document.str(), HasSubstr("# Output formats"));
  for (const ExporterRow& row : AllExporters()) {
    const std::string name(row.exporter->name());
    EXPECT_THAT(document.str(), HasSubstr("| `" + name + "` |"));
    EXPECT_THAT(document.str(), HasSubstr("\n## " + name + "\n"));
    for (absl::string_view extension : row.extensions) {
      EXPECT_THAT(document.str(),
                  HasSubstr("`." + std::string(extension) + "`"));
    }
  }
}

TEST(RegistryTest, ThePythonHintNamesThePath) {
  for (const ExporterRow& row : AllExporters()) {
    if (row.python_hint.empty()) continue;
    EXPECT_THAT(std::string(row.python_hint), HasSubstr("(PATH"));
  }
}

TEST(RegistryTest, ExtensionsDoNotDependOnCase) {
  EXPECT_EQ((*FindExporterForPath("MODEL.SafeTensors"))->exporter->name(),
            "safetensors");
}

TEST(RegistryTest, UnknownNamesListTheKnownOnes) {
  const absl::Status status = FindExporter("gguf").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("'gguf'; choose one of torch, safetensors, "
                        "compressed-tensors, gptq, awq, fp8, "
                        "bitsandbytes, torchao, "
                        "torch-ao, mqir"));
}

TEST(RegistryTest, PathsWithoutAKnownExtensionListTheKnownOnes) {
  for (const char* path :
       {"model", "model.", "dir.pt/model", "x.gguf", "", "dir.pt\\model"}) {
    const absl::Status status = FindExporterForPath(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << path;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(".pt, .pth, .bin, .safetensors, .mqir"));
  }
}

}  // namespace
}  // namespace monoquant
