// Guards: what is copied beside new weights, and what must not be.

#include "exporters/side_files.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SideFilesTest, SortsTheFilesOfAModelDirectory) {
  SideFiles found = FindSideFiles(
      {".gitattributes", "LICENSE", "README.md", "chat_template.jinja",
       "config.json", "merges.txt", "model-00001-of-00001.safetensors",
       "model.GGUF", "model.safetensors.index.fp16.json",
       "model.safetensors.index.json", "modeling_x.py", "pytorch_model.bin",
       "tokenizer.json", "tokenizer.model", "training_args.bin"},
      {"model-00001-of-00001.safetensors"});
  EXPECT_THAT(found.carried,
              ElementsAre("LICENSE", "README.md", "chat_template.jinja",
                          "config.json", "merges.txt", "modeling_x.py",
                          "tokenizer.json", "tokenizer.model"));
  EXPECT_THAT(
      found.other_weights,
      ElementsAre("model.GGUF", "pytorch_model.bin", "training_args.bin"));
  EXPECT_THAT(found.directories, IsEmpty());
  found.directories = {"onnx"};
  EXPECT_THAT(NotesOnLeftOut(found),
              ElementsAre("other weights are not carried: model.GGUF, "
                          "pytorch_model.bin, training_args.bin",
                          "directories are not carried: onnx"));
  EXPECT_THAT(NotesOnLeftOut(SideFiles()), IsEmpty());
}

TEST(SideFilesTest, ManyNamesAreCut) {
  EXPECT_EQ(FewNames({}), "");
  EXPECT_EQ(FewNames({"a", "b"}), "a, b");
  EXPECT_EQ(FewNames({"a", "b", "c", "d", "e", "f"}), "a, b, c, d, e, f");
  EXPECT_EQ(FewNames({"a", "b", "c", "d", "e", "f", "g"}),
            "a, b, c, d, e and 2 more");
}

}  // namespace
}  // namespace monoquant
