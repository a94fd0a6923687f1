#include "core/repacking_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/casts.h"
#include "core/dequantizing_reader.h"
#include "core/job.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "core/repacked_weight.h"
#include "core/stored_tensor.h"
#include "core/testing/collected_output.h"
#include "core/testing/memory_reader.h"
#include "core/testing/run_plan.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::CollectedOutput;
using testing::ExpectError;
using testing::MemoryReader;
using testing::Values;

// The smallest pieces there are.
constexpr uint64_t kChunk = 64 << 10;

size_t Count(const Shape& shape) {
  return static_cast<size_t>(NumElements(shape).value());
}

// What a job for `plan` writes.
std::shared_ptr<MemoryReader> Execute(const CheckpointReader& reader,
                                      const Plan& plan) {
  CollectedOutput output(plan.manifest);
  JobOptions options;
  options.chunk_bytes = kChunk;
  auto job = Job::Create(&reader, plan, output.emit(), options);
  EXPECT_TRUE(job.ok()) << job.status();
  const absl::Status status = job.ok() ? RunToEnd(**job) : job.status();
  EXPECT_TRUE(status.ok()) << status;
  if (!status.ok()) return nullptr;
  EXPECT_TRUE(output.Complete().ok()) << output.Complete();
  std::shared_ptr<MemoryReader> written = output.Open();
  EXPECT_TRUE(ValidateIndex(written->index()).ok())
      << ValidateIndex(written->index());
  return written;
}

// Weights of these shapes, quantized into `storage`; null if it has no place.
std::shared_ptr<MemoryReader> Quantize(absl::string_view spec,
                                       const std::vector<Shape>& shapes,
                                       QuantStorage storage,
                                       Values values = Values::kRandom) {
  MemoryReader original;
  for (const Shape& shape : shapes) {
    original.Add(absl::StrCat("m", original.index().tensors.size(), ".weight"),
                 shape, testing::Make(values, Count(shape)), DType::kF16);
  }
  PlanOptions options;
  options.storage = storage;
  const auto plan =
      MakePlan(original.index(), testing::EveryTensor(spec), options);
  return plan.ok() ? Execute(original, *plan) : nullptr;
}

absl::StatusOr<std::vector<uint8_t>> ReadAll(const CheckpointReader& reader,
                                             size_t tensor) {
  const TensorInfo& info = reader.index().tensors[tensor];
  std::vector<uint8_t> bytes(static_cast<size_t>(info.byte_size));
  const absl::Status status =
      reader.Read(tensor, 0, Count(info.shape), absl::MakeSpan(bytes));
  if (!status.ok()) return status;
  return bytes;
}

// A job that copies it, in pieces.
std::shared_ptr<MemoryReader> Copy(const CheckpointReader& reader) {
  return Execute(reader, *MakeCopyPlan(reader.index()));
}

std::shared_ptr<MemoryReader> Repack(
    const std::shared_ptr<const CheckpointReader>& base, QuantStorage storage) {
  const auto reader = MakeRepackingReader(base, storage);
  EXPECT_TRUE(reader.ok()) << reader.status();
  return reader.ok() ? Copy(**reader) : nullptr;
}

void ExpectSameTensors(const CheckpointReader& a, const CheckpointReader& b) {
  ASSERT_EQ(a.index().tensors.size(), b.index().tensors.size());
  for (size_t i = 0; i < a.index().tensors.size(); ++i) {
    const TensorInfo& info = a.index().tensors[i];
    EXPECT_EQ(info.name, b.index().tensors[i].name);
    EXPECT_EQ(info.dtype, b.index().tensors[i].dtype);
    EXPECT_EQ(info.shape, b.index().tensors[i].shape);
    EXPECT_TRUE(*ReadAll(a, i) == *ReadAll(b, i)) << info.name;
  }
}

void ExpectSameFloats(std::shared_ptr<const CheckpointReader> a,
                      std::shared_ptr<const CheckpointReader> b) {
  DequantizeOptions options;
  options.dtype = DType::kF32;
  ExpectSameTensors(*MakeDequantizingReader(std::move(a), options).value(),
                    *MakeDequantizingReader(std::move(b), options).value());
}

bool IsSigned(const QuantizedTensor& tensor) {
  return ZeroPointDType(tensor.scheme.format) == DType::kI8;
}

// ------------------------------------------------------------------- pairs --

constexpr QuantStorage kPlain = QuantStorage::kPlain;
constexpr QuantStorage kWords = QuantStorage::kCompressedTensors;
constexpr QuantStorage kGptq = QuantStorage::kGptq;
constexpr QuantStorage kAwq = QuantStorage::kAwq;
constexpr QuantStorage kFp8 = QuantStorage::kFp8;
constexpr QuantStorage kTorchao = QuantStorage::kTorchao;
constexpr QuantStorage kTorchAo = QuantStorage::kTorchAo;
constexpr QuantStorage kBitsandbytes = QuantStorage::kBitsandbytes;

// A scheme, and the storages that have its numbers.
struct Family {
  absl::string_view spec;
  std::vector<QuantStorage> storages;
};

