// Guards: which tensors are one weight of a directory that another program
// quantized, and how; that a configuration which lies, and every part that is
// missing or does not fit, is found when the file is opened, in little memory.

#include "frontends/engines/quantization_config.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/testing/read_tensor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/codebooks.h"
#include "ir/dtype.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::BytesOf;
using ::testing::ElementsAre;
using testing::ExpectError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

struct Tensor {
  std::string name;
  DType dtype;
  Shape shape;
  // Those of M.weight_shape.
  std::vector<int64_t> values = {};
  // The same of other types. Of tensors with neither nothing is read.
  std::string bytes = {};
};

using Tensors = std::vector<Tensor>;

// An index, and the values of a few tensors.
class FakeReader : public CheckpointReader {
 public:
  explicit FakeReader(const Tensors& tensors) {
    index_.path = "m";
    for (const Tensor& tensor : tensors) {
      TensorInfo info;
      info.name = tensor.name;
      info.dtype = tensor.dtype;
      info.shape = tensor.shape;
      info.byte_size = ByteSize(tensor.dtype, tensor.shape).value();
      index_.tensors.push_back(std::move(info));
      bytes_.push_back(tensor.bytes.empty() ? BytesOf(tensor.values)
                                            : tensor.bytes);
    }
  }

  CheckpointIndex& mutable_index() { return index_; }
  const CheckpointIndex& index() const override { return index_; }

  absl::Status Read(size_t tensor, uint64_t, uint64_t,
                    absl::Span<uint8_t> dst) const override {
    if (bytes_[tensor].size() != dst.size()) {
      return absl::InternalError("opening reads this tensor");
    }
    std::memcpy(dst.data(), bytes_[tensor].data(), dst.size());
    return absl::OkStatus();
  }

  std::optional<FileExtent> Locate(size_t tensor) const override {
    return FileExtent{"f", tensor, 1};
  }

 private:
  CheckpointIndex index_;
  std::vector<std::string> bytes_;
};

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;

// `config` is all of a config.json; there is none if it is empty.
Opened Open(const Tensors& tensors, absl::string_view config) {
  std::vector<std::pair<std::string, std::string>> files = {{"m", ""}};
  if (!config.empty()) files.emplace_back("config.json", config);
  return ApplyQuantizationConfig(std::make_unique<FakeReader>(tensors),
                                 InMemoryFiles("m", std::move(files)));
}

std::string Config(absl::string_view quantization,
                   absl::string_view dtype = "bfloat16") {
  return absl::StrCat(R"({"dtype": ")", dtype, R"(", "quantization_config": )",
                      quantization, "}");
}

std::string Gptq(absl::string_view entries) {
  return Config(absl::StrCat(R"({"quant_method": "gptq", )", entries, "}"));
}

std::string Awq(absl::string_view entries) {
  return Config(absl::StrCat(R"({"quant_method": "awq", )", entries, "}"),
                "float16");
}

// With one group of layers of these weights.
std::string Compressed(absl::string_view weights,
                       absl::string_view entries = "") {
  return Config(absl::StrCat(
      R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": )",
      R"({"targets": ["Linear"], "weights": )", weights, "}}", entries, "}"));
}

// "NAME: SCHEME, STORAGE, DTYPE SHAPE: CODES PARTS", one a weight, or the
// error.
std::vector<std::string> Weights(const Opened& opened) {
  if (!opened.ok()) return {opened.status().ToString()};
  std::vector<std::string> lines;
  for (const QuantizedTensor& tensor : (*opened)->index().quant.tensors) {
    lines.push_back(absl::StrCat(
        tensor.name, ": ", SchemeToString(tensor.scheme), ", ",
        StorageName(tensor.storage), ", ", DTypeName(tensor.dtype), " ",
        ShapeToString(tensor.shape), ": ", tensor.codes_name(), " ",
        absl::StrJoin(tensor.part_names(), " ")));
  }
  return lines;
}

// `tensors` without the one of this name, or with another in its place.
Tensors Changed(Tensors tensors, absl::string_view name,
                std::optional<Tensor> other = std::nullopt) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].name != name) continue;
    if (other.has_value()) {
      tensors[i] = *std::move(other);
    } else {
      tensors.erase(tensors.begin() + static_cast<int64_t>(i));
    }
    return tensors;
  }
  ADD_FAILURE() << name;
  return tensors;
}

// ------------------------------------------------------------------- gptq --

Tensors GptqLayer(const std::string& base, int64_t bits, int64_t rows,
                  int64_t columns, int64_t groups) {
  return {{base + ".g_idx", DType::kI32, {columns}},
          {base + ".qweight", DType::kI32, {columns * bits / 32, rows}},
          {base + ".qzeros", DType::kI32, {groups, rows * bits / 32}},
          {base + ".scales", DType::kF16, {groups, rows}}};
}

