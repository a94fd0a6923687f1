// Guards: the figures and histograms that a person judges a weight by.

#include "core/tensor_survey.h"

#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/testing/memory_reader.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;
using testing::MemoryReader;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::shared_ptr<MemoryReader> Reader(std::vector<int64_t> shape,
                                     std::vector<float> values) {
  auto reader = std::make_shared<MemoryReader>();
  reader->Add("w", std::move(shape), std::move(values));
  return reader;
}

absl::StatusOr<Json> Survey(std::shared_ptr<const MemoryReader> reader,
                            std::optional<SurveyedTensor> other, size_t bins) {
  auto survey =
      TensorSurvey::Create({std::move(reader), 0}, std::move(other), bins);
  if (!survey.ok()) return survey.status();
  EXPECT_FALSE((*survey)->Describe().ok());
  while (true) {
    const absl::StatusOr<bool> more = (*survey)->Step();
    if (!more.ok()) return more.status();
    if (!*more) break;
  }
  EXPECT_EQ((*survey)->bytes_done(), (*survey)->bytes_total());
  return (*survey)->Describe();
}

std::string At(const Json& json, const std::string& key) {
  const Json* member = json.Find(key);
  return member == nullptr ? "absent" : member->ToString();
}

TEST(TensorSurveyTest, FiguresOfATensor) {
  const Json json =
      Survey(Reader({2, 4}, {-1, 0, 0.5f, 3, kInfinity, NAN, 1, 2.5f}), {}, 4)
          .value();
  EXPECT_EQ(At(json, "tensor"), "\"w\"");
  EXPECT_EQ(At(json, "shape"), "[2,4]");
  EXPECT_EQ(At(json, "count"), "6");
  EXPECT_EQ(At(json, "nonfinite"), "2");
  EXPECT_EQ(At(json, "zeros"), "1");
  EXPECT_EQ(*json.Find("min")->AsDouble(), -1);
  EXPECT_EQ(*json.Find("max")->AsDouble(), 3);
  EXPECT_EQ(*json.Find("mean")->AsDouble(), 1);
  EXPECT_NEAR(*json.Find("std")->AsDouble(), std::sqrt(11.5 / 6), 1e-12);
  // The ends belong to the first and the last one.
  EXPECT_EQ(At(json, "bins"), "[1,2,1,2]");
  EXPECT_EQ(At(json, "against"), "absent");
  EXPECT_EQ(At(json, "error"), "absent");
}

TEST(TensorSurveyTest, TwoVersionsShareTheRangeOfTheFirst) {
  const auto other = Reader({4}, {-2, 1, 2, 9});
  const Json json =
      Survey(Reader({4}, {0, 1, 2, 4}), SurveyedTensor{other, 0}, 4).value();
  EXPECT_EQ(At(json, "bins"), "[1,1,1,1]");
  const Json& against = *json.Find("against");
  EXPECT_EQ(At(against, "bins"), "[1,1,1,1]");
  EXPECT_EQ(*against.Find("min")->AsDouble(), -2);
  EXPECT_EQ(*against.Find("max")->AsDouble(), 9);
  const Json& error = *json.Find("error");
  // -2, 0, 0 and 5 over [-5, 5].
  EXPECT_EQ(At(error, "bins"), "[0,1,2,1]");
  EXPECT_EQ(*error.Find("max_abs_error")->AsDouble(), 5);
  EXPECT_NEAR(*error.Find("mse")->AsDouble(), 29.0 / 4, 1e-6);
}

TEST(TensorSurveyTest, MoreThanOnePiece) {
  std::vector<float> values(300'000, 1);
  values.back() = 2;
  const Json json = Survey(Reader({300, 1000}, values), {}, 2).value();
  EXPECT_EQ(At(json, "bins"), "[299999,1]");
}

TEST(TensorSurveyTest, NothingAndEqualValues) {
  EXPECT_EQ(At(Survey(Reader({0, 3}, {}), {}, 3).value(), "bins"), "[0,0,0]");
  EXPECT_EQ(At(Survey(Reader({3}, {7, 7, 7}), {}, 3).value(), "bins"),
            "[3,0,0]");
  const Json json = Survey(Reader({1}, {NAN}), {}, 2).value();
  EXPECT_EQ(At(json, "bins"), "[0,0]");
  EXPECT_EQ(*json.Find("mean")->AsDouble(), 0);
}

TEST(TensorSurveyTest, WhatCannotBeSurveyed) {
  const auto refused = absl::StatusCode::kInvalidArgument;
  auto reader = std::make_shared<MemoryReader>();
  reader->AddBytes("ids", DType::kI64, {1}, std::vector<uint8_t>(8));
  ExpectError(Survey(reader, {}, 4).status(), refused,
              "'ids' is I64; only floats have a distribution");
  ExpectError(Survey(Reader({1}, {1}), SurveyedTensor{reader, 0}, 4).status(),
              refused, "'ids'");
  ExpectError(
      Survey(Reader({2}, {1, 2}), SurveyedTensor{Reader({1, 2}, {1, 2}), 0}, 4)
          .status(),
      refused, "only equal shapes compare");
  ExpectError(Survey(Reader({1}, {1}), {}, 1).status(), refused, "1 bins");
  ExpectError(Survey(Reader({1}, {1}), {}, 1025).status(), refused,
              "use 2 to 1024");
}

}  // namespace
}  // namespace monoquant