const std::vector<Family>& Families() {
  static const auto* const families = new std::vector<Family>{
      {"int4,group=32,scale_dtype=f16", {kPlain, kWords, kGptq, kAwq}},
      {"int4,axis=0,scale_dtype=f16", {kPlain, kWords, kGptq, kAwq}},
      {"int4,group=16,asymmetric,scale_dtype=f16", {kAwq, kPlain}},
      {"uint4,group=64,asymmetric,scale_dtype=f16", {kGptq, kPlain, kAwq}},
      {"uint4,group=64,scale_dtype=f16", {kGptq, kPlain, kAwq, kWords}},
      {"int8,group=32,scale_dtype=f16", {kPlain, kWords, kGptq}},
      {"uint8,scale_dtype=f16,asymmetric", {kGptq, kPlain}},
      {"uint8,scale_dtype=f16", {kGptq, kPlain, kWords, kTorchao}},
      {"int8,scale_dtype=f16", {kPlain, kWords, kGptq, kTorchao, kTorchAo}},
      {"int8", {kPlain, kWords, kTorchao, kTorchAo}},
      {"fp8_e4m3", {kPlain, kWords, kTorchao}},
      {"fp8_e4m3,scale_dtype=bf16", {kPlain, kWords, kTorchao}},
      {"fp8_e4m3,tensor", {kPlain, kWords}},
      {"fp8_e4m3,block=64", {kPlain, kFp8, kWords}},
      {"nf4,group=64", {kPlain, kBitsandbytes}},
      {"fp4,group=64,scale_dtype=f16", {kPlain}},
      {"llm_int8", {kPlain, kBitsandbytes}},
      {"mxfp4", {kPlain, kWords}},
      {"mxfp8", {kPlain, kWords}},
      {"nvfp4", {kPlain, kWords}},
      {"bf16", {kPlain, kWords, kGptq, kAwq, kFp8, kTorchao, kTorchAo}},
  };
  return *families;
}

// From each storage into each other one, and back: all bytes are there again,
// and the floats never change.
TEST(RepackingReaderTest, EveryPair) {
  for (const Family& family : Families()) {
    // A single piece; rows that begin inside of a piece.
    const std::vector<Shape> shapes = {{64, 192}, {320, 1088}};
    for (const QuantStorage from : family.storages) {
      std::shared_ptr<MemoryReader> base = Quantize(family.spec, shapes, from);
      // Not all have both signs, or scales of all types.
      if (base == nullptr) {
        base = Repack(Quantize(family.spec, shapes, kPlain), from);
      }
      ASSERT_NE(base, nullptr);
      for (const QuantStorage to : family.storages) {
        SCOPED_TRACE(absl::StrCat(family.spec, ", ", StorageName(from), " to ",
                                  StorageName(to)));
        const std::shared_ptr<MemoryReader> there = Repack(base, to);
        ASSERT_NE(there, nullptr);
        for (const QuantizedTensor& tensor : there->index().quant.tensors) {
          EXPECT_EQ(tensor.storage, to);
        }
        ExpectSameFloats(base, there);
        const std::shared_ptr<MemoryReader> back = Repack(there, from);
        ASSERT_NE(back, nullptr);
        ExpectSameFloats(base, back);
        const QuantizedTensor& first = base->index().quant.tensors[0];
        const QuantizedTensor& again = back->index().quant.tensors[0];
        if (first.scheme == again.scheme) ExpectSameTensors(*base, *back);
      }
    }
  }
}

// The same bytes as if the weight had been quantized into that storage, where
// that chooses the same levels.
TEST(RepackingReaderTest, AsIfQuantizedThere) {
  const struct {
    absl::string_view spec;
    QuantStorage from;
    QuantStorage to;
  } cases[] = {
      {"int4,group=32,scale_dtype=f16", kPlain, kGptq},
      {"int4,group=32,scale_dtype=f16", kPlain, kAwq},
      {"int4,group=32,scale_dtype=f16", kWords, kGptq},
      {"int4,group=32,scale_dtype=f16", kGptq, kWords},
      {"int4,group=32,asymmetric,scale_dtype=f16", kPlain, kAwq},
      {"uint4,group=32,asymmetric,scale_dtype=f16", kAwq, kPlain},
      {"int8,group=64,scale_dtype=f16", kWords, kGptq},
      {"int8,scale_dtype=f32", kTorchao, kWords},
      {"int8,scale_dtype=f32", kWords, kTorchAo},
      {"fp8_e4m3,block=64,scale_dtype=f32", kWords, kFp8},
      {"nf4,group=64", kPlain, kBitsandbytes},
      {"nf4,group=64", kBitsandbytes, kPlain},
  };
  const std::vector<Shape> shapes = {{64, 192}, {192, 64}};
  for (const auto& c : cases) {
    SCOPED_TRACE(absl::StrCat(c.spec, ", ", StorageName(c.from), " to ",
                              StorageName(c.to)));
    const auto base = Quantize(c.spec, shapes, c.from);
    const auto expected = Quantize(c.spec, shapes, c.to);
    ASSERT_NE(base, nullptr);
    ASSERT_NE(expected, nullptr);
    const auto repacked = Repack(base, c.to);
    ASSERT_NE(repacked, nullptr);
    ExpectSameTensors(*expected, *repacked);
    for (size_t i = 0; i < shapes.size(); ++i) {
      EXPECT_EQ(repacked->index().quant.tensors[i].scheme,
                expected->index().quant.tensors[i].scheme);
    }
  }
}