Tensors operator+(Tensors a, const Tensors& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(GptqTest, Weights) {
  const Tensors tensors = GptqLayer("a", 4, 8, 64, 2) +
                          Tensors{{"norm.weight", DType::kBF16, {64}}};
  EXPECT_THAT(
      Weights(Open(tensors, Gptq(R"("bits": 4, "group_size": 32, "sym": true,
                                    "desc_act": true)"))),
      ElementsAre("a.weight: int4 group 32 symmetric, F16 scales, gptq, BF16 "
                  "[8, 64]: a.qweight a.scales a.qzeros a.g_idx"));
  const std::string v2 =
      R"("bits": 4, "group_size": 32, "sym": false,
         "checkpoint_format": "gptq_v2")";
  EXPECT_THAT(Weights(Open(tensors, Gptq(v2))),
              ElementsAre("a.weight: uint4 group 32 asymmetric, F16 scales, "
                          "gptq-v2, BF16 [8, 64]: a.qweight a.scales a.qzeros "
                          "a.g_idx"));
  EXPECT_THAT(
      Weights(Open(GptqLayer("a", 8, 8, 20, 1),
                   Gptq(R"("bits": 8, "group_size": -1, "format": "gptq")"))),
      ElementsAre("a.weight: uint8 axis 0 asymmetric, F16 scales, gptq, BF16 "
                  "[8, 20]: a.qweight a.scales a.qzeros a.g_idx"));
  // Sizes that the configuration leaves out.
  EXPECT_THAT(Weights(Open(tensors, Gptq(R"("bits": null)"))),
              ElementsAre(HasSubstr("uint4 group 32 asymmetric")));
  // Scales of the other type of two bytes.
  EXPECT_THAT(Weights(Open(Changed(tensors, "a.scales",
                                   Tensor{"a.scales", DType::kBF16, {2, 8}}),
                           Gptq(R"("bits": 4)"))),
              ElementsAre(HasSubstr("BF16 scales, gptq")));
}

TEST(GptqTest, LayersOfSeveralKinds) {
  const Tensors tensors =
      GptqLayer("a", 4, 8, 64, 2) + GptqLayer("b", 8, 8, 64, 4);
  EXPECT_THAT(Weights(Open(tensors, Gptq(R"("bits": 4, "group_size": 32,
                                    "dynamic": {"+:b": {"bits": 8}})"))),
              ElementsAre(HasSubstr("a.weight: uint4 group 32"),
                          HasSubstr("b.weight: uint8 group 16")));
}

// The type before quantization is that of the model, or F16.
TEST(GptqTest, TypesOfTheModel) {
  const Tensors tensors = GptqLayer("a", 4, 8, 64, 2);
  const struct {
    const char* members;
    const char* dtype;
  } cases[] = {
      {R"("dtype": "float32")", "gptq, F32 ["},
      {R"("torch_dtype": "torch.bfloat16")", "gptq, BF16 ["},
      {R"("dtype": "float16", "torch_dtype": "float32")", "gptq, F16 ["},
      {R"("dtype": "auto")", "gptq, F16 ["},
      {R"("dtype": {"text_config": "float32"})", "gptq, F16 ["},
      {R"("dtype": 32)", "gptq, F16 ["},
      {R"("a": 1)", "gptq, F16 ["}};
  for (const auto& c : cases) {
    EXPECT_THAT(
        Weights(Open(tensors, absl::StrCat("{", c.members,
                                           R"(, "quantization_config": )"
                                           R"({"quant_method": "gptq"}})"))),
        ElementsAre(HasSubstr(c.dtype)))
        << c.members;
  }
}

TEST(GptqTest, PartsThatAreMissingOrLeftOver) {
  const Tensors tensors = GptqLayer("a", 4, 8, 64, 2);
  const std::string config = Gptq(R"("bits": 4, "group_size": 32)");
  ExpectError(Open(Changed(tensors, "a.scales"), config), kDataLoss,
              "m: tensor 'a.qweight': its scales 'a.scales' are missing; the "
              "checkpoint is incomplete, download or copy all of it again");
  ExpectError(Open(Changed(tensors, "a.qzeros"), config), kDataLoss,
              "its zero points 'a.qzeros' are missing");
  ExpectError(Open(Changed(tensors, "a.g_idx"), config), kDataLoss,
              "its groups of columns 'a.g_idx' are missing");
  ExpectError(Open(Changed(tensors, "a.qweight"), config), kDataLoss,
              "m: tensor 'a.g_idx': belongs to 'a.qweight', which is missing; "
              "the checkpoint is incomplete");
  ExpectError(
      Open(tensors + Tensors{{"a.weight", DType::kF16, {8, 64}}}, config),
      kDataLoss,
      "holds the codes of 'a.weight', which is there by "
      "itself; remove");
}

TEST(GptqTest, WhatDoesNotFit) {
  const Tensors tensors = GptqLayer("a", 4, 8, 64, 2);
  const struct {
    absl::StatusCode code;
    Tensors tensors;
    const char* config;
    const char* message;
  } cases[] = {
      // Tensors and configuration.
      {kDataLoss, tensors, R"("bits": 8)",
       "has codes of 4 bits, but quantization_config says 8; check that both"},
      {kDataLoss, tensors, R"("bits": 4, "group_size": 64)",
       "its scales 'a.scales' are for 2 groups of 64 columns, but "
       "quantization_config says groups of 64; check"},
      {kDataLoss, tensors, R"("bits": 4, "group_size": -1)",
       "but quantization_config says one group a row"},
      {kDataLoss, tensors, R"("bits": 4, "group_size": 9223372036854775807)",
       "says groups of 9223372036854775807"},
      {kDataLoss, tensors, R"("group_size": 0)",
       "config.json: quantization_config: group_size is 0, expected -1 or a "
       "positive number; it says how the weights are quantized: download or"},
      {kDataLoss, tensors, R"("group_size": -2)", "group_size is -2"},
      {kDataLoss, tensors, R"("group_size": "32")",
       "group_size is \"32\", expected a whole number"},
      {kDataLoss, tensors, R"("group_size": 18446744073709551615)",
       "group_size is 18446744073709551615, expected a whole number"},
      {kDataLoss, tensors, R"("bits": [4])", "bits is [4]"},
      {kDataLoss, tensors, R"("sym": 1)", "sym is 1, expected true or false"},
      {kDataLoss, tensors, R"("checkpoint_format": 2)",
       "checkpoint_format is 2, expected a text"},
      {kUnimplemented, tensors, R"("checkpoint_format": "marlin")",
       "config.json: quantization_config: the format \"marlin\", which is not "
       "read; dequantize it with the program that wrote it, or take the "
       "tensors as they are with --as-stored"},
      // Tensors by themselves.
      {kUnimplemented, GptqLayer("a", 2, 32, 64, 2), R"("bits": 2)",
       "m: tensor 'a.qweight': has codes of 2 bits, which is not read"},
      {kUnimplemented, GptqLayer("a", 3, 32, 64, 2), R"("bits": 3)",
       "has codes of 3 bits"},
      {kUnimplemented,
       Changed(tensors, "a.qweight", Tensor{"a.qweight", DType::kI16, {16, 8}}),
       R"("bits": 4)", "has codes in words of I16"},
      {kDataLoss,
       Changed(tensors, "a.qweight", Tensor{"a.qweight", DType::kI32, {64}}),
       R"("bits": 4)", "is I32 [64], expected two dimensions"},
      {kDataLoss,
       Changed(tensors, "a.qweight", Tensor{"a.qweight", DType::kI32, {7, 8}}),
       R"("bits": 4)", "is I32 [7, 8], which does not fit 'a.g_idx', I32 [64]"},
      {kDataLoss,
       Changed(tensors, "a.qweight", Tensor{"a.qweight", DType::kI32, {0, 8}}),
       R"("bits": 4)", "which does not fit"},
      {kDataLoss,
       Changed(tensors, "a.g_idx", Tensor{"a.g_idx", DType::kI32, {0}}),
       R"("bits": 4)", "which does not fit"},
      {kDataLoss,
       Changed(tensors, "a.g_idx", Tensor{"a.g_idx", DType::kI32, {64, 1}}),
       R"("bits": 4)", "which does not fit"},
      {kDataLoss,
       Changed(tensors, "a.g_idx", Tensor{"a.g_idx", DType::kI64, {64}}),
       R"("bits": 4)",
       "its groups of columns 'a.g_idx' are I64 [64], expected I32 [64]"},
      {kDataLoss,
       Changed(tensors, "a.qzeros", Tensor{"a.qzeros", DType::kI32, {2, 2}}),
       R"("bits": 4)",
       "its zero points 'a.qzeros' are I32 [2, 2], expected I32 [2, 1]; check"},
      {kDataLoss,
       Changed(tensors, "a.scales", Tensor{"a.scales", DType::kF16, {2, 16}}),
       R"("bits": 4)", "its scales 'a.scales' are F16 [2, 16], expected F16"},
      {kDataLoss,
       Changed(tensors, "a.scales", Tensor{"a.scales", DType::kF16, {0, 8}}),
       R"("bits": 4)", "which is no division of 64 columns into groups"},
      {kDataLoss,
       Changed(tensors, "a.scales",
               Tensor{"a.scales", DType::kF16, {1000000000, 8}}),
       R"("bits": 4)", "which is no division of 64 columns into groups"},
      {kDataLoss,
       Changed(tensors, "a.scales", Tensor{"a.scales", DType::kF16, {}}),
       R"("bits": 4)", "which is no division of 64 columns into groups"},
      {kUnimplemented,
       Changed(tensors, "a.scales", Tensor{"a.scales", DType::kF16, {3, 8}}),
       R"("bits": 4)", "has 64 columns in 3 groups, not all of one size"},
      {kUnimplemented,
       Changed(tensors, "a.scales", Tensor{"a.scales", DType::kF32, {2, 8}}),
       R"("bits": 4)", "has scales of F32"},
      {kUnimplemented, GptqLayer("a", 4, 8, 96, 2),
       R"("bits": 4, "group_size": 64)",
       "has 96 columns in 2 groups, not all of one size"},
      {kUnimplemented, GptqLayer("a", 8, 12, 64, 2), R"("bits": 8)",
       "gptq has no place for a weight of shape [12, 64], whose rows are no "
       "multiple of 8, which is not read"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    ExpectError(Open(c.tensors, Gptq(c.config)), c.code, c.message);
  }
}

// -------------------------------------------------------------------- awq --

Tensors AwqLayer(const std::string& base, int64_t rows, int64_t columns,
                 int64_t groups) {
  return {{base + ".qweight", DType::kI32, {columns, rows / 8}},
          {base + ".qzeros", DType::kI32, {groups, rows / 8}},
          {base + ".scales", DType::kF16, {groups, rows}}};
}

TEST(AwqTest, Weights) {
  const Tensors tensors = AwqLayer("a", 16, 64, 2);
  EXPECT_THAT(
      Weights(Open(tensors, Awq(R"("bits": 4, "group_size": 32,
                                   "zero_point": true, "version": "gemm")"))),
      ElementsAre("a.weight: uint4 group 32 asymmetric, F16 scales, awq, F16 "
                  "[16, 64]: a.qweight a.scales a.qzeros"));
  EXPECT_THAT(Weights(Open(tensors, Awq(R"("version": "GEMM",
                                           "zero_point": false)"))),
              ElementsAre(HasSubstr("int4 group 32 symmetric")));
  EXPECT_THAT(Weights(Open(AwqLayer("a", 16, 64, 1),
                           Awq(R"("bits": 4, "group_size": -1)"))),
              ElementsAre(HasSubstr("uint4 axis 0 asymmetric")));
  // GPTQModel calls its own so.
  EXPECT_THAT(Weights(Open(tensors, Gptq(R"("format": "gemm", "bits": 4,
                                            "sym": true)"))),
              ElementsAre(HasSubstr("int4 group 32 symmetric, F16 scales, "
                                    "awq")));
}

TEST(AwqTest, WhatDoesNotFit) {
  const Tensors tensors = AwqLayer("a", 16, 64, 2);
  const struct {
    absl::StatusCode code;
    Tensors tensors;
    const char* config;
    const char* message;
  } cases[] = {
      {kUnimplemented, tensors, R"("version": "gemv")",
       "quantization_config: the version \"gemv\", which is not read"},
      {kUnimplemented, tensors, R"("version": "gemm", "bits": 8)",
       "codes of 8 bits"},
      {kDataLoss, Changed(tensors, "a.qzeros"), R"("bits": 4)",
       "its zero points 'a.qzeros' are missing"},
      {kDataLoss, Changed(tensors, "a.scales"), R"("bits": 4)",
       "its scales 'a.scales' are missing"},
      {kDataLoss, Changed(tensors, "a.qweight"), R"("bits": 4)",
       "m: tensor 'a.qzeros': belongs to 'a.qweight', which is missing"},
      {kDataLoss, tensors, R"("bits": 4, "group_size": 64)",
       "are for 2 groups of 64 columns, but quantization_config says groups "
       "of 64"},
      {kDataLoss,
       Changed(tensors, "a.scales", Tensor{"a.scales", DType::kF16, {2, 64}}),
       R"("bits": 4)", "is I32 [64, 2], but its scales are F16 [2, 64]; check"},
      // In the order of gemv.
      {kDataLoss,
       Changed(tensors, "a.qweight", Tensor{"a.qweight", DType::kI32, {16, 8}}),
       R"("bits": 4)", "is I32 [16, 8], but its scales are F16 [2, 16]"},
      {kUnimplemented, AwqLayer("a", 16, 12, 2), R"("bits": 4)",
       "whose columns are no multiple of 8"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    ExpectError(Open(c.tensors, Awq(c.config)), c.code, c.message);
  }
}

// ----------------------------------------------------- compressed-tensors --

constexpr char kInt4Groups[] =
    R"({"num_bits": 4, "type": "int", "symmetric": true, "strategy": "group",
        "group_size": 32, "actorder": "static"})";
constexpr char kInt4Rows[] =
    R"({"num_bits": 4, "type": "int", "strategy": "channel",
        "group_size": null, "actorder": null})";
constexpr char kInt8Rows[] = R"({"num_bits": 8, "type": "int"})";
constexpr char kFp8[] = R"({"num_bits": 8, "type": "float"})";
constexpr char kFp4[] =
    R"({"num_bits": 4, "type": "float", "strategy": "tensor_group",
        "group_size": 16, "scale_dtype": "torch.float8_e4m3fn"})";

Tensors PackedLayer(const std::string& base, int64_t bits, int64_t rows,
                    int64_t columns, int64_t groups) {
  return {{base + ".weight_packed",
           DType::kI32,
           {rows, (columns * bits + 31) / 32}},
          {base + ".weight_scale", DType::kBF16, {rows, groups}},
          {base + ".weight_shape", DType::kI64, {2}, {rows, columns}}};
}

TEST(CompressedTensorsTest, Packed) {
  const Tensors tensors = PackedLayer("a", 4, 6, 64, 2);
  EXPECT_THAT(Weights(Open(tensors, Compressed(kInt4Groups))),
              ElementsAre("a.weight: int4 group 32 symmetric, BF16 scales, "
                          "pack-quantized, BF16 [6, 64]: a.weight_packed "
                          "a.weight_scale a.weight_shape"));
  // Rows fill no words of zero points.
  EXPECT_THAT(
      Weights(
          Open(tensors + Tensors{{"a.weight_zero_point", DType::kI32, {1, 2}}},
               Compressed(kInt4Groups))),
      ElementsAre(AllOf(HasSubstr("int4 group 32 asymmetric"),
                        HasSubstr("a.weight_scale a.weight_zero_point "
                                  "a.weight_shape"))));
  EXPECT_THAT(
      Weights(Open(PackedLayer("a", 8, 6, 9, 1), Compressed(kInt8Rows))),
      ElementsAre(HasSubstr("int8 axis 0 symmetric")));
  // One word of a row may hold 3 codes of either 4 or 8 bits.
  EXPECT_THAT(
      Weights(Open(PackedLayer("a", 4, 6, 3, 1), Compressed(kInt4Rows))),
      ElementsAre(AllOf(HasSubstr("int4 axis 0"), HasSubstr("[6, 3]"))));
  EXPECT_THAT(
      Weights(Open(PackedLayer("a", 4, 6, 3, 1), Compressed(kInt8Rows))),
      ElementsAre(HasSubstr("int8 axis 0")));
  Tensors whole = PackedLayer("a", 4, 6, 64, 1);
  whole[1].shape = {1};
  EXPECT_THAT(Weights(Open(whole, Compressed(kInt4Rows))),
              ElementsAre(HasSubstr("int4 tensor symmetric")));
}

TEST(CompressedTensorsTest, BytesAndFloats) {
  const Tensors bytes = {{"a.weight", DType::kI8, {6, 64}},
                         {"a.weight_scale", DType::kF16, {6, 1}},
                         {"a.input_scale", DType::kBF16, {1}}};
  EXPECT_THAT(Weights(Open(bytes, Compressed(kInt8Rows))),
              ElementsAre("a.weight: int8 axis 0 symmetric, F16 scales, "
                          "int-quantized, BF16 [6, 64]: a.weight "
                          "a.weight_scale"));
  EXPECT_THAT(
      Weights(Open(bytes + Tensors{{"a.weight_zero_point", DType::kI8, {6, 1}}},
                   Compressed(kInt8Rows))),
      ElementsAre(HasSubstr("int8 axis 0 asymmetric")));
  // "naive-quantized" has codes of any bits so.
  EXPECT_THAT(Weights(Open(bytes, Compressed(kInt4Rows))),
              ElementsAre(HasSubstr("int8 axis 0 symmetric")));
  const Tensors floats = {{"a.weight", DType::kF8E4M3, {300, 64}},
                          {"a.weight_scale", DType::kBF16, {300, 1}},
                          {"b.weight", DType::kF8E4M3, {300, 64}},
                          {"b.weight_scale", DType::kF32, {1}},
                          {"c.weight", DType::kF8E4M3, {300, 64}},
                          {"c.weight_scale", DType::kF32, {3, 1}},
                          {"d.weight", DType::kF8E4M3, {300, 64}},
                          {"d.weight_scale", DType::kF32, {}},
                          {"e.weight", DType::kF8E4M3, {2, 300, 64}},
                          {"e.weight_scale", DType::kF32, {2, 1, 1}}};
  // The others are left to frontends/scaled.
  EXPECT_THAT(Weights(Open(floats, Compressed(kFp8))),
              ElementsAre(HasSubstr("a.weight: fp8_e4m3 axis 0, BF16 scales, "
                                    "compressed-tensors, BF16"),
                          HasSubstr("b.weight: fp8_e4m3 tensor")));
}

// Scales of 8 bits, and a global one.
TEST(CompressedTensorsTest, NamedSchemes) {
  const Tensors pairs = {{"a.weight_packed", DType::kU8, {6, 32}},
                         {"a.weight_scale", DType::kF8E4M3, {6, 4}},
                         {"a.weight_global_scale", DType::kF32, {1}},
                         {"a.input_global_scale", DType::kF32, {1}},
                         {"b.weight_packed", DType::kU8, {6, 32}},
                         {"b.weight_scale", DType::kU8, {6, 2}},
                         {"c.weight_packed", DType::kU8, {6, 16}},
                         {"c.weight_scale", DType::kU8, {6, 1}}};
  EXPECT_THAT(
      Weights(Open(pairs, Compressed(kFp4))),
      ElementsAre("a.weight: fp4_e2m1 group 16, F8_E4M3 scales, "
                  "compressed-tensors, BF16 [6, 64]: a.weight_packed "
                  "a.weight_scale a.weight_global_scale",
                  "b.weight: fp4_e2m1 group 32, F8_E8M0 scales, "
                  "compressed-tensors, BF16 [6, 64]: b.weight_packed "
                  "b.weight_scale",
                  HasSubstr("c.weight: fp4_e2m1 group 32, F8_E8M0 scales")));
  EXPECT_THAT(Weights(Open({{"a.weight", DType::kF8E4M3, {6, 64}},
                            {"a.weight_scale", DType::kU8, {6, 2}}},
                           Compressed(kFp8))),
              ElementsAre("a.weight: fp8_e4m3 group 32, F8_E8M0 scales, "
                          "compressed-tensors, BF16 [6, 64]: a.weight "
                          "a.weight_scale"));
}

TEST(CompressedTensorsTest, SeveralGroups) {
  const std::string config = Config(
      R"({"quant_method": "compressed-tensors", "format": "mixed-precision",
          "sparsity_config": {}, "transform_config": {"config_groups": {}},
          "config_groups": {
            "a": {"targets": ["re:.*a$"], "weights": {"num_bits": 4,
                  "group_size": 32}},
            "b": {"weights": {"num_bits": 8, "group_size": -1}},
            "c": {"weights": null}, "d": {}}})");
  EXPECT_THAT(Weights(Open(
                  PackedLayer("a", 4, 6, 64, 2) + PackedLayer("b", 8, 6, 64, 1),
                  config)),
              ElementsAre(HasSubstr("a.weight: int4 group 32"),
                          HasSubstr("b.weight: int8 axis 0")));
}

TEST(CompressedTensorsTest, WhatDoesNotFit) {
  const Tensors tensors = PackedLayer("a", 4, 6, 64, 2);
  const auto with = [&](const char* name, DType dtype, Shape shape,
                        std::vector<int64_t> values = {}) {
    return Changed(tensors, name, Tensor{name, dtype, shape, values});
  };
  const auto plus = [&](const char* name, DType dtype, Shape shape) {
    return tensors + Tensors{{name, dtype, shape}};
  };
  const struct {
    absl::StatusCode code;
    Tensors tensors;
    const char* weights;
    const char* message;
  } cases[] = {
      {kDataLoss, Changed(tensors, "a.weight_scale"), kInt4Groups,
       "m: tensor 'a.weight_packed': its scales 'a.weight_scale' are missing"},
      {kDataLoss, Changed(tensors, "a.weight_shape"), kInt4Groups,
       "its dimensions 'a.weight_shape' are missing"},
      {kDataLoss, Changed(tensors, "a.weight_packed"), kInt4Groups,
       "m: tensor 'a.weight_scale': belongs to 'a.weight', which is missing"},
      {kDataLoss, plus("b.weight_zero_point", DType::kI32, {1, 2}), kInt4Groups,
       "'b.weight_zero_point': belongs to 'b.weight', which is missing"},
      {kDataLoss, plus("a.weight_zero_point", DType::kI8, {6, 2}), kInt4Groups,
       "its zero points 'a.weight_zero_point' are I8 [6, 2], expected I32 "
       "[1, 2]"},
      {kDataLoss, plus("a.weight", DType::kBF16, {6, 64}), kInt4Groups,
       "holds the codes of 'a.weight', which is there by itself"},
      {kUnimplemented, plus("a.weight_g_idx", DType::kI32, {64}), kInt4Groups,
       "has groups by activations (actorder), which is not read"},
      // What the tensors say of themselves.
      {kDataLoss, with("a.weight_shape", DType::kI64, {2}, {6, 63}),
       kInt4Groups, "are BF16 [6, 2], which do not divide [6, 63]"},
      {kDataLoss, with("a.weight_shape", DType::kI64, {2}, {7, 64}),
       kInt4Groups,
       "is I32 [6, 8], but 'a.weight_shape' says that the weight is [7, 64]"},
      {kDataLoss, with("a.weight_shape", DType::kI64, {2}, {6, -64}),
       kInt4Groups, "says that the weight is [6, -64]"},
      {kDataLoss,
       with("a.weight_shape", DType::kI64, {2}, {6, int64_t{1} << 62}),
       kInt4Groups, "which does not fit 4611686018427387904 columns"},
      {kDataLoss, with("a.weight_shape", DType::kI32, {2}), kInt4Groups,
       "its dimensions 'a.weight_shape' are I32 [2], expected I64 [2]"},
      {kDataLoss, with("a.weight_packed", DType::kI32, {6, 1000}), kInt4Groups,
       "is I32 [6, 1000], which does not fit 64 columns"},
      {kDataLoss, with("a.weight_scale", DType::kBF16, {6, 1000000000}),
       kInt4Groups, "which do not divide [6, 64]"},
      {kDataLoss, with("a.weight_scale", DType::kBF16, {6, 0}), kInt4Groups,
       "which do not divide [6, 64]"},
      {kDataLoss, with("a.weight_scale", DType::kBF16, {2, 2}), kInt4Groups,
       "which do not divide [6, 64]"},
      {kUnimplemented, with("a.weight_scale", DType::kF8E4M3, {6, 2}),
       kInt4Groups, "has scales of F8_E4M3"},
      {kDataLoss, with("a.weight_packed", DType::kU8, {6, 32}), kInt4Groups,
       "holds floats of 4 bits, which no entry of config_groups"},
      {kUnimplemented, with("a.weight_packed", DType::kI64, {6, 4}),
       kInt4Groups, "is I64 [6, 4], which is not read"},
      // Tensors and configuration.
      {kDataLoss, tensors, kInt8Rows,
       "holds int4 group 32 symmetric, BF16 scales, which no entry of "
       "config_groups in config.json describes; check"},
      {kDataLoss, tensors, kFp8, "which no entry of config_groups"},
      {kDataLoss, tensors, R"({"num_bits": 4, "group_size": 64})",
       "which no entry of config_groups"},
      {kUnimplemented, PackedLayer("a", 3, 6, 64, 2),
       R"({"num_bits": 3, "group_size": 32})", "has codes of 3 bits"},
      {kDataLoss, PackedLayer("a", 3, 6, 64, 2), kInt4Groups,
       "holds codes of 3 bits, which no entry"},
      // Bytes.
      {kDataLoss,
       {{"a.weight", DType::kI8, {6, 64}},
        {"b.weight", DType::kI8, {6, 64}},
        {"b.weight_scale", DType::kF16, {6, 1}}},
       kInt8Rows,
       "m: tensor 'a.weight': its scales 'a.weight_scale' are"},
      {kDataLoss,
       {{"a.weight", DType::kI8, {6, 64}},
        {"a.weight_scale", DType::kF16, {6, 1}}},
       kInt4Groups,
       "holds int8 axis 0 symmetric, F16 scales, which no entry"},
      {kUnimplemented,
       {{"a.weight", DType::kI8, {6, 64, 1}},
        {"a.weight_scale", DType::kF16, {6, 1}}},
       kInt8Rows,
       "is I8 [6, 64, 1]"},
      // Floats.
      {kDataLoss,
       {{"a.weight", DType::kF8E4M3, {6, 64}},
        {"a.weight_scale", DType::kU8, {6, 3}}},
       kFp8,
       "its scales 'a.weight_scale' are U8 [6, 3], expected U8 [6, 2]"},
      {kDataLoss,
       {{"a.weight_packed", DType::kU8, {6, 32}},
        {"a.weight_scale", DType::kF8E4M3, {6, 4}}},
       kFp4,
       "its global scales 'a.weight_global_scale' are missing"},
      {kDataLoss,
       {{"a.weight_global_scale", DType::kF32, {1}},
        {"b.weight", DType::kI8, {6, 64}},
        {"b.weight_scale", DType::kF16, {6, 1}}},
       kInt8Rows,
       "'a.weight_global_scale': belongs to 'a.weight', which is missing"},
      {kUnimplemented,
       {{"a.weight_packed", DType::kU8, {6, 32}},
        {"a.weight_scale", DType::kU8, {6, 1}}},
       kFp4,
       "has no place for fp4_e2m1 group 64, F8_E8M0 scales, which is not read"},
      {kUnimplemented,
       {{"a.weight_packed", DType::kU8, {6, 32}},
        {"a.weight_scale", DType::kBF16, {6, 2}}},
       kFp4,
       "has no place for fp4_e2m1 group 32, BF16 scales"},
      {kUnimplemented,
       {{"a.weight_packed", DType::kU8, {6, 48}},
        {"a.weight_scale", DType::kU8, {6, 2}}},
       R"({"num_bits": 6, "type": "float"})",
       "has floats of 6 bits, packed, which is not read"},
      {kDataLoss,
       {{"a.weight", DType::kF8E4M3, {6, 64}},
        {"a.weight_scale", DType::kBF16, {6, 1}}},
       kInt8Rows,
       "holds fp8_e4m3 axis 0, BF16 scales, which no entry"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    ExpectError(Open(c.tensors, Compressed(c.weights)), c.code, c.message);
  }
  ExpectError(Open(PackedLayer("a", 4, 6, 3, 1),
                   Config(R"({"quant_method": "compressed-tensors",
                              "config_groups": {
                                "a": {"weights": {"num_bits": 4}},
                                "b": {"weights": {"num_bits": 8}}}})")),
              kUnimplemented,
              "has codes of 4 or 8 bits, which its 3 columns do not tell");
}

TEST(CompressedTensorsTest, ConfigurationsThatLie) {
  const Tensors tensors = PackedLayer("a", 4, 6, 64, 2);
  const auto groups = [](absl::string_view value) {
    return Config(absl::StrCat(
        R"({"quant_method": "compressed-tensors", "config_groups": )", value,
        "}"));
  };
  for (const char* value : {"[]", "null", "5", "\"group_0\""}) {
    ExpectError(Open(tensors, groups(value)), kDataLoss,
                "config.json: quantization_config: config_groups is no object; "
                "it says how the weights are quantized");
  }
  const struct {
    const char* weights;
    const char* message;
  } cases[] = {
      {"4", "whose description is not what it can be: 4"},
      {"[4]", "whose description is not"},
      {R"({"type": 4})", "whose type is not"},
      {R"({"num_bits": "4"})", "whose num_bits is not"},
      {R"({"num_bits": 4.5})", "whose num_bits is not"},
      {R"({"group_size": 0})", "whose group_size is not"},
      {R"({"group_size": -32})", "whose group_size is not"},
      {R"({"group_size": 1e3})", "whose group_size is not"},
      {R"({"num_bits": 4, "group_size": 9223372036854775807})",
       "which no entry of config_groups"},
      {R"({"num_bits": -9223372036854775808})",
       "which no entry of config_groups"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.weights);
    ExpectError(Open(tensors, Compressed(c.weights)), kDataLoss, c.message);
  }
  for (const char* order : {"\"group\"", "\"dynamic\"", "true", "3"}) {
    ExpectError(
        Open(tensors, Compressed(absl::StrCat(
                          R"({"num_bits": 4, "group_size": 32, "actorder": )",
                          order, "}"))),
        kUnimplemented, absl::StrCat("quantization_config: actorder ", order));
  }
  ExpectError(Open(tensors, Compressed(kInt4Groups,
                                       R"(, "sparsity_config": {"format":
                                  "sparse-24-bitmask"})")),
              kUnimplemented,
              "quantization_config: a sparsity_config, which is not");
  ExpectError(Open(tensors, Compressed(kInt4Groups,
                                       R"(, "transform_config":
                                          {"config_groups": {"u": {}}})")),
              kUnimplemented, "a transform_config, which is not read");
  EXPECT_TRUE(Open(tensors, Compressed(kInt4Groups,
                                       R"(, "sparsity_config": {"format":
                                          "dense"})"))
                  .ok());
  // Many entries cost their text alone.
  std::string many = R"({"x": {"weights": {"num_bits": 4, "group_size": 32}})";
  for (int i = 0; i < 20000; ++i) {
    absl::StrAppend(&many, R"(, ")", i, R"(": {"weights": {"num_bits": 4, )",
                    R"("group_size": )", 100 + i, "}}");
  }
  Tensors layers;
  for (int i = 0; i < 2000; ++i) {
    layers = std::move(layers) + PackedLayer(absl::StrCat(i), 4, 6, 64, 2);
  }
  EXPECT_EQ(Weights(Open(layers, groups(many + "}"))).size(), 2000u);
}

// ------------------------------------------------------------ bitsandbytes --

std::string Bitsandbytes(absl::string_view entries = "") {
  return Config(
      absl::StrCat(R"({"quant_method": "bitsandbytes")", entries, "}"));
}

std::string Floats(const std::vector<float>& values) { return BytesOf(values); }

std::vector<float> NumbersOf(absl::string_view type) {
  const float* numbers = type == "nf4" ? kNf4Numbers : kFp4Numbers;
  return {numbers, numbers + 16};
}

Tensor StateTensor(absl::string_view type, absl::string_view text) {
  return {absl::StrCat("a.weight.quant_state.bitsandbytes__", type),
          DType::kU8,
          {static_cast<int64_t>(text.size())},
          {},
          std::string(text)};
}

// A weight of [6, 128] in blocks of 64.
constexpr absl::string_view kState =
    R"({"quant_type": "nf4", "blocksize": 64, "dtype": "float16", )"
    R"("shape": [6, 128]})";
constexpr absl::string_view kNestedState =
    R"({"quant_type": "nf4", "blocksize": 64, "dtype": "float16", )"
    R"("shape": [6, 128], "nested_blocksize": 256, )"
    R"("nested_dtype": "float32", "nested_offset": 0.25})";

// `state` with `from` in it replaced.
std::string StateWith(absl::string_view from, absl::string_view to,
                      absl::string_view state = kState) {
  const size_t at = state.find(from);
  EXPECT_NE(at, absl::string_view::npos) << from;
  return absl::StrCat(state.substr(0, at), to, state.substr(at + from.size()));
}

Tensors NibblesLayer(absl::string_view type = "nf4",
                     absl::string_view state = kState) {
  return {
      {"a.weight", DType::kU8, {384, 1}},
      {"a.weight.absmax", DType::kF32, {12}},
      {"a.weight.quant_map", DType::kF32, {16}, {}, Floats(NumbersOf(type))},
      StateTensor(type, state)};
}

Tensors NestedLayer(absl::string_view state = kNestedState) {
  return Changed(NibblesLayer("nf4", state), "a.weight.absmax",
                 Tensor{"a.weight.absmax", DType::kU8, {12}}) +
         Tensors{{"a.weight.nested_absmax", DType::kF32, {1}},
                 {"a.weight.nested_quant_map", DType::kF32, {256}}};
}

TEST(BitsandbytesTest, Nibbles) {
  const std::string rest =
      " group 64, bitsandbytes, F16 [6, 128]: a.weight a.weight.absmax "
      "a.weight.quant_map a.weight.quant_state.bitsandbytes__";
  // The type is that of quant_state, not that of the model, which is BF16.
  EXPECT_THAT(
      Weights(Open(NibblesLayer(), Bitsandbytes(R"(, "load_in_4bit": true)"))),
      ElementsAre("a.weight: nf4" + rest + "nf4"));
  EXPECT_THAT(Weights(Open(NibblesLayer("fp4", StateWith("nf4", "fp4")),
                           Bitsandbytes())),
              ElementsAre("a.weight: fp4" + rest + "fp4"));
  // As older versions have it.
  EXPECT_THAT(Weights(Open(Changed(NibblesLayer(), "a.weight",
                                   Tensor{"a.weight", DType::kU8, {384}}),
                           Bitsandbytes())),
              ElementsAre("a.weight: nf4" + rest + "nf4"));
  EXPECT_THAT(
      Weights(Open(Changed(NibblesLayer("nf4", StateWith("64", "128")),
                           "a.weight.absmax",
                           Tensor{"a.weight.absmax", DType::kF32, {6}}),
                   Bitsandbytes(R"(, "load_in_4bit": null)"))),
      ElementsAre(HasSubstr("nf4 group 128, bitsandbytes, F16 [6, 128]")));
}

TEST(BitsandbytesTest, Nested) {
  for (const std::string& state :
       {std::string(kNestedState), StateWith("0.25", "0", kNestedState),
        StateWith("0.25", "-1e-3", kNestedState)}) {
    EXPECT_THAT(
        Weights(Open(NestedLayer(state), Bitsandbytes())),
        ElementsAre("a.weight: nf4 group 64, bitsandbytes-nested, F16 [6, "
                    "128]: a.weight a.weight.absmax a.weight.quant_map "
                    "a.weight.quant_state.bitsandbytes__nf4 "
                    "a.weight.nested_absmax a.weight.nested_quant_map"));
  }
}

// A weight of 8 bits; `order` is what M.weight_format has.
Tensors BytesLayer(char order = 0) {
  return {{"b.SCB", DType::kF32, {6}},
          {"b.weight", DType::kI8, {6, 9}},
          {"b.weight_format", DType::kU8, {}, {}, std::string(1, order)}};
}

TEST(BitsandbytesTest, Bytes) {
  const std::string line =
      "b.weight: llm_int8 axis 0, bitsandbytes, BF16 [6, 9]: b.weight b.SCB";
  EXPECT_THAT(
      Weights(Open(BytesLayer(), Bitsandbytes(R"(, "load_in_8bit": true)"))),
      ElementsAre(line + " b.weight_format"));
  // Older files do not say how rows lie.
  EXPECT_THAT(
      Weights(Open(Changed(BytesLayer(), "b.weight_format"), Bitsandbytes())),
      ElementsAre(line));
  // The type of a model that does not say it.
  EXPECT_THAT(
      Weights(Open(BytesLayer(),
                   R"({"quantization_config":
                       {"quant_method": "bitsandbytes"}})")),
      ElementsAre(HasSubstr("llm_int8 axis 0, bitsandbytes, F16 [6, 9]")));
}

TEST(BitsandbytesTest, BytesThatDoNotFit) {
  const Tensors tensors = BytesLayer();
  const auto with = [&](const char* name, DType dtype, Shape shape) {
    return Changed(tensors, name, Tensor{name, dtype, std::move(shape)});
  };
  const struct {
    absl::StatusCode code;
    Tensors tensors;
    const char* message;
  } cases[] = {
      {kDataLoss, Changed(tensors, "b.weight"),
       "m: tensor 'b.SCB': belongs to 'b.weight', which is missing; the"},
      {kDataLoss, Changed(tensors, "b.SCB"),
       "m: tensor 'b.weight': its scales 'b.SCB' are missing; the checkpoint"},
      {kDataLoss,
       {{"b.weight_format", DType::kU8, {}}},
       "m: tensor 'b.weight_format': belongs to 'b.SCB', which is missing"},
      {kDataLoss, with("b.SCB", DType::kF32, {9}),
       "its scales 'b.SCB' are F32 [9], expected F32 [6]; check that both"},
      {kDataLoss, with("b.SCB", DType::kF16, {6}),
       "its scales 'b.SCB' are F16 [6], expected F32 [6]"},
      {kDataLoss, with("b.weight_format", DType::kI64, {}),
       "its order of rows 'b.weight_format' are I64 [], expected U8 []"},
      {kDataLoss, with("b.weight_format", DType::kU8, {1}),
       "its order of rows 'b.weight_format' are U8 [1], expected U8 []"},
      {kUnimplemented, BytesLayer(2),
       "m: tensor 'b.weight': has codes that are not row by row "
       "('b.weight_format' is 2), which is not read"},
      {kUnimplemented, with("b.weight", DType::kF16, {6, 9}),
       "has scales of 8 bits in 'b.SCB', but is F16 [6, 9], which is not read"},
      {kUnimplemented, with("b.weight", DType::kI8, {54}), "b.weight': "},
      {kUnimplemented, with("b.weight", DType::kI8, {6, 3, 3}),
       "has no place for a quantized tensor of 3 dimensions"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    ExpectError(Open(c.tensors, Bitsandbytes()), c.code, c.message);
  }
  ExpectError(Open(tensors, Bitsandbytes(R"(, "load_in_8bit": false)")),
              kDataLoss,
              "has codes of 8 bits, but load_in_8bit is not true in "
              "quantization_config; check");
}

TEST(BitsandbytesTest, WhatDoesNotFit) {
  const Tensors plain = NibblesLayer();
  const Tensors nested = NestedLayer();
  const auto with = [](const Tensors& tensors, const char* name, DType dtype,
                       Shape shape, std::string bytes = "") {
    return Changed(tensors, name,
                   Tensor{name, dtype, std::move(shape), {}, std::move(bytes)});
  };
  std::vector<float> other = NumbersOf("nf4");
  other[3] = 0;
  const struct {
    absl::StatusCode code;
    Tensors tensors;
    std::string message;
  } cases[] = {
      // Parts that are missing or left over.
      {kDataLoss, Changed(plain, "a.weight"),
       "m: tensor 'a.weight.quant_state.bitsandbytes__nf4': belongs to "
       "'a.weight', which is missing; the checkpoint is incomplete"},
      {kDataLoss, Changed(plain, "a.weight.absmax"),
       "m: tensor 'a.weight': its scales 'a.weight.absmax' are missing"},
      {kDataLoss, Changed(plain, "a.weight.quant_map"),
       "its numbers of codes 'a.weight.quant_map' are missing"},
      {kDataLoss, Changed(plain, "a.weight.quant_state.bitsandbytes__nf4"),
       "m: tensor 'a.weight.absmax': belongs to "
       "'a.weight.quant_state.bitsandbytes__nf4' or __fp4, which is missing"},
      {kDataLoss, plain + Tensors{{"b.weight", DType::kU8, {8, 1}}},
       "m: tensor 'b.weight': has codes of 4 bits, but no "
       "'b.weight.quant_state.bitsandbytes__nf4' or __fp4; the checkpoint"},
      {kDataLoss, Changed(nested, "a.weight.nested_absmax"),
       "its scales of scales 'a.weight.nested_absmax' are missing"},
      {kDataLoss, Changed(nested, "a.weight.nested_quant_map"),
       "its numbers of scales 'a.weight.nested_quant_map' are missing"},
      {kDataLoss, NestedLayer(kState),
       "'a.weight.nested_absmax': belongs to scales that are quantized, which "
       "'a.weight.quant_state.bitsandbytes__nf4' does not describe; check"},
      {kDataLoss, plain + Tensors{StateTensor("fp4", StateWith("nf4", "fp4"))},
       "quant_state.bitsandbytes__nf4': describes 'a.weight', and so does "
       "'a.weight.quant_state.bitsandbytes__fp4'; remove"},
      // Sizes that do not agree.
      {kDataLoss, with(plain, "a.weight", DType::kU8, {383, 1}),
       "m: tensor 'a.weight': is U8 [383, 1], but "
       "'a.weight.quant_state.bitsandbytes__nf4' says that the weight is [6, "
       "128]; check that both are of one checkpoint"},
      {kDataLoss, with(plain, "a.weight", DType::kU8, {6, 64}),
       "is U8 [6, 64], but"},
      {kDataLoss, NibblesLayer("nf4", StateWith("128", "64")),
       "says that the weight is [6, 64]"},
      {kDataLoss, with(plain, "a.weight.absmax", DType::kF32, {6}),
       "its scales 'a.weight.absmax' are F32 [6], expected F32 [12]; check"},
      {kDataLoss, with(plain, "a.weight.absmax", DType::kU8, {12}),
       "its scales 'a.weight.absmax' are U8 [12], expected F32 [12]"},
      {kDataLoss, with(nested, "a.weight.absmax", DType::kF32, {12}),
       "its scales 'a.weight.absmax' are F32 [12], expected U8 [12]"},
      {kDataLoss, with(nested, "a.weight.nested_absmax", DType::kF32, {2}),
       "'a.weight.nested_absmax' are F32 [2], expected F32 [1]"},
      {kDataLoss, with(nested, "a.weight.nested_quant_map", DType::kF32, {16}),
       "'a.weight.nested_quant_map' are F32 [16], expected F32 [256]"},
      {kDataLoss, with(plain, "a.weight.quant_map", DType::kF16, {16}),
       "'a.weight.quant_map' are F16 [16], expected F32 [16]"},
      // What is not read.
      {kUnimplemented,
       with(plain, "a.weight.quant_map", DType::kF32, {16}, Floats(other)),
       "has numbers in 'a.weight.quant_map' that are not those of nf4, which "
       "is not read; dequantize it with the program that wrote it"},
      {kUnimplemented, with(plain, "a.weight", DType::kBF16, {192, 1}),
       "has codes in elements of BF16 (bnb_4bit_quant_storage), which is not"},
      {kUnimplemented, NibblesLayer("nf4", StateWith("[6, 128]", "[8, 96]")),
       "has blocks of 64 that go over the ends of its rows of 96, which is"},
      {kUnimplemented,
       NibblesLayer("nf4", StateWith("[6, 128]", "[2, 3, 128]")),
       "has no place for a quantized tensor of 3 dimensions"},
      {kUnimplemented, NibblesLayer("nf4", StateWith("64", "32")),
       "has no place for nf4 group 32"},
      {kUnimplemented, NestedLayer(StateWith("256", "128", kNestedState)),
       "has blocks of 128 scales, which is not read"},
      {kUnimplemented,
       NestedLayer(StateWith("float32", "float16", kNestedState)),
       "has scales of \"float16\", which is not read"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    ExpectError(Open(c.tensors, Bitsandbytes()), c.code, c.message);
  }
  ExpectError(Open(plain, Bitsandbytes(R"(, "load_in_4bit": false)")),
              kDataLoss,
              "has codes of 4 bits, but load_in_4bit is not true in "
              "quantization_config; check");
  ExpectError(Open(plain, Bitsandbytes(R"(, "load_in_4bit": "yes")")),
              kDataLoss, "load_in_4bit is \"yes\", expected true or false");
}

// Who asks for all problems is told of each weight's, and has the others.
TEST(BitsandbytesTest, AllProblems) {
  const Tensors tensors = Changed(NibblesLayer(), "a.weight.absmax") +
                          Changed(BytesLayer(), "b.weight_format") +
                          Tensors{{"c.SCB", DType::kF32, {6}}};
  const std::string config = Bitsandbytes();
  std::vector<absl::Status> problems;
  const Opened opened = ApplyQuantizationConfig(
      std::make_unique<FakeReader>(tensors),
      InMemoryFiles("m", {{"m", ""}, {"config.json", config}}), &problems);
  EXPECT_THAT(Weights(opened), ElementsAre(HasSubstr("b.weight: llm_int8")));
  ASSERT_EQ(problems.size(), 2u);
  ExpectError(problems[0], kDataLoss,
              "m: tensor 'a.weight': its scales 'a.weight.absmax' are missing");
  ExpectError(problems[1], kDataLoss, "m: tensor 'c.SCB': belongs to");
  // What cannot be read at all is an error either way.
  problems.clear();
  EXPECT_FALSE(ApplyQuantizationConfig(
                   std::make_unique<FakeReader>(tensors),
                   InMemoryFiles("m", {{"m", ""}, {"config.json", "{"}}),
                   &problems)
                   .ok());
  EXPECT_THAT(problems, IsEmpty());
}

TEST(BitsandbytesTest, StatesThatLie) {
  const struct {
    std::string state;
    const char* message;
  } cases[] = {
      {"{", "quant_state.bitsandbytes__nf4': holds no JSON object ("},
      {"[]", "holds no JSON object; download or copy the checkpoint again"},
      {std::string(100, '['), "holds no JSON object ("},
      {std::string(65537, ' '), "is U8 [65537], expected U8 and a text of up"},
      {"{}", "says that quant_type is nothing, which it cannot be"},
      {StateWith("\"nf4\"", "4"), "says that quant_type is 4, which"},
      {StateWith("nf4", "fp4"), "says that quant_type is \"fp4\""},
      {StateWith("64", "0"), "says that blocksize is 0"},
      {StateWith("64", "-64"), "says that blocksize is -64"},
      {StateWith("64", "64.0"), "says that blocksize is 64.0"},
      {StateWith("64", "\"64\""), "says that blocksize is \"64\""},
      {StateWith("float16", "int8"), "says that dtype is \"int8\""},
      {StateWith("float16", "half-float"), "says that dtype is"},
      {StateWith("\"float16\"", "16"), "says that dtype is 16"},
      {StateWith("[6, 128]", "null"), "says that shape is null"},
      {StateWith("[6, 128]", "[]"), "says that shape is []"},
      {StateWith("[6, 128]", "[6, -128]"), "says that shape is [6,-128]"},
      {StateWith("[6, 128]", "[0, 128]"), "says that shape is [0,128]"},
      {StateWith("[6, 128]", "[6.0, 128]"), "says that shape is [6.0,128]"},
      {StateWith("[6, 128]", "[4611686018427387904, 4611686018427387904]"),
       "says that shape is ["},
      {StateWith("[6, 128]", "[9223372036854775807]"),
       "says that the weight is [9223372036854775807]"},
      {StateWith("0.25", "null", kNestedState), "says that nested_offset is"},
      {StateWith("0.25", "NaN", kNestedState), "holds no JSON object ("},
      {StateWith("256", "\"256\"", kNestedState),
       "says that nested_blocksize is \"256\""},
      {StateWith("\"float32\"", "32", kNestedState),
       "says that nested_dtype is 32"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.state.substr(0, 200));
    ExpectError(Open(NibblesLayer("nf4", c.state), Bitsandbytes()), kDataLoss,
                c.message);
  }
  Tensors words = NibblesLayer();
  words.back().dtype = DType::kI8;
  ExpectError(Open(words, Bitsandbytes()), kDataLoss,
              "expected U8 and a text of up to 65536 bytes");
}

// ---------------------------------------------------------------- torchao --

using Metadata = std::vector<std::pair<std::string, std::string>>;

constexpr char kInt8Class[] =
    R"({"_type": "Int8Tensor", "_data": {"act_quant_kwargs": null,
        "reduce_range": false, "block_size": [1, 64],
        "dtype": {"_type": "torch.dtype", "_data": "float16"}},
        "_tensor_data_names": ["zero_point", "qdata", "scale"]})";
constexpr char kFloat8Class[] =
    R"({"_type": "Float8Tensor", "_data": {"block_size": [1, 64],
        "mm_config": null, "act_quant_kwargs": null,
        "dtype": {"_type": "torch.dtype", "_data": "float16"}},
        "_tensor_data_names": ["qdata", "scale"]})";
constexpr char kIntxClass[] =
    R"({"_type": "IntxUnpackedToInt8Tensor", "_data": {
        "target_dtype": {"_type": "torch.dtype", "_data": "int4"},
        "block_size": [1, 32], "activation_quantization": null,
        "dtype": {"_type": "torch.dtype", "_data": "float16"}},
        "_tensor_data_names": ["qdata", "scale", "zero_point"]})";
