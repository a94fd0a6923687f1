// Guards: that findings which say the same are one, and that there are no more
// than a reader can hold.

#include "verify/finding.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr FindingKind kTensors = FindingKind::kTensors;

TEST(FindingsTest, TheSameOfSeveralTensorsIsOne) {
  Findings findings;
  findings.Error(kTensors, "f", "a", "is lost", "find it");
  findings.Error(kTensors, "f", "b", "is lost", "find it");
  findings.Warning(kTensors, "f", "c", "is lost", "find it");
  findings.Error(kTensors, "", "d", "is lost", "find it");
  findings.Error(kTensors, "", "", "is lost", "find it");
  ASSERT_EQ(findings.list().size(), 4u);
  EXPECT_THAT(findings.list()[0].tensors, ElementsAre("a", "b"));
  EXPECT_THAT(findings.list()[3].tensors, IsEmpty());
  EXPECT_EQ(findings.errors(), 3u);
  EXPECT_EQ(findings.warnings(), 1u);
}

TEST(FindingsTest, Messages) {
  Findings findings;
  findings.AddMessage(Severity::kError, kTensors, "",
                      "m: tensor 'a': is lost; gone; find it");
  findings.AddMessage(Severity::kError, kTensors, "", "m: it is bad");
  EXPECT_EQ(findings.list()[0].what, "m: tensor 'a': is lost; gone");
  EXPECT_EQ(findings.list()[0].remedy, "find it");
  EXPECT_EQ(findings.list()[1].what, "m: it is bad");
  EXPECT_EQ(findings.list()[1].remedy, "");
}

TEST(FindingsTest, Limit) {
  Findings findings;
  for (int i = 0; i < 1500; ++i) {
    for (const char* tensor : {"a", "b"}) {
      findings.Error(kTensors, "", tensor, absl::StrCat("is ", i), "");
    }
  }
  EXPECT_EQ(findings.list().size(), Findings::kMaxFindings);
  EXPECT_EQ(findings.errors(), 1500u);
}

}  // namespace
}  // namespace monoquant
