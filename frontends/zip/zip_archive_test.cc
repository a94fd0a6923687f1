// Guards: every rule that makes a zip archive mean one thing only, the checks
// of members against their checksums, and that damaged archives neither crash
// the reader nor give bytes that were not put in.

#include "frontends/zip/zip_archive.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "frontends/testing/corruption.h"
#include "frontends/testing/zip_builder.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;
using testing::ZipBuilder;
using testing::ZipMember;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;

// Counts what is read, in bytes.
class CountingSource : public MemorySource {
 public:
  using MemorySource::MemorySource;
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override {
    bytes_read += dst.size();
    return MemorySource::ReadAt(offset, dst);
  }
  mutable std::atomic<uint64_t> bytes_read{0};
};

absl::StatusOr<std::unique_ptr<ZipArchive>> Open(std::string bytes) {
  return ZipArchive::Open(
      std::make_shared<MemorySource>("m.zip", std::move(bytes)));
}

// Everything that can be read from an archive, or the first error.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ReadAll(
    std::string bytes) {
  auto zip = Open(std::move(bytes));
  if (!zip.ok()) return zip.status();
  std::vector<std::pair<std::string, std::string>> all;
  for (size_t i = 0; i < (*zip)->size(); ++i) {
    auto member = (*zip)->ReadMember(i, 1 << 20);
    if (!member.ok()) return member.status();
    all.emplace_back((*zip)->entry(i).name, *std::move(member));
  }
  return all;
}

ZipBuilder TwoMembers() {
  ZipBuilder builder;
  builder.Add("r/a", "first").Add("r/b", "the second");
  return builder;
}

TEST(ZipArchiveTest, ReadsMembers) {
  for (const bool deflate : {false, true}) {
    for (const bool data_descriptor : {false, true}) {
      for (const bool zip64 : {false, true}) {
        SCOPED_TRACE(absl::StrCat(deflate, data_descriptor, zip64));
        ZipBuilder builder = TwoMembers();
        builder.Add("r/empty", "");
        builder.zip64_end = zip64;
        for (ZipMember& member : builder.members) {
          member.deflate = deflate;
          member.data_descriptor = data_descriptor;
          member.zip64 = zip64;
        }
        const auto all = ReadAll(builder.Build());
        ASSERT_TRUE(all.ok()) << all.status();
        ASSERT_EQ(all->size(), 3);
        EXPECT_EQ((*all)[0],
                  std::make_pair(std::string("r/a"), std::string("first")));
        EXPECT_EQ((*all)[1].second, "the second");
        EXPECT_EQ((*all)[2].second, "");
      }
    }
  }
}

TEST(ZipArchiveTest, ReadsAtAnyOffset) {
  const std::string bytes = TwoMembers().Build();
  const auto zip = Open(bytes);
  ASSERT_TRUE(zip.ok());
  const size_t member = *(*zip)->Find("r/b");
  EXPECT_FALSE((*zip)->Find("R/B").has_value());
  uint8_t dst[3];
  ASSERT_TRUE((*zip)->ReadAt(member, 4, absl::MakeSpan(dst)).ok());
  EXPECT_EQ(std::string(dst, dst + 3), "sec");
  const auto offset = (*zip)->DataOffset(member);
  ASSERT_TRUE(offset.ok());
  EXPECT_EQ(bytes.substr(*offset, 10), "the second");
  ExpectError((*zip)->ReadAt(member, 8, absl::MakeSpan(dst)),
              absl::StatusCode::kOutOfRange, "10 bytes");
  ExpectError((*zip)->ReadMember(member, 9), kDataLoss, "limit of 9");
}

TEST(ZipArchiveTest, OpeningReadsTheDirectoryOnly) {
  ZipBuilder builder;
  builder.Add("r/a", std::string(1 << 20, 'x'));
  auto source = std::make_shared<CountingSource>("m.zip", builder.Build());
  const auto zip = ZipArchive::Open(source);
  ASSERT_TRUE(zip.ok());
  EXPECT_LT(source->bytes_read, 200 << 10);
}

TEST(ZipArchiveTest, VerifiesAMemberOnceAndAllOfIt) {
  const size_t size = 1 << 20;
  ZipBuilder builder;
  builder.Add("r/a", std::string(size, 'x'));
  const std::string good = builder.Build();
  auto source = std::make_shared<CountingSource>("m.zip", good);
  const auto zip = ZipArchive::Open(source);
  ASSERT_TRUE(zip.ok());
  uint8_t byte;
  source->bytes_read = 0;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE((*zip)->ReadAt(0, 77, absl::MakeSpan(&byte, 1)).ok());
  }
  EXPECT_GE(source->bytes_read, size);
  EXPECT_LT(source->bytes_read, size + 1000);

  // Damage far from what is asked for is found too.
  std::string bad = good;
  bad[size - 1] ^= 1;
  const auto damaged = Open(bad);
  ASSERT_TRUE(damaged.ok());
  for (int i = 0; i < 2; ++i) {
    ExpectError((*damaged)->ReadAt(0, 77, absl::MakeSpan(&byte, 1)), kDataLoss,
                "m.zip: member 'r/a' is damaged: its CRC-32 is");
  }
}

