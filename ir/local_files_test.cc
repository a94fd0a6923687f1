#include "ir/local_files.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

namespace fs = std::filesystem;
using ::monoquant::testing::ExpectError;
using ::testing::ElementsAre;

// A fresh directory for each test.
class LocalFilesTest : public ::testing::Test {
 protected:
  LocalFilesTest() {
    std::string pattern = ::testing::TempDir() + "/local_files_XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~LocalFilesTest() override { fs::remove_all(root_); }

  std::string Path(const std::string& name) const { return root_ + "/" + name; }

  std::string Make(const std::string& name, const std::string& content) const {
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }

  std::string root_;
};

std::string Read(const ByteSource& source, uint64_t offset, size_t size) {
  std::vector<uint8_t> bytes(size);
  const absl::Status status = source.ReadAt(offset, absl::MakeSpan(bytes));
  if (!status.ok()) return std::string(status.message());
  return std::string(bytes.begin(), bytes.end());
}

TEST_F(LocalFilesTest, ReadsRanges) {
  const auto source = OpenLocalFile(Make("f", "0123456789")).value();
  EXPECT_EQ(source->name(), Path("f"));
  EXPECT_EQ(source->size(), 10u);
  EXPECT_EQ(Read(*source, 0, 10), "0123456789");
  EXPECT_EQ(Read(*source, 7, 3), "789");
  EXPECT_EQ(Read(*source, 10, 0), "");
  uint8_t four[4];
  for (uint64_t offset :
       {uint64_t{7}, uint64_t{11}, std::numeric_limits<uint64_t>::max()}) {
    ExpectError(source->ReadAt(offset, four), absl::StatusCode::kOutOfRange,
                "f: reading 4 bytes");
  }
}

// Offsets beyond 32 bits, in a file without blocks.
TEST_F(LocalFilesTest, ReadsFarOut) {
  Make("sparse", "");
  const uint64_t size = (uint64_t{5} << 30) + 3;
  fs::resize_file(Path("sparse"), size);
  const auto source = OpenLocalFile(Path("sparse")).value();
  EXPECT_EQ(source->size(), size);
  EXPECT_EQ(Read(*source, size - 2, 2), std::string(2, '\0'));
}

TEST_F(LocalFilesTest, OpenFails) {
  fs::create_directory(Path("dir"));
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  Make("file", "x");
  fs::create_symlink("loop", Path("loop"));
  const struct {
    std::string path;
    absl::StatusCode code;
    const char* message;
  } cases[] = {
      {Path("none"), absl::StatusCode::kNotFound, "No such file"},
      {Path("none/f"), absl::StatusCode::kNotFound, "No such file"},
      {Path("file/f"), absl::StatusCode::kNotFound, "Not a directory"},
      {"", absl::StatusCode::kNotFound, "No such file"},
      {Path("dir"), absl::StatusCode::kInvalidArgument, "is a directory"},
      {Path("pipe"), absl::StatusCode::kInvalidArgument, "is a special file"},
      {"/dev/null", absl::StatusCode::kInvalidArgument, "is a special file"},
      {Path("loop"), absl::StatusCode::kInvalidArgument, "symbolic links"},
      {Path(std::string(300, 'n')), absl::StatusCode::kInvalidArgument,
       "too long"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.path);
    ExpectError(OpenLocalFile(c.path), c.code, c.path);
    ExpectError(OpenLocalFile(c.path), c.code, c.message);
  }
}

// A download that is restarted under our hands, say.
TEST_F(LocalFilesTest, FileBecomesShorter) {
  const auto source = OpenLocalFile(Make("f", "0123456789")).value();
  fs::resize_file(Path("f"), 6);
  EXPECT_EQ(Read(*source, 0, 6), "012345");
  uint8_t bytes[8];
  ExpectError(source->ReadAt(2, bytes), absl::StatusCode::kDataLoss,
              "f: became shorter while it was read: it had 10 bytes and now "
              "ends before byte 7");
}

TEST_F(LocalFilesTest, SingleFileAndItsNeighbours) {
  Make("model.json", "J");
  Make("model.pt", "P");
  fs::create_directory(Path("sub"));
  const CheckpointFiles files = OpenLocalCheckpoint(Path("model.pt")).value();
  EXPECT_EQ(files.path, Path("model.pt"));
  EXPECT_FALSE(files.is_directory);
  EXPECT_EQ(files.main, "model.pt");
  EXPECT_THAT(files.names, ElementsAre("model.json", "model.pt"));
  EXPECT_EQ(Read(*files.open("model.json").value(), 0, 1), "J");
  EXPECT_EQ(files.open("model.pt").value()->name(), Path("model.pt"));
}

TEST_F(LocalFilesTest, DirectoryListsFilesAndLinksToThem) {
  fs::create_directory(Path("blobs"));
  Make("blobs/1234", "blob");
  fs::create_directory(Path("snapshot"));
  Make("snapshot/config.json", "{}");
  fs::create_symlink("../blobs/1234", Path("snapshot/model.safetensors"));
  fs::create_symlink("../blobs/none", Path("snapshot/dangling"));
  fs::create_symlink("../blobs", Path("snapshot/link_to_directory"));
  fs::create_directory(Path("snapshot/sub"));
  ASSERT_EQ(mkfifo(Path("snapshot/pipe").c_str(), 0600), 0);
  for (const char* spelling : {"snapshot", "snapshot/"}) {
    const CheckpointFiles files = OpenLocalCheckpoint(Path(spelling)).value();
    EXPECT_TRUE(files.is_directory);
    EXPECT_EQ(files.main, "");
    EXPECT_THAT(files.names, ElementsAre("config.json", "model.safetensors"));
    const auto blob = files.open("model.safetensors").value();
    EXPECT_EQ(blob->name(), Path("snapshot/model.safetensors"));
    EXPECT_EQ(Read(*blob, 0, 4), "blob");
  }
}

// A file's content must not choose what is opened.
TEST_F(LocalFilesTest, NothingOutsideTheDirectoryOpens) {
  Make("secret", "s");
  fs::create_directory(Path("dir"));
  Make("dir/model.pt", "P");
  const CheckpointFiles files =
      OpenLocalCheckpoint(Path("dir/model.pt")).value();
  for (const std::string& name :
       {std::string("../secret"), Path("secret"), std::string("./model.pt"),
        std::string("none"), std::string(), std::string("model.pt\0x", 10)}) {
    ExpectError(files.open(name), absl::StatusCode::kNotFound,
                "no such file beside");
  }
}

TEST_F(LocalFilesTest, RelativePath) {
  Make("model.pt", "P");
  const fs::path before = fs::current_path();
  fs::current_path(root_);
  const absl::StatusOr<CheckpointFiles> files = OpenLocalCheckpoint("model.pt");
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(files->names, ElementsAre("model.pt"));
  EXPECT_EQ(files->open("model.pt").value()->name(), "model.pt");
  fs::current_path(before);
}

TEST_F(LocalFilesTest, CheckpointFails) {
  ExpectError(OpenLocalCheckpoint(Path("none")), absl::StatusCode::kNotFound,
              "No such file");
  ExpectError(OpenLocalCheckpoint("/dev/null"),
              absl::StatusCode::kInvalidArgument, "special file");
  EXPECT_TRUE(OpenLocalCheckpoint(root_).value().names.empty());
}

TEST_F(LocalFilesTest, SameFile) {
  Make("a", "x");
  Make("b", "x");
  fs::create_symlink("a", Path("link"));
  fs::create_hard_link(Path("a"), Path("hard"));
  EXPECT_TRUE(SameFile(Path("a"), Path("a")));
  EXPECT_TRUE(SameFile(Path("a"), root_ + "/./a"));
  EXPECT_TRUE(SameFile(Path("a"), Path("link")));
  EXPECT_TRUE(SameFile(Path("a"), Path("hard")));
  EXPECT_TRUE(SameFile(root_, root_ + "/"));
  EXPECT_FALSE(SameFile(Path("a"), Path("b")));
  EXPECT_FALSE(SameFile(Path("a"), Path("none")));
  EXPECT_FALSE(SameFile(Path("none"), Path("none")));
}

}  // namespace
}  // namespace monoquant
