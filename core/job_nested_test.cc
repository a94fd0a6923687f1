// Weights whose scales are quantized themselves, as jobs write them.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/casts.h"
#include "core/dequantizing_reader.h"
#include "core/error_stats.h"
#include "core/job.h"
#include "core/nested_scales.h"
#include "core/plan.h"
#include "core/quantize_tensor.h"
#include "core/recipe.h"
#include "core/testing/memory_reader.h"
#include "core/testing/run_plan.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/manifest.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::EveryTensor;
using testing::ExpectError;
using testing::FinishedJob;
using testing::MemoryReader;
using testing::RunPlan;
using testing::Values;

constexpr uint64_t kSmallChunk = 64 << 10;

size_t Count(const Shape& shape) {
  return static_cast<size_t>(NumElements(shape).value());
}

Plan PlanFor(const MemoryReader& reader, absl::string_view spec) {
  PlanOptions options;
  options.storage = QuantStorage::kBitsandbytes;
  return MakePlan(reader.index(), EveryTensor(spec), options).value();
}

// The bytes of the output tensor that is called `name`.
const std::vector<uint8_t>& BytesOf(const FinishedJob& finished,
                                    absl::string_view name) {
  const std::vector<OutputTensor>& tensors = finished.plan.manifest.tensors;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].name == name) return finished.output->bytes(i);
  }
  ADD_FAILURE() << name << " is missing";
  return finished.output->bytes(0);
}

std::vector<float> FloatsOf(const std::vector<uint8_t>& bytes) {
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), bytes.size());
  return floats;
}

// What is written of one weight follows from what QuantizeTensor makes of it.
void ExpectNested(const FinishedJob& finished, const std::string& name,
                  const std::vector<float>& values, const Shape& shape,
                  const QuantScheme& scheme) {
  const QuantizedValues whole = QuantizeTensor(values, shape, scheme).value();
  std::vector<uint8_t> codes = whole.codes;
  for (uint8_t& byte : codes) {
    byte = static_cast<uint8_t>(byte << 4 | byte >> 4);
  }
  ASSERT_TRUE(BytesOf(finished, name) == codes);

  double sum = 0;
  std::vector<QParams> params;
  for (const float scale : whole.scales) {
    sum += static_cast<double>(scale);
    params.push_back({scale, 0});
  }
  const float offset =
      static_cast<float>(sum / static_cast<double>(params.size()));
  NestedScales nested;
  QuantizeScales(params, offset, &nested);
  EXPECT_TRUE(BytesOf(finished, name + ".absmax") == nested.codes);
  EXPECT_EQ(FloatsOf(BytesOf(finished, name + ".nested_absmax")),
            nested.block_scales);
  EXPECT_EQ(BytesOf(finished, name + ".nested_quant_map").size(), 1024u);
  const std::vector<uint8_t>& state =
      BytesOf(finished, absl::StrCat(name, ".quant_state.bitsandbytes__",
                                     NumberFormatName(scheme.format)));
  const Json json = ParseJson(std::string(state.begin(), state.end())).value();
  EXPECT_EQ(static_cast<float>(*json.Find("nested_offset")->AsDouble()),
            offset);
}

TEST(JobNestedTest, WhatIsWritten) {
  const Shape shapes[] = {{1, 64},    {6, 128},    {128, 128}, {257, 64},
                          {300, 192}, {700, 1024}, {3, 40960}, {2, 131072}};
  for (const char* spec :
       {"nf4,group=64,double_quant", "fp4,group=64,double_quant",
        "nf4,group=128,double_quant", "nf4,group=4096,double_quant"}) {
    for (const DType dtype : {DType::kBF16, DType::kF32, DType::kF64}) {
      SCOPED_TRACE(absl::StrCat(spec, " ", DTypeName(dtype)));
      const int64_t group = (*ParseSchemeSpec(spec))->group_size;
      MemoryReader reader;
      for (const Shape& shape : shapes) {
        if (shape[1] % group != 0) continue;
        const uint64_t seed = reader.index().tensors.size() + 1;
        reader.Add(absl::StrCat("m", seed, ".weight"), shape,
                   testing::Make(Values::kRandom, Count(shape), seed), dtype);
      }
      const Plan plan = PlanFor(reader, spec);
      const auto large = RunPlan(reader, plan);
      ASSERT_TRUE(large.ok()) << large.status();
      for (const TensorPlan& tensor : plan.tensors) {
        ASSERT_EQ(tensor.storage, QuantStorage::kBitsandbytesNested);
        const TensorInfo& info = reader.index().tensors[tensor.input];
        std::vector<float> values(Count(info.shape));
        ToFloat(info.dtype, reader.bytes(tensor.input).data(),
                absl::MakeSpan(values));
        SCOPED_TRACE(ShapeToString(info.shape));
        ExpectNested(*large, info.name, values, info.shape, tensor.scheme);
      }
      // However it is cut.
      for (const uint64_t chunk : {kSmallChunk, uint64_t{100003}}) {
        const auto small = RunPlan(reader, plan, chunk);
        ASSERT_TRUE(small.ok()) << small.status();
        ASSERT_TRUE(small->output->all() == large->output->all()) << chunk;
      }
    }
  }
}