TEST(ZipArchiveTest, ThreadsVerifyTogether) {
  ZipBuilder builder;
  for (int i = 0; i < 40; ++i) {
    builder.Add(absl::StrCat("r/", i), std::string(50'000 + i, 'x'));
  }
  const auto zip = Open(builder.Build());
  ASSERT_TRUE(zip.ok());
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < (*zip)->size(); ++i) {
        uint8_t byte = 0;
        const absl::Status read =
            (*zip)->ReadAt(i, i, absl::MakeSpan(&byte, 1));
        if (!read.ok() || byte != 'x') ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
}

TEST(ZipArchiveTest, ArchiveWithoutChecksums) {
  ZipBuilder builder = TwoMembers();
  for (ZipMember& member : builder.members) member.crc32 = 0;
  const auto zip = Open(builder.Build());
  ASSERT_TRUE(zip.ok());
  EXPECT_FALSE((*zip)->has_checksums());
  EXPECT_EQ(*(*zip)->ReadMember(0, 100), "first");

  // One checksum is enough to make the others count.
  builder.members[1].crc32.reset();
  const auto mixed = Open(builder.Build());
  ASSERT_TRUE(mixed.ok());
  EXPECT_TRUE((*mixed)->has_checksums());
  ExpectError((*mixed)->ReadMember(0, 100), kDataLoss, "CRC-32");
}

TEST(ZipArchiveTest, ArchiveWhoseChecksumsAreAllSomethingElse) {
  ZipBuilder builder = TwoMembers();
  builder.members[0].crc32 = 17;
  builder.members[1].crc32 = 18;
  const auto zip = Open(builder.Build());
  ASSERT_TRUE(zip.ok());
  EXPECT_EQ(*(*zip)->ReadMember(1, 100), "the second");
  EXPECT_FALSE((*zip)->has_checksums());

  // With nothing to compare it to, a wrong checksum means damage.
  builder.members.pop_back();
  builder.Add("r/empty", "");
  const auto one = Open(builder.Build());
  ASSERT_TRUE(one.ok());
  ExpectError((*one)->ReadMember(0, 100), kDataLoss, "CRC-32");
  EXPECT_TRUE((*one)->has_checksums());
}

TEST(ZipArchiveTest, ArchivesInArchives) {
  const std::string inner = TwoMembers().Build();
  ZipBuilder builder;
  builder.Add("r/stored", inner).Add("r/deflated", inner);
  builder.members[1].deflate = true;
  std::string bytes = builder.Build();
  const auto zip = Open(bytes);
  ASSERT_TRUE(zip.ok());
  const auto source = (*zip)->OpenStored(0);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ((*source)->name(), "m.zip/r/stored");
  const auto opened = ZipArchive::Open(*source);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(*(*opened)->ReadMember(1, 100), "the second");
  ExpectError((*zip)->OpenStored(1), absl::StatusCode::kUnimplemented,
              "compressed once more");
  EXPECT_TRUE((*zip)->Verify(0).ok());
  EXPECT_TRUE((*zip)->Verify(1).ok());
  bytes[bytes.find("first")] ^= 1;
  ExpectError((*Open(bytes))->Verify(0), kDataLoss, "'r/stored' is damaged");
}

struct RefusedCase {
  const char* name;
  std::function<void(ZipBuilder*)> change;
  absl::StatusCode code;
  const char* message;
};

TEST(ZipArchiveTest, RefusesWhatMeansTwoThings) {
  const std::vector<RefusedCase> cases = {
      {"same name", [](ZipBuilder* b) { b->members[1].name = "r/a"; },
       kDataLoss, "'r/a' and 'r/a' have the same name"},
      {"same name but for case",
       [](ZipBuilder* b) { b->members[1].name = "R/A"; }, kDataLoss,
       "have the same name but for case"},
      {"empty name", [](ZipBuilder* b) { b->members[1].name = ""; }, kDataLoss,
       "named ''"},
      {"zero in name",
       [](ZipBuilder* b) { b->members[1].name = std::string("r/\0b", 4); },
       kDataLoss, "named 'r/\\x00b'"},
      {"other local name",
       [](ZipBuilder* b) { b->members[1].local_name = "r/c"; }, kDataLoss,
       "disagrees with the directory on its name"},
      {"other local method",
       [](ZipBuilder* b) { b->members[1].local_method = 8; }, kDataLoss,
       "compression method"},
      {"other local size", [](ZipBuilder* b) { b->members[1].local_size = 9; },
       kDataLoss, "size"},
      {"other local CRC", [](ZipBuilder* b) { b->members[1].local_crc32 = 1; },
       kDataLoss, "CRC-32"},
      {"same place", [](ZipBuilder* b) { b->members[1].header_offset = 0; },
       kDataLoss, "overlaps"},
      {"into the directory",
       [](ZipBuilder* b) {
         b->members[1].size = b->members[1].compressed_size = 11;
       },
       kDataLoss, "overlaps"},
      {"stored with two sizes", [](ZipBuilder* b) { b->members[1].size = 9; },
       kDataLoss, "cannot have 9 bytes from 10"},
      {"beyond any deflate ratio",
       [](ZipBuilder* b) {
         b->members[1].deflate = true;
         b->members[1].size = 1 << 20;
       },
       kDataLoss, "cannot have 1048576 bytes"},
      {"junk before",
       [](ZipBuilder* b) {
         b->members.erase(b->members.begin());
         b->members[0].header_offset = 5;
       },
       kDataLoss, "5 bytes before its first member"},
      {"entries missing", [](ZipBuilder* b) { b->entries = 3; }, kDataLoss,
       "breaks off"},
      {"entries hidden", [](ZipBuilder* b) { b->entries = 1; }, kDataLoss,
       "more than the 1 members"},
      {"directory elsewhere", [](ZipBuilder* b) { b->directory_offset = 40; },
       kDataLoss, "its directory is said to be at bytes 40"},
      {"encrypted", [](ZipBuilder* b) { b->members[1].flags = 1; },
       absl::StatusCode::kUnimplemented, "is encrypted"},
      {"strongly encrypted", [](ZipBuilder* b) { b->members[1].flags = 0x41; },
       absl::StatusCode::kUnimplemented, "is encrypted"},
      {"zstd", [](ZipBuilder* b) { b->members[1].method = 93; },
       absl::StatusCode::kUnimplemented, "compression method 93"},
      {"two end records",
       [](ZipBuilder* b) { b->comment = ZipBuilder().Build(); }, kDataLoss,
       "two end records"},
  };
  for (const RefusedCase& test : cases) {
    SCOPED_TRACE(test.name);
    ZipBuilder builder = TwoMembers();
    test.change(&builder);
    const auto all = ReadAll(builder.Build());
    ExpectError(all, test.code, test.message);
    ExpectError(all, test.code, "m.zip: ");
  }
}

TEST(ZipArchiveTest, RefusesBytesAroundTheArchive) {
  const std::string good = TwoMembers().Build();
  ExpectError(Open(good + "x"), kDataLoss, "bytes after its end record");
  ExpectError(Open("x" + good), kDataLoss, "its directory is said to be at");
  ZipBuilder with_comment = TwoMembers();
  with_comment.comment = "a comment";
  EXPECT_TRUE(ReadAll(with_comment.Build()).ok());
  ExpectError(Open(with_comment.Build() + "x"), kDataLoss, "after its end");
}

TEST(ZipArchiveTest, TruncatedAnywhere) {
  ZipBuilder builder = TwoMembers();
  builder.members[1].deflate = true;
  testing::ForEachTruncation(builder.Build(), [](std::string bad, size_t) {
    ExpectError(Open(std::move(bad)), kDataLoss, "m.zip is truncated");
  });
}

TEST(ZipArchiveTest, OneByteChangedAnywhere) {
  ZipBuilder builder = TwoMembers();
  builder.Add("r/c", "the third, the third, the third");
  builder.members[1].data_descriptor = true;
  builder.members[2].deflate = true;
  for (const bool zip64 : {false, true}) {
    builder.zip64_end = zip64;
    builder.members[0].zip64 = zip64;
    const std::string good = builder.Build();
    const auto expected = ReadAll(good);
    ASSERT_TRUE(expected.ok());
    int accepted = 0;
    testing::ForEachChangedByte(good, [&](const std::string& bad, size_t i) {
      const auto all = ReadAll(bad);
      if (!all.ok()) return;
      ++accepted;
      // Times, versions and attributes say nothing about the content.
      EXPECT_EQ(*all, *expected) << "byte " << i;
    });
    EXPECT_GT(accepted, 0);
  }
}

}  // namespace
}  // namespace monoquant
