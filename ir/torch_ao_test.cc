// Guards: which names are weights of modules that torch packs, and which not.

#include "ir/torch_ao.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ir/quant_scheme.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

// "KIND MODULE BIAS", with h for hidden weights, and the layer, with r for the
// other direction; "-" if it is none.
std::string Text(absl::string_view name, const Shape& shape = {4, 4},
                 NumberFormat format = NumberFormat::kInt8) {
  const auto weight = ParseTorchAoWeight(name, shape, format);
  if (!weight.has_value()) return "-";
  std::string text;
  switch (weight->kind) {
    case TorchAoModule::kLinear:
      text = "linear";
      break;
    case TorchAoModule::kRecurrent:
      text = "recurrent";
      break;
    case TorchAoModule::kCell:
      text = "cell";
      break;
    case TorchAoModule::kConvolution:
      text = "convolution";
      break;
    case TorchAoModule::kEmbedding:
      text = "embedding";
      break;
  }
  absl::StrAppend(&text, " ", weight->module, " ", weight->bias, " ",
                  weight->hidden ? "h" : "", weight->layer,
                  weight->reverse ? "r" : "");
  return text;
}

TEST(TorchAoTest, Names) {
  EXPECT_EQ(Text("fc.weight"), "linear fc fc.bias 0");
  EXPECT_EQ(Text("a.0.weight"), "linear a.0 a.0.bias 0");
  EXPECT_EQ(Text("rnn.weight_ih_l0"), "recurrent rnn rnn.bias_ih_l0 0");
  EXPECT_EQ(Text("a.rnn.weight_hh_l12_reverse"),
            "recurrent a.rnn a.rnn.bias_hh_l12_reverse h12r");
  EXPECT_EQ(Text("cell.weight_ih"), "cell cell cell.bias_ih 0");
  EXPECT_EQ(Text("cell.weight_hh"), "cell cell cell.bias_hh h0");
}

TEST(TorchAoTest, ShapesAndFormats) {
  for (const Shape& shape : {Shape{4, 2, 3}, {4, 2, 3, 3}, {4, 2, 3, 3, 3}}) {
    EXPECT_EQ(Text("m.weight", shape), "convolution m m.bias 0");
    EXPECT_EQ(Text("m.weight", shape, NumberFormat::kUInt8),
              "convolution m m.bias 0");
    EXPECT_EQ(Text("m.weight_ih", shape), "-");
    EXPECT_EQ(Text("m.weight_ih_l0", shape), "-");
  }
  EXPECT_EQ(Text("m.weight", {4, 2}, NumberFormat::kUInt8), "embedding m  0");
  EXPECT_EQ(Text("m.weight_ih", {4, 2}, NumberFormat::kUInt8),
            "cell m m.bias_ih 0");
  EXPECT_EQ(Text("m.weight", {4}), "-");
  EXPECT_EQ(Text("m.weight", {4, 1, 1, 1, 1, 1}), "-");
}

TEST(TorchAoTest, OtherNames) {
  for (const char* name :
       {"", "weight", ".weight", "weight_ih_l0", "fc.bias", "fc.weights",
        "fc.weight_g", "fc.weight_orig", "attn.in_proj_weight",
        "rnn.weight_ih_l", "rnn.weight_ih_l01", "rnn.weight_ih_l1000",
        "rnn.weight_ih_l99999999999999999999", "rnn.weight_ih_l0_back",
        "rnn.weight_ih_l0_reverse_", "rnn.weight_hr_l0", "rnn.weight_ihl0"}) {
    EXPECT_EQ(Text(name), "-") << name;
  }
}

TEST(TorchAoTest, Cells) {
  const auto parse = [](absl::string_view name) {
    return ParseTorchAoWeight(name, {4, 4}, NumberFormat::kInt8).value();
  };
  EXPECT_EQ(parse("rnn.weight_ih_l2_reverse").Cell(/*bidirectional=*/true), 5u);
  EXPECT_EQ(parse("rnn.weight_hh_l2").Cell(true), 4u);
  EXPECT_EQ(parse("rnn.weight_hh_l2").Cell(false), 2u);
}

}  // namespace
}  // namespace monoquant
