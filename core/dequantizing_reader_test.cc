#include "core/dequantizing_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/casts.h"
#include "core/job.h"
#include "core/quantize_tensor.h"
#include "core/recipe.h"
#include "core/testing/collected_output.h"
#include "core/testing/memory_reader.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"
#include "ir/codebooks.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::CollectedOutput;
using testing::ExpectError;
using testing::MemoryReader;
using testing::Values;

size_t Count(const Shape& shape) {
  return static_cast<size_t>(NumElements(shape).value());
}

std::shared_ptr<MemoryReader> QuantizeAll(
    const MemoryReader& reader, const std::vector<std::string>& rules,
    QuantStorage storage = QuantStorage::kPlain) {
  Recipe recipe;
  for (const std::string& rule : rules) {
    recipe.rules.push_back(*ParseRule(rule));
  }
  PlanOptions options;
  options.storage = storage;
  const Plan plan = *MakePlan(reader.index(), recipe, options);
  CollectedOutput output(plan.manifest);
  // The smallest pieces there are.
  JobOptions job_options;
  job_options.chunk_bytes = 64 << 10;
  auto job = *Job::Create(&reader, plan, output.emit(), job_options);
  EXPECT_TRUE(RunToEnd(*job).ok());
  std::shared_ptr<MemoryReader> written = output.Open();
  EXPECT_TRUE(ValidateIndex(written->index()).ok())
      << ValidateIndex(written->index());
  return written;
}

std::vector<uint8_t> ReadRange(const CheckpointReader& reader, size_t tensor,
                               uint64_t first, uint64_t count) {
  const DType dtype = reader.index().tensors[tensor].dtype;
  std::vector<uint8_t> bytes(static_cast<size_t>(count * FloatBytes(dtype)));
  const absl::Status status =
      reader.Read(tensor, first, count, absl::MakeSpan(bytes));
  EXPECT_TRUE(status.ok()) << status;
  return bytes;
}

const char* const kSpecs[] = {"int8",
                              "int8,tensor,asymmetric",
                              "uint8,asymmetric",
                              "int4,group=3,asymmetric",
                              "int4,axis=0",
                              "uint4,axis=1,asymmetric",
                              "uint4,tensor",
                              "fp16",
                              "fp8_e4m3",
                              "fp8_e4m3,tensor",
                              "fp8_e4m3,axis=1",
                              "fp8_e4m3,group=3",
                              "fp8_e4m3,block=2",
                              "int8,block=4,asymmetric",
                              "int4,block=5",
                              "fp8_e4m3,scale_dtype=f16",
                              "int4,group=3,asymmetric,scale_dtype=bf16",
                              "fp8_e5m2",
                              "fp8_e4m3,group=3,scale_dtype=e8m0",
                              "fp8_e5m2,axis=1,scale_dtype=e8m0",
                              "nf4,tensor",
                              "nf4,group=3",
                              "nf4,axis=1,scale_dtype=bf16",
                              "fp4,group=3,scale_dtype=f16",
                              "llm_int8",
                              "llm_int8,scale_dtype=bf16",
                              "fp4_e2m1,group=3",
                              "fp4_e2m1,axis=0,scale_dtype=e8m0",
                              "fp4_e2m1,group=3,scale_dtype=e4m3",
                              "bf16"};

// Every range of small tensors, with rows that end inside a byte, is a part of
// the whole, and the whole is what DequantizeTensor gives.
TEST(DequantizingReaderTest, EveryRange) {
  for (const char* spec : kSpecs) {
    MemoryReader original;
    for (const Shape& shape :
         {Shape{5, 9}, Shape{3, 12}, Shape{2, 3, 3}, Shape{2, 21, 1}}) {
      original.Add(ShapeToString(shape), shape,
                   testing::Make(Values::kRandom, Count(shape)));
    }
    const auto reader = *MakeDequantizingReader(
        QuantizeAll(original, {std::string("*=") + spec}));
    EXPECT_TRUE(ValidateIndex(reader->index()).ok());
    ASSERT_EQ(reader->index().tensors.size(), original.index().tensors.size());
    for (size_t t = 0; t < reader->index().tensors.size(); ++t) {
      const TensorInfo& info = reader->index().tensors[t];
      SCOPED_TRACE(std::string(spec) + " of " + info.name);
      EXPECT_EQ(info.dtype, DType::kF32);
      EXPECT_EQ(info.name, original.index().tensors[t].name);
      EXPECT_EQ(info.shape, original.index().tensors[t].shape);
      EXPECT_FALSE(reader->Locate(t).has_value());

      std::vector<float> values(Count(info.shape));
      ToFloat(DType::kF32, original.bytes(t).data(), absl::MakeSpan(values));
      Recipe recipe;
      recipe.rules.push_back({"*", *ParseSchemeSpec(spec)});
      const QuantScheme scheme =
          MakePlan(original.index(), recipe)->tensors[t].scheme;
      const std::vector<float> expected = *DequantizeTensor(
          *QuantizeTensor(values, info.shape, scheme), info.shape, scheme);
      const std::vector<uint8_t> whole =
          ReadRange(*reader, t, 0, expected.size());
      ASSERT_EQ(std::memcmp(whole.data(), expected.data(), whole.size()), 0);
      for (uint64_t first = 0; first <= expected.size(); ++first) {
        for (uint64_t count = 0; first + count <= expected.size(); ++count) {
          const std::vector<uint8_t> part = ReadRange(*reader, t, first, count);
          ASSERT_TRUE(
              std::equal(part.begin(), part.end(),
                         whole.begin() + static_cast<int64_t>(4 * first)));
        }
      }
    }
  }
}