// Blocks of rows and of lines that do not take the whole matrix, and lines that
// are cut.
TEST(RepackingReaderTest, LargeWeights) {
  // 4,196,352 and 4,227,072 of them.
  const auto words = Quantize("int4,group=32,scale_dtype=f16",
                              {{32, 131136}, {33024, 128}}, kWords);
  ASSERT_NE(words, nullptr);
  const auto gptq = Repack(words, kGptq);
  ASSERT_NE(gptq, nullptr);
  const auto awq = Repack(gptq, kAwq);
  ASSERT_NE(awq, nullptr);
  ExpectSameTensors(*Repack(awq, kWords), *words);
}

// Rows of so many groups that eight of them are not read at once.
TEST(RepackingReaderTest, ManyGroups) {
  const auto plain =
      Quantize("int4,group=2,scale_dtype=f16", {{32, 32768}}, kPlain);
  ASSERT_NE(plain, nullptr);
  const auto awq = Repack(plain, kAwq);
  ASSERT_NE(awq, nullptr);
  ExpectSameTensors(*Repack(awq, kPlain), *plain);
}

// Any range of any tensor is a part of the whole.
TEST(RepackingReaderTest, EveryRange) {
  const struct {
    absl::string_view spec;
    QuantStorage from;
    QuantStorage to;
  } cases[] = {
      {"int4,group=8,scale_dtype=f16", kPlain, kGptq},
      {"int4,group=8,scale_dtype=f16", kWords, kAwq},
      {"int4,group=8,scale_dtype=f16", kAwq, kGptq},
      {"int4,group=8,scale_dtype=f16", kGptq, kPlain},
      {"int8,group=8,scale_dtype=f16", kWords, kGptq},
      {"int8,scale_dtype=f32", kPlain, kTorchAo},
      {"int4,group=3", kPlain, kWords},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(absl::StrCat(c.spec, ", ", StorageName(c.from), " to ",
                              StorageName(c.to)));
    const Shape shape = c.spec == "int4,group=3" ? Shape{3, 9} : Shape{32, 16};
    const auto base = Quantize(c.spec, {shape}, c.from);
    ASSERT_NE(base, nullptr);
    const auto reader = *MakeRepackingReader(base, c.to);
    for (size_t t = 0; t < reader->index().tensors.size(); ++t) {
      const TensorInfo& info = reader->index().tensors[t];
      EXPECT_FALSE(reader->Locate(t).has_value());
      const std::vector<uint8_t> whole = *ReadAll(*reader, t);
      const uint64_t count = Count(info.shape);
      const size_t width = whole.size() / static_cast<size_t>(count);
      for (uint64_t first = 0; first <= count; ++first) {
        for (uint64_t size = 0; first + size <= count; ++size) {
          std::vector<uint8_t> part(static_cast<size_t>(size) * width);
          ASSERT_TRUE(reader->Read(t, first, size, absl::MakeSpan(part)).ok());
          ASSERT_TRUE(
              std::equal(part.begin(), part.end(),
                         whole.begin() + static_cast<int64_t>(first * width)))
              << info.name << " " << first << " " << size;
        }
      }
    }
    std::vector<uint8_t> byte(1);
    ExpectError(reader->Read(0, 0, 1, absl::MakeSpan(byte).first(0)),
                absl::StatusCode::kInvalidArgument, "m0.");
    ExpectError(reader->Read(99, 0, 1, absl::MakeSpan(byte)),
                absl::StatusCode::kInvalidArgument, "no tensor 99");
  }
}

// A plan that copies it converts it, with a record of what there is now.
TEST(RepackingReaderTest, AJobConverts) {
  const auto words =
      Quantize("int4,group=32,scale_dtype=f16", {{64, 192}}, kWords);
  const auto repacking = *MakeRepackingReader(words, kGptq);
  const Plan plan = *MakeCopyPlan(repacking->index());
  EXPECT_EQ(plan.manifest.record.recipe, words->index().quant.recipe);
  const auto written = Execute(*repacking, plan);
  ASSERT_NE(written, nullptr);
  ASSERT_EQ(written->index().quant.tensors.size(), 1u);
  const QuantizedTensor& tensor = written->index().quant.tensors[0];
  EXPECT_EQ(tensor.name, "m0.weight");
  EXPECT_EQ(tensor.codes, "m0.qweight");
  EXPECT_EQ(tensor.zero_point, "m0.qzeros");
  EXPECT_EQ(tensor.dtype, DType::kF16);
  EXPECT_EQ(tensor.storage, kGptq);
  ExpectSameFloats(words, written);
}

// --------------------------------------------------- storages that are read --

// `plain` in a storage that outputs do not have.
std::shared_ptr<MemoryReader> StoreIn(const MemoryReader& plain,
                                      QuantStorage storage) {
  auto stored = std::make_shared<MemoryReader>();
  stored->mutable_index() = plain.index();
  stored->mutable_index().tensors.clear();
  IndexByName by_name;
  for (size_t i = 0; i < plain.index().tensors.size(); ++i) {
    by_name[plain.index().tensors[i].name] = i;
  }
  for (QuantizedTensor& tensor : stored->mutable_index().quant.tensors) {
    const StoredWeight to =
        StoreWeight(storage, tensor.name, tensor.scheme, tensor.shape).value();
    const RepackedWeight weight(tensor.name, PlaceOf(tensor, by_name).value(),
                                storage, tensor.scheme, to);
    const auto add = [&](const StoredPart& part, const auto& read) {
      const uint64_t size = ByteSize(part.dtype, part.shape).value();
      std::vector<uint8_t> bytes(static_cast<size_t>(size));
      const absl::Status status =
          (weight.*read)(plain, {0, size}, bytes.data());
      EXPECT_TRUE(status.ok()) << status;
      stored->AddBytes(part.name, part.dtype, part.shape, std::move(bytes));
    };
    add(to.codes, &RepackedWeight::ReadCodes);
    add(*to.scale, &RepackedWeight::ReadScales);
    if (to.zero_point.has_value()) {
      add(*to.zero_point, &RepackedWeight::ReadZeroPoints);
    }
    for (const StoredConstant& constant : to.constants) {
      stored->AddBytes(constant.part.name, constant.part.dtype,
                       constant.part.shape,
                       ConstantBytes(constant.kind, tensor.scheme, tensor.shape,
                                     tensor.dtype));
    }
    tensor = RecordOf(tensor.name, tensor.scheme, storage, to, tensor.dtype,
                      tensor.shape);
  }
  EXPECT_TRUE(ValidateIndex(stored->index()).ok())
      << ValidateIndex(stored->index());
  return stored;
}

