// Guards: the archives of TorchScript since 1.3, with their constants: which of
// both is read when, and under which names.

#include "frontends/torch/pickled_archive.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/testing/read_tensor.h"
#include "frontends/testing/zip_builder.h"
#include "frontends/torch/torch_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::testing::Contains;
using testing::ExpectError;
using testing::PickleBuilder;
using testing::ReadTensor;
using testing::ZipBuilder;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;

// A module with the tensor "x", and two constants in its code.
ZipBuilder Script() {
  PickleBuilder data;
  data.Global("__torch__.Net", "Net").Op(PickleOp::kEmptyTuple);
  data.Op(PickleOp::kNewObj).Dict().Mark();
  data.Str("x").Tensor("ByteStorage", "0", 3, 0, {3}, {1});
  data.SetItems().Op(PickleOp::kBuild);
  PickleBuilder constants;
  constants.Mark().Tensor("ByteStorage", "0", 2, 0, {2}, {1});
  // Interpreters for mobile devices call storages differently.
  constants.Tensor("ByteStorage", "1.storage", 1, 0, {1}, {1}).Tuple();
  return ZipBuilder()
      .Add("m/data/0", "abc")
      .Add("m/data.pkl", data.Build())
      .Add("m/code/__torch__.py", "class Net(Module):\n")
      .Add("m/constants/0", "CD")
      .Add("m/constants/1.storage", "E")
      .Add("m/constants.pkl", constants.Build())
      .Add("m/version", "3\n");
}

TEST(PickledArchiveTest, TorchScript) {
  const auto open = [](const ZipBuilder& zip, absl::string_view root) {
    OpenOptions options;
    options.root = std::string(root);
    return OpenTorchZip(InMemoryFiles("dir/m.pt", {{"m.pt", zip.Build()}}),
                        options);
  };
  const auto names = [](const Opened& reader) -> std::string {
    if (!reader.ok()) return reader.status().ToString();
    std::string text = absl::StrCat((*reader)->index().root, ":");
    for (size_t i = 0; i < (*reader)->index().tensors.size(); ++i) {
      absl::StrAppend(&text, " ", (*reader)->index().tensors[i].name, "=",
                      *ReadTensor(**reader, i));
    }
    return text;
  };
  ZipBuilder script = Script();
  const Opened reader = open(script, "");
  EXPECT_EQ(names(reader), ": x=abc");
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->index().container, "torchscript");
  EXPECT_THAT((*reader)->index().notes,
              Contains("constants in TorchScript code are left out: "
                       "'m/constants/0', 'm/constants/1.storage'; choose them "
                       "with --root constants"));
  EXPECT_EQ(names(open(script, "constants")), "constants: 0=CD 1=E");
  EXPECT_EQ(names(open(script, ".")), ": x=abc constants.0=CD constants.1=E");

  // A frozen module has nothing but constants.
  ZipBuilder frozen = script;
  frozen.members[1].bytes = PickleBuilder().Dict().Build();
  EXPECT_EQ(names(open(frozen, "")), "constants: 0=CD 1=E");

  ZipBuilder lite = script;
  lite.Add("m/bytecode.pkl", ").");
  const Opened mobile = open(lite, "");
  EXPECT_EQ(names(mobile), ": x=abc");
  ASSERT_TRUE(mobile.ok());
  EXPECT_EQ((*mobile)->index().container, "torchscript-lite");

  // Damage to the constants is no concern of who does not read them.
  script.members[5].bytes = "x";
  EXPECT_EQ(names(open(script, "")), ": x=abc");
  ExpectError(open(script, "constants"), kDataLoss,
              "dir/m.pt: member 'm/constants.pkl': ");
  ZipBuilder missing = Script();
  missing.members.erase(missing.members.begin() + 3);
  ExpectError(open(missing, "."), kDataLoss,
              "tensor 'constants.0': storage 'constants/0' is not in the "
              "archive");
}

}  // namespace
}  // namespace monoquant