// The same floats come back from words, whatever the length of a row, as from
// monoquant's own storage; any range of them.
TEST(DequantizingReaderTest, CompressedTensors) {
  for (const char* spec :
       {"int4,axis=0,scale_dtype=f32", "int4,group=3,scale_dtype=f16",
        "int4,group=3,scale_dtype=bf16", "int8,group=3,scale_dtype=f16",
        "int8,scale_dtype=bf16", "fp8_e4m3,scale_dtype=f16",
        "fp8_e4m3,tensor,scale_dtype=f32", "bf16"}) {
    MemoryReader original;
    // A row of several pieces; many short ones; rows that fill no word.
    for (const Shape& shape : {Shape{2, 40002}, Shape{9000, 6}, Shape{5, 9},
                               Shape{4, 12}, Shape{7, 3}}) {
      original.Add(ShapeToString(shape) + ".weight", shape,
                   testing::Make(Values::kRandom, Count(shape)), DType::kF16);
    }
    const std::vector<std::string> rules = {std::string("*=") + spec};
    const auto plain = *MakeDequantizingReader(QuantizeAll(original, rules));
    const auto reader = *MakeDequantizingReader(
        QuantizeAll(original, rules, QuantStorage::kCompressedTensors));
    EXPECT_TRUE(ValidateIndex(reader->index()).ok());
    ASSERT_EQ(reader->index().tensors.size(), original.index().tensors.size());
    for (size_t t = 0; t < reader->index().tensors.size(); ++t) {
      const TensorInfo& info = reader->index().tensors[t];
      SCOPED_TRACE(std::string(spec) + " of " + info.name);
      EXPECT_EQ(info.name, original.index().tensors[t].name);
      EXPECT_EQ(info.shape, original.index().tensors[t].shape);
      const uint64_t count = Count(info.shape);
      const std::vector<uint8_t> whole = ReadRange(*plain, t, 0, count);
      ASSERT_TRUE(ReadRange(*reader, t, 0, count) == whole);
      for (uint64_t first = 0; first < std::min<uint64_t>(count, 30); ++first) {
        for (uint64_t size : {uint64_t{1}, uint64_t{5}, count - first}) {
          if (first + size > count) continue;
          const std::vector<uint8_t> part = ReadRange(*reader, t, first, size);
          ASSERT_TRUE(
              std::equal(part.begin(), part.end(),
                         whole.begin() + static_cast<int64_t>(2 * first)));
        }
      }
    }
  }
}

// So do they from scales that are called U8, and those below a global scale.
TEST(DequantizingReaderTest, NamedSchemesOfCompressedTensors) {
  for (const NamedScheme& named : NamedSchemes()) {
    MemoryReader original;
    for (const Shape& shape :
         {Shape{2, 40032}, Shape{9000, 32}, Shape{5, 96}}) {
      original.Add(ShapeToString(shape) + ".weight", shape,
                   testing::Make(Values::kRandom, Count(shape)), DType::kF16);
    }
    const std::vector<std::string> rules = {absl::StrCat("*=", named.name)};
    const auto plain = *MakeDequantizingReader(QuantizeAll(original, rules));
    const auto reader = *MakeDequantizingReader(
        QuantizeAll(original, rules, QuantStorage::kCompressedTensors));
    ASSERT_EQ(reader->index().tensors.size(), original.index().tensors.size());
    for (size_t t = 0; t < reader->index().tensors.size(); ++t) {
      const TensorInfo& info = reader->index().tensors[t];
      SCOPED_TRACE(absl::StrCat(named.name, " of ", info.name));
      EXPECT_EQ(info.name, original.index().tensors[t].name);
      const uint64_t count = Count(info.shape);
      const std::vector<uint8_t> whole = ReadRange(*plain, t, 0, count);
      ASSERT_TRUE(ReadRange(*reader, t, 0, count) == whole);
      for (uint64_t first : {uint64_t{1}, uint64_t{33}, count - 40}) {
        const std::vector<uint8_t> part = ReadRange(*reader, t, first, 39);
        ASSERT_TRUE(
            std::equal(part.begin(), part.end(),
                       whole.begin() + static_cast<int64_t>(2 * first)));
      }
    }
  }
}

// The same floats as from monoquant's own storage; zero points are read.
TEST(DequantizingReaderTest, TorchAo) {
  MemoryReader original;
  for (const Shape& shape : {Shape{64, 3000}, Shape{9000, 24}}) {
    original.Add(ShapeToString(shape) + ".weight", shape,
                 testing::Make(Values::kRandom, Count(shape)), DType::kF16);
  }
  const std::vector<std::string> rules = {"*=int8"};
  const auto plain = *MakeDequantizingReader(QuantizeAll(original, rules));
  const auto written = QuantizeAll(original, rules, QuantStorage::kTorchAo);
  const auto reader = *MakeDequantizingReader(written);
  ASSERT_EQ(reader->index().tensors.size(), 2u);
  for (size_t t = 0; t < 2; ++t) {
    const TensorInfo& info = reader->index().tensors[t];
    EXPECT_EQ(info.name, original.index().tensors[t].name);
    const uint64_t count = Count(info.shape);
    ASSERT_TRUE(ReadRange(*reader, t, 0, count) ==
                ReadRange(*plain, t, 0, count));
    ASSERT_TRUE(ReadRange(*reader, t, count - 7, 5) ==
                ReadRange(*plain, t, count - 7, 5));
  }

  // A file that somebody else changed.
  auto other = std::make_shared<MemoryReader>();
  other->mutable_index().quant = written->index().quant;
  other->mutable_index().quant.tensors.resize(1);
  const TensorInfo& codes = written->index().tensors[0];
  const TensorInfo& scale = written->index().tensors[1];
  const TensorInfo& zero = written->index().tensors[2];
  other->AddBytes(codes.name, codes.dtype, codes.shape, written->bytes(0));
  other->AddBytes(scale.name, scale.dtype, scale.shape, written->bytes(1));
  std::vector<uint8_t> zeros = written->bytes(2);
  zeros[1] = 1;  // 256
  other->AddBytes(zero.name, zero.dtype, zero.shape, zeros);
  const auto changed = *MakeDequantizingReader(other);
  std::vector<uint8_t> bytes(2);
  ExpectError(changed->Read(0, 0, 1, absl::MakeSpan(bytes)),
              absl::StatusCode::kDataLoss,
              "weight.zero_point' has the zero point 256, which is no level");
}