TEST(RepackingReaderTest, StoragesThatAreOnlyRead) {
  const struct {
    absl::string_view spec;
    QuantStorage from;
    std::vector<QuantStorage> to;
  } cases[] = {
      {"int4,group=32,scale_dtype=f16",
       QuantStorage::kPackQuantized,
       {kPlain, kWords, kGptq, kAwq}},
      {"int4,group=32,asymmetric,scale_dtype=f16",
       QuantStorage::kPackQuantized,
       {kPlain, kAwq}},
      {"int8,tensor,asymmetric", QuantStorage::kPackQuantized, {kPlain}},
      {"int8,group=32", QuantStorage::kIntQuantized, {kPlain, kWords}},
      {"int8,asymmetric", QuantStorage::kIntQuantized, {kPlain}},
      {"uint4,group=32,asymmetric,scale_dtype=f16",
       QuantStorage::kGptqV2,
       {kPlain, kAwq}},
      {"uint4,group=32,scale_dtype=f16",
       QuantStorage::kGptqV2,
       {kPlain, kGptq, kAwq, kWords}},
      // Their scales of BF16 become F16, which is exact for these.
      {"uint8,group=32,scale_dtype=bf16",
       QuantStorage::kGptqV2,
       {kPlain, kGptq}},
      // Codes of 4 bits in bytes.
      {"int4,group=32,scale_dtype=f16",
       QuantStorage::kTorchaoBlocks,
       {kPlain, kWords, kGptq, kAwq}},
      {"int4,group=32,asymmetric,scale_dtype=f16",
       QuantStorage::kTorchaoBlocks,
       {kPlain, kAwq}},
      {"int8,group=32", QuantStorage::kTorchaoBlocks, {kPlain, kWords}},
      {"int8,tensor", QuantStorage::kTorchaoBlocks, {kPlain}},
      {"int8", QuantStorage::kTorchaoBlocks, {kPlain, kTorchao, kWords}},
      {"fp8_e4m3,tensor", QuantStorage::kTorchaoBlocks, {kPlain, kWords}},
      {"fp8_e4m3,block=32", QuantStorage::kTorchaoBlocks, {kPlain, kFp8}},
      {"fp8_e5m2", QuantStorage::kTorchaoBlocks, {kPlain}},
  };
  for (const auto& c : cases) {
    const auto plain = Quantize(c.spec, {{32, 96}, {96, 64}}, kPlain);
    ASSERT_NE(plain, nullptr);
    const auto base = StoreIn(*plain, c.from);
    for (const QuantStorage to : c.to) {
      SCOPED_TRACE(absl::StrCat(c.spec, ", ", StorageName(c.from), " to ",
                                StorageName(to)));
      const auto repacked = Repack(base, to);
      ASSERT_NE(repacked, nullptr);
      ExpectSameFloats(plain, repacked);
      if (to == kPlain) ExpectSameTensors(*plain, *repacked);
      // And nothing is written into such a storage.
      ExpectError(MakeRepackingReader(plain, c.from),
                  absl::StatusCode::kFailedPrecondition,
                  "read but not written");
    }
  }
}

// Scales that are codes themselves become the floats that these stand for.
TEST(RepackingReaderTest, ScalesOfScales) {
  const auto bytes = [](size_t count, uint64_t seed) {
    testing::Random random(seed);
    std::vector<uint8_t> some(count);
    for (uint8_t& byte : some) byte = static_cast<uint8_t>(random.Bits());
    return some;
  };
  const std::string state = R"({"nested_offset": 0.26})";
  // 400 scales: a whole block of them and a part of one.
  const Shape shape = {100, 256};
  auto base = std::make_shared<MemoryReader>();
  base->AddBytes("m.weight", DType::kU8, {12800}, bytes(12800, 1));
  base->AddBytes("m.weight.absmax", DType::kU8, {400}, bytes(400, 2));
  base->Add("m.weight.quant_map", {16}, std::vector<float>(16));
  base->AddBytes("m.weight.quant_state.bitsandbytes__nf4", DType::kU8,
                 {static_cast<int64_t>(state.size())},
                 {state.begin(), state.end()});
  base->Add("m.weight.nested_absmax", {2}, {0.5f, 3});
  base->Add("m.weight.nested_quant_map", {256},
            testing::Make(Values::kRandom, 256));
  QuantScheme scheme;
  scheme.format = NumberFormat::kNf4;
  scheme.granularity = Granularity::kGroup;
  scheme.group_size = 64;
  const QuantStorage nested = QuantStorage::kBitsandbytesNested;
  base->mutable_index().quant.tensors.push_back(
      RecordOf("m.weight", scheme, nested,
               StoreWeight(nested, "m.weight", scheme, shape).value(),
               DType::kF16, shape));
  for (const QuantStorage to : {kPlain, kBitsandbytes}) {
    SCOPED_TRACE(StorageName(to));
    const auto repacked = Repack(base, to);
    ASSERT_NE(repacked, nullptr);
    ExpectSameFloats(base, repacked);
    EXPECT_EQ(repacked->index().quant.tensors[0].scheme, scheme);
  }
  EXPECT_EQ(MakeRepackingReader(base, nested).value(), base);
}

