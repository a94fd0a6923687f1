// Guards: files that appear together, whole or not at all, whatever fails; and
// that nothing of the user's is touched.

#include "ir/local_directory.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/local_files.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

namespace fs = std::filesystem;
using ::monoquant::testing::ExpectError;
using ::testing::ElementsAre;
using ::testing::StartsWith;

constexpr LocalSinkOptions kKeep = {.overwrite = false};
constexpr LocalSinkOptions kOverwrite = {.overwrite = true};

using Opened = absl::StatusOr<std::unique_ptr<LocalDirectory>>;

class LocalDirectoryTest : public ::testing::Test {
 protected:
  LocalDirectoryTest() {
    std::string pattern = ::testing::TempDir() + "/local_directory_XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~LocalDirectoryTest() override { fs::remove_all(root_); }

  std::string Path(const std::string& name) const { return root_ + "/" + name; }

  void Make(const std::string& name, const std::string& content) const {
    std::ofstream(Path(name), std::ios::binary) << content;
  }

  std::string Content(const std::string& name) const {
    std::ifstream in(Path(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }

  // Everything below the root, sorted.
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      names.push_back(fs::relative(entry.path(), root_).string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  std::string root_;
};

// Adds the file and commits its sink.
absl::Status Add(LocalDirectory& directory, const std::string& name,
                 const std::string& content) {
  absl::StatusOr<std::unique_ptr<ByteSink>> sink =
      directory.CreateSink(name, content.size());
  if (!sink.ok()) return sink.status();
  const absl::Status status = (*sink)->WriteAt(
      0, absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(content.data()),
                             content.size()));
  return status.ok() ? (*sink)->Commit() : status;
}

TEST_F(LocalDirectoryTest, AppearsAtCommit) {
  for (const char* spelling : {"out", "out2/", "out3//"}) {
    const std::string path = Path(spelling);
    const Opened directory = LocalDirectory::Create(path, kKeep);
    ASSERT_TRUE(directory.ok()) << directory.status();
    ASSERT_TRUE(Add(**directory, "a", "1").ok());
    ASSERT_TRUE(Add(**directory, "b", "").ok());
    EXPECT_FALSE(fs::exists(path));
    ASSERT_TRUE((*directory)->Commit().ok());
    EXPECT_TRUE(fs::is_directory(path));
  }
  EXPECT_THAT(Names(), ElementsAre("out", "out/a", "out/b", "out2", "out2/a",
                                   "out2/b", "out3", "out3/a", "out3/b"));
  EXPECT_EQ(Content("out/a"), "1");
}

TEST_F(LocalDirectoryTest, LiesUnderATemporaryNameBefore) {
  const Opened directory = LocalDirectory::Create(Path("out"), kKeep);
  ASSERT_TRUE(Add(**directory, "a", "1").ok());
  ASSERT_EQ(Names().size(), 2u);
  EXPECT_THAT(Names()[0], StartsWith(".out.mq-"));
}

TEST_F(LocalDirectoryTest, NothingWithoutCommit) {
  fs::create_directory(Path("there"));
  Make("there/old", "old");
  for (const char* name : {"out", "there"}) {
    const Opened directory = LocalDirectory::Create(Path(name), kOverwrite);
    ASSERT_TRUE(Add(**directory, "a", "1").ok());
    ASSERT_TRUE(Add(**directory, "old", "new").ok());
  }
  EXPECT_THAT(Names(), ElementsAre("there", "there/old"));
  EXPECT_EQ(Content("there/old"), "old");
}

TEST_F(LocalDirectoryTest, ModesFollowTheUmask) {
  const mode_t before = umask(027);
  const Opened directory = LocalDirectory::Create(Path("out"), kKeep);
  ASSERT_TRUE(Add(**directory, "a", "1").ok());
  ASSERT_TRUE((*directory)->Commit().ok());
  umask(before);
  struct stat info;
  ASSERT_EQ(stat(Path("out").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0750u);
  ASSERT_EQ(stat(Path("out/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST_F(LocalDirectoryTest, AddsToAnExistingDirectory) {
  fs::create_directory(Path("out"));
  Make("out/other", "stays");
  {
    const Opened directory = LocalDirectory::Create(Path("out"), kKeep);
    ASSERT_TRUE(Add(**directory, "a", "1").ok());
    ASSERT_TRUE((*directory)->Commit().ok());
  }
  EXPECT_THAT(Names(), ElementsAre("out", "out/a", "out/other"));
  EXPECT_EQ(Content("out/other"), "stays");
}

TEST_F(LocalDirectoryTest, ReplacesOnlyWhenAsked) {
  fs::create_directory(Path("out"));
  Make("out/a", "old");
  Make("target", "behind a link");
  fs::create_symlink("../target", Path("out/b"));
  {
    const Opened directory = LocalDirectory::Create(Path("out"), kKeep);
    ExpectError((*directory)->CreateSink("a", 1),
                absl::StatusCode::kAlreadyExists, "out/a: already exists");
    ExpectError((*directory)->CreateSink("b", 1),
                absl::StatusCode::kAlreadyExists, "out/b: already exists");
  }
  {
    const Opened directory = LocalDirectory::Create(Path("out"), kOverwrite);
    for (const char* name : {"a", "b", "c"}) {
      ASSERT_TRUE(Add(**directory, name, "new").ok());
    }
    EXPECT_EQ(Content("out/a"), "old");
    ASSERT_TRUE((*directory)->Commit().ok());
  }
  EXPECT_THAT(Names(), ElementsAre("out", "out/a", "out/b", "out/c", "target"));
  EXPECT_EQ(Content("out/a"), "new");
  // The link is replaced, not what it leads to.
  EXPECT_EQ(Content("out/b"), "new");
  EXPECT_EQ(Content("target"), "behind a link");
}

// Files that appear between creation and commit stay, and those that were in
// place already go.
TEST_F(LocalDirectoryTest, UndoesAHalfCommit) {
  fs::create_directory(Path("out"));
  {
    const Opened directory = LocalDirectory::Create(Path("out"), kKeep);
    ASSERT_TRUE(Add(**directory, "a", "1").ok());
    ASSERT_TRUE(Add(**directory, "b", "2").ok());
    Make("out/b", "late");
    ExpectError((*directory)->Commit(), absl::StatusCode::kAlreadyExists,
                "out/b: already exists");
  }
  EXPECT_THAT(Names(), ElementsAre("out", "out/b"));
  EXPECT_EQ(Content("out/b"), "late");
  fs::remove(Path("out/b"));
  Make("out/a", "old");
  {
    const Opened directory = LocalDirectory::Create(Path("out"), kOverwrite);
    ASSERT_TRUE(Add(**directory, "a", "1").ok());
    ASSERT_TRUE(Add(**directory, "new", "2").ok());
    ASSERT_TRUE(Add(**directory, "lost", "3").ok());
    for (const auto& entry : fs::directory_iterator(Path("out"))) {
      if (entry.is_directory()) fs::remove(entry.path() / "lost");
    }
    EXPECT_FALSE((*directory)->Commit().ok());
  }
  EXPECT_THAT(Names(), ElementsAre("out", "out/a"));
  EXPECT_EQ(Content("out/a"), "old");
}

TEST_F(LocalDirectoryTest, DoesNotMergeWithALateComer) {
  {
    const Opened directory = LocalDirectory::Create(Path("out"), kOverwrite);
    ASSERT_TRUE(Add(**directory, "a", "1").ok());
    fs::create_directory(Path("out"));
    Make("out/late", "x");
    ExpectError((*directory)->Commit(), absl::StatusCode::kAlreadyExists,
                "out: already exists");
  }
  EXPECT_THAT(Names(), ElementsAre("out", "out/late"));
}

TEST_F(LocalDirectoryTest, BadDestinations) {
  Make("file", "x");
  fs::create_symlink("nowhere", Path("dangling"));
  fs::create_directory(Path("dir"));
  fs::create_directory(Path("dir/sub"));
  const std::vector<std::string> before = Names();
  for (const LocalSinkOptions& options : {kKeep, kOverwrite}) {
    ExpectError(LocalDirectory::Create(Path("file"), options),
                absl::StatusCode::kInvalidArgument, "file: is no directory");
    ExpectError(LocalDirectory::Create(Path("none/out"), options),
                absl::StatusCode::kNotFound, "none/'; create it first");
    ExpectError(LocalDirectory::Create(Path("file/out"), options),
                absl::StatusCode::kNotFound, "Not a directory");
    ExpectError(LocalDirectory::Create(Path("dangling"), options),
                absl::StatusCode::kInvalidArgument, "leads nowhere");
    ExpectError(LocalDirectory::Create("", options),
                absl::StatusCode::kInvalidArgument, "no name");
    const Opened directory = LocalDirectory::Create(Path("dir"), options);
    ASSERT_TRUE(directory.ok()) << directory.status();
    ExpectError((*directory)->CreateSink("sub", 1),
                absl::StatusCode::kInvalidArgument, "sub: is a directory");
    for (const char* name : {"", ".", "..", "../x", "a/b"}) {
      ExpectError((*directory)->CreateSink(name, 1),
                  absl::StatusCode::kInvalidArgument, "is no name of a file");
    }
    ExpectError((*directory)->CreateSink(std::string(300, 'n'), 1),
                absl::StatusCode::kInvalidArgument, "too long");
  }
  EXPECT_EQ(Names(), before);
}

TEST_F(LocalDirectoryTest, NotEnoughSpace) {
  const Opened directory = LocalDirectory::Create(Path("out"), kKeep);
  ExpectError((*directory)->CreateSink("a", uint64_t{1} << 60),
              absl::StatusCode::kResourceExhausted, "out/a: ");
}

TEST_F(LocalDirectoryTest, EverySinkMustBeComplete) {
  const Opened directory = LocalDirectory::Create(Path("out"), kKeep);
  const auto sink = (*directory)->CreateSink("a", 1);
  ExpectError((*directory)->Commit(), absl::StatusCode::kInternal,
              "1 files were begun, but 0 are complete");
}

// More files than the process may have open.
TEST_F(LocalDirectoryTest, AnyNumberOfFiles) {
  constexpr int kFiles = 1200;
  const Opened directory = LocalDirectory::Create(Path("out"), kKeep);
  std::vector<std::unique_ptr<ByteSink>> sinks;
  for (int i = 0; i < kFiles; ++i) {
    auto sink = (*directory)->CreateSink(std::to_string(i), 1);
    ASSERT_TRUE(sink.ok()) << sink.status();
    sinks.push_back(*std::move(sink));
  }
  for (const std::unique_ptr<ByteSink>& sink : sinks) {
    ASSERT_TRUE(sink->Commit().ok());
  }
  ASSERT_TRUE((*directory)->Commit().ok());
  EXPECT_EQ(Names().size(), 1u + kFiles);
}

// What a signal handler does.
TEST_F(LocalDirectoryTest, RemovePendingOutputs) {
  fs::create_directory(Path("there"));
  Make("there/old", "old");
  const Opened fresh = LocalDirectory::Create(Path("out"), kKeep);
  const Opened added = LocalDirectory::Create(Path("there"), kOverwrite);
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(Add(**fresh, std::to_string(i), "1").ok());
  }
  ASSERT_TRUE(Add(**added, "old", "new").ok());
  RemovePendingOutputs();
  EXPECT_THAT(Names(), ElementsAre("there", "there/old"));
  EXPECT_EQ(Content("there/old"), "old");
  EXPECT_FALSE((*fresh)->Commit().ok());
  EXPECT_FALSE((*added)->Commit().ok());
  EXPECT_THAT(Names(), ElementsAre("there", "there/old"));
}

}  // namespace
}  // namespace monoquant
