// Guards: exactly the tensors that are copied and lie in a file unchanged are
// linked.

#include "exporters/mqir_links.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/plan.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {
namespace {

// Says where tensors lie and cannot read them: links need no payload.
class LocatingReader : public CheckpointReader {
 public:
  explicit LocatingReader(std::vector<std::optional<FileExtent>> extents)
      : extents_(std::move(extents)) {
    index_.container = "fake";
  }
  const CheckpointIndex& index() const override { return index_; }
  absl::Status Read(size_t, uint64_t, uint64_t,
                    absl::Span<uint8_t>) const override {
    return absl::InternalError("payload was read");
  }
  std::optional<FileExtent> Locate(size_t tensor) const override {
    return extents_[tensor];
  }

 private:
  CheckpointIndex index_;
  std::vector<std::optional<FileExtent>> extents_;
};

Plan PlanOf(const std::vector<Action>& actions) {
  Plan plan;
  for (size_t i = 0; i < actions.size(); ++i) {
    TensorPlan& tensor = plan.tensors.emplace_back();
    tensor.input = i;
    tensor.action = actions[i];
    tensor.output = 10 + i;
  }
  return plan;
}

TEST(MqirLinksTest, CopiedTensorsThatLieUnchangedAreLinked) {
  const CheckpointFiles files = InMemoryFiles(
      "dir", {{"a.bin", std::string(100, 'a')}, {"b.bin", "bbb"}});
  const LocatingReader reader({
      FileExtent{"a.bin", 64, 30},
      std::nullopt,                 // strided, say
      FileExtent{"a.bin", 0, 8},    // quantized
      FileExtent{"a.bin", 64, 30},  // tied to the first
      FileExtent{"b.bin", 1, 2},
      FileExtent{"b.bin", 3, 0},  // empty: nothing to link
  });
  const auto links =
      FindLinks(files, reader,
                PlanOf({Action::kCopy, Action::kCopy, Action::kQuantize,
                        Action::kTie, Action::kCopy, Action::kCopy}));
  ASSERT_TRUE(links.ok()) << links.status();
  ASSERT_EQ(links->size(), 2u);
  const MqirLink& a = (*links)[0];
  EXPECT_EQ(a.tensor, 10u);
  EXPECT_EQ(a.file, "a.bin");
  EXPECT_EQ(a.file_size, 100u);
  EXPECT_EQ(a.offset, 64u);
  EXPECT_EQ(a.container, "fake");
  const MqirLink& b = (*links)[1];
  EXPECT_EQ(b.tensor, 14u);
  EXPECT_EQ(b.file_size, 3u);
}

TEST(MqirLinksTest, AFileThatCannotBeOpenedIsAnError) {
  const LocatingReader reader({FileExtent{"gone.bin", 0, 1}});
  EXPECT_EQ(FindLinks(InMemoryFiles("dir", {{"a.bin", ""}}), reader,
                      PlanOf({Action::kCopy}))
                .status()
                .code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace monoquant