// Rows that do not fill the words of zero points.
TEST(RepackingReaderTest, ZeroPointsInWords) {
  const auto plain =
      Quantize("int4,group=3,asymmetric", {{11, 9}, {3, 30}, {1, 6}}, kPlain);
  const auto base = StoreIn(*plain, QuantStorage::kPackQuantized);
  ExpectSameTensors(*plain, *Repack(base, kPlain));
}

// ------------------------------------------------------------------ errors --

TEST(RepackingReaderTest, NoPlace) {
  const struct {
    absl::string_view spec;
    QuantStorage to;
    absl::string_view message;
  } cases[] = {
      {"int4,group=32,asymmetric", kWords,
       "'m0.weight', int4 group 32 asymmetric: compressed-tensors has no place "
       "for asymmetric schemes"},
      {"uint4,group=32,asymmetric", kWords, "no place for asymmetric"},
      {"int8,tensor", kGptq, "gptq has no place for int8 tensor"},
      {"int8,axis=0,scale_dtype=f16", kAwq, "awq has no place for int8"},
      {"fp8_e4m3", kGptq, "gptq has no place for fp8_e4m3"},
      {"int8", kFp8, "fp8 has no place for int8"},
      {"int4,group=32", kBitsandbytes, "bitsandbytes has no place for int4"},
      {"nf4,group=64", kWords, "no place for nf4"},
      {"int4,group=32", kTorchAo, "torch-ao has no place for int4"},
  };
  for (const auto& c : cases) {
    const auto base = Quantize(c.spec, {{32, 64}}, kPlain);
    ASSERT_NE(base, nullptr) << c.spec;
    const auto reader = MakeRepackingReader(base, c.to);
    ExpectError(reader, absl::StatusCode::kFailedPrecondition, c.message);
    ExpectError(reader, absl::StatusCode::kFailedPrecondition,
                "model.test: tensor 'm0.weight'");
    ExpectError(
        reader, absl::StatusCode::kFailedPrecondition,
        "quantize decodes it and quantizes anew, which is not lossless");
  }
  const auto small = Quantize("int4,group=8,scale_dtype=f16", {{8, 8}}, kPlain);
  ExpectError(MakeRepackingReader(small, kGptq),
              absl::StatusCode::kFailedPrecondition,
              "rows are no multiple of 32");
}

// In torch's modules embeddings have codes without a sign, and others have them
// with one, wherever they come from.
TEST(RepackingReaderTest, ModulesOfTorch) {
  for (const char* spec : {"int8", "uint8"}) {
    MemoryReader original;
    for (const auto& [name, shape] : std::vector<std::pair<std::string, Shape>>{
             {"embed.weight", {40, 6}},
             {"fc.weight", {12, 6}},
             {"conv.weight", {8, 3, 5}}}) {
      original.Add(name, shape, testing::Make(Values::kRandom, Count(shape)),
                   DType::kF32);
    }
    const auto plan =
        MakePlan(original.index(), testing::EveryTensor(spec), PlanOptions());
    ASSERT_TRUE(plan.ok()) << plan.status();
    const std::shared_ptr<MemoryReader> plain = Execute(original, *plan);
    ASSERT_NE(plain, nullptr);
    const std::shared_ptr<MemoryReader> there = Repack(plain, kTorchAo);
    ASSERT_NE(there, nullptr);
    const std::vector<QuantizedTensor>& weights = there->index().quant.tensors;
    ASSERT_EQ(weights.size(), 3u);
    EXPECT_EQ(weights[0].scheme.format, NumberFormat::kUInt8);
    EXPECT_EQ(weights[1].scheme.format, NumberFormat::kInt8);
    EXPECT_EQ(weights[2].scheme.format, NumberFormat::kInt8);
    EXPECT_EQ(there->index().tensors[2].name, "embed.weight.zero_point");
    EXPECT_EQ(there->index().tensors[2].dtype, DType::kF32);
    ExpectSameFloats(plain, there);
    EXPECT_EQ(MakeRepackingReader(there, kTorchAo)->get(), there.get());
    const std::shared_ptr<MemoryReader> back = Repack(there, kPlain);
    ASSERT_NE(back, nullptr);
    ExpectSameFloats(plain, back);
  }
}

