// Guards: which names are weights of modules that torch packs, and which not.

#include "ir/torch_ao.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

// "KIND MODULE BIAS", with h for hidden weights, and the layer, with r for the
// other direction; "-" if it is none.
std::string Text(absl::string_view name) {
  const auto weight = ParseTorchAoWeight(name);
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
  const TorchAoWeight weight =
      ParseTorchAoWeight("rnn.weight_ih_l2_reverse").value();
  EXPECT_EQ(weight.Cell(/*bidirectional=*/true), 5u);
  EXPECT_EQ(ParseTorchAoWeight("rnn.weight_hh_l2").value().Cell(true), 4u);
  EXPECT_EQ(ParseTorchAoWeight("rnn.weight_hh_l2").value().Cell(false), 2u);
}

}  // namespace
}  // namespace monoquant
