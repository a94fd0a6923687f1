#include "ir/unfinished_output.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/output_place.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

namespace fs = std::filesystem;
using ::monoquant::testing::ExpectError;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class UnfinishedOutputTest : public ::testing::Test {
 protected:
  UnfinishedOutputTest() {
    std::string pattern = ::testing::TempDir() + "/unfinished_XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~UnfinishedOutputTest() override { fs::remove_all(root_); }

  absl::StatusOr<std::unique_ptr<UnfinishedOutput>> Claim(
      const std::string& key) const {
    return UnfinishedOutput::Claim("out", {root_, "out"}, key);
  }

  // A run that is interrupted after these records.
  void Leave(const std::string& key, const std::vector<std::string>& records) {
    const auto output = Claim(key).value();
    std::ofstream(output->PartPath()) << "bytes";
    for (const std::string& record : records) output->Add(record);
  }

  bool HasPart() const { return fs::exists(root_ + "/.out.mq-resume.tmp"); }
  bool IsEmptyFolder() const { return fs::is_empty(root_); }

  std::string root_;
};

TEST_F(UnfinishedOutputTest, RecordsAreThereForTheNextRun) {
  Leave("key", {"one", "", std::string("\0\n", 2)});
  {
    const auto output = Claim("key").value();
    EXPECT_THAT(output->records(),
                ElementsAre("one", "", std::string("\0\n", 2)));
    EXPECT_TRUE(output->worth_keeping());
    output->Add("four");
  }
  EXPECT_THAT(Claim("key").value()->records(),
              ElementsAre("one", "", std::string("\0\n", 2), "four"));
}

TEST_F(UnfinishedOutputTest, NothingStaysWithoutARecord) {
  Leave("key", {});
  EXPECT_TRUE(IsEmptyFolder());
}

TEST_F(UnfinishedOutputTest, NothingStaysAfterRemove) {
  Leave("key", {"one"});
  const auto output = Claim("key").value();
  output->Remove();
  EXPECT_FALSE(output->worth_keeping());
  EXPECT_TRUE(IsEmptyFolder());
}

TEST_F(UnfinishedOutputTest, AnotherKeyBeginsAnew) {
  Leave("key", {"one"});
  {
    const auto output = Claim("other").value();
    EXPECT_THAT(output->records(), IsEmpty());
    output->Add("two");
  }
  EXPECT_THAT(Claim("key").value()->records(), IsEmpty());
  // One that begins like the other.
  Leave("key", {"one"});
  EXPECT_THAT(Claim("ke").value()->records(), IsEmpty());
}

TEST_F(UnfinishedOutputTest, RecordsMeanNothingWithoutTheirParts) {
  Leave("key", {"one"});
  ASSERT_TRUE(HasPart());
  fs::remove(root_ + "/.out.mq-resume.tmp");
  EXPECT_THAT(Claim("key").value()->records(), IsEmpty());
  // A second name: somebody else may write to it.
  Leave("key", {"one"});
  fs::create_hard_link(root_ + "/.out.mq-resume.tmp", root_ + "/other");
  EXPECT_THAT(Claim("key").value()->records(), IsEmpty());
}

TEST_F(UnfinishedOutputTest, TheEndOfALogMayBeLost) {
  Leave("key", {"first", "second"});
  const std::string log = root_ + "/.out.mq-resume.log";
  const auto size = fs::file_size(log);
  fs::resize_file(log, size - 1);
  {
    const auto output = Claim("key").value();
    EXPECT_THAT(output->records(), ElementsAre("first"));
    output->Add("third");
  }
  EXPECT_THAT(Claim("key").value()->records(), ElementsAre("first", "third"));
}

TEST_F(UnfinishedOutputTest, BelongsToOneAtATime) {
  Leave("key", {"one"});
  {
    const auto output = Claim("key").value();
    ExpectError(Claim("key").status(), absl::StatusCode::kAlreadyExists,
                "out: another run is writing it");
    ExpectError(Claim("other").status(), absl::StatusCode::kAlreadyExists,
                "choose another output");
    // Whoever came second has changed nothing.
    EXPECT_TRUE(HasPart());
    output->Add("two");
  }
  EXPECT_THAT(Claim("key").value()->records(), ElementsAre("one", "two"));
}

TEST_F(UnfinishedOutputTest, PlacesOfOutputs) {
  fs::create_directory(root_ + "/there");
  const OutputPlace there = PlaceOfDirectory(root_ + "/there//");
  EXPECT_EQ(there.directory, root_ + "/there");
  EXPECT_EQ(there.name, "there");
  const OutputPlace new_one = PlaceOfDirectory(root_ + "/new/");
  EXPECT_EQ(new_one.directory, root_ + "/");
  EXPECT_EQ(new_one.name, "new");
  EXPECT_EQ(PlaceOfFile("out.pt")->directory, ".");
  fs::create_symlink("there/file", root_ + "/link");
  EXPECT_EQ(PlaceOfFile(root_ + "/link")->directory, root_ + "/there/");
  EXPECT_EQ(PlaceOfFile(root_ + "/link")->name, "file");
  fs::create_symlink("round", root_ + "/round");
  EXPECT_FALSE(PlaceOfFile(root_ + "/round").ok());
}

TEST_F(UnfinishedOutputTest, NamesFitAndDiffer) {
  EXPECT_EQ(PartName("out.pt"), ".out.pt.mq-resume.tmp");
  EXPECT_EQ(PartLogName("out.pt"), ".out.pt.mq-resume.log");
  const std::string name(250, 'n');
  EXPECT_EQ(PartName(name + "a").size(), 255u);
  EXPECT_NE(PartName(name + "a"), PartName(name + "b"));
  EXPECT_NE(PartName(name), PartLogName(name));
}

}  // namespace
}  // namespace monoquant