// Scales that are quantized become the floats that they stand for, and never
// come to be.
TEST(RepackingReaderTest, NestedScales) {
  constexpr QuantStorage kNested = QuantStorage::kBitsandbytesNested;
  const std::vector<Shape> shapes = {{64, 192}, {320, 1088}};
  for (const char* spec : {"nf4,double_quant", "fp4,group=64,double_quant"}) {
    const auto nested = Quantize(spec, shapes, kBitsandbytes);
    ASSERT_NE(nested, nullptr);
    EXPECT_EQ(nested->index().quant.tensors[0].storage, kNested);
    EXPECT_EQ(MakeRepackingReader(nested, kNested)->get(), nested.get());
    for (const QuantStorage to : {kPlain, kBitsandbytes}) {
      const auto repacked = Repack(nested, to);
      ASSERT_NE(repacked, nullptr);
      EXPECT_EQ(repacked->index().quant.tensors[0].storage, to);
      ExpectSameFloats(nested, repacked);
      const auto reader = MakeRepackingReader(repacked, kNested);
      ExpectError(reader, absl::StatusCode::kFailedPrecondition,
                  "model.test: tensor 'm0.weight'");
      ExpectError(reader, absl::StatusCode::kFailedPrecondition,
                  "group 64: bitsandbytes-nested has scales that are quantized "
                  "themselves; quantize decodes it and quantizes anew");
    }
  }
}

// A scale is never rounded: it is a number of the new type, or an error.
TEST(RepackingReaderTest, ScalesOfAnotherType) {
  const auto base = Quantize("int4,group=32", {{32, 64}}, kPlain);
  const TensorInfo& info = base->index().tensors[1];
  ASSERT_EQ(info.name, "m0.weight.scale");
  for (const QuantStorage to : {kGptq, kAwq}) {
    const auto reader = *MakeRepackingReader(base, to);
    EXPECT_TRUE(ReadAll(*reader, 0).ok());
    ExpectError(ReadAll(*reader, 1), absl::StatusCode::kFailedPrecondition,
                "dir/model.test: tensor 'm0.weight': the scale 0.");
    ExpectError(ReadAll(*reader, 1), absl::StatusCode::kFailedPrecondition,
                absl::StrCat("is no number of F16, which scales of ",
                             StorageName(to), " are"));
  }
  // These are.
  auto exact = std::make_shared<MemoryReader>();
  exact->mutable_index().quant = base->index().quant;
  std::vector<float> scales(Count(info.shape), 0.25f);
  scales[1] = -0.0f;
  scales[2] = 5.9604645e-8f;  // the smallest of F16
  scales[3] = std::nanf("");
  scales[4] = INFINITY;
  exact->AddBytes("m0.weight", base->index().tensors[0].dtype,
                  base->index().tensors[0].shape, base->bytes(0));
  exact->Add(info.name, info.shape, scales);
  exact->AddBytes("m0.weight.zero_point", DType::kI8, {}, {0});
  const auto gptq = Repack(exact, kGptq);
  ASSERT_NE(gptq, nullptr);
  EXPECT_EQ(gptq->index().quant.tensors[0].scheme.scale_dtype, DType::kF16);
  const auto back = Repack(gptq, kPlain);
  ASSERT_NE(back, nullptr);
  EXPECT_EQ(back->index().tensors[1].dtype, DType::kF16);
  std::vector<float> found(scales.size());
  ToFloat(DType::kF16, back->bytes(1).data(), absl::MakeSpan(found));
  EXPECT_EQ(std::memcmp(found.data(), scales.data(), 3 * sizeof(float)), 0);
  EXPECT_TRUE(std::isnan(found[3]));
  EXPECT_EQ(found[4], INFINITY);
}

// A checkpoint with these zero points and nothing else of interest.
std::shared_ptr<MemoryReader> WithZeroPoints(NumberFormat format,
                                             bool symmetric,
                                             const std::vector<uint8_t>& zeros,
                                             QuantStorage storage = kPlain) {
  QuantScheme scheme;
  scheme.format = format;
  scheme.symmetric = symmetric;
  scheme.scale_dtype = DType::kF16;
  const Shape shape = {32, 8};
  auto reader = std::make_shared<MemoryReader>();
  const StoredWeight stored =
      StoreWeight(storage, "m.weight", scheme, shape).value();
  const uint64_t bytes =
      ByteSize(stored.codes.dtype, stored.codes.shape).value();
  reader->AddBytes(stored.codes.name, stored.codes.dtype, stored.codes.shape,
                   std::vector<uint8_t>(static_cast<size_t>(bytes), 0x21));
  reader->Add(stored.scale->name, stored.scale->shape,
              std::vector<float>(32, 0.5f), DType::kF16);
  reader->AddBytes(stored.zero_point->name, stored.zero_point->dtype,
                   zeros.size() == 32 && storage == kPlain
                       ? Shape{32}
                       : stored.zero_point->shape,
                   zeros);
  reader->mutable_index().quant.tensors.push_back(
      RecordOf("m.weight", scheme, storage, stored, DType::kF16, shape));
  return reader;
}