// What torch's modules hold: unsigned levels, scales of any axis, one scale.
TEST(DequantizingReaderTest, TorchQuantized) {
  const auto reader_of = [](const QuantScheme& scheme,
                            const std::vector<double>& scales,
                            const std::vector<int64_t>& zero_points) {
    const Shape shape = {2, 3};
    const StoredWeight stored =
        StoreWeight(QuantStorage::kTorchQuantized, "c.weight", scheme, shape)
            .value();
    auto base = std::make_shared<MemoryReader>();
    const auto add = [&](const StoredPart& part, const void* data) {
      const auto* bytes = static_cast<const uint8_t*>(data);
      base->AddBytes(part.name, part.dtype, part.shape,
                     std::vector<uint8_t>(
                         bytes, bytes + *ByteSize(part.dtype, part.shape)));
    };
    const uint8_t codes[] = {0, 1, 100, 127, 200, 255};
    add(stored.codes, codes);
    add(*stored.scale, scales.data());
    add(*stored.zero_point, zero_points.data());
    base->mutable_index().quant.tensors = {
        RecordOf("c.weight", scheme, QuantStorage::kTorchQuantized, stored,
                 DType::kF32, shape)};
    return *MakeDequantizingReader(base);
  };
  const auto read = [](const CheckpointReader& reader) {
    std::vector<float> values(6);
    const std::vector<uint8_t> bytes = ReadRange(reader, 0, 0, 6);
    ToFloat(DType::kF32, bytes.data(), absl::MakeSpan(values));
    return values;
  };
  QuantScheme scheme;
  scheme.format = NumberFormat::kUInt8;
  scheme.symmetric = false;
  scheme.axis = 1;
  EXPECT_EQ(read(*reader_of(scheme, {1, 2, 0.5}, {0, 200, 255})),
            (std::vector<float>{0, -398, -77.5, 127, 0, 0}));
  const auto beyond = reader_of(scheme, {1, 2, 0.5}, {0, 256, -1});
  std::vector<uint8_t> bytes(8);
  ExpectError(beyond->Read(0, 0, 2, absl::MakeSpan(bytes)),
              absl::StatusCode::kDataLoss,
              "'c.weight.zero_point' has the zero point 256, which is no level "
              "of uint8");
  scheme.granularity = Granularity::kTensor;
  scheme.axis = 0;
  scheme.format = NumberFormat::kInt8;
  // The scale is rounded to float32.
  EXPECT_EQ(read(*reader_of(scheme, {0.1}, {-3})),
            (std::vector<float>{3 * 0.1f, 4 * 0.1f, 103 * 0.1f, 130 * 0.1f,
                                -53 * 0.1f, 2 * 0.1f}));
}

// The same floats as from monoquant's own storage, where they have the same
// codes: zero points of GPTQ have a level less. Any range of them.
TEST(DequantizingReaderTest, GptqAndAwq) {
  const struct {
    QuantStorage storage;
    const char* spec;
    bool same_as_plain;
  } cases[] = {
      {QuantStorage::kGptq, "int4,axis=0", true},
      {QuantStorage::kGptq, "int4,group=24", true},
      {QuantStorage::kGptq, "int4,group=24,asymmetric", false},
      {QuantStorage::kGptq, "uint4,group=24,asymmetric", false},
      {QuantStorage::kGptq, "int8,group=24", true},
      {QuantStorage::kGptq, "uint8,asymmetric", false},
      {QuantStorage::kAwq, "int4,group=24", true},
      {QuantStorage::kAwq, "uint4,axis=0", true},
      {QuantStorage::kAwq, "int4,group=24,asymmetric", true},
      {QuantStorage::kAwq, "uint4,group=24,asymmetric", true},
  };
  for (const auto& c : cases) {
    MemoryReader original;
    // Rows of more than a piece; many short ones.
    for (const Shape& shape :
         {Shape{32, 40008}, Shape{9024, 24}, Shape{64, 48}}) {
      std::vector<float> values = testing::Make(Values::kRandom, Count(shape));
      // A group of zeros, one without a value below 0, one without any above.
      for (size_t i = 0; i < 24; ++i) {
        values[i] = 0;
        values[i + 24] = std::fabs(values[i + 24]);
        values[i + 48] = -std::fabs(values[i + 48]);
      }
      original.Add(ShapeToString(shape) + ".weight", shape, values,
                   DType::kF16);
    }
    const std::vector<std::string> rules = {std::string("*=") + c.spec +
                                            ",scale_dtype=f16"};
    const auto plain = *MakeDequantizingReader(QuantizeAll(original, rules));
    const auto reader =
        *MakeDequantizingReader(QuantizeAll(original, rules, c.storage));
    EXPECT_TRUE(ValidateIndex(reader->index()).ok());
    ASSERT_EQ(reader->index().tensors.size(), original.index().tensors.size());
    for (size_t t = 0; t < reader->index().tensors.size(); ++t) {
      const TensorInfo& info = reader->index().tensors[t];
      SCOPED_TRACE(
          absl::StrCat(StorageName(c.storage), " ", c.spec, " of ", info.name));
      EXPECT_EQ(info.name, original.index().tensors[t].name);
      EXPECT_EQ(info.shape, original.index().tensors[t].shape);
      const uint64_t count = Count(info.shape);
      const std::vector<uint8_t> whole = ReadRange(*reader, t, 0, count);
      const std::vector<uint8_t> other = ReadRange(*plain, t, 0, count);
      if (c.same_as_plain) {
        ASSERT_TRUE(whole == other);
      } else {
        // Never far from it.
        std::vector<float> a(count);
        std::vector<float> b(count);
        ToFloat(DType::kF16, whole.data(), absl::MakeSpan(a));
        ToFloat(DType::kF16, other.data(), absl::MakeSpan(b));
        for (size_t i = 0; i < count; ++i) ASSERT_NEAR(a[i], b[i], 0.6) << i;
      }
      const uint64_t row = static_cast<uint64_t>(info.shape[1]);
      for (uint64_t first :
           {uint64_t{0}, uint64_t{1}, uint64_t{23}, row - 1, row, 7 * row + 5,
            8 * row, 8 * row - 3, 17 * row + 23}) {
        for (uint64_t size : {uint64_t{1}, uint64_t{5}, row, 9 * row + 1}) {
          if (first + size > count) continue;
          const std::vector<uint8_t> part = ReadRange(*reader, t, first, size);
          ASSERT_TRUE(
              std::equal(part.begin(), part.end(),
                         whole.begin() + static_cast<int64_t>(2 * first)))
              << first << " " << size;
        }
      }
    }
  }
}

