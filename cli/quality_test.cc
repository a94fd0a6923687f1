// Guards the mean and worst SQNR of every summary.

#include "cli/quality.h"

#include <limits>

#include "gtest/gtest.h"

namespace monoquant::cli {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(QualityTest, ExactTensorsAreNotInTheMean) {
  Quality quality;
  quality.Add("a", 40);
  quality.Add("b", kInfinity);
  quality.Add("c", 30);
  EXPECT_EQ(quality.mean_db(), 35);
  EXPECT_EQ(quality.worst_db(), 30);
  EXPECT_EQ(quality.ToString(),
            "SQNR 35.0 dB mean, 30.0 dB worst (c), 1 exact");
  EXPECT_EQ(quality.ToJson().ToString(),
            R"({"mean":35.0,"min":30.0,"worst_tensor":"c","exact_tensors":1})");
}

TEST(QualityTest, AllExact) {
  Quality quality;
  quality.Add("a", kInfinity);
  EXPECT_EQ(quality.ToString(), "exact");
  EXPECT_EQ(
      quality.ToJson().ToString(),
      R"({"mean":null,"min":null,"worst_tensor":null,"exact_tensors":1})");
}

TEST(QualityTest, AnErrorWithoutSignalIsTheWorst) {
  Quality quality;
  quality.Add("a", 40);
  quality.Add("b\n", -kInfinity);
  EXPECT_EQ(quality.ToString(), "SQNR -inf dB mean, -inf dB worst (b\\n)");
}

}  // namespace
}  // namespace monoquant::cli