TEST(RepackingReaderTest, ZeroPointsThatHaveNoPlace) {
  std::vector<uint8_t> zeros(32, 3);
  const auto three = WithZeroPoints(NumberFormat::kUInt4, false, zeros);
  ExpectSameFloats(three, Repack(three, kGptq));
  zeros[6] = 0;
  const auto lowest = WithZeroPoints(NumberFormat::kUInt4, false, zeros);
  const auto gptq = *MakeRepackingReader(lowest, kGptq);
  // Whichever is read first.
  for (const size_t part : {size_t{1}, size_t{2}}) {
    ExpectError(ReadAll(*gptq, part), absl::StatusCode::kFailedPrecondition,
                "dir/model.test: tensor 'm.weight': the zero point of scale 6 "
                "is 0, and gptq has those from 1 to 15; quantize decodes it");
  }
  ExpectSameFloats(lowest, Repack(lowest, kAwq));

  // A byte that is no level of four bits.
  zeros[6] = 16;
  const auto none = WithZeroPoints(NumberFormat::kUInt4, false, zeros);
  ExpectError(ReadAll(**MakeRepackingReader(none, kAwq), 1),
              absl::StatusCode::kFailedPrecondition,
              "the zero point of scale 6 is 16, and awq has those from 0 to "
              "15");

  // Symmetric by what is said, but not by what is stored.
  zeros.assign(32, 8);
  const auto eight = WithZeroPoints(NumberFormat::kUInt4, true, zeros);
  ExpectSameFloats(eight, Repack(eight, kWords));
  ExpectSameFloats(eight, Repack(eight, kGptq));
  zeros[31] = 7;
  const auto seven = WithZeroPoints(NumberFormat::kUInt4, true, zeros);
  for (const QuantStorage to : {kWords, kGptq, kAwq}) {
    ExpectError(ReadAll(**MakeRepackingReader(seven, to), 1),
                absl::StatusCode::kFailedPrecondition,
                "the zero point of scale 31 is 7, and not 8 as in a symmetric "
                "scheme");
  }
}

// torchao stores zero points of symmetric weights too. They are none of the
// parts that other storages have.
TEST(RepackingReaderTest, ZeroPointsThatShouldBeNone) {
  const auto plain = Quantize("int8", {{32, 64}}, kPlain);
  for (const QuantStorage from : {kTorchao, QuantStorage::kTorchaoBlocks}) {
    const auto good = StoreIn(*plain, from);
    ExpectSameFloats(plain, Repack(good, kWords));
    auto bad = std::make_shared<MemoryReader>();
    bad->mutable_index().quant = good->index().quant;
    for (size_t i = 0; i < good->index().tensors.size(); ++i) {
      const TensorInfo& info = good->index().tensors[i];
      std::vector<uint8_t> bytes = good->bytes(i);
      if (info.name == "m0._weight_zero_point") bytes[7] = 5;
      bad->AddBytes(info.name, info.dtype, info.shape, bytes);
    }
    const auto reader = *MakeRepackingReader(bad, kWords);
    ASSERT_EQ(reader->index().tensors[1].name, "m0.weight_scale");
    ExpectError(ReadAll(*reader, 1), absl::StatusCode::kFailedPrecondition,
                "the zero point of scale 7 is 5, and not 0 as in a symmetric "
                "scheme");
  }
}

TEST(RepackingReaderTest, BytesThatAreNoCodesOfFourBits) {
  const auto plain = Quantize("int4,group=32", {{32, 64}}, kPlain);
  const auto good = StoreIn(*plain, QuantStorage::kTorchaoBlocks);
  auto bad = std::make_shared<MemoryReader>();
  bad->mutable_index().quant = good->index().quant;
  for (size_t i = 0; i < good->index().tensors.size(); ++i) {
    const TensorInfo& info = good->index().tensors[i];
    std::vector<uint8_t> bytes = good->bytes(i);
    if (i == 0) bytes[100] = 9;
    bad->AddBytes(info.name, info.dtype, info.shape, bytes);
  }
  ExpectError(ReadAll(**MakeRepackingReader(bad, kWords), 0),
              absl::StatusCode::kDataLoss,
              "tensor 'm0._weight_qdata' has the code 9, which is no number of "
              "int4");
}

// Levels of uint4 less 8 are those of int4, and the other way round.
TEST(RepackingReaderTest, LevelsChangeTheirSign) {
  const auto unsigned_ =
      Quantize("uint4,group=32,scale_dtype=f16", {{32, 64}}, kGptq);
  const auto words = Repack(unsigned_, kWords);
  ASSERT_NE(words, nullptr);
  EXPECT_EQ(words->index().quant.tensors[0].scheme.format, NumberFormat::kInt4);
  ExpectSameTensors(
      *words, *Quantize("int4,group=32,scale_dtype=f16", {{32, 64}}, kWords));
  const auto bytes = Quantize("uint8", {{32, 64}}, kPlain);
  const auto torchao = Repack(bytes, kTorchao);
  ASSERT_NE(torchao, nullptr);
  EXPECT_TRUE(IsSigned(torchao->index().quant.tensors[0]));
  ExpectSameFloats(bytes, torchao);
}

// ------------------------------------------------------------ act order --

TEST(RepackingReaderTest, ColumnsInAnotherOrder) {
  const auto base =
      Quantize("int4,group=32,scale_dtype=f16", {{32, 64}}, kGptq);
  const auto with_groups = [&](std::vector<int32_t> groups) {
    auto reader = std::make_shared<MemoryReader>();
    for (size_t i = 0; i < 4; ++i) {
      const TensorInfo& info = base->index().tensors[i];
      std::vector<uint8_t> bytes = base->bytes(i);
      if (info.name == "m0.g_idx") {
        std::memcpy(bytes.data(), groups.data(), bytes.size());
      }
      reader->AddBytes(info.name, info.dtype, info.shape, std::move(bytes));
    }
    reader->mutable_index().quant = base->index().quant;
    return reader;
  };
  std::vector<int32_t> groups(64, 0);
  std::fill(groups.begin() + 32, groups.end(), 1);
  EXPECT_TRUE(MakeRepackingReader(with_groups(groups), kAwq).ok());
  std::swap(groups[31], groups[32]);
  for (const QuantStorage to : {kPlain, kGptq, kAwq}) {
    ExpectError(MakeRepackingReader(with_groups(groups), to),
                absl::StatusCode::kFailedPrecondition,
                "tensor 'm0.weight', int4 group 32 symmetric, F16 scales: "
                "columns that share a scale lie apart (act order)");
  }
  groups[0] = 2;
  ExpectError(MakeRepackingReader(with_groups(groups), kAwq),
              absl::StatusCode::kDataLoss, "column 0 is in group 2");
}

