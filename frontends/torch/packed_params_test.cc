// Guards: weights inside of packed parameters get the same names, whatever
// version of torch packed them and however they were saved.

#include "frontends/torch/packed_params.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/pickle/pickle_machine.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/torch/state_dict.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;
using testing::PickleBuilder;

using Write = std::function<void(PickleBuilder&)>;

constexpr absl::string_view kQuantized = "__torch__.torch.classes.quantized";

// The names of the tensors in {"m": object}, an object with this state.
std::vector<std::string> Names(absl::string_view module, absl::string_view name,
                               const Write& state) {
  PickleBuilder pickle;
  pickle.Dict().Mark().Str("m");
  pickle.Global(module, name).Op(PickleOp::kEmptyTuple).Op(PickleOp::kNewObj);
  state(pickle);
  pickle.Op(PickleOp::kBuild).SetItems();
  const auto graph = ReadPickle(pickle.Build());
  if (!graph.ok()) return {graph.status().ToString()};
  const auto found = FindStateDict(*graph, "");
  if (!found.ok()) return {found.status().ToString()};
  std::vector<std::string> names;
  for (const NamedTensor& tensor : found->tensors) names.push_back(tensor.name);
  return names;
}

void Tensor(PickleBuilder& p) { p.Tensor("FloatStorage", "0", 1, 0, {1}, {1}); }

// torch.jit._pickle.build_tensorlist([tensors])
void TensorList(PickleBuilder& p, int size) {
  p.Global("torch.jit._pickle", "build_tensorlist").Mark();
  p.Op(PickleOp::kEmptyList).Mark();
  for (int i = 0; i < size; ++i) Tensor(p);
  p.Op(PickleOp::kAppends).Tuple().Reduce();
}

TEST(PackedParamsTest, Linear) {
  EXPECT_THAT(Names(kQuantized, "LinearPackedParamsBase",
                    [](PickleBuilder& p) {
                      p.Mark();
                      Tensor(p);
                      Tensor(p);
                      p.Tuple();
                    }),
              ElementsAre("m.0", "m.1"));
  EXPECT_THAT(Names(kQuantized, "LinearPackedParamsBase",
                    [](PickleBuilder& p) {
                      p.Mark();
                      Tensor(p);
                      p.None().Tuple();
                    }),
              ElementsAre("m.0"));
}

TEST(PackedParamsTest, ConvolutionsOfAllVersions) {
  // (weight, bias, [stride...], ...)
  EXPECT_THAT(Names(kQuantized, "Conv2dPackedParamsBase",
                    [](PickleBuilder& p) {
                      p.Mark();
                      Tensor(p);
                      Tensor(p);
                      TensorList(p, 2);
                      p.Tuple();
                    }),
              ElementsAre("m.0", "m.1", "m.2.0", "m.2.1"));
  EXPECT_THAT(Names(kQuantized, "Conv3dPackedParamsBase",
                    [](PickleBuilder& p) {
                      p.Mark().Str("2");
                      TensorList(p, 2);
                      TensorList(p, 1);
                      p.Tuple();
                    }),
              ElementsAre("m.0", "m.1", "m.config"));
  EXPECT_THAT(Names(kQuantized, "Conv2dPackedParamsBase",
                    [](PickleBuilder& p) {
                      p.Mark().Int(3).IntTuple({2, 1, 1}).Mark().None();
                      Tensor(p);
                      Tensor(p);
                      p.Tuple().Tuple();
                    }),
              ElementsAre("m.0", "m.1"));
}

TEST(PackedParamsTest, Embeddings) {
  EXPECT_THAT(Names(kQuantized, "EmbeddingPackedParamsBase",
                    [](PickleBuilder& p) {
                      p.Mark().Int(1);
                      TensorList(p, 1);
                      p.Op(PickleOp::kEmptyList).IntTuple({8}).Tuple();
                    }),
              ElementsAre("m.0"));
}

TEST(PackedParamsTest, ObjectsThatTorchSaved) {
  EXPECT_THAT(Names("torch", "ScriptObject",
                    [](PickleBuilder& p) {
                      p.Mark().Mark();
                      Tensor(p);
                      Tensor(p);
                      p.Tuple()
                          .Str(
                              "__torch__.torch.classes.quantized."
                              "LinearPackedParamsBase")
                          .Tuple();
                    }),
              ElementsAre("m.0", "m.1"));
  EXPECT_THAT(Names("torch", "ScriptObject",
                    [](PickleBuilder& p) {
                      p.Mark().Mark().Str("quantized_dynamic");
                      TensorList(p, 2);
                      p.Tuple().Str("__torch__.torch.classes.rnn.C").Tuple();
                    }),
              ElementsAre("m.1.0", "m.1.1"));
}

TEST(PackedParamsTest, ScriptedConvolutionModules) {
  const auto state = [](PickleBuilder& p) {
    p.Mark();
    for (int i = 0; i < 9; ++i) p.Int(i);
    p.Str("zeros");
    Tensor(p);
    Tensor(p);
    p.Int(1).Int(0).Bool(true).Tuple();
  };
  EXPECT_THAT(
      Names("__torch__.torch.ao.nn.quantized.modules.conv", "Conv2d", state),
      ElementsAre("m.weight", "m.bias"));
  // Nobody else's tuples.
  EXPECT_THAT(Names("my.torch", "Conv2d", state), ElementsAre("m.10", "m.11"));
}

TEST(PackedParamsTest, UnknownLayoutsAreWalkedLikeAnyObject) {
  EXPECT_THAT(Names(kQuantized, "Conv2dPackedParamsBase",
                    [](PickleBuilder& p) {
                      p.Mark().Int(4);
                      TensorList(p, 2);
                      p.Tuple();
                    }),
              ElementsAre("m.1.0", "m.1.1"));
  EXPECT_THAT(Names("quantized", "LinearPackedParamsBase",
                    [](PickleBuilder& p) {
                      p.Mark().Int(1);
                      Tensor(p);
                      p.Tuple();
                    }),
              ElementsAre("m.1"));
}

}  // namespace
}  // namespace monoquant
