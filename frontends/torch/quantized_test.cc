// Guards: torch's quantized tensors, from an archive to the floats that
// dequantize() gives, or to codes and parameters; and that parameters which do
// not fit end in an error.

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/frontend.h"
#include "frontends/testing/corruption.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/testing/read_tensor.h"
#include "frontends/testing/zip_builder.h"
#include "frontends/torch/torch_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::BytesOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::ExpectError;
using ::testing::HasSubstr;
using testing::PickleBuilder;
using testing::ReadTensor;
using testing::ZipBuilder;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;
using Write = std::function<void(PickleBuilder&)>;

// An archive of a dict whose entries `write` sets.
std::string Archive(const Write& write,
                    const std::vector<std::string>& storages) {
  PickleBuilder pickle;
  pickle.Dict().Mark();
  write(pickle);
  ZipBuilder zip;
  zip.Add("m/data.pkl", pickle.SetItems().Build());
  for (size_t i = 0; i < storages.size(); ++i) {
    zip.Add(absl::StrCat("m/data/", i), storages[i]);
  }
  return zip.Add("m/version", "3\n").Build();
}

Opened Open(const Write& write, const std::vector<std::string>& storages,
            bool as_stored = false) {
  OpenOptions options;
  options.as_stored = as_stored;
  return OpenTorchZip(
      InMemoryFiles("m.pt", {{"m.pt", Archive(write, storages)}}), options);
}

void Float(PickleBuilder& p, double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  std::string bytes = "G";
  for (int i = 7; i >= 0; --i) {
    bytes.push_back(static_cast<char>(bits >> (8 * i)));
  }
  p.Raw(bytes);
}

// A call of _rebuild_qtensor; `scheme` writes its fifth argument.
void Quantized(PickleBuilder& p, absl::string_view storage_class, int64_t numel,
               const std::vector<int64_t>& size,
               const std::vector<int64_t>& stride, const Write& scheme) {
  p.Global("torch._utils", "_rebuild_qtensor").Mark();
  p.Storage(storage_class, "0", numel).Int(0).IntTuple(size).IntTuple(stride);
  p.Mark();
  scheme(p);
  p.Tuple().Bool(false).OrderedDict().Tuple().Reduce();
}

Write PerTensor(double scale, int64_t zero_point) {
  return [=](PickleBuilder& p) {
    p.Global("torch", "per_tensor_affine");
    Float(p, scale);
    p.Int(zero_point);
  };
}

// Scales are storage 1, zero points storage 2.
Write PerChannel(int64_t channels, int64_t axis,
                 absl::string_view zero_point_class = "LongStorage",
                 absl::string_view scale_class = "DoubleStorage") {
  return [=](PickleBuilder& p) {
    p.Global("torch", "per_channel_affine");
    p.Tensor(scale_class, "1", channels, 0, {channels}, {1});
    p.Tensor(zero_point_class, "2", channels, 0, {channels}, {1});
    p.Int(axis);
  };
}

// The float32 values of a tensor.
std::vector<float> Values(const Opened& reader, size_t tensor = 0) {
  if (!reader.ok()) {
    ADD_FAILURE() << reader.status();
    return {};
  }
  EXPECT_EQ((*reader)->index().tensors[tensor].dtype, DType::kF32);
  const auto bytes = ReadTensor(**reader, tensor);
  if (!bytes.ok()) {
    ADD_FAILURE() << bytes.status();
    return {};
  }
  std::vector<float> values(bytes->size() / sizeof(float));
  std::memcpy(values.data(), bytes->data(), bytes->size());
  return values;
}

TEST(QuantizedTest, PerTensor) {
  const auto write = [](PickleBuilder& p) {
    p.Str("x");
    Quantized(p, "QInt8Storage", 6, {2, 3}, {3, 1}, PerTensor(0.5, -2));
  };
  const std::string codes = BytesOf<int8_t>({-128, -2, -1, 0, 1, 127});
  const Opened reader = Open(write, {codes});
  EXPECT_EQ(Values(reader), (std::vector<float>{-63, 0, 0.5, 1, 1.5, 64.5}));
  EXPECT_EQ((*reader)->index().tensors[0].shape, (Shape{2, 3}));
  EXPECT_FALSE((*reader)->Locate(0).has_value());
  EXPECT_THAT((*reader)->index().notes,
              Contains(HasSubstr("quantized by torch, read as the F32 values "
                                 "of the codes: 'x' (QI8 per tensor)")));
  // Any range.
  for (uint64_t first = 0; first < 6; ++first) {
    for (uint64_t count = 0; first + count <= 6; ++count) {
      std::vector<uint8_t> part(4 * count);
      ASSERT_TRUE((*reader)->Read(0, first, count, absl::MakeSpan(part)).ok());
      EXPECT_EQ(std::string(part.begin(), part.end()),
                ReadTensor(**reader, 0)->substr(4 * first, 4 * count));
    }
  }
}