TEST(JobNestedTest, AwkwardValues) {
  for (const Values kind : testing::kAllValues) {
    SCOPED_TRACE(Name(kind));
    MemoryReader reader;
    const Shape shape = {300, 192};
    const std::vector<float> values = testing::Make(kind, Count(shape));
    reader.Add("m.weight", shape, values);
    const Plan plan = PlanFor(reader, "nf4,group=64,double_quant");
    const auto finished = RunPlan(reader, plan, kSmallChunk);
    ASSERT_TRUE(finished.ok()) << finished.status();
    ExpectNested(*finished, "m.weight", values, shape, plan.tensors[0].scheme);
    // Zeros stay zeros, whatever their scales have become.
    const auto decoded =
        MakeDequantizingReader(finished->output->Open()).value();
    std::vector<float> floats(values.size());
    ASSERT_TRUE(
        decoded
            ->Read(0, 0, floats.size(),
                   absl::MakeSpan(reinterpret_cast<uint8_t*>(floats.data()),
                                  floats.size() * sizeof(float)))
            .ok());
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] != 0) continue;
      ASSERT_EQ(floats[i], 0) << i;
    }
  }
}

// The figures of the report are those of what will be read.
TEST(JobNestedTest, ErrorsAreThoseOfTheQuantizedScales) {
  MemoryReader reader;
  const Shape shape = {300, 192};
  const std::vector<float> values =
      testing::Make(Values::kRandom, Count(shape));
  reader.Add("m.weight", shape, values);
  const auto plain = RunPlan(reader, PlanFor(reader, "nf4,group=64"));
  const auto nested =
      RunPlan(reader, PlanFor(reader, "nf4,group=64,double_quant"));
  ASSERT_TRUE(plain.ok()) << plain.status();
  ASSERT_TRUE(nested.ok()) << nested.status();
  const std::shared_ptr<const CheckpointReader> decoded =
      MakeDequantizingReader(nested->output->Open()).value();
  std::vector<float> floats(values.size());
  ASSERT_TRUE(
      decoded
          ->Read(0, 0, floats.size(),
                 absl::MakeSpan(reinterpret_cast<uint8_t*>(floats.data()),
                                floats.size() * sizeof(float)))
          .ok());
  ErrorStats expected;
  expected.Add(values, floats);
  const ErrorStats& found = nested->results[0].error;
  EXPECT_EQ(found.count(), expected.count());
  EXPECT_NEAR(found.SqnrDb(), expected.SqnrDb(), 1e-4);
  EXPECT_NE(found.Mse(), plain->results[0].error.Mse());
  EXPECT_NEAR(found.SqnrDb(), plain->results[0].error.SqnrDb(), 0.2);
}

TEST(JobNestedTest, TiesShareAllParts) {
  MemoryReader reader;
  const Shape shape = {10, 128};
  reader.Add("a.weight", shape, testing::Make(Values::kRandom, Count(shape)));
  reader.AddTie("b.weight", 0);
  const Plan plan = PlanFor(reader, "nf4,double_quant");
  ASSERT_EQ(plan.manifest.tensors.size(), 12u);
  for (size_t i = 6; i < 12; ++i) {
    EXPECT_EQ(plan.manifest.tensors[i].tie, i - 6);
  }
  const auto finished = RunPlan(reader, plan);
  ASSERT_TRUE(finished.ok()) << finished.status();
}

TEST(JobNestedTest, NaNIsAnError) {
  MemoryReader reader;
  std::vector<float> values(128, 1.0f);
  values[70] = std::nanf("");
  reader.Add("a.weight", {1, 128}, values);
  ExpectError(RunPlan(reader, PlanFor(reader, "nf4,double_quant")).status(),
              absl::StatusCode::kFailedPrecondition,
              "tensor 'a.weight' holds NaN at index [0, 70]");
}

}  // namespace
}  // namespace monoquant
