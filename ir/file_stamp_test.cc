#include "ir/file_stamp.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

using ::testing::HasSubstr;

class FileStampsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "stamped";
    Write(path_, "first");
    // Long ago, so that the next change has another time for sure.
    SetTime(1000);
    stamps_.Add(path_);
  }

  static void Write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
  }

  void SetTime(int64_t seconds) {
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, path_.c_str(), times, 0), 0);
  }

  void ExpectChanged() {
    const absl::Status status = stamps_.Check({path_});
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(status.message(), HasSubstr(path_ + ": was changed while"));
  }

  std::string path_;
  FileStamps stamps_;
};

TEST_F(FileStampsTest, TheSameFile) {
  EXPECT_TRUE(stamps_.Check({path_}).ok());
  // Others are not asked about.
  EXPECT_TRUE(stamps_.Check({path_ + ".other"}).ok());
  EXPECT_TRUE(stamps_.Check({}).ok());
}

TEST_F(FileStampsTest, AnotherSize) {
  Write(path_, "longer than before");
  SetTime(1000);
  ExpectChanged();
}

TEST_F(FileStampsTest, AnotherTime) {
  Write(path_, "other");
  ExpectChanged();
}

TEST_F(FileStampsTest, AnotherFileOfThatName) {
  // Made before the first is gone, so that it cannot get the same inode.
  const std::string other = path_ + ".new";
  Write(other, "first");
  ASSERT_EQ(std::rename(other.c_str(), path_.c_str()), 0);
  SetTime(1000);
  ExpectChanged();
}

TEST_F(FileStampsTest, Removed) {
  ASSERT_EQ(unlink(path_.c_str()), 0);
  ExpectChanged();
}

// The first look counts.
TEST_F(FileStampsTest, AddedTwice) {
  Write(path_, "longer than before");
  stamps_.Add(path_);
  ExpectChanged();
}

TEST_F(FileStampsTest, WhatIsNotThere) {
  FileStamps stamps;
  stamps.Add(path_ + ".none");
  EXPECT_TRUE(stamps.Check({path_ + ".none"}).ok());
}

}  // namespace
}  // namespace monoquant