TEST(QuantizedTest, ComputesInFloat32AsTorchDoes) {
  // 0.1 is rounded to float32 first; so is a difference of 32 bits, which wraps
  // around before.
  const auto write = [](PickleBuilder& p) {
    p.Str("x");
    Quantized(p, "QInt32Storage", 4, {4}, {1}, PerTensor(0.1, 1));
  };
  const std::string codes = BytesOf<int32_t>({4, 16777220, -2147483647, 0});
  EXPECT_EQ(Values(Open(write, {codes})),
            (std::vector<float>{3 * 0.1f, 16777220.0f * 0.1f,
                                -2147483648.0f * 0.1f, -0.1f}));
  const auto wraps = [](PickleBuilder& p) {
    p.Str("x");
    Quantized(p, "QInt32Storage", 1, {1}, {1}, PerTensor(1, 2147483647));
  };
  EXPECT_EQ(Values(Open(wraps, {BytesOf<int32_t>({-2147483647})})),
            (std::vector<float>{2}));
}

TEST(QuantizedTest, PerChannelComputesInDouble) {
  for (const int64_t axis : {0, 1}) {
    const auto write = [&](PickleBuilder& p) {
      p.Str("x");
      Quantized(p, "QUInt8Storage", 4, {2, 2}, {2, 1}, PerChannel(2, axis));
    };
    const std::vector<double> scales = {0.1, 1e-3};
    const Opened reader =
        Open(write, {BytesOf<uint8_t>({0, 255, 7, 9}), BytesOf(scales),
                     BytesOf<int64_t>({0, 9})});
    const auto value = [&](int code, size_t channel) {
      return static_cast<float>((code - (channel == 0 ? 0 : 9)) *
                                scales[channel]);
    };
    const size_t a = axis == 0 ? 0 : 1;
    EXPECT_EQ(Values(reader),
              (std::vector<float>{value(0, 0), value(255, a), value(7, 1 - a),
                                  value(9, 1)}));
  }
}

TEST(QuantizedTest, FloatZeroPointsComputeInFloat32) {
  const auto write = [](PickleBuilder& p) {
    p.Str("x");
    Quantized(p, "QUInt8Storage", 2, {2}, {1},
              PerChannel(2, 0, "FloatStorage", "FloatStorage"));
  };
  EXPECT_EQ(
      Values(
          Open(write, {BytesOf<uint8_t>({3, 200}), BytesOf<float>({0.1f, 0.3f}),
                       BytesOf<float>({0.7f, -1.3f})})),
      (std::vector<float>{(3.0f - 0.7f) * 0.1f, (200.0f - -1.3f) * 0.3f}));
}

TEST(QuantizedTest, ViewsAreDecodedInTheirOwnOrder) {
  const auto write = [](PickleBuilder& p) {
    p.Str("x");
    Quantized(p, "QInt8Storage", 6, {3, 2}, {1, 3}, PerTensor(1, 0));
  };
  EXPECT_EQ(Values(Open(write, {BytesOf<int8_t>({1, 2, 3, 4, 5, 6})})),
            (std::vector<float>{1, 4, 2, 5, 3, 6}));
}

