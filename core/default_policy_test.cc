#include "core/default_policy.h"

#include <string>

#include "gtest/gtest.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

TensorInfo Tensor(const std::string& name, Shape shape,
                  DType dtype = DType::kF32) {
  TensorInfo info;
  info.name = name;
  info.dtype = dtype;
  info.byte_size = ByteSize(dtype, shape).value();
  info.shape = std::move(shape);
  return info;
}

// Names as real checkpoints have them.
TEST(DefaultPolicyTest, RealNames) {
  const std::string weight = "float weight";
  const std::string embedding = "embedding (name)";
  const struct {
    const char* name;
    Shape shape;
    std::string reason;
  } cases[] = {
      // BERT, MiniLM
      {"bert.embeddings.word_embeddings.weight", {30522, 384}, embedding},
      {"embeddings.position_embeddings.weight", {512, 384}, embedding},
      {"embeddings.token_type_embeddings.weight", {2, 384}, embedding},
      {"embeddings.LayerNorm.weight", {384}, "1-D"},
      {"encoder.layer.0.attention.self.query.weight", {384, 384}, weight},
      {"encoder.layer.0.attention.output.dense.weight", {384, 384}, weight},
      {"encoder.layer.0.attention.output.LayerNorm.bias", {384}, "1-D"},
      {"encoder.layer.11.intermediate.dense.weight", {1536, 384}, weight},
      {"pooler.dense.weight", {384, 384}, weight},
      {"cls.predictions.decoder.weight", {30522, 768}, weight},
      // A character model: GRU cell, attention, buffers
      {"tril", {256, 256}, "no weight (tril)"},
      {"token_emb.weight", {98, 96}, embedding},
      {"pos_emb.weight", {256, 96}, embedding},
      {"attn.in_proj_weight", {288, 96}, weight},
      {"attn.in_proj_bias", {288}, "1-D"},
      {"attn.out_proj.weight", {96, 96}, weight},
      {"gru_cell.weight_ih", {288, 288}, weight},
      {"gru_cell.weight_hh", {288, 96}, weight},
      {"priority_gate.weight", {1, 96}, "fewer than 512 elements"},
      {"memory_writer.weight", {96, 96}, weight},
      {"head.weight", {98, 96}, weight},
      // CREPE, MNIST, speech
      {"conv1.weight", {128, 1, 512, 1}, weight},
      {"conv1_BN.weight", {128}, "1-D"},
      {"classifier.weight", {360, 256}, weight},
      {"conv2.weight", {16, 8, 3, 3}, weight},
      {"conv1.weight", {8, 1, 3, 3}, "fewer than 512 elements"},
      {"fc1.weight", {32, 11616}, weight},
      {"stft.forward_basis_buffer",
       {258, 1, 256},
       "no weight (forward_basis_buffer)"},
      {"decoder.rnn.weight_ih", {512, 128}, weight},
      {"lstm.weight_hh_l0_reverse", {512, 128}, weight},
      // ALBERT, ELMo
      {"albert.encoder.embedding_hidden_mapping_in.weight", {256, 128}, weight},
      {"albert.embeddings.word_embeddings.weight", {591, 128}, embedding},
      {"albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight",
       {512, 256},
       weight},
      {"text_field_embedder.token_embedder_elmo._elmo._token_embedder."
       "_char_embedding_weights",
       {262, 4},
       embedding},
      {"text_field_embedder.token_embedder_elmo._elmo._token_embedder."
       "_projection.weight",
       {16, 124},
       weight},
      {"text_field_embedder.token_embedder_elmo._elmo._token_embedder."
       "char_conv_3.weight",
       {64, 4, 5},
       weight},
      // Decoders
      {"model.embed_tokens.weight", {32000, 4096}, embedding},
      {"model.layers.3.self_attn.q_proj.weight", {4096, 4096}, weight},
      {"model.layers.3.mlp.experts.gate_up_proj", {8, 64, 128}, weight},
      {"model.layers.3.input_layernorm.weight", {4096}, "1-D"},
      {"lm_head.weight", {32000, 4096}, weight},
      {"tok_embeddings.weight", {32000, 4096}, embedding},
      {"transformer.wte.weight", {50257, 768}, embedding},
      {"transformer.wpe.weight", {1024, 768}, embedding},
      {"transformer.h.0.attn.c_attn.weight", {768, 2304}, weight},
      {"transformer.h.0.attn.bias", {1, 1, 1024, 1024}, "no weight (bias)"},
      {"gpt_neox.embed_in.weight", {50304, 512}, embedding},
      {"embed_out.weight", {50304, 512}, weight},
      {"shared.weight", {32128, 512}, embedding},
      {"mlp.shared.fc1.weight", {512, 512}, weight},
      {"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
       {32, 64},
       "no weight (relative_attention_bias)"},
      {"rotary_emb.inv_freq", {8, 64}, "no weight (inv_freq)"},
      {"layers.0.mixer.A_log", {512, 16}, "no weight (a_log)"},
      {"blk.0.attn.qweight_scales", {64, 32}, "no weight (qweight_scales)"},
      // Vision
      {"vit.embeddings.patch_embeddings.projection.weight",
       {768, 3, 16, 16},
       weight},
      {"patch_embed.proj.weight", {768, 3, 16, 16}, weight},
      {"vit.embeddings.position_embeddings", {1, 197, 768}, embedding},
      {"pos_embed", {1, 197, 768}, embedding},
      {"cls_token", {1, 1, 768}, embedding},
      {"layers.0.attn.relative_position_bias_table",
       {169, 12},
       "no weight (relative_position_bias_table)"},
      {"layers.0.attn_mask", {4, 49, 49}, "no weight (attn_mask)"},
      {"features.1.running_var", {64, 64}, "no weight (running_var)"},
      // Diffusion
      {"time_embedding.linear_1.weight", {1280, 320}, weight},
      {"transformer_blocks.0.norm1.linear.weight", {18432, 3072}, weight},
      {"double_blocks.0.img_norm.weight", {64, 64}, "normalisation (name)"},
      {"down.0.BatchNorm2d.weight", {64, 64}, "normalisation (name)"},
      {"ln_1.weight", {64, 64}, "normalisation (name)"},
      {"decoder.normal_head.weight", {64, 64}, weight},
      // Parameters of wrappers
      {"conv.parametrizations.weight.original1", {64, 64, 3}, weight},
      {"weight", {64, 64}, weight},
      {"", {64, 64}, weight},
      {"0.weight", {64, 64}, weight},
      {"...", {64, 64}, weight},
  };
  for (const auto& c : cases) {
    const Verdict verdict = DefaultPolicy(Tensor(c.name, c.shape), 512);
    EXPECT_EQ(verdict.reason, c.reason) << c.name;
    EXPECT_EQ(verdict.quantize, c.reason == weight) << c.name;
  }
}

