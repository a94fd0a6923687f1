// Guards: what kind of layer a weight is taken for, with the names and shapes
// of real checkpoints.

#include "core/layer_kind.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/checkpoint.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;

struct Named {
  const char* name;
  Shape shape;
  const char* kind;  // as LayerKindName has it
  const char* module_kind = "";
};

CheckpointIndex IndexOf(const std::vector<Named>& tensors) {
  CheckpointIndex index;
  for (const Named& tensor : tensors) {
    TensorInfo info;
    info.name = tensor.name;
    info.shape = tensor.shape;
    info.byte_size = ByteSize(info.dtype, info.shape).value();
    info.module_kind = tensor.module_kind;
    index.tensors.push_back(std::move(info));
  }
  return index;
}

// All in one checkpoint.
void ExpectKinds(const std::vector<Named>& tensors) {
  const CheckpointIndex index = IndexOf(tensors);
  const std::vector<LayerKind> kinds = FindLayerKinds(index);
  ASSERT_EQ(kinds.size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(LayerKindName(kinds[i]), tensors[i].kind) << tensors[i].name;
  }
}

TEST(LayerKindTest, Llama) {
  ExpectKinds({
      {"model.embed_tokens.weight", {128256, 2048}, "Embedding"},
      {"model.layers.0.self_attn.q_proj.weight", {2048, 2048}, "Linear"},
      {"model.layers.0.self_attn.k_proj.weight", {512, 2048}, "Linear"},
      {"model.layers.0.input_layernorm.weight", {2048}, "other"},
      {"lm_head.weight", {128256, 2048}, "Linear"},
  });
}

// The bias proves it for layers that are not square, and these for the others.
TEST(LayerKindTest, Gpt2IsTransposed) {
  ExpectKinds({
      {"wte.weight", {50257, 768}, "Embedding"},
      {"wpe.weight", {1024, 768}, "Embedding"},
      {"h.0.attn.bias", {1, 1, 1024, 1024}, "other"},
      {"h.0.attn.c_attn.weight", {768, 2304}, "TransposedLinear"},
      {"h.0.attn.c_attn.bias", {2304}, "other"},
      {"h.0.attn.c_proj.weight", {768, 768}, "TransposedLinear"},
      {"h.0.attn.c_proj.bias", {768}, "other"},
      {"h.0.mlp.c_fc.weight", {768, 3072}, "TransposedLinear"},
      {"h.0.mlp.c_fc.bias", {3072}, "other"},
      {"h.0.mlp.c_proj.weight", {3072, 768}, "TransposedLinear"},
      {"h.0.mlp.c_proj.bias", {768}, "other"},
      {"score.weight", {768, 768}, "Linear"},
  });
}

// StarCoder has a Linear under the names of GPT-2, nanoGPT has no biases.
TEST(LayerKindTest, NamesOfGpt2AloneProveNothing) {
  ExpectKinds({
      {"h.0.attn.c_attn.weight", {2304, 2048}, "Linear"},
      {"h.0.attn.c_attn.bias", {2304}, "other"},
      {"h.0.attn.c_proj.weight", {2048, 2048}, "Linear"},
      {"h.0.attn.c_proj.bias", {2048}, "other"},
  });
  ExpectKinds({
      {"transformer.h.0.attn.c_attn.weight", {2304, 768}, "Linear"},
      {"transformer.h.0.attn.c_proj.weight", {768, 768}, "Linear"},
  });
  // A bias proves it under any name, for its own layer.
  ExpectKinds({
      {"block.fc.weight", {64, 128}, "TransposedLinear"},
      {"block.fc.bias", {128}, "other"},
      {"block.square.weight", {64, 64}, "Linear"},
      {"block.square.bias", {64}, "other"},
      {"block.odd.weight", {64, 32}, "Linear"},
      {"block.odd.bias", {7}, "other"},
  });
}

