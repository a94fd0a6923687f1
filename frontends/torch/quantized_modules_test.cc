// Guards: which tensors of a state dict belong to modules that torch quantized,
// what they are called, and what is left out. That the paths are those of real
// files is tested with torch.

#include "frontends/torch/quantized_modules.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/torch/quantizer.h"
#include "frontends/torch/state_dict.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

NamedTensor Tensor(absl::string_view name, Shape size = {4, 3},
                   DType dtype = DType::kF32) {
  NamedTensor named;
  named.name = std::string(name);
  named.tensor.dtype = dtype;
  named.tensor.size = std::move(size);
  named.module_kind = "ScriptObject";
  return named;
}

NamedTensor Codes(absl::string_view name, Shape size = {4, 3}) {
  NamedTensor named = Tensor(name, std::move(size), DType::kQI8);
  named.tensor.quantizer = std::make_shared<TorchQuantizer>();
  return named;
}

NamedTensor Scale(absl::string_view name, Shape size = {}) {
  return Tensor(name, std::move(size));
}

NamedTensor ZeroPoint(absl::string_view name, Shape size = {}) {
  return Tensor(name, std::move(size), DType::kI64);
}

StateDict Named(std::vector<NamedTensor> tensors) {
  StateDict state_dict;
  state_dict.tensors = std::move(tensors);
  NameQuantizedModules(&state_dict);
  return state_dict;
}

// Names, with a star where they are weights of modules.
std::vector<std::string> Names(const StateDict& state_dict) {
  std::vector<std::string> names;
  for (const NamedTensor& named : state_dict.tensors) {
    names.push_back(
        absl::StrCat(named.name, named.is_module_weight ? "*" : ""));
  }
  return names;
}

TEST(QuantizedModulesTest, LayersAndActivations) {
  const StateDict state_dict = Named({
      Scale("quant.scale", {1}),
      ZeroPoint("quant.zero_point", {1}),
      Codes("conv.weight", {4, 3, 5, 5}),
      Tensor("conv.bias"),
      Scale("conv.scale"),
      ZeroPoint("conv.zero_point"),
      Tensor("norm.weight"),
      Scale("norm.scale", {1}),
      Tensor("norm.zero_point", {1}, DType::kI32),
      Scale("a.fc.scale"),
      ZeroPoint("a.fc.zero_point"),
      Codes("a.fc._packed_params._packed_params.0"),
      Tensor("a.fc._packed_params._packed_params.1"),
      Codes("embed._packed_params._packed_weight"),
      Scale("fc_input_scale_0"),
      ZeroPoint("fc_input_zero_point_0"),
      Scale("b._scale_12"),
      ZeroPoint("b._zero_point_12"),
      Tensor("last.weight"),
  });
  EXPECT_THAT(
      Names(state_dict),
      ElementsAre("conv.weight*", "conv.bias", "norm.weight", "a.fc.weight*",
                  "a.fc.bias", "embed.weight*", "last.weight"));
  EXPECT_THAT(state_dict.notes,
              ElementsAre(HasSubstr(
                  "activations in quantized modules are left out: "
                  "'quant.scale', 'quant.zero_point', 'conv.scale'")));
  // Classes, where paths tell them; not that of the object around it.
  EXPECT_EQ(state_dict.tensors[3].module_kind, "Linear");
  EXPECT_EQ(state_dict.tensors[5].module_kind, "Embedding");
}

TEST(QuantizedModulesTest, HalfPrecisionIsNotQuantized) {
  EXPECT_THAT(Names(Named({
                  Scale("fc.scale"),
                  ZeroPoint("fc.zero_point"),
                  Tensor("fc._packed_params._packed_params.0"),
                  Tensor("fc._packed_params._packed_params.1"),
              })),
              ElementsAre("fc.weight", "fc.bias"));
}

TEST(QuantizedModulesTest, OutermostModule) {
  EXPECT_THAT(Names(Named({
                  Scale("scale"),
                  ZeroPoint("zero_point"),
                  Codes("_packed_params._packed_params.0"),
              })),
              ElementsAre("weight*"));
  EXPECT_THAT(
      Names(Named({Codes("weight"), Scale("scale"), ZeroPoint("zero_point")})),
      ElementsAre("weight*"));
}

TEST(QuantizedModulesTest, Cells) {
  const StateDict state_dict = Named({
      Codes("c._packed_weight_ih.0"),
      Tensor("c._packed_weight_ih.1"),
      Codes("c._packed_weight_hh.0"),
      Tensor("c._packed_weight_hh.1"),
  });
  EXPECT_THAT(Names(state_dict), ElementsAre("c.weight_ih*", "c.bias_ih",
                                             "c.weight_hh*", "c.bias_hh"));
  EXPECT_EQ(state_dict.tensors[0].module_kind, "");
  EXPECT_THAT(state_dict.notes, IsEmpty());
}

// What torch saves of an LSTM or a GRU with so many inputs of its cells.
std::vector<NamedTensor> Recurrent(absl::string_view module,
                                   const std::vector<int64_t>& inputs,
                                   int64_t hidden) {
  std::vector<NamedTensor> tensors;
  for (size_t cell = 0; cell < inputs.size(); ++cell) {
    const std::string param =
        absl::StrCat(module, "._all_weight_values.", cell, ".param.");
    tensors.push_back(Tensor(param + "1.0", {4 * hidden}));
    tensors.push_back(Tensor(param + "1.1", {4 * hidden}));
    tensors.push_back(Codes(param + "4.0.0", {4 * hidden, inputs[cell]}));
    tensors.push_back(Tensor(param + "4.0.1", {4 * hidden}));
    tensors.push_back(Codes(param + "4.1.0", {4 * hidden, hidden}));
    tensors.push_back(Tensor(param + "4.1.1", {4 * hidden}));
  }
  return tensors;
}