// Rows of whole words that are no multiple of eight columns: every range.
TEST(DequantizingReaderTest, GptqOfFewColumns) {
  MemoryReader original;
  original.Add("m.weight", {32, 20}, testing::Make(Values::kRandom, 640));
  const std::vector<std::string> rules = {"*=int8,scale_dtype=f16"};
  const auto plain = *MakeDequantizingReader(QuantizeAll(original, rules));
  const auto reader = *MakeDequantizingReader(
      QuantizeAll(original, rules, QuantStorage::kGptq));
  const std::vector<uint8_t> whole = ReadRange(*plain, 0, 0, 640);
  for (uint64_t first = 0; first < 640; ++first) {
    for (uint64_t count = 1; first + count <= 640; ++count) {
      const std::vector<uint8_t> part = ReadRange(*reader, 0, first, count);
      ASSERT_TRUE(std::equal(part.begin(), part.end(),
                             whole.begin() + static_cast<int64_t>(4 * first)))
          << first << " " << count;
    }
  }
}

// Tensors of many blocks, from a few odd places on.
TEST(DequantizingReaderTest, LongTensors) {
  for (const char* spec : {"int8", "int4,axis=0", "int4,axis=1,asymmetric",
                           "uint8,tensor", "fp16"}) {
    SCOPED_TRACE(spec);
    MemoryReader original;
    original.Add("w", {3, 70001}, testing::Make(Values::kRandom, 210003));
    const auto reader = *MakeDequantizingReader(
        QuantizeAll(original, {std::string("*=") + spec}));
    const std::vector<uint8_t> whole = ReadRange(*reader, 0, 0, 210003);
    for (uint64_t first : {0, 1, 65535, 65536, 69999, 70001, 140003, 210002}) {
      for (uint64_t count : {1, 2047, 65537, 70002}) {
        if (first + count > 210003) continue;
        const std::vector<uint8_t> part = ReadRange(*reader, 0, first, count);
        ASSERT_TRUE(
            std::equal(part.begin(), part.end(),
                       whole.begin() + static_cast<int64_t>(4 * first)));
      }
    }
  }
}

TEST(DequantizingReaderTest, Types) {
  MemoryReader original;
  for (DType dtype : {DType::kF16, DType::kBF16, DType::kF32, DType::kF64}) {
    original.Add(DTypeName(dtype), {8, 64}, testing::Make(Values::kRandom, 512),
                 dtype);
  }
  original.Add("bias", {8}, testing::Make(Values::kRandom, 8), DType::kF16);
  const auto base = QuantizeAll(original, {});
  const auto same = *MakeDequantizingReader(base);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(same->index().tensors[i].dtype,
              original.index().tensors[i].dtype);
  }
  for (DType dtype : {DType::kF16, DType::kBF16, DType::kF32, DType::kF64}) {
    DequantizeOptions options;
    options.dtype = dtype;
    const auto reader = *MakeDequantizingReader(base, options);
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(reader->index().tensors[i].dtype, dtype);
      EXPECT_EQ(reader->index().tensors[i].byte_size, 512 * FloatBytes(dtype));
    }
    // What was not quantized is left alone.
    EXPECT_EQ(reader->index().tensors[4].dtype, DType::kF16);
    EXPECT_EQ(ReadRange(*reader, 4, 0, 8), original.bytes(4));
    // Decoded in float32, then rounded.
    DequantizeOptions to_float;
    to_float.dtype = DType::kF32;
    const auto floats = *MakeDequantizingReader(base, to_float);
    const std::vector<uint8_t> decoded = ReadRange(*floats, 2, 0, 512);
    std::vector<float> values(512);
    ToFloat(DType::kF32, decoded.data(), absl::MakeSpan(values));
    std::vector<uint8_t> expected(512 * FloatBytes(dtype));
    FromFloat(dtype, values, expected.data());
    EXPECT_EQ(ReadRange(*reader, 2, 0, 512), expected);
  }
  DequantizeOptions wrong;
  wrong.dtype = DType::kI8;
  ExpectError(MakeDequantizingReader(base, wrong),
              absl::StatusCode::kInvalidArgument,
              "tensors cannot be decoded to I8; use F32");
}

TEST(DequantizingReaderTest, IndexAndTies) {
  MemoryReader original;
  original.Add("a", {8, 64}, testing::Make(Values::kRandom, 512));
  original.Add("bias", {8}, testing::Make(Values::kRandom, 8));
  original.AddTie("b", 0);
  original.AddTie("bias2", 1);
  original.mutable_index().metadata = {{"k", "v"}};
  const auto base = QuantizeAll(original, {});
  EXPECT_EQ(base->index().tensors.size(), 8u);
  const auto reader = *MakeDequantizingReader(base);
  ASSERT_EQ(reader->index().tensors.size(), 4u);
  EXPECT_TRUE(reader->index().quant.empty());
  EXPECT_EQ(reader->index().metadata, base->index().metadata);
  EXPECT_EQ(reader->index().tensors[2].tie, 0u);
  EXPECT_EQ(reader->index().tensors[3].tie, 1u);
  EXPECT_EQ(ReadRange(*reader, 2, 5, 100), ReadRange(*reader, 0, 5, 100));
  EXPECT_TRUE(reader->Locate(1).has_value());
  // So it can be quantized again.
  EXPECT_TRUE(MakePlan(reader->index(), Recipe()).ok());

  // Equal codes with other scales are no tie.
  base->mutable_index().tensors[6].tie = kNoTie;  // b.scale
  const auto untied = *MakeDequantizingReader(base);
  EXPECT_EQ(untied->index().tensors[2].name, "b");
  EXPECT_EQ(untied->index().tensors[2].tie, kNoTie);
}

