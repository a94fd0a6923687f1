// Guards: which tensors of torchao's the text metadata is about, and that the
// lists of several files become one.

#include "ir/torchao_metadata.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/json.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsNull;
using ::testing::Pointee;

TEST(TorchaoMetadataTest, Parts) {
  EXPECT_EQ(TorchaoPartsOf("a.b.weight"), "a.b._weight_");
  EXPECT_EQ(TorchaoPartsOf("weight"), "");
  const Json weight = ParseJson(R"({"_type": "Int8Tensor",
                    "_tensor_data_names": ["qdata", 3, "scale"]})")
                          .value();
  EXPECT_THAT(TorchaoClassOf(weight), Pointee(std::string("Int8Tensor")));
  EXPECT_THAT(TorchaoPartsListed(weight), ElementsAre("qdata", "scale"));
  for (const char* text : {"{}", "[]", "3", R"({"_type": 3})",
                           R"({"_tensor_data_names": "qdata"})"}) {
    const Json other = ParseJson(text).value();
    EXPECT_THAT(TorchaoClassOf(other), IsNull()) << text;
    EXPECT_THAT(TorchaoPartsListed(other), IsEmpty()) << text;
  }
}

TEST(TorchaoNamesTest, AreTheUnion) {
  TorchaoNames names;
  EXPECT_EQ(names.ToString(), "[]");
  EXPECT_TRUE(names.Add(R"(["b", "a"])"));
  EXPECT_TRUE(names.Add(R"(["c", "a", "d"])"));
  for (const char* text : {"x", "{}", R"(["e", 3])"}) {
    EXPECT_FALSE(names.Add(text)) << text;
  }
  EXPECT_EQ(names.ToString(), R"(["b","a","c","d"])");
  EXPECT_TRUE(names.Has("c"));
  EXPECT_FALSE(names.Has("e"));
}

}  // namespace
}  // namespace monoquant
