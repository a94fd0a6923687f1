#include "core/registry.h"

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/quant_scheme.h"

namespace monoquant {
namespace {

using ::testing::HasSubstr;

TEST(RegistryTest, EveryFormatHasItsCodec) {
  const Registry registry = DefaultRegistry();
  ASSERT_EQ(registry.codecs.size(), static_cast<size_t>(kNumNumberFormats));
  for (int i = 0; i < kNumNumberFormats; ++i) {
    const NumberFormat format = static_cast<NumberFormat>(i);
    const Codec& codec = registry.GetCodec(format);
    EXPECT_EQ(codec.format, format);
    EXPECT_FALSE(codec.description.empty());
    EXPECT_EQ(codec.qmin < codec.qmax, HasScales(format));
    // All whole numbers fit the bits.
    if (!HasZeroPoints(format)) continue;
    EXPECT_LE(codec.qmax - codec.qmin, (1 << codec.bits) - 1);
  }
}

TEST(RegistryTest, NamesAreUniqueAndFound) {
  const Registry registry = DefaultRegistry();
  std::set<std::string> names;
  for (const ObserverRow* row : registry.observers) {
    EXPECT_TRUE(names.insert(std::string(row->name)).second);
    EXPECT_EQ(registry.FindObserver(row->name), row);
    EXPECT_FALSE(row->description.empty());
    EXPECT_GT(row->bytes_per_slot, 0u);
  }
  for (const AlgorithmRow* row : registry.algorithms) {
    EXPECT_TRUE(names.insert(std::string(row->name)).second);
    EXPECT_EQ(registry.FindAlgorithm(row->name), row);
    EXPECT_FALSE(row->description.empty());
  }
  EXPECT_EQ(registry.FindObserver("none"), nullptr);
  EXPECT_EQ(registry.FindAlgorithm(""), nullptr);
  EXPECT_EQ(registry.FormatNames(),
            "int8, uint8, int4, uint4, fp16, bf16, fp8_e4m3, fp8_e5m2, nf4, "
            "fp4, fp4_e2m1, llm_int8");
}

// Whoever adds a row documents it.
TEST(RegistryTest, EveryRowIsDocumented) {
  std::ifstream file("docs/quantization.md");
  std::stringstream text;
  text << file.rdbuf();
  ASSERT_FALSE(text.str().empty());
  const Registry registry = DefaultRegistry();
  for (const Codec* codec : registry.codecs) {
    EXPECT_THAT(text.str(),
                HasSubstr("| `" + std::string(NumberFormatName(codec->format)) +
                          "` |"));
  }
  for (const ObserverRow* row : registry.observers) {
    EXPECT_THAT(text.str(), HasSubstr("| `" + std::string(row->name) + "` |"));
  }
  for (const AlgorithmRow* row : registry.algorithms) {
    EXPECT_THAT(text.str(), HasSubstr("| `" + std::string(row->name) + "` |"));
  }
}

}  // namespace
}  // namespace monoquant