constexpr char kPlainClass[] = R"({"_type": "Tensor"})";

std::string Torchao(absl::string_view entries = "") {
  return Config(absl::StrCat(R"({"quant_method": "torchao")", entries, "}"));
}

// With one way to map weights to integers.
std::string Mapping(absl::string_view key, absl::string_view name) {
  return Torchao(absl::StrCat(
      R"(, "quant_type": {"default": {"_type": "A", "_data": {")", key,
      R"(": {"_type": "MappingType", "_data": ")", name, R"("}}}})"));
}

Opened OpenTorchao(const Tensors& tensors, Metadata metadata,
                   const std::string& config = Torchao()) {
  auto reader = std::make_unique<FakeReader>(tensors);
  reader->mutable_index().metadata = std::move(metadata);
  return ApplyQuantizationConfig(
      std::move(reader),
      InMemoryFiles("m", {{"m", ""}, {"config.json", config}}));
}

// A text with something else in it.
std::string With(absl::string_view text, absl::string_view from,
                 absl::string_view to) {
  return absl::StrReplaceAll(text, {{from, to}});
}

// A weight of [6, 64] of integers, with so many scales.
Tensors IntegersLayer(int64_t down = 6, int64_t across = 1,
                      DType scale = DType::kF32) {
  return {{"a._weight_qdata", DType::kI8, {6, 64}},
          {"a._weight_scale", scale, {down, across}},
          {"a._weight_zero_point", DType::kI8, {down, across}}};
}