TEST(DequantizingReaderTest, PlainCheckpointsPassThrough) {
  auto base = std::make_shared<MemoryReader>();
  base->Add("w", {8, 64}, testing::Make(Values::kRandom, 512));
  base->AddTie("t", 0);
  const auto reader = *MakeDequantizingReader(base);
  EXPECT_EQ(reader->index().tensors[1].tie, 0u);
  EXPECT_EQ(ReadRange(*reader, 0, 0, 512), base->bytes(0));
  EXPECT_EQ(reader->Locate(0)->size, 2048u);
}

// ------------------------------------------- what other programs quantized --

std::vector<uint8_t> RandomBytes(size_t count, uint64_t seed) {
  testing::Random random(seed);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Bits());
  return bytes;
}

template <typename T>
std::vector<uint8_t> BytesOf(const std::vector<T>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

template <typename T>
T At(const std::vector<uint8_t>& bytes, size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

// The record of the one weight of `reader`, and no version.
void Describe(QuantStorage storage, const QuantScheme& scheme,
              const Shape& shape, MemoryReader* reader) {
  const auto stored = StoreWeight(storage, "l.weight", scheme, shape);
  ASSERT_TRUE(stored.ok()) << stored.status();
  reader->mutable_index().quant.tensors.push_back(
      RecordOf("l.weight", scheme, storage, *stored, DType::kF32, shape));
}

// Whether any range of the only tensor of `reader` has these values.
void ExpectRanges(const CheckpointReader& reader,
                  const std::vector<float>& expected) {
  ASSERT_EQ(reader.index().tensors.size(), 1u);
  const uint64_t size = expected.size();
  for (uint64_t first : {uint64_t{0}, uint64_t{1}, size / 3, size - 2}) {
    for (uint64_t count : {uint64_t{1}, uint64_t{2}, size / 2, size - first}) {
      if (first + count > size) continue;
      const std::vector<uint8_t> part = ReadRange(reader, 0, first, count);
      ASSERT_EQ(std::memcmp(part.data(), expected.data() + first, part.size()),
                0)
          << first << " " << count;
    }
  }
}

// A layer of GPTQ's: codes as they come, and columns in any groups.
struct GptqLayer {
  int64_t rows;
  int64_t columns;
  int64_t groups;
  int64_t bits;
  std::vector<uint8_t> codes = {};
  std::vector<uint8_t> scales = {};
  std::vector<uint8_t> zero_points = {};
  std::vector<int32_t> group_of = {};

  GptqLayer(int64_t num_rows, int64_t num_columns, int64_t num_groups,
            int64_t code_bits)
      : rows(num_rows),
        columns(num_columns),
        groups(num_groups),
        bits(code_bits) {
    const size_t bytes = static_cast<size_t>(rows * columns * bits / 8);
    codes = RandomBytes(bytes, 1);
    std::vector<float> values =
        testing::Make(Values::kRandom, static_cast<size_t>(groups * rows));
    scales.resize(values.size() * 2);
    FromFloat(DType::kF16, values, scales.data());
    zero_points = RandomBytes(static_cast<size_t>(groups * rows * bits / 8), 2);
    testing::Random random(3);
    for (int64_t i = 0; i < columns; ++i) {
      group_of.push_back(
          static_cast<int32_t>(random.Bits() % static_cast<uint64_t>(groups)));
    }
  }

  std::shared_ptr<MemoryReader> Open(QuantStorage storage) const {
    auto reader = std::make_shared<MemoryReader>();
    reader->AddBytes("l.g_idx", DType::kI32, {columns}, BytesOf(group_of));
    reader->AddBytes("l.qweight", DType::kI32, {columns * bits / 32, rows},
                     codes);
    reader->AddBytes("l.qzeros", DType::kI32, {groups, rows * bits / 32},
                     zero_points);
    reader->AddBytes("l.scales", DType::kF16, {groups, rows}, scales);
    QuantScheme scheme;
    scheme.format = bits == 4 ? NumberFormat::kUInt4 : NumberFormat::kUInt8;
    scheme.symmetric = false;
    scheme.scale_dtype = DType::kF16;
    scheme.granularity = groups == 1 ? Granularity::kAxis : Granularity::kGroup;
    if (groups > 1) scheme.group_size = columns / groups;
    Describe(storage, scheme, {rows, columns}, reader.get());
    return reader;
  }

  // What GPTQModel computes.
  std::vector<float> Decode(uint32_t added_to_zero_points) const {
    std::vector<float> scale(scales.size() / 2);
    ToFloat(DType::kF16, scales.data(), absl::MakeSpan(scale));
    const int64_t per_word = 32 / bits;
    const auto code_of = [&](uint32_t word, int64_t i) {
      return static_cast<int32_t>(word >> (i % per_word * bits) &
                                  ((1u << bits) - 1));
    };
    std::vector<float> values;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        const int64_t g = group_of[static_cast<size_t>(c)];
        const uint32_t codes_word =
            At<uint32_t>(codes, static_cast<size_t>(c / per_word * rows + r));
        const uint32_t zeros_word =
            At<uint32_t>(zero_points,
                         static_cast<size_t>((g * rows + r) / per_word)) +
            added_to_zero_points;
        values.push_back(static_cast<float>(code_of(codes_word, c) -
                                            code_of(zeros_word, r)) *
                         scale[static_cast<size_t>(g * rows + r)]);
      }
    }
    return values;
  }
};

// Columns in any order of groups, rows of a part of a unit, both versions.
TEST(DequantizingReaderTest, GptqOfOtherPrograms) {
  for (GptqLayer layer : {GptqLayer(8, 48, 3, 4), GptqLayer(24, 32, 4, 8),
                          GptqLayer(16, 20, 1, 8), GptqLayer(8, 12, 3, 8),
                          GptqLayer(16, 7000, 100, 4)}) {
    SCOPED_TRACE(absl::StrCat(layer.rows, " x ", layer.columns));
    for (const bool ordered : {false, true}) {
      if (ordered) {
        for (size_t i = 0; i < layer.group_of.size(); ++i) {
          layer.group_of[i] = static_cast<int32_t>(
              static_cast<int64_t>(i) * layer.groups / layer.columns);
        }
      }
      const uint32_t ones = layer.bits == 4 ? 0x11111111 : 0x01010101;
      ExpectRanges(
          *MakeDequantizingReader(layer.Open(QuantStorage::kGptq)).value(),
          layer.Decode(ones));
      ExpectRanges(
          *MakeDequantizingReader(layer.Open(QuantStorage::kGptqV2)).value(),
          layer.Decode(0));
    }
  }
}