TEST(QuantizedTest, PackedCodesRunOnOverTheRows) {
  // torch reserves whole bytes for every row, but uses them one after another.
  const auto four = [](PickleBuilder& p) {
    p.Str("x");
    Quantized(p, "QUInt4x2Storage", 4, {2, 3}, {3, 1}, PerTensor(1, 0));
  };
  const Opened reader = Open(four, {"\x21\x43\x65\xFF"});
  EXPECT_EQ(Values(reader), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  uint8_t two[8];
  ASSERT_TRUE((*reader)->Read(0, 3, 2, absl::MakeSpan(two)).ok());
  EXPECT_EQ(std::string(two, two + 8), BytesOf<float>({4, 5}));

  const auto two_bits = [](PickleBuilder& p) {
    p.Str("x");
    Quantized(p, "QUInt2x4Storage", 4, {2, 5}, {5, 1}, PerTensor(1, 1));
  };
  EXPECT_EQ(Values(Open(two_bits, {std::string("\xE4\x1B\x02\x00", 4)})),
            (std::vector<float>{-1, 0, 1, 2, 2, 1, 0, -1, 1, -1}));

  const auto view = [](PickleBuilder& p) {
    p.Str("x");
    Quantized(p, "QUInt4x2Storage", 4, {3, 2}, {1, 3}, PerTensor(1, 0));
  };
  ExpectError(Open(view, {"1234"}), kUnimplemented,
              "m.pt: tensor 'x': a view of packed codes");
}

TEST(QuantizedTest, AsStoredNothingIsLost) {
  const auto write = [](PickleBuilder& p) {
    p.Str("x");
    Quantized(p, "QInt8Storage", 2, {2}, {1}, PerTensor(0.1, 3));
    p.Str("y");
    Quantized(p, "QInt8Storage", 2, {2}, {1}, PerChannel(2, 0));
  };
  const Opened reader =
      Open(write, {"ab", BytesOf<double>({1, 2}), BytesOf<int64_t>({3, 4})},
           /*as_stored=*/true);
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::vector<std::string> listed;
  for (size_t i = 0; i < (*reader)->index().tensors.size(); ++i) {
    const TensorInfo& info = (*reader)->index().tensors[i];
    listed.push_back(absl::StrCat(info.name, " ", DTypeName(info.dtype),
                                  ShapeToString(info.shape)));
  }
  EXPECT_THAT(listed,
              ElementsAre("x QI8[2]", "x.scale F64[]", "x.zero_point I64[]",
                          "y QI8[2]", "y.scale F64[2]", "y.zero_point I64[2]"));
  EXPECT_EQ(*ReadTensor(**reader, 0), "ab");
  EXPECT_EQ(*ReadTensor(**reader, 1), BytesOf<double>({0.1}));
  EXPECT_EQ(*ReadTensor(**reader, 2), BytesOf<int64_t>({3}));
  EXPECT_EQ(*ReadTensor(**reader, 4), BytesOf<double>({1, 2}));
}

// A convolution: what makes the weight one of a module is what lies beside it.
Write Convolution(absl::string_view storage_class, const Write& scheme) {
  return [=](PickleBuilder& p) {
    p.Str("c.weight");
    Quantized(p, storage_class, 6, {3, 2}, {1, 3}, scheme);
    p.Str("c.scale").Tensor("FloatStorage", "3", 1, 0, {}, {});
    p.Str("c.zero_point").Tensor("LongStorage", "4", 1, 0, {}, {});
  };
}

const char kCodes[] = "\x01\x02\x03\xFF\xFE\x80";
const std::vector<std::string>& ConvolutionStorages() {
  static const auto* const storages = new std::vector<std::string>{
      std::string(kCodes, 6), BytesOf<double>({0.5, 2}),
      BytesOf<int64_t>({0, 0}), BytesOf<float>({1}), BytesOf<int64_t>({3})};
  return *storages;
}

TEST(QuantizedTest, WeightsOfModulesAreRecorded) {
  const struct {
    const char* storage;
    Write scheme;
    std::vector<int64_t> zero_points;
    const char* expected;
  } cases[] = {
      {"QInt8Storage", PerTensor(0.1, 0), {0, 0}, "int8 tensor symmetric"},
      {"QInt8Storage", PerTensor(0.1, 1), {0, 0}, "int8 tensor asymmetric"},
      {"QUInt8Storage", PerTensor(0.1, 128), {0, 0}, "uint8 tensor symmetric"},
      {"QUInt8Storage", PerTensor(0.1, 0), {0, 0}, "uint8 tensor asymmetric"},
      {"QInt8Storage", PerChannel(2, 1), {0, 0}, "int8 axis 1 symmetric"},
      {"QInt8Storage", PerChannel(2, 1), {0, -7}, "int8 axis 1 asymmetric"},
      {"QUInt8Storage", PerChannel(2, 1), {128, 128}, "uint8 axis 1 symmetric"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.expected);
    std::vector<std::string> storages = ConvolutionStorages();
    storages[2] = BytesOf(c.zero_points);
    const Opened reader = Open(Convolution(c.storage, c.scheme), storages);
    ASSERT_TRUE(reader.ok()) << reader.status();
    const CheckpointIndex& index = (*reader)->index();
    ASSERT_EQ(index.quant.tensors.size(), 1u);
    EXPECT_EQ(index.quant.version, "");
    const QuantizedTensor& weight = index.quant.tensors[0];
    EXPECT_EQ(weight.name, "c.weight");
    EXPECT_EQ(SchemeToString(weight.scheme), c.expected);
    EXPECT_EQ(weight.storage, QuantStorage::kTorchQuantized);
    EXPECT_EQ(weight.dtype, DType::kF32);
    ASSERT_EQ(index.tensors.size(), 3u);
    EXPECT_EQ(index.tensors[0].dtype,
              c.expected[0] == 'u' ? DType::kU8 : DType::kI8);
    EXPECT_EQ(index.tensors[1].name, "c.weight.scale");
    EXPECT_EQ(index.tensors[2].name, "c.weight.zero_point");
    // In the order of the tensor's own elements.
    EXPECT_EQ(*ReadTensor(**reader, 0), "\x01\xFF\x02\xFE\x03\x80");
    EXPECT_THAT(index.notes, Contains(absl::StrCat(
                                 "weights of modules that torch quantized (1): "
                                 "'c.weight' (",
                                 c.expected, ")")));
    // As it is stored there are no modules.
    const Opened as_stored =
        Open(Convolution(c.storage, c.scheme), storages, /*as_stored=*/true);
    ASSERT_TRUE(as_stored.ok()) << as_stored.status();
    EXPECT_EQ((*as_stored)->index().tensors.size(), 5u);
    EXPECT_TRUE((*as_stored)->index().quant.empty());
  }
}

TEST(QuantizedTest, WeightsOfModulesThatNoRecordHasAPlaceForAreFloats) {
  // torch multiplies by these scales as doubles.
  std::vector<std::string> odd = ConvolutionStorages();
  odd[1] = BytesOf<double>({0.1, 0.2});
  Opened reader = Open(Convolution("QInt8Storage", PerChannel(2, 1)), odd);
  EXPECT_EQ(Values(reader)[5], static_cast<float>(-128 * 0.2));
  EXPECT_TRUE((*reader)->index().quant.empty());
  std::vector<std::string> floats = ConvolutionStorages();
  floats[1] = BytesOf<float>({0.5, 2});
  floats[2] = BytesOf<float>({0.25, 0});
  reader = Open(Convolution("QUInt8Storage",
                            PerChannel(2, 1, "FloatStorage", "FloatStorage")),
                floats);
  EXPECT_EQ(Values(reader),
            (std::vector<float>{0.375, 510, 0.875, 508, 1.375, 256}));
  // What is wrong with zero points is said when they are used, as of others.
  std::vector<std::string> beyond = ConvolutionStorages();
  beyond[2] = BytesOf<int64_t>({0, 300});
  reader = Open(Convolution("QInt8Storage", PerChannel(2, 1)), beyond);
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectError(ReadTensor(**reader, 0), kDataLoss,
              "m.pt: tensor 'c.weight': zero point 300 is no code of QI8");
  ExpectError(Open(Convolution("QInt8Storage", PerTensor(1, 128)),
                   ConvolutionStorages()),
              kDataLoss,
              "m.pt: tensor 'c.weight': zero point 128 is no code of QI8");
}

TEST(QuantizedTest, TiedIfParametersAreEqualToo) {
  const auto write = [](PickleBuilder& p) {
    p.Str("a");
    Quantized(p, "QInt8Storage", 2, {2}, {1}, PerTensor(0.5, 0));
    p.Str("same");
    Quantized(p, "QInt8Storage", 2, {2}, {1}, PerTensor(0.5, 0));
    p.Str("scaled");
    Quantized(p, "QInt8Storage", 2, {2}, {1}, PerTensor(0.25, 0));
    p.Str("channels");
    Quantized(p, "QInt8Storage", 2, {2}, {1}, PerChannel(2, 0));
    p.Str("same channels");
    Quantized(p, "QInt8Storage", 2, {2}, {1}, PerChannel(2, 0));
  };
  const Opened reader =
      Open(write, {"ab", BytesOf<double>({1, 2}), BytesOf<int64_t>({3, 4})});
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::vector<size_t> ties;
  for (const TensorInfo& info : (*reader)->index().tensors) {
    ties.push_back(info.tie);
  }
  EXPECT_THAT(ties, ElementsAre(kNoTie, 0, kNoTie, kNoTie, 3));
}

TEST(QuantizedTest, RefusesParametersThatDoNotFit) {
  struct Case {
    Write scheme;
    absl::StatusCode code;
    const char* message;
  };
  const Case kCases[] = {
      {PerTensor(1, 128), kDataLoss, "zero point 128 is no code of QI8"},
      {PerChannel(2, 2), kDataLoss, "along axis 2, but its shape is [2, 3]"},
      {PerChannel(2, -1), kDataLoss, "along axis -1"},
      {PerChannel(2, 1), kDataLoss,
       "along axis 1 of [2, 3], but its scales are [2]"},
      {PerChannel(2, 0, "BoolStorage"), kDataLoss, "make no sense"},
      {PerChannel(2, 0, "LongStorage", "LongStorage"), kDataLoss,
       "make no sense"},
      {PerChannel(9, 0), kDataLoss, "storage 'data/1' has 16 bytes but 72"},
      {[](PickleBuilder& p) {
         p.Global("torch", "per_channel_affine");
         p.Tensor("DoubleStorage", "1", 2, 0, {2}, {1}, "neg");
         p.Tensor("LongStorage", "2", 2, 0, {2}, {1}).Int(0);
       },
       kDataLoss, "negative views make no sense"},
      {[](PickleBuilder& p) { p.Global("torch", "per_tensor_symmetric"); },
       kUnimplemented, "scheme 'torch.per_tensor_symmetric' is not known"},
      {[](PickleBuilder& p) { p.Global("torch", "per_tensor_affine"); },
       kDataLoss, "malformed quantization parameters"},
      {[](PickleBuilder& p) { p.Int(1).Int(2); }, kDataLoss,
       "malformed quantization parameters"},
      // Quantized scales could be nested without end.
      {[](PickleBuilder& p) {
         p.Global("torch", "per_channel_affine");
         Quantized(p, "QInt8Storage", 2, {2}, {1}, PerTensor(1, 0));
         p.Tensor("LongStorage", "2", 2, 0, {2}, {1}).Int(0);
       },
       kDataLoss, "malformed quantization parameters"},
      {[](PickleBuilder& p) {
         p.Global("torch", "per_channel_affine");
         p.Op(PickleOp::kEmptyList).Op(PickleOp::kEmptyList).Int(0);
       },
       kUnimplemented, "scales that are a list"},
  };
  const std::vector<std::string> storages = {"abcdef", BytesOf<double>({1, 2}),
                                             BytesOf<int64_t>({3, 4})};
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.message);
    const auto write = [&](PickleBuilder& p) {
      p.Str("x");
      Quantized(p, "QInt8Storage", 6, {2, 3}, {3, 1}, c.scheme);
    };
    const Opened reader = Open(write, storages);
    ExpectError(reader, c.code, c.message);
    EXPECT_THAT(std::string(reader.status().message()),
                HasSubstr("m.pt: tensor 'x': "));
  }
  // Floats are no codes.
  ExpectError(Open(
                  [](PickleBuilder& p) {
                    p.Str("x");
                    Quantized(p, "FloatStorage", 1, {1}, {1}, PerTensor(1, 0));
                  },
                  {"abcd"}),
              kDataLoss, "its elements are F32, which are no codes");
  // Zero points of channels are looked at when they are used.
  const Opened reader = Open(
      [](PickleBuilder& p) {
        p.Str("x");
        Quantized(p, "QInt8Storage", 2, {2}, {1}, PerChannel(2, 0));
      },
      {"ab", BytesOf<double>({1, 2}), BytesOf<int64_t>({3, 400})});
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectError(ReadTensor(**reader, 0), kDataLoss,
              "m.pt: tensor 'x': zero point 400 is no code of QI8");
}

TEST(QuantizedTest, OneByteChangedAnywhere) {
  const std::string good = Archive(
      [](PickleBuilder& p) {
        p.Str("x");
        Quantized(p, "QUInt4x2Storage", 4, {2, 3}, {3, 1}, PerChannel(3, 1));
      },
      {"abcd", BytesOf<double>({1, 2, 3}), BytesOf<int64_t>({0, 1, 2})});
  // Whatever opens can be read without harm.
  testing::ForEachChangedByte(good, [](const std::string& bad, size_t) {
    const Opened reader =
        OpenTorchZip(InMemoryFiles("m.pt", {{"m.pt", bad}}), {});
    if (!reader.ok()) return;
    for (size_t i = 0; i < (*reader)->index().tensors.size(); ++i) {
      ReadTensor(**reader, i).IgnoreError();
    }
  });
}

}  // namespace
}  // namespace monoquant