Tensors Float8Layer(int64_t down = 6, int64_t across = 1,
                    DType codes = DType::kF8E4M3) {
  return {{"a._weight_qdata", codes, {6, 64}},
          {"a._weight_scale", DType::kF32, {down, across}}};
}

TEST(TorchaoTest, Weights) {
  const std::string parts = " a._weight_scale";
  const std::string zeros = " a._weight_zero_point";
  const struct {
    Tensors tensors;
    std::string description;
    std::string line;
  } cases[] = {
      // As monoquant writes them. The type is that of the description, not that
      // of the model, which is BF16.
      {IntegersLayer(), kInt8Class,
       "int8 axis 0 symmetric, torchao, F16 [6, 64]: a._weight_qdata" + parts +
           zeros},
      {Float8Layer(), kFloat8Class,
       "fp8_e4m3 axis 0, torchao, F16 [6, 64]: a._weight_qdata" + parts},
      // With other scales.
      {IntegersLayer(1, 1), With(kInt8Class, "[1, 64]", "[6, 64]"),
       "int8 tensor symmetric, torchao-blocks, F16 [6, 64]: a._weight_qdata" +
           parts + zeros},
      {IntegersLayer(6, 2), With(kInt8Class, "[1, 64]", "[1, 32]"),
       "int8 group 32 symmetric, torchao-blocks, F16 [6, 64]: a._weight_qdata" +
           parts + zeros},
      {IntegersLayer(6, 1, DType::kBF16), kInt8Class,
       "int8 axis 0 symmetric, BF16 scales, torchao-blocks, F16 [6, 64]: "
       "a._weight_qdata" +
           parts + zeros},
      {Changed(IntegersLayer(), "a._weight_zero_point"),
       With(kInt8Class, R"("zero_point", )", ""),
       "int8 axis 0 symmetric, torchao-blocks, F16 [6, 64]: a._weight_qdata" +
           parts},
      {IntegersLayer(6, 2, DType::kBF16), kIntxClass,
       "int4 group 32 asymmetric, BF16 scales, torchao-blocks, F16 [6, 64]: "
       "a._weight_qdata" +
           parts + zeros},
      {IntegersLayer(), With(With(kIntxClass, "int4", "int5"), "32", "64"),
       "int8 axis 0 asymmetric, torchao-blocks, F16 [6, 64]: a._weight_qdata" +
           parts + zeros},
      {IntegersLayer(6, 2), With(kIntxClass, "int4", "int1"),
       "int4 group 32 asymmetric, torchao-blocks, F16 [6, 64]: "
       "a._weight_qdata" +
           parts + zeros},
      {Float8Layer(1, 1), With(kFloat8Class, "[1, 64]", "[]"),
       "fp8_e4m3 tensor, torchao-blocks, F16 [6, 64]: a._weight_qdata" + parts},
      {Float8Layer(3, 32), With(kFloat8Class, "[1, 64]", "null"),
       "fp8_e4m3 block 2, torchao-blocks, F16 [6, 64]: a._weight_qdata" +
           parts},
      {Float8Layer(6, 1, DType::kF8E5M2), kFloat8Class,
       "fp8_e5m2 axis 0, torchao-blocks, F16 [6, 64]: a._weight_qdata" + parts},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.line);
    // Whatever else there is, and in a shard that has no list of names.
    EXPECT_THAT(Weights(OpenTorchao(
                    c.tensors + Tensors{{"norm.weight", DType::kBF16, {6}}},
                    {{"a.weight", c.description},
                     {"elsewhere.weight", kInt8Class},
                     {"format", "pt"},
                     {"norm.weight", kPlainClass},
                     {"tied.weight", kPlainClass}})),
                ElementsAre("a.weight: " + c.line));
  }
}