TEST(QuantizedModulesTest, Recurrent) {
  EXPECT_THAT(Names(Named(Recurrent("m.lstm", {7}, 5))),
              ElementsAre("m.lstm.weight_ih_l0*", "m.lstm.bias_ih_l0",
                          "m.lstm.weight_hh_l0*", "m.lstm.bias_hh_l0"));
  const struct {
    std::vector<int64_t> inputs;
    int64_t hidden;
    const char* last;
  } cases[] = {
      {{7, 5}, 5, "r.bias_hh_l1"},
      {{7, 7}, 5, "r.bias_hh_l0_reverse"},
      {{7, 5, 5}, 5, "r.bias_hh_l2"},
      {{5, 5, 5, 5}, 5, "r.bias_hh_l3"},
      {{5, 5, 10, 10}, 5, "r.bias_hh_l1_reverse"},
      {{7, 7, 10, 10, 10, 10}, 5, "r.bias_hh_l2_reverse"},
  };
  for (const auto& c : cases) {
    const StateDict state_dict = Named(Recurrent("r", c.inputs, c.hidden));
    EXPECT_EQ(state_dict.tensors.size(), 4 * c.inputs.size());
    EXPECT_EQ(state_dict.tensors.back().name, c.last);
    EXPECT_THAT(state_dict.notes, IsEmpty());
  }
  const StateDict unclear = Named(Recurrent("r", {5, 5}, 5));
  EXPECT_EQ(unclear.tensors.back().name, "r.bias_hh_l1");
  EXPECT_THAT(unclear.notes,
              ElementsAre("two layers or two directions, which the weights do "
                          "not tell; read as layers: 'r'"));
}

TEST(QuantizedModulesTest, RecurrentThatMakeNoSense) {
  const auto expect_unchanged = [](std::vector<NamedTensor> tensors) {
    std::vector<std::string> paths;
    for (const NamedTensor& named : tensors) paths.push_back(named.name);
    EXPECT_EQ(Names(Named(std::move(tensors))), paths);
  };
  expect_unchanged(Recurrent("r", {7, 6}, 5));
  expect_unchanged(Recurrent("r", {7, 7, 10}, 5));
  std::vector<NamedTensor> tensors = Recurrent("r", {7, 5}, 5);
  tensors.erase(tensors.begin(), tensors.begin() + 6);  // without cell 0
  expect_unchanged(tensors);
  tensors = Recurrent("r", {7}, 5);
  tensors[2].tensor.size = {35};
  expect_unchanged(tensors);
  for (const char* number : {"00", "-1", "+0", "x", "", "99999", "1e1"}) {
    expect_unchanged(
        {Codes(absl::StrCat("r._all_weight_values.", number, ".param.4.0.0"))});
  }
  // The only copy of a bias is kept.
  tensors = Recurrent("r", {7}, 5);
  tensors.erase(tensors.begin() + 3);
  EXPECT_THAT(Names(Named(tensors)),
              ElementsAre("r._all_weight_values.0.param.1.0", "r.weight_ih_l0*",
                          "r.weight_hh_l0*", "r.bias_hh_l0"));
}

TEST(QuantizedModulesTest, NamesThatAreTaken) {
  EXPECT_THAT(Names(Named({
                  Codes("fc._packed_params._packed_params.0"),
                  Tensor("fc._packed_params._packed_params.1"),
                  Tensor("fc.weight"),
              })),
              ElementsAre("fc._packed_params._packed_params.0", "fc.bias",
                          "fc.weight"));
  EXPECT_THAT(Names(Named({
                  Codes("fc._packed_params._packed_weight"),
                  Codes("fc._packed_params._packed_params.0"),
              })),
              ElementsAre("fc.weight*", "fc._packed_params._packed_params.0"));
}

// Without a quantized module nothing is changed, whatever it is called.
TEST(QuantizedModulesTest, OtherCheckpoints) {
  EXPECT_THAT(Names(Named({
                  Scale("norm.scale"),
                  ZeroPoint("norm.zero_point"),
                  Tensor("fc.weight"),
                  Codes("w"),
                  Codes("x.weight"),
                  Tensor("x_packed_params._packed_params.0"),
              })),
              ElementsAre("norm.scale", "norm.zero_point", "fc.weight", "w",
                          "x.weight", "x_packed_params._packed_params.0"));
  // In one with such modules, other scales stay.
  EXPECT_THAT(Names(Named({
                  Codes("_packed_params._packed_params.0"),
                  Scale("a.scale", {2}),
                  ZeroPoint("a.zero_point", {1}),
                  Scale("b.scale"),
                  Scale("b.zero_point"),
                  Scale("c.scale"),
                  Scale("xscale"),
                  ZeroPoint("xzero_point"),
                  Scale("d_scale_"),
                  ZeroPoint("d_zero_point_"),
              })),
              ElementsAre("weight*", "a.scale", "a.zero_point", "b.scale",
                          "b.zero_point", "c.scale", "xscale", "xzero_point",
                          "d_scale_", "d_zero_point_"));
}

}  // namespace
}  // namespace monoquant
