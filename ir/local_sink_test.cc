#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/local_files.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

namespace fs = std::filesystem;
using ::monoquant::testing::ExpectError;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr LocalSinkOptions kKeep = {.overwrite = false};
constexpr LocalSinkOptions kOverwrite = {.overwrite = true};

// A fresh directory for each test.
class LocalSinkTest : public ::testing::Test {
 protected:
  LocalSinkTest() {
    std::string pattern = ::testing::TempDir() + "/local_sink_XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~LocalSinkTest() override { fs::remove_all(root_); }

  std::string Path(const std::string& name) const { return root_ + "/" + name; }

  void Make(const std::string& name, const std::string& content) const {
    std::ofstream(Path(name), std::ios::binary) << content;
  }

  std::string Content(const std::string& name) const {
    std::ifstream in(Path(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(root_)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  std::string root_;
};

absl::Status Write(ByteSink& sink, uint64_t offset, const std::string& text) {
  return sink.WriteAt(
      offset, absl::MakeSpan(reinterpret_cast<const uint8_t*>(text.data()),
                             text.size()));
}

// Creates, writes and commits.
absl::Status WriteFile(const std::string& path, const std::string& content,
                       const LocalSinkOptions& options) {
  absl::StatusOr<std::unique_ptr<ByteSink>> sink =
      CreateLocalSink(path, content.size(), options);
  if (!sink.ok()) return sink.status();
  const absl::Status status = Write(**sink, 0, content);
  return status.ok() ? (*sink)->Commit() : status;
}

TEST_F(LocalSinkTest, AppearsAtCommit) {
  {
    const auto sink = CreateLocalSink(Path("out"), 6, kKeep).value();
    EXPECT_EQ(sink->name(), Path("out"));
    ASSERT_TRUE(Write(*sink, 4, "ef").ok());
    ASSERT_TRUE(Write(*sink, 0, "ab").ok());
    ASSERT_EQ(Names().size(), 1u);
    EXPECT_TRUE(absl::StartsWith(Names()[0], ".out.mq-")) << Names()[0];
    EXPECT_TRUE(absl::EndsWith(Names()[0], ".tmp")) << Names()[0];
    ASSERT_TRUE(sink->Commit().ok());
    EXPECT_THAT(Names(), ElementsAre("out"));
  }
  EXPECT_THAT(Names(), ElementsAre("out"));
  EXPECT_EQ(Content("out"), std::string("ab\0\0ef", 6));
}

TEST_F(LocalSinkTest, NothingWithoutCommit) {
  {
    const auto sink = CreateLocalSink(Path("out"), 100, kKeep).value();
    ASSERT_TRUE(Write(*sink, 0, "ab").ok());
  }
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(LocalSinkTest, EmptyFile) {
  ASSERT_TRUE(WriteFile(Path("out"), "", kKeep).ok());
  EXPECT_TRUE(fs::exists(Path("out")));
  EXPECT_EQ(fs::file_size(Path("out")), 0u);
}

TEST_F(LocalSinkTest, ModeFollowsTheUmask) {
  const mode_t before = umask(027);
  ASSERT_TRUE(WriteFile(Path("out"), "x", kKeep).ok());
  umask(before);
  struct stat info;
  ASSERT_EQ(stat(Path("out").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST_F(LocalSinkTest, DoesNotReplaceUnasked) {
  Make("out", "old");
  ExpectError(WriteFile(Path("out"), "new", kKeep),
              absl::StatusCode::kAlreadyExists, "out: already exists; ");
  EXPECT_EQ(Content("out"), "old");
  EXPECT_THAT(Names(), ElementsAre("out"));
}

// The file appears between creation and commit: it stays.
TEST_F(LocalSinkTest, DoesNotReplaceALateComer) {
  {
    const auto sink = CreateLocalSink(Path("out"), 3, kKeep).value();
    Make("out", "old");
    ExpectError(sink->Commit(), absl::StatusCode::kAlreadyExists, "out: ");
  }
  EXPECT_EQ(Content("out"), "old");
  EXPECT_THAT(Names(), ElementsAre("out"));
}

TEST_F(LocalSinkTest, ReplacesWhenAsked) {
  Make("out", "old content");
  {
    const auto sink = CreateLocalSink(Path("out"), 3, kOverwrite).value();
    ASSERT_TRUE(Write(*sink, 0, "new").ok());
    EXPECT_EQ(Content("out"), "old content");
  }
  EXPECT_EQ(Content("out"), "old content");
  ASSERT_TRUE(WriteFile(Path("out"), "new", kOverwrite).ok());
  EXPECT_EQ(Content("out"), "new");
  EXPECT_THAT(Names(), ElementsAre("out"));
}

TEST_F(LocalSinkTest, LinkStaysAndItsTargetIsReplaced) {
  Make("target", "old");
  fs::create_symlink("target", Path("middle"));
  fs::create_symlink(Path("middle"), Path("link"));
  ExpectError(WriteFile(Path("link"), "new", kKeep),
              absl::StatusCode::kAlreadyExists, "link: already exists");
  ASSERT_TRUE(WriteFile(Path("link"), "new", kOverwrite).ok());
  EXPECT_TRUE(fs::is_symlink(Path("link")));
  EXPECT_TRUE(fs::is_symlink(Path("middle")));
  EXPECT_EQ(Content("target"), "new");
}

TEST_F(LocalSinkTest, DanglingLinkGetsItsTarget) {
  fs::create_directory(Path("sub"));
  fs::create_symlink("sub/target", Path("link"));
  ASSERT_TRUE(WriteFile(Path("link"), "new", kKeep).ok());
  EXPECT_TRUE(fs::is_symlink(Path("link")));
  EXPECT_EQ(Content("sub/target"), "new");
}

TEST_F(LocalSinkTest, BadDestinations) {
  fs::create_directory(Path("dir"));
  Make("file", "x");
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  fs::create_symlink("loop", Path("loop"));
  fs::create_symlink("dir", Path("link_to_dir"));
  const std::vector<std::string> before = Names();
  const struct {
    std::string path;
    absl::StatusCode code;
    const char* message;
  } cases[] = {
      {Path("none/out"), absl::StatusCode::kNotFound,
       "none/'; create it first"},
      {Path("file/out"), absl::StatusCode::kNotFound, "Not a directory"},
      {Path("dir"), absl::StatusCode::kInvalidArgument,
       "is the name of a directory; name a file in it"},
      {Path("dir/"), absl::StatusCode::kInvalidArgument, "of a directory"},
      {Path("dir/."), absl::StatusCode::kInvalidArgument, "of a directory"},
      {Path("new/"), absl::StatusCode::kInvalidArgument, "of a directory"},
      {Path("link_to_dir"), absl::StatusCode::kInvalidArgument,
       "of a directory"},
      {"", absl::StatusCode::kInvalidArgument, "of a directory"},
      {"/dev/full", absl::StatusCode::kInvalidArgument, "is a special file"},
      {Path("pipe"), absl::StatusCode::kInvalidArgument, "is a special file"},
      {Path("loop"), absl::StatusCode::kInvalidArgument, "symbolic links"},
      {Path(std::string(256, 'n')), absl::StatusCode::kInvalidArgument,
       "too long"},
  };
  for (const LocalSinkOptions& options : {kKeep, kOverwrite}) {
    for (const auto& c : cases) {
      SCOPED_TRACE(c.path);
      ExpectError(CreateLocalSink(c.path, 1, options), c.code, c.path + ": ");
      ExpectError(CreateLocalSink(c.path, 1, options), c.code, c.message);
    }
  }
  EXPECT_EQ(Names(), before);
}

TEST_F(LocalSinkTest, LongestName) {
  const std::string name(255, 'n');
  ASSERT_TRUE(WriteFile(Path(name), "x", kKeep).ok());
  EXPECT_THAT(Names(), ElementsAre(name));
}

// Whatever the file system: this cannot be reserved.
TEST_F(LocalSinkTest, NotEnoughSpace) {
  for (uint64_t size : {uint64_t{1} << 60, uint64_t{1} << 63,
                        std::numeric_limits<uint64_t>::max()}) {
    const auto sink = CreateLocalSink(Path("out"), size, kKeep);
    ExpectError(sink, absl::StatusCode::kResourceExhausted,
                std::to_string(size) + " bytes");
  }
  EXPECT_THAT(Names(), IsEmpty());
}

// Beyond this limit the system would end the process.
TEST_F(LocalSinkTest, LimitOfTheProcess) {
  struct rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  struct rlimit limit = before;
  limit.rlim_cur = 1 << 20;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const auto small = CreateLocalSink(Path("small"), 1 << 20, kKeep);
  const auto large = CreateLocalSink(Path("large"), (1 << 20) + 1, kKeep);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_TRUE(small.ok()) << small.status();
  ExpectError(large, absl::StatusCode::kResourceExhausted,
              "a limit of the process");
}

TEST_F(LocalSinkTest, RefusesMoreThanPlanned) {
  const auto sink = CreateLocalSink(Path("out"), 3, kKeep).value();
  for (uint64_t offset :
       {uint64_t{2}, uint64_t{4}, std::numeric_limits<uint64_t>::max()}) {
    ExpectError(Write(*sink, offset, "ab"), absl::StatusCode::kOutOfRange,
                "planned size of 3 bytes");
  }
}

TEST_F(LocalSinkTest, ThreadsWriteDisjointRanges) {
  constexpr size_t kThreads = 4;
  constexpr size_t kBytes = 100000;
  const auto sink =
      CreateLocalSink(Path("out"), kThreads * kBytes, kKeep).value();
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&sink, t] {
      const std::string text(1000, static_cast<char>('a' + t));
      for (size_t i = 0; i < kBytes; i += text.size()) {
        EXPECT_TRUE(Write(*sink, t * kBytes + i, text).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(sink->Commit().ok());
  std::string expected;
  for (size_t t = 0; t < kThreads; ++t) {
    expected += std::string(kBytes, static_cast<char>('a' + t));
  }
  EXPECT_EQ(Content("out"), expected);
}

// What a signal handler does; more sinks than it can hold among them.
TEST_F(LocalSinkTest, RemovePendingOutputs) {
  ASSERT_TRUE(WriteFile(Path("committed"), "x", kKeep).ok());
  {
    const auto released = CreateLocalSink(Path("released"), 1, kKeep).value();
  }
  {
    const auto a = CreateLocalSink(Path("a"), 1, kKeep).value();
    const auto b = CreateLocalSink(Path("b"), 1, kKeep).value();
    EXPECT_EQ(Names().size(), 3u);
    RemovePendingOutputs();
    EXPECT_THAT(Names(), ElementsAre("committed"));
    EXPECT_FALSE(a->Commit().ok());
  }
  std::vector<std::unique_ptr<ByteSink>> many;
  for (int i = 0; i < 40; ++i) {
    many.push_back(CreateLocalSink(Path(std::to_string(i)), 1, kKeep).value());
  }
  RemovePendingOutputs();
  EXPECT_EQ(Names().size(), 1 + 40 - 32);
  many.clear();
  EXPECT_THAT(Names(), ElementsAre("committed"));
}

}  // namespace
}  // namespace monoquant