// Where integers may have zero points, the configuration says whether they do.
TEST(TorchaoTest, Symmetric) {
  const Tensors tensors = IntegersLayer(6, 2);
  const struct {
    std::string config;
    const char* scheme;
  } cases[] = {
      {Mapping("mapping_type", "SYMMETRIC"), "int4 group 32 symmetric"},
      {Mapping("weight_mapping_type", "SYMMETRIC_NO_CLIPPING_ERR"),
       "int4 group 32 symmetric"},
      {Mapping("mapping_type", "ASYMMETRIC"), "int4 group 32 asymmetric"},
      // That of activations, and none that is understood.
      {Mapping("act_mapping_type", "SYMMETRIC"), "int4 group 32 asymmetric"},
      {Torchao(R"(, "mapping_type": "SYMMETRIC")"), "int4 group 32 asymmetric"},
      {Torchao(R"(, "quant_type": "int4_weight_only")"),
       "int4 group 32 asymmetric"},
      // One of several.
      {Torchao(R"(, "quant_type": [{"mapping_type": {"_data": "SYMMETRIC"}},
                                  {"mapping_type": {"_data": "ASYMMETRIC"}}])"),
       "int4 group 32 asymmetric"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(
        Weights(OpenTorchao(tensors, {{"a.weight", kIntxClass}}, c.config)),
        ElementsAre(HasSubstr(c.scheme)))
        << c.config;
  }
  EXPECT_THAT(
      Weights(OpenTorchao(
          tensors, {{"a.weight", With(kInt8Class, "[1, 64]", "[1, 32]")}},
          Mapping("mapping_type", "ASYMMETRIC"))),
      ElementsAre(HasSubstr("int8 group 32 symmetric")));
}