TEST(LayerKindTest, Convolutions) {
  ExpectKinds({
      // Whisper, ResNet, Qwen2-VL, Mamba
      {"encoder.conv1.weight", {384, 80, 3}, "Conv1d"},
      {"encoder.conv1.bias", {384}, "other"},
      {"layer1.0.conv1.weight", {64, 64, 3, 3}, "Conv2d"},
      {"visual.patch_embed.proj.weight", {1280, 3, 2, 14, 14}, "Conv3d"},
      {"backbone.layers.0.mixer.conv1d.weight", {1536, 1, 4}, "Conv1d"},
      {"backbone.layers.0.mixer.conv1d.bias", {1536}, "other"},
      // HiFi-GAN, with weight normalisation
      {"ups.0.weight_v", {512, 256, 16}, "ConvTranspose1d"},
      {"ups.0.weight_g", {512, 1, 1}, "other"},
      {"ups.0.bias", {256}, "other"},
      {"conv_pre.parametrizations.weight.original0", {512, 1, 1}, "other"},
      {"conv_pre.parametrizations.weight.original1", {512, 80, 7}, "Conv1d"},
      // In groups: outputs are a multiple of the second dimension.
      {"grouped.weight", {64, 8, 3, 3}, "ConvTranspose2d"},
      {"grouped.bias", {32}, "other"},
      // What only a name tells.
      {"deconv2.weight", {64, 64, 2, 2}, "ConvTranspose2d"},
      {"up.conv_transpose.0.weight", {64, 32, 2, 2, 2}, "ConvTranspose3d"},
      {"up.1.weight", {64, 32, 2, 2}, "Conv2d"},
      // What cannot be.
      {"strange.weight", {64, 32, 3}, "other"},
      {"strange.bias", {7}, "other"},
      {"deeper.weight", {2, 2, 2, 2, 2, 2}, "other"},
      {"pos_embed", {1, 197, 768}, "other"},
      {"mask_bias", {2, 2, 2}, "other"},
  });
}

TEST(LayerKindTest, RecurrentLayers) {
  ExpectKinds({
      {"lstm.weight_ih_l0", {512, 40}, "LSTM"},
      {"lstm.weight_hh_l0", {512, 128}, "LSTM"},
      {"lstm.bias_ih_l0", {512}, "other"},
      {"lstm.weight_ih_l1_reverse", {512, 256}, "LSTM"},
      {"lstm.weight_hh_l1_reverse", {512, 128}, "LSTM"},
      // With projections: rows are 4 times the hidden size, not the columns.
      {"rnnt.weight_ih_l0", {384, 40}, "LSTM"},
      {"rnnt.weight_hh_l0", {384, 32}, "LSTM"},
      {"rnnt.weight_hr_l0", {32, 96}, "LSTM"},
      {"gru.weight_ih_l0", {288, 96}, "GRU"},
      {"gru.weight_hh_l0", {288, 96}, "GRU"},
      {"rnn.weight_ih_l0", {64, 10}, "RNN"},
      {"rnn.weight_hh_l0", {64, 64}, "RNN"},
      {"a.weight_ih", {512, 40}, "LSTMCell"},
      {"a.weight_hh", {512, 128}, "LSTMCell"},
      {"b.weight_ih", {288, 288}, "GRUCell"},
      {"b.weight_hh", {288, 96}, "GRUCell"},
      {"c.weight_ih", {64, 10}, "RNNCell"},
      {"c.weight_hh", {64, 64}, "RNNCell"},
      // The outermost module.
      {"weight_ih_l0", {12, 5}, "LSTM"},
      {"weight_hh_l0", {12, 3}, "LSTM"},
      // None of them.
      {"alone.weight_ih_l0", {12, 5}, "other"},
      {"two.weight_ih_l0", {6, 5}, "other"},
      {"two.weight_hh_l0", {6, 3}, "other"},
      {"x.weight_ihs", {6, 3}, "other"},
  });
}

TEST(LayerKindTest, Experts) {
  ExpectKinds({
      {"model.layers.0.mlp.experts.gate_up_proj", {32, 5760, 2880}, "Experts"},
      {"model.layers.0.mlp.experts.gate_up_proj_bias", {32, 5760}, "other"},
      {"model.layers.0.feed_forward.experts.down_proj",
       {16, 8192, 5120},
       "Experts"},
      {"model.layers.0.block_sparse_moe.input_linear.weight",
       {32, 1024, 1536},
       "Experts"},
      {"model.layers.0.block_sparse_moe.router.layer.weight",
       {32, 1536},
       "Linear"},
      {"model.layers.0.mlp.experts.7.gate_proj.weight", {768, 2048}, "Linear"},
      {"experts.1.conv.weight", {8, 8, 3}, "Conv1d"},
  });
}