// -------------------------------------------------------------- checkpoints --

TEST(RepackingReaderTest, NothingToDo) {
  const auto words = Quantize("int4,group=32", {{32, 64}}, kWords);
  EXPECT_EQ(*MakeRepackingReader(words, kWords), words);
  auto floats = std::make_shared<MemoryReader>();
  floats->Add("w", {8, 8}, testing::Make(Values::kRandom, 64));
  EXPECT_EQ(*MakeRepackingReader(floats, kGptq), floats);
}

TEST(RepackingReaderTest, TiesAndOtherTensors) {
  MemoryReader original;
  original.Add("bias", {8}, testing::Make(Values::kRandom, 8));
  original.Add("a.weight", {32, 64}, testing::Make(Values::kRandom, 2048));
  original.AddTie("b.weight", 1);
  original.AddTie("other", 0);
  original.mutable_index().metadata = {{"k", "v"}};
  Recipe recipe;
  recipe.rules.push_back(*ParseRule("a.*=int4,group=32,scale_dtype=f16"));
  recipe.only_rules = true;
  const auto base = Execute(original, *MakePlan(original.index(), recipe));
  ASSERT_NE(base, nullptr);
  const auto reader = *MakeRepackingReader(base, kGptq);
  const std::vector<TensorInfo>& tensors = reader->index().tensors;
  std::vector<std::string> names;
  for (const TensorInfo& tensor : tensors) names.push_back(tensor.name);
  ASSERT_EQ(names,
            (std::vector<std::string>{
                "bias", "a.qweight", "a.scales", "a.qzeros", "a.g_idx",
                "b.qweight", "b.scales", "b.qzeros", "b.g_idx", "other"}));
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(tensors[i].tie, kNoTie);
  for (size_t i = 5; i < 9; ++i) EXPECT_EQ(tensors[i].tie, i - 4);
  EXPECT_EQ(tensors[9].tie, 0u);
  EXPECT_EQ(reader->index().metadata, base->index().metadata);
  EXPECT_TRUE(reader->Locate(0).has_value());
  EXPECT_FALSE(reader->Locate(1).has_value());
  EXPECT_EQ(*ReadAll(*reader, 9), original.bytes(0));
  EXPECT_EQ(*ReadAll(*reader, 6), *ReadAll(*reader, 2));
  ExpectSameFloats(base, Copy(*reader));

  // The same codes with other scales are another weight.
  base->mutable_index().tensors[5].tie = kNoTie;  // b.weight.scale
  ASSERT_EQ(base->index().tensors[5].name, "b.weight.scale");
  const auto untied = *MakeRepackingReader(base, kGptq);
  EXPECT_EQ(untied->index().tensors[5].tie, kNoTie);
}

TEST(RepackingReaderTest, NamesThatAreTaken) {
  const auto base =
      Quantize("int4,group=32,scale_dtype=f16", {{32, 64}}, kPlain);
  base->Add("m0.scales", {1}, std::vector<float>{1});
  ExpectError(MakeRepackingReader(base, kGptq),
              absl::StatusCode::kFailedPrecondition,
              "tensor 'm0.scales' has the name that a part of a quantized "
              "tensor would get in gptq");
}

// torchao's files describe their tensors under the names of these.
TEST(RepackingReaderTest, DescriptionsOfTorchaoGo) {
  const auto base = Quantize("int8", {{32, 64}}, kTorchao);
  base->mutable_index().metadata = {
      {"m0.weight", "{}"}, {"mine", "text"}, {"tensor_names", "[]"}};
  const auto reader = *MakeRepackingReader(base, kPlain);
  EXPECT_EQ(
      reader->index().metadata,
      (std::vector<std::pair<std::string, std::string>>{{"mine", "text"}}));
}

// torch quantizes modules, and not all of them.
TEST(RepackingReaderTest, ModulesThatTorchHasNot) {
  MemoryReader original;
  original.Add("a.in_proj_weight", {96, 32},
               testing::Make(Values::kRandom, 96 * 32));
  original.Add("a.out_proj.weight", {32, 32},
               testing::Make(Values::kRandom, 1024));
  Recipe recipe;
  recipe.rules.push_back(*ParseRule("*.out_proj.weight=int8"));
  recipe.only_rules = true;
  const auto base = Execute(original, *MakePlan(original.index(), recipe));
  ASSERT_NE(base, nullptr);
  ExpectError(MakeRepackingReader(base, kTorchAo),
              absl::StatusCode::kFailedPrecondition,
              "torch-ao has no place for module 'a.out_proj', which is a part "
              "of a MultiheadAttention");
}

// A range takes memory for a few blocks, however large the weight is.
TEST(RepackingReaderTest, BoundedReads) {
  const auto words =
      Quantize("int4,group=32,scale_dtype=f16", {{4096, 1024}}, kWords);
  const auto gptq = *MakeRepackingReader(words, kGptq);
  ASSERT_TRUE(ReadAll(*gptq, 0).ok());
  EXPECT_LE(words->largest_read(), uint64_t{1} << 17);
}

}  // namespace
}  // namespace monoquant