// Rows longer than what is decoded at a time are read one by one.
TEST(DequantizingReaderTest, GptqOfLongRows) {
  const GptqLayer layer(8, 530000, 2, 4);
  const auto reader = *MakeDequantizingReader(layer.Open(QuantStorage::kGptq));
  const std::vector<float> expected = layer.Decode(0x11111111);
  const uint64_t first = 529990;
  const uint64_t count = 530020;
  const std::vector<uint8_t> part = ReadRange(*reader, 0, first, count);
  EXPECT_EQ(std::memcmp(part.data(), expected.data() + first, part.size()), 0);
}

// Never a wrong value: a group that does not exist, and too many to hold.
TEST(DequantizingReaderTest, GroupsOfColumnsThatAreNone) {
  for (const int32_t group : {-1, 3, 2147483647}) {
    GptqLayer layer(8, 48, 3, 4);
    layer.group_of[5] = group;
    const auto reader =
        *MakeDequantizingReader(layer.Open(QuantStorage::kGptq));
    std::vector<uint8_t> value(4);
    ExpectError(reader->Read(0, 48 + 5, 1, absl::MakeSpan(value)),
                absl::StatusCode::kDataLoss,
                absl::StrCat("tensor 'l.g_idx': column 5 is in group ", group,
                             ", but there are 3 groups"));
    // Other columns are read.
    EXPECT_TRUE(reader->Read(0, 48 + 6, 1, absl::MakeSpan(value)).ok());
  }
  GptqLayer many(8, 140000, 70000, 4);
  many.group_of[0] = 1;
  const auto reader = *MakeDequantizingReader(many.Open(QuantStorage::kGptq));
  std::vector<uint8_t> value(4);
  ExpectError(reader->Read(0, 0, 1, absl::MakeSpan(value)),
              absl::StatusCode::kUnimplemented, "of 70000 groups");
}

// Of tied layers with other groups of columns only the codes are the same.
TEST(DequantizingReaderTest, TiesWithOtherGroupsOfColumns) {
  const GptqLayer layer(8, 16, 2, 4);
  const std::shared_ptr<MemoryReader> base = layer.Open(QuantStorage::kGptq);
  base->AddBytes("m.g_idx", DType::kI32, {16}, std::vector<uint8_t>(64));
  base->AddTie("m.qweight", 1);
  base->AddTie("m.qzeros", 2);
  base->AddTie("m.scales", 3);
  QuantizedTensor other = base->index().quant.tensors[0];
  other.name = "m.weight";
  other.codes = "m.qweight";
  other.scale = "m.scales";
  other.zero_point = "m.qzeros";
  other.constants = {"m.g_idx"};
  base->mutable_index().quant.tensors.push_back(other);
  const auto reader = *MakeDequantizingReader(base);
  ASSERT_EQ(reader->index().tensors.size(), 2u);
  EXPECT_EQ(reader->index().tensors[1].tie, kNoTie);
}

// Asymmetric weights of compressed-tensors: their zero points lie in words that
// go down the rows.
TEST(DequantizingReaderTest, PackQuantizedAsymmetric) {
  const struct {
    int64_t rows, columns, groups, bits;
  } cases[] = {{11, 9, 3, 4},
               {8, 16, 1, 4},
               {6, 12, 4, 8},
               {1, 5, 1, 8},
               {3, 60000, 5000, 4}};
  for (const auto& layer : cases) {
    const int64_t rows = layer.rows;
    const int64_t columns = layer.columns;
    const int64_t groups = layer.groups;
    const int64_t bits = layer.bits;
    SCOPED_TRACE(absl::StrCat(rows, " x ", columns, ", ", groups));
    const int64_t per_word = 32 / bits;
    const int64_t words = (columns + per_word - 1) / per_word;
    const int64_t lines = (rows + per_word - 1) / per_word;
    const std::vector<uint8_t> codes =
        RandomBytes(static_cast<size_t>(rows * words * 4), 1);
    const std::vector<uint8_t> zeros =
        RandomBytes(static_cast<size_t>(lines * groups * 4), 2);
    const std::vector<float> scales =
        testing::Make(Values::kRandom, static_cast<size_t>(rows * groups));
    auto base = std::make_shared<MemoryReader>();
    base->AddBytes("l.weight_packed", DType::kI32, {rows, words}, codes);
    base->AddBytes("l.weight_scale", DType::kF32, {rows, groups},
                   BytesOf(scales));
    base->AddBytes("l.weight_shape", DType::kI64, {2},
                   BytesOf<int64_t>({rows, columns}));
    base->AddBytes("l.weight_zero_point", DType::kI32, {lines, groups}, zeros);
    QuantScheme scheme;
    scheme.format = bits == 4 ? NumberFormat::kInt4 : NumberFormat::kInt8;
    scheme.symmetric = false;
    scheme.granularity = groups == 1 ? Granularity::kAxis : Granularity::kGroup;
    if (groups > 1) scheme.group_size = columns / groups;
    Describe(QuantStorage::kPackQuantized, scheme, {rows, columns}, base.get());

    std::vector<float> expected;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        const auto code_of = [&](const std::vector<uint8_t>& bytes,
                                 int64_t word, int64_t i) {
          return static_cast<int32_t>(
              At<uint32_t>(bytes, static_cast<size_t>(word)) >>
                  (i % per_word * bits) &
              ((1u << bits) - 1));
        };
        const int64_t g = c * groups / columns;
        expected.push_back(
            static_cast<float>(code_of(codes, r * words + c / per_word, c) -
                               code_of(zeros, r / per_word * groups + g, r)) *
            scales[static_cast<size_t>(r * groups + g)]);
      }
    }
    ExpectRanges(*MakeDequantizingReader(base).value(), expected);
  }
}

