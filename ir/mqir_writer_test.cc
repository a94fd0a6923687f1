#include "ir/mqir_writer.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "ir/mqir_format.h"
#include "ir/mqir_testing.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;
using ::monoquant::testing::MakeManifest;
using ::monoquant::testing::MakeMqir;
using ::monoquant::testing::MakeOutput;

TEST(MqirWriterTest, PayloadIsAlignedInOrderAndApart) {
  const Manifest manifest = MakeManifest();
  const MqirLayout layout = LayoutMqir(manifest).value();
  ASSERT_EQ(layout.offsets.size(), manifest.tensors.size());
  uint64_t end = kMqirHeaderSize;
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    const OutputTensor& tensor = manifest.tensors[i];
    if (tensor.tie != kNoTie) {
      EXPECT_EQ(layout.offsets[i], layout.offsets[tensor.tie]);
      continue;
    }
    EXPECT_EQ(layout.offsets[i] % kMqirAlignment, 0u);
    EXPECT_GE(layout.offsets[i], end);
    end = layout.offsets[i] + tensor.byte_size;
  }
  EXPECT_EQ(layout.file_size, end);
}

// Everything is planned before the checksums are known, so they must not move
// anything: not even 0 and the largest value.
TEST(MqirWriterTest, SizeDoesNotDependOnChecksums) {
  const Manifest manifest = MakeManifest();
  const MqirLayout layout = LayoutMqir(manifest).value();
  const size_t n = manifest.tensors.size();
  const std::string zeros =
      BuildMqirHeadAndIndex(manifest, layout, std::vector<uint32_t>(n, 0))
          .value();
  const std::string ones =
      BuildMqirHeadAndIndex(manifest, layout,
                            std::vector<uint32_t>(n, 0xFFFFFFFF))
          .value();
  EXPECT_NE(zeros, ones);
  EXPECT_EQ(zeros.size(), ones.size());
  EXPECT_EQ(zeros.size(), layout.offsets[0]);
}

// Equal manifests give equal bytes.
TEST(MqirWriterTest, Repeatable) {
  EXPECT_EQ(MakeMqir(MakeManifest()), MakeMqir(MakeManifest()));
}

TEST(MqirWriterTest, LinkedTensorsTakeNoSpace) {
  const Manifest manifest = MakeManifest();
  std::vector<MqirLink> links;
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    if (manifest.tensors[i].tie == kNoTie) {
      links.push_back({i, "model.pt", 5000, 100 + i, "torch"});
    }
  }
  const MqirLayout layout = LayoutMqir(manifest, links).value();
  EXPECT_LT(layout.file_size, 3000u);
  EXPECT_EQ(layout.offsets[1], 101u);
  EXPECT_EQ(layout.offsets[4], layout.offsets[0]);
}

TEST(MqirWriterTest, Refuses) {
  const MqirLink good = {0, "model.pt", 1000, 0, ""};
  const struct {
    std::function<void(Manifest&, std::vector<MqirLink>&)> damage;
    const char* message;
  } cases[] = {
      {[](auto& m, auto&) { m.tensors[1].name = "fc.weight"; },
       "cannot write an .mqir file: tensor 'fc.weight': the name occurs twice"},
      {[](auto& m, auto&) { m.tensors[1].byte_size = 3; }, "needs 16"},
      {[](auto& m, auto&) { m.tensors[4].tie = 5; }, "does not come before"},
      {[](auto& m, auto&) { m.tensors[5].name = "\xFF"; }, "not UTF-8"},
      {[](auto& m, auto&) { m.tensors[0].module_kind = "\xFF"; }, "not UTF-8"},
      {[](auto& m, auto&) { m.metadata[0].second = "\xFF"; }, "not UTF-8"},
      {[](auto& m, auto&) { m.metadata[1].first = "author"; },
       "metadata key 'author' twice or out of order"},
      {[](auto& m, auto&) { m.record.recipe = "[]"; }, "no JSON object"},
      {[](auto& m, auto&) { m.record.tensors[0].scale = "none"; },
       "tensor 'fc.weight': its scales in 'none'"},
      {[](auto& m, auto&) {
         for (int i = 0; i < 16; ++i) {
           m.tensors.push_back(MakeOutput("huge" + std::to_string(i),
                                          DType::kU8, {int64_t{1} << 60}));
         }
       },
       "more than 2^64 bytes"},
      {[](auto&, auto& l) { l[0].tensor = 4; }, "is tied"},
      {[](auto&, auto& l) { l[0].tensor = 100; }, "does not exist"},
      {[](auto&, auto& l) { l.push_back(l[0]); }, "is linked twice"},
      {[](auto&, auto& l) {
         l.push_back(l[0]);
         l[1].tensor = 1;
         l[1].file_size = 7;
       },
       "disagree about the size of 'model.pt'"},
      {[](auto&, auto& l) { l[0].offset = 990; }, "beyond the end of its file"},
      {[](auto&, auto& l) { l[0].offset = UINT64_MAX; },
       "beyond the end of its file"},
      {[](auto&, auto& l) { l[0].file = "../model.pt"; },
       "would not lie beside this one"},
      {[](auto&, auto& l) { l[0].file = ""; }, "would not lie beside"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    Manifest manifest = MakeManifest();
    std::vector<MqirLink> links = {good};
    c.damage(manifest, links);
    ExpectError(LayoutMqir(manifest, links),
                absl::StatusCode::kFailedPrecondition, c.message);
  }
}

TEST(MqirWriterTest, RefusesAnIndexBeyondTheLimit) {
  Manifest manifest;
  manifest.tensors.resize(kMaxMqirTensors + 1);
  ExpectError(LayoutMqir(manifest), absl::StatusCode::kFailedPrecondition,
              "the index exceeds");
}

// A mistake of the caller, not of the user.
TEST(MqirWriterTest, ArgumentsThatDoNotFitEachOther) {
  const Manifest manifest = MakeManifest();
  const MqirLayout layout = LayoutMqir(manifest).value();
  ExpectError(BuildMqirHeadAndIndex(manifest, layout, {}),
              absl::StatusCode::kInternal, "0 checksums");
  ExpectError(
      BuildMqirHeadAndIndex(manifest, MqirLayout(), std::vector<uint32_t>(9)),
      absl::StatusCode::kInternal, "0 offsets");
}

}  // namespace
}  // namespace monoquant