// Where the file tells the class of a module, that decides.
TEST(LayerKindTest, ClassesDecide) {
  ExpectKinds({
      {"a.weight", {64, 64}, "TransposedLinear", "Conv1D"},
      {"a.bias", {64}, "other", "Conv1D"},
      {"b.weight", {64, 64, 3}, "ConvTranspose1d", "ConvTranspose1d"},
      {"embed.weight", {64, 64}, "Linear", "Linear"},
      {"out_proj.weight",
       {64, 64},
       "Linear",
       "NonDynamicallyQuantizableLinear"},
      {"fc.weight", {64, 64}, "Embedding", "EmbeddingBag"},
      {"rnn.weight_ih_l0", {64, 64}, "RNN", "RNN"},
      {"norm.weight", {64, 64}, "other", "LayerNorm"},
      {"bilinear.weight", {64, 64}, "other", "Factorized"},
      {"x.weight", {64, 64}, "other", "other"},
  });
}

TEST(LayerKindTest, WhatIsNoWeightOfALayer) {
  ExpectKinds({
      {"norm.weight", {64, 64}, "other"},
      {"tril", {256, 256}, "other"},
      {"relative_attention_bias.weight", {32, 8}, "other"},
      {"attn.in_proj_weight", {288, 96}, "other"},
      {"fc.scale", {64, 64}, "other"},
      {"scalar", {}, "other"},
      {"weight", {4, 4}, "Linear"},
  });
}

TEST(LayerKindTest, OutputAxes) {
  const std::vector<Named> tensors = {
      {"fc.weight", {8, 4}, "Linear"},
      {"h.0.c_fc.weight", {4, 8}, "TransposedLinear"},
      {"h.0.c_fc.bias", {8}, "other"},
      {"h.0.c_proj.weight", {4, 4}, "TransposedLinear"},
      {"conv.weight", {8, 4, 3}, "Conv1d"},
      {"up.weight", {4, 8, 3, 3}, "ConvTranspose2d"},
      {"up.bias", {8}, "other"},
      {"deconv.weight", {8, 8, 3}, "ConvTranspose1d"},
      {"deconv.bias", {8}, "other"},
      // In two groups; one for each channel; and in nobody knows how many.
      {"halves.weight", {4, 8, 3}, "ConvTranspose1d"},
      {"halves.bias", {16}, "other"},
      {"deconv2.weight", {8, 1, 3}, "ConvTranspose1d"},
      {"deconv2.bias", {8}, "other"},
      {"deconv3.weight", {4, 8, 3}, "ConvTranspose1d"},
      {"told", {4, 8, 3}, "ConvTranspose1d", "ConvTranspose1d"},
  };
  const std::vector<int> expected = {0, 1, 0, 1, 0, 1, 0, 1,
                                     0, 0, 0, 0, 0, 0, 0};
  ExpectKinds(tensors);
  const CheckpointIndex index = IndexOf(tensors);
  EXPECT_EQ(FindOutputAxes(index, FindLayerKinds(index)), expected);
}

TEST(LayerKindTest, NamesAreParsedWhateverTheirCase) {
  EXPECT_EQ(*ParseLayerKind("linear"), LayerKind::kLinear);
  EXPECT_EQ(*ParseLayerKind("Lstm"), LayerKind::kLstm);
  EXPECT_EQ(*ParseLayerKind("CONVTRANSPOSE2D"), LayerKind::kConvTranspose2d);
  ExpectError(ParseLayerKind("Dense"), absl::StatusCode::kInvalidArgument,
              "there is no layer type 'Dense'; use one of Linear, "
              "TransposedLinear, Conv1d, Conv2d, Conv3d, ConvTranspose1d, "
              "ConvTranspose2d, ConvTranspose3d, Embedding, LSTM, GRU, RNN, "
              "LSTMCell, GRUCell, RNNCell, Experts");
  EXPECT_FALSE(ParseLayerKind("other").ok());
  EXPECT_FALSE(ParseLayerKind("").ok());
}

}  // namespace
}  // namespace monoquant