// A layer of torchao's with so many scales down and across, which are for
// blocks of its elements.
struct BlocksLayer {
  NumberFormat format;
  int64_t rows, columns, down, across;
  std::vector<uint8_t> codes = {};
  std::vector<float> scales = {};
  std::vector<uint8_t> zeros = {};

  BlocksLayer(NumberFormat number_format, int64_t num_rows, int64_t num_columns,
              int64_t num_down, int64_t num_across)
      : format(number_format),
        rows(num_rows),
        columns(num_columns),
        down(num_down),
        across(num_across),
        codes(RandomBytes(static_cast<size_t>(rows * columns), 1)),
        scales(testing::Make(Values::kRandom,
                             static_cast<size_t>(down * across), 3)),
        zeros(RandomBytes(scales.size(), 2)) {
    if (format != NumberFormat::kInt4) return;
    for (std::vector<uint8_t>* bytes : {&codes, &zeros}) {
      for (uint8_t& byte : *bytes) byte = static_cast<uint8_t>(byte % 16 - 8);
    }
  }

  std::shared_ptr<MemoryReader> Open(bool symmetric,
                                     bool has_zero_points = true) const {
    auto reader = std::make_shared<MemoryReader>();
    reader->AddBytes("l._weight_qdata", DType::kI8, {rows, columns}, codes);
    reader->AddBytes("l._weight_scale", DType::kF32, {down, across},
                     BytesOf(scales));
    if (has_zero_points) {
      reader->AddBytes("l._weight_zero_point", DType::kI8, {down, across},
                       zeros);
    }
    QuantScheme scheme;
    scheme.format = format;
    scheme.symmetric = symmetric;
    scheme.granularity = across > 1  ? Granularity::kGroup
                         : down == 1 ? Granularity::kTensor
                                     : Granularity::kAxis;
    if (across > 1) scheme.group_size = columns / across;
    Describe(QuantStorage::kTorchaoBlocks, scheme, {rows, columns},
             reader.get());
    if (!has_zero_points) {
      reader->mutable_index().quant.tensors[0].constants.clear();
    }
    return reader;
  }

  std::vector<float> Decode(bool has_zero_points = true) const {
    std::vector<float> values;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        const size_t slot = static_cast<size_t>(r * down / rows * across +
                                                c * across / columns);
        const int zero = has_zero_points ? static_cast<int8_t>(zeros[slot]) : 0;
        const int code =
            static_cast<int8_t>(codes[static_cast<size_t>(r * columns + c)]);
        values.push_back(static_cast<float>(code - zero) * scales[slot]);
      }
    }
    return values;
  }
};

// Zero points that are stored count, whatever is said of them.
TEST(DequantizingReaderTest, TorchaoBlocks) {
  for (const NumberFormat format : {NumberFormat::kInt4, NumberFormat::kInt8}) {
    for (const BlocksLayer& layer :
         {BlocksLayer(format, 5, 9, 5, 3), BlocksLayer(format, 6, 7, 6, 1),
          BlocksLayer(format, 6, 7, 1, 1),
          BlocksLayer(format, 3, 60000, 3, 5000)}) {
      SCOPED_TRACE(absl::StrCat(NumberFormatName(format), " ", layer.rows,
                                " x ", layer.columns));
      for (const bool symmetric : {false, true}) {
        ExpectRanges(*MakeDequantizingReader(layer.Open(symmetric)).value(),
                     layer.Decode());
      }
      ExpectRanges(*MakeDequantizingReader(layer.Open(true, false)).value(),
                   layer.Decode(false));
    }
  }
}

// The same of the storage that outputs have.
TEST(DequantizingReaderTest, TorchaoWithZeroPoints) {
  const BlocksLayer layer(NumberFormat::kInt8, 6, 9, 6, 1);
  const auto base = layer.Open(true);
  base->mutable_index().quant.tensors[0].storage = QuantStorage::kTorchao;
  ExpectRanges(*MakeDequantizingReader(base).value(), layer.Decode());
}

TEST(DequantizingReaderTest, BytesThatAreNoCodesOfFourBits) {
  for (const int code : {8, -9, 127}) {
    BlocksLayer layer(NumberFormat::kInt4, 4, 8, 4, 2);
    layer.codes[13] = static_cast<uint8_t>(code);
    const auto reader = *MakeDequantizingReader(layer.Open(false));
    std::vector<uint8_t> value(4);
    ExpectError(reader->Read(0, 13, 1, absl::MakeSpan(value)),
                absl::StatusCode::kDataLoss,
                absl::StrCat("dir/model.test: tensor 'l._weight_qdata' has the "
                             "code ",
                             code, ", which is no number of int4; download"));
    EXPECT_TRUE(reader->Read(0, 14, 1, absl::MakeSpan(value)).ok());
  }
}

// The files of torchao say of which class each tensor is, which floats are not.
TEST(DequantizingReaderTest, DescriptionsOfTorchaoGo) {
  const auto base = BlocksLayer(NumberFormat::kInt4, 4, 8, 4, 2).Open(false);
  base->mutable_index().metadata = {{"l.weight", "{}"},
                                    {"mine", "text"},
                                    {"tensor_names", R"(["tied.weight", 1])"},
                                    {"tied.weight", "{}"}};
  const auto reader = *MakeDequantizingReader(base);
  EXPECT_EQ(
      reader->index().metadata,
      (std::vector<std::pair<std::string, std::string>>{{"mine", "text"}}));
}

// A layer of bitsandbytes' with scales that are codes, in blocks of 256.
struct NestedLayer {
  int64_t rows;
  int64_t columns;
  std::vector<uint8_t> codes;
  std::vector<uint8_t> scales;
  std::vector<float> of_blocks;
  std::vector<float> numbers;

  NestedLayer(int64_t num_rows, int64_t num_columns)
      : rows(num_rows),
        columns(num_columns),
        codes(RandomBytes(static_cast<size_t>(rows * columns / 2), 1)),
        scales(RandomBytes(static_cast<size_t>(rows * columns / 64), 2)),
        of_blocks(testing::Make(Values::kRandom, scales.size() / 256 + 1, 3)),
        numbers(testing::Make(Values::kRandom, 256, 4)) {
    if (scales.size() % 256 == 0) of_blocks.pop_back();
  }