TEST(TorchaoTest, WhatDoesNotFit) {
  const auto with = [](const Tensors& tensors, const char* name, DType dtype,
                       Shape shape) {
    return Changed(tensors, name, Tensor{name, dtype, std::move(shape)});
  };
  const Tensors integers = IntegersLayer();
  const Tensors floats = Float8Layer();
  const struct {
    absl::StatusCode code;
    Tensors tensors;
    std::string description;
    const char* message;
  } cases[] = {
      // Parts that are missing or left over.
      {kDataLoss, Changed(integers, "a._weight_qdata"), kInt8Class,
       "m: tensor 'a._weight_scale': belongs to 'a._weight_qdata', which is "
       "missing; the checkpoint is incomplete, download"},
      {kDataLoss, Changed(integers, "a._weight_scale"), kInt8Class,
       "m: tensor 'a._weight_qdata': its scales 'a._weight_scale' are missing"},
      {kDataLoss, Changed(integers, "a._weight_zero_point"), kInt8Class,
       "its zero points 'a._weight_zero_point' are missing"},
      {kDataLoss, integers, With(kInt8Class, R"("zero_point", )", ""),
       "m: tensor 'a._weight_zero_point': is a part of a weight that the "
       "metadata does not describe; download or copy"},
      {kDataLoss, integers, "pt",
       "m: tensor 'a._weight_qdata': is a part of a weight that the metadata "
       "does not describe"},
      {kDataLoss, integers, kPlainClass, "that the metadata does not describe"},
      {kDataLoss, integers, With(kInt8Class, "_tensor_data_names", "names"),
       "that the metadata does not describe"},
      {kDataLoss, integers + Tensors{{"a.weight", DType::kF16, {6, 64}}},
       kInt8Class, "holds the codes of 'a.weight', which is there by itself"},
      {kDataLoss,
       {{"a.weight", DType::kF16, {6, 64}}, {"b._x_qdata", DType::kI8, {1}}},
       kInt8Class,
       "m: tensor 'a.weight': is there by itself, but the metadata says that "
       "it is of the class \"Int8Tensor\", which has parts; check that"},
      // Sizes and types that do not agree.
      {kDataLoss, with(integers, "a._weight_scale", DType::kF32, {6, 2}),
       kInt8Class,
       "its scales 'a._weight_scale' are for blocks of [1, 32], but the "
       "metadata says [1, 64]; check that both are of one checkpoint"},
      {kDataLoss, integers, With(kInt8Class, "[1, 64]", "[1, 64, 1]"),
       "but the metadata says [1, 64, 1]"},
      {kDataLoss, with(integers, "a._weight_scale", DType::kF32, {6, 7}),
       kInt8Class,
       "its scales 'a._weight_scale' are F32 [6, 7], which do not divide [6, "
       "64]; check"},
      {kDataLoss, with(integers, "a._weight_scale", DType::kF32, {6}),
       kInt8Class, "are F32 [6], which do not divide"},
      {kDataLoss, with(integers, "a._weight_scale", DType::kF32, {0, 1}),
       kInt8Class, "are F32 [0, 1], which do not divide"},
      {kDataLoss, with(integers, "a._weight_qdata", DType::kI8, {0, 64}),
       kInt8Class, "which do not divide [0, 64]"},
      {kDataLoss, with(integers, "a._weight_qdata", DType::kU8, {6, 64}),
       kInt8Class,
       "is U8 [6, 64], but the metadata says that it is of an Int8Tensor, "
       "which has I8; check"},
      {kDataLoss, with(integers, "a._weight_zero_point", DType::kI8, {6}),
       kInt8Class,
       "its zero points 'a._weight_zero_point' are I8 [6], expected I8 [6, 1]"},
      {kDataLoss, with(integers, "a._weight_zero_point", DType::kI64, {6, 1}),
       kInt8Class, "are I64 [6, 1], expected I8 [6, 1]"},
      // Descriptions that lie.
      {kDataLoss, integers, With(kInt8Class, "_data\": {", "data\": {"),
       "m: tensor 'a._weight_qdata': the metadata says that its _data is "
       "nothing, which it cannot be; download"},
      {kDataLoss, integers, With(kInt8Class, "float16", "int8"),
       "says that its dtype is {\"_type\":\"torch.dtype\",\"_data\":"},
      {kDataLoss, integers, With(kInt8Class, "dtype\": {", "type\": {"),
       "says that its dtype is nothing"},
      {kDataLoss, integers, With(kInt8Class, "[1, 64]", "64"),
       "says that its block_size is 64"},
      {kDataLoss, integers, With(kInt8Class, "[1, 64]", "[0, 64]"),
       "says that its block_size is [0,64]"},
      {kDataLoss, integers, With(kInt8Class, "[1, 64]", "[1.0, 64]"),
       "says that its block_size is [1.0,64]"},
      {kDataLoss, integers, With(kIntxClass, "int4", "int9"),
       "says that its target_dtype is {"},
      {kDataLoss, integers, With(kIntxClass, "target_dtype", "target"),
       "says that its target_dtype is nothing"},
      // What is not read.
      {kUnimplemented, integers, With(kInt8Class, "Int8Tensor", "Int4Tensor"),
       "m: tensor 'a._weight_qdata': is a part of 'a.weight', which is of "
       "torchao's class \"Int4Tensor\", which is not read; dequantize it with "
       "the program that wrote it, or take the tensors as they are with "
       "--as-stored"},
      {kUnimplemented, integers,
       With(kInt8Class, R"("scale")", R"("scale", "act_pre_scale")"),
       "has 'a._weight_act_pre_scale' beside its scales, which is not read"},
      {kUnimplemented,
       with(integers, "a._weight_zero_point", DType::kF32, {6, 1}), kInt8Class,
       "has zero points of F32, which is not read"},
      {kUnimplemented, with(integers, "a._weight_scale", DType::kF64, {6, 1}),
       kInt8Class, "has scales of F64, which is not read"},
      {kUnimplemented, IntegersLayer(3, 1),
       With(kInt8Class, "[1, 64]", "[2, 64]"), "has blocks of [2, 64], which"},
      {kUnimplemented, IntegersLayer(1, 64),
       With(kInt8Class, "[1, 64]", "[6, 1]"), "has blocks of [6, 1], which"},
      {kUnimplemented, IntegersLayer(3, 32),
       With(kInt8Class, "[1, 64]", "[2, 2]"), "has no place for int8 block 2"},
      {kUnimplemented, with(integers, "a._weight_qdata", DType::kI8, {384}),
       kInt8Class, "is I8 [384], which is not read"},
      {kUnimplemented, with(floats, "a._weight_qdata", DType::kI8, {6, 64}),
       kFloat8Class, "is I8 [6, 64] of a Float8Tensor, which is not read"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    ExpectError(OpenTorchao(c.tensors, {{"a.weight", c.description}}), c.code,
                c.message);
  }
  ExpectError(OpenTorchao({{"a._up_qdata", DType::kI8, {6, 64}},
                           {"a._up_scale", DType::kF32, {6, 1}},
                           {"a._up_zero_point", DType::kI8, {6, 1}}},
                          {{"a.up", kInt8Class}}),
              kUnimplemented,
              "m: tensor 'a._up_qdata': torchao-blocks has no place for a "
              "quantized tensor whose name does not end in '.weight', which is "
              "not read");
}

// Names as parts have them, of tensors that are none.
TEST(TorchaoTest, TensorsThatAreNoParts) {
  const Tensors tensors = {{"a._b_qdata", DType::kF32, {6}},
                           {"a._weight_scale", DType::kF32, {6}}};
  const Opened opened = OpenTorchao(
      tensors, {{"a._b_qdata", kPlainClass}, {"a._weight_scale", kPlainClass}});
  EXPECT_THAT(Weights(opened), IsEmpty());
  // Without a configuration of torchao's nobody asks.
  EXPECT_THAT(Weights(OpenTorchao(tensors, {}, "{}")), IsEmpty());
}

// ------------------------------------------------------------ all of them --

TEST(QuantizationConfigTest, OnlyTheRecordIsNew) {
  const Tensors tensors = GptqLayer("a", 4, 8, 64, 2) +
                          Tensors{{"norm.weight", DType::kBF16, {64}}};
  const Opened opened = Open(tensors, Gptq(R"("bits": 4)"));
  ASSERT_TRUE(opened.ok()) << opened.status();
  const CheckpointIndex& index = (*opened)->index();
  ASSERT_EQ(index.tensors.size(), tensors.size());
  EXPECT_EQ(index.path, "m");
  EXPECT_EQ(index.quant.version, "");
  EXPECT_FALSE(index.quant.empty());
  EXPECT_THAT(index.notes,
              ElementsAre("weights in the format of gptq, as config.json says "
                          "(1): 'a.weight' (uint4 group 32 asymmetric, F16 "
                          "scales)"));
  EXPECT_EQ((*opened)->Locate(2)->offset, 2u);
  EXPECT_TRUE(ValidateIndex(index).ok());
}

// Nothing is said of it, or nothing that is understood.
TEST(QuantizationConfigTest, WhatIsLeftAlone) {
  const Tensors tensors = GptqLayer("a", 4, 8, 64, 2);
  for (const char* config :
       {"", "{}", "[]", "5", R"({"quantization_config": null})",
        R"({"quantization_config": []})", R"({"quantization_config": {}})",
        R"({"quantization_config": {"quant_method": 5}})",
        R"({"quantization_config": {"quant_method": "bitsandbytes"}})",
        R"({"quantization_config": {"quant_method": "torchao"}})",
        R"({"quantization_config": {"quant_method": "hqq"}})"}) {
    const Opened opened = Open(tensors, config);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_TRUE((*opened)->index().quant.empty()) << config;
    EXPECT_THAT((*opened)->index().notes, IsEmpty());
  }
  // Floats, whatever the configuration: it is not even read.
  for (const std::string& config :
       {Gptq(R"("bits": 4)"), std::string("{"),
        Compressed(kInt4Groups, R"(, "sparsity_config": {"a": 1})")}) {
    EXPECT_TRUE(Open({{"a.weight", DType::kBF16, {8, 64}}}, config).ok());
  }
  // A file of monoquant's own says itself what it is.
  auto own = std::make_unique<FakeReader>(tensors);
  own->mutable_index().quant.version = "1";
  const Opened opened = ApplyQuantizationConfig(
      std::move(own),
      InMemoryFiles("m", {{"m", ""}, {"config.json", Gptq(R"("bits": 4)")}}));
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_THAT((*opened)->index().quant.tensors, IsEmpty());
}

TEST(QuantizationConfigTest, ConfigurationsThatCannotBeRead) {
  const Tensors tensors = GptqLayer("a", 4, 8, 64, 2);
  ExpectError(Open(tensors, "{"), kDataLoss,
              "it says how the weights are quantized: download or copy it "
              "again");
  ExpectError(Open(tensors, std::string(100, '[') + std::string(100, ']')),
              kDataLoss, "config.json: ");
  ExpectError(Open(tensors, std::string((16 << 20) + 1, ' ')), kDataLoss,
              "config.json: larger than the limit of 16777216 bytes");
}

}  // namespace
}  // namespace monoquant