TEST(DefaultPolicyTest, WhatEnginesHaveInFloat) {
  const TensorInfo expert =
      Tensor("model.layers.0.mlp.experts.3.up_proj.weight", {64, 64});
  for (const QuantStorage storage :
       {QuantStorage::kGptq, QuantStorage::kTorchao}) {
    for (const char* name : {"lm_head.weight", "embed_out.weight",
                             "classifier.weight", "score.weight"}) {
      EXPECT_EQ(ReasonForEngines(Tensor(name, {64, 64}), storage),
                "output layer (name)");
    }
    for (const char* name : {"model.layers.0.mlp.gate.weight",
                             "model.layers.0.mlp.shared_expert_gate.weight"}) {
      EXPECT_EQ(ReasonForEngines(Tensor(name, {64, 64}), storage),
                "router of experts (name)");
    }
    EXPECT_EQ(
        ReasonForEngines(Tensor("mlp.shared_expert.up_proj.weight", {64, 64}),
                         storage),
        "");
  }
  for (const QuantStorage storage :
       {QuantStorage::kCompressedTensors, QuantStorage::kGptq,
        QuantStorage::kAwq, QuantStorage::kFp8}) {
    EXPECT_EQ(ReasonForEngines(expert, storage), "");
  }
  EXPECT_EQ(ReasonForEngines(expert, QuantStorage::kTorchao),
            "expert (name), which Transformers loads no torchao weights of");
  EXPECT_EQ(
      ReasonForEngines(expert, QuantStorage::kBitsandbytes),
      "expert (name), which Transformers loads no bitsandbytes weights of");
}

TEST(DefaultPolicyTest, TypesAndSizes) {
  EXPECT_EQ(DefaultPolicy(Tensor("w", {64, 64}, DType::kI64), 512).reason,
            "not float (I64)");
  EXPECT_EQ(DefaultPolicy(Tensor("w", {64, 64}, DType::kF8E4M3), 512).reason,
            "not float (F8_E4M3)");
  EXPECT_EQ(DefaultPolicy(Tensor("w", {}), 0).reason, "scalar");
  EXPECT_EQ(DefaultPolicy(Tensor("w", {4096}), 0).reason, "1-D");
  for (DType dtype : {DType::kF16, DType::kBF16, DType::kF32, DType::kF64}) {
    EXPECT_TRUE(DefaultPolicy(Tensor("w", {2, 256}, dtype), 512).quantize);
    EXPECT_FALSE(DefaultPolicy(Tensor("w", {1, 511}, dtype), 512).quantize);
    EXPECT_TRUE(DefaultPolicy(Tensor("w", {1, 511}, dtype), 0).quantize);
  }
}

// Where the file tells the class of the module, names do not count.
TEST(DefaultPolicyTest, ModuleKind) {
  const struct {
    const char* name;
    const char* kind;
    const char* reason;
  } cases[] = {
      {"table.weight", "Embedding", "embedding (Embedding)"},
      {"table.weight", "EmbeddingBag", "embedding (EmbeddingBag)"},
      {"affine.weight", "LayerNorm", "normalisation (LayerNorm)"},
      {"affine.weight", "BatchNorm2d", "normalisation (BatchNorm2d)"},
      {"embedding.weight", "Linear", "float weight"},
      {"norm.weight", "Conv2d", "float weight"},
      {"mask", "Linear", "no weight (mask)"},
  };
  for (const auto& c : cases) {
    TensorInfo tensor = Tensor(c.name, {64, 64});
    tensor.module_kind = c.kind;
    EXPECT_EQ(DefaultPolicy(tensor, 512).reason, c.reason) << c.name;
  }
}

TEST(DefaultPolicyTest, EmbeddingsWhereTheyAreWanted) {
  const TensorInfo table = Tensor("wte.weight", {100, 64});
  EXPECT_FALSE(DefaultPolicy(table, 512).quantize);
  EXPECT_TRUE(DefaultPolicy(table, 512, /*embeddings=*/true).quantize);
  EXPECT_FALSE(DefaultPolicy(table, 10000, /*embeddings=*/true).quantize);
}

TEST(DefaultPolicyTest, WeightsOfLayers) {
  TensorInfo info = Tensor("fc.weight", {64, 64});
  EXPECT_TRUE(IsWeightOfLayer(info));
  info.module_kind = "LayerNorm";
  EXPECT_FALSE(IsWeightOfLayer(info));
  for (const char* name : {"wte.weight", "norm.weight", "tril", "fc.scale"}) {
    EXPECT_FALSE(IsWeightOfLayer(Tensor(name, {64, 64}))) << name;
  }
}

}  // namespace
}  // namespace monoquant