  std::shared_ptr<MemoryReader> Open(absl::string_view state) const {
    auto reader = std::make_shared<MemoryReader>();
    const auto length = [](const auto& values) {
      return static_cast<int64_t>(values.size());
    };
    reader->AddBytes("l.weight", DType::kU8, {length(codes), 1}, codes);
    reader->AddBytes("l.weight.absmax", DType::kU8, {length(scales)}, scales);
    reader->AddBytes("l.weight.quant_map", DType::kF32, {16},
                     std::vector<uint8_t>(64));
    reader->AddBytes("l.weight.quant_state.bitsandbytes__nf4", DType::kU8,
                     {length(state)}, {state.begin(), state.end()});
    reader->AddBytes("l.weight.nested_absmax", DType::kF32, {length(of_blocks)},
                     BytesOf(of_blocks));
    reader->AddBytes("l.weight.nested_quant_map", DType::kF32, {256},
                     BytesOf(numbers));
    QuantScheme scheme;
    scheme.format = NumberFormat::kNf4;
    scheme.granularity = Granularity::kGroup;
    scheme.group_size = 64;
    Describe(QuantStorage::kBitsandbytesNested, scheme, {rows, columns},
             reader.get());
    return reader;
  }

  // What bitsandbytes computes.
  std::vector<float> Decode(float offset) const {
    std::vector<float> values;
    for (size_t i = 0; i < codes.size() * 2; ++i) {
      const size_t group = i / 64;
      const float product = numbers[scales[group]] * of_blocks[group / 256];
      const float scale = product + offset;
      const uint8_t pair = codes[i / 2];
      values.push_back(kNf4Numbers[i % 2 == 0 ? pair >> 4 : pair & 15] * scale);
    }
    return values;
  }
};

// Blocks of scales that are short, that end within what is decoded at a time,
// and that a range begins within.
TEST(DequantizingReaderTest, BitsandbytesNested) {
  const struct {
    const char* state;
    float offset;
  } offsets[] = {{R"({"nested_offset": 0.2608375549316406})", 0.26083755f},
                 {R"({"a": 1, "nested_offset": -1e-3})", -1e-3f},
                 {R"({"nested_offset": 2})", 2.0f}};
  for (const auto& o : offsets) {
    for (const NestedLayer& layer :
         {NestedLayer(3, 128), NestedLayer(256, 64), NestedLayer(300, 192),
          NestedLayer(70, 6400)}) {
      SCOPED_TRACE(absl::StrCat(o.state, layer.rows, " x ", layer.columns));
      const auto reader = *MakeDequantizingReader(layer.Open(o.state));
      const std::vector<float> expected = layer.Decode(o.offset);
      ExpectRanges(*reader, expected);
      // The last group of one block and the first of the next.
      if (expected.size() > 256 * 64) {
        const uint64_t first = 256 * 64 - 1;
        const std::vector<uint8_t> part = ReadRange(*reader, 0, first, 2);
        EXPECT_EQ(std::memcmp(part.data(), expected.data() + first, 8), 0);
      }
    }
  }
}

TEST(DequantizingReaderTest, BitsandbytesNestedWithoutOffset) {
  const NestedLayer layer(3, 128);
  for (const char* state : {"{", "[]", "{}", R"({"nested_offset": "1"})",
                            R"({"nested_offset": null})"}) {
    const auto reader = *MakeDequantizingReader(layer.Open(state));
    std::vector<uint8_t> value(4);
    ExpectError(reader->Read(0, 0, 1, absl::MakeSpan(value)),
                absl::StatusCode::kDataLoss,
                "dir/model.test: tensor "
                "'l.weight.quant_state.bitsandbytes__nf4': is no JSON text "
                "with a number \"nested_offset\", which the scales need");
  }
}

// Of tied layers with other scales of scales only the codes are the same.
TEST(DequantizingReaderTest, TiesWithOtherScalesOfScales) {
  const NestedLayer layer(3, 128);
  const auto base = layer.Open(R"({"nested_offset": 0})");
  QuantizedTensor other = base->index().quant.tensors[0];
  const auto tie = [&](size_t part) {
    std::string name = base->index().tensors[part].name;
    name[0] = 'm';
    base->AddTie(name, part);
    return name;
  };
  other.name = tie(0);
  other.scale = tie(1);
  other.constants = {tie(2), tie(3), "m.weight.nested_absmax", tie(5)};
  base->AddBytes("m.weight.nested_absmax", DType::kF32, {1},
                 std::vector<uint8_t>(4));
  base->mutable_index().quant.tensors.push_back(other);
  const auto reader = *MakeDequantizingReader(base);
  ASSERT_EQ(reader->index().tensors.size(), 2u);
  EXPECT_EQ(reader->index().tensors[1].tie, kNoTie);
}

TEST(DequantizingReaderTest, Errors) {
  MemoryReader original;
  original.Add("w", {8, 64}, testing::Make(Values::kRandom, 512));
  const auto base = QuantizeAll(original, {});
  const auto reader = *MakeDequantizingReader(base);
  std::vector<uint8_t> bytes(8);
  ExpectError(reader->Read(0, 511, 2, absl::MakeSpan(bytes)),
              absl::StatusCode::kInvalidArgument, "do not exist");
  ExpectError(reader->Read(0, 0, 1, absl::MakeSpan(bytes)),
              absl::StatusCode::kInvalidArgument, "take 4 bytes, not 8");
  ExpectError(reader->Read(1, 0, 2, absl::MakeSpan(bytes)),
              absl::StatusCode::kInvalidArgument, "there is no tensor 1");
  base->Break(1);
  ExpectError(reader->Read(0, 0, 2, absl::MakeSpan(bytes)),
              absl::StatusCode::kDataLoss, "tensor 'w.scale' is broken");
  // A record that lies.
  base->mutable_index().quant.tensors[0].scale = "nowhere";
  ExpectError(MakeDequantizingReader(base), absl::StatusCode::kDataLoss,
              "nowhere");
}

}  // namespace
}  // namespace monoquant
