// Guards: deflated members, read at any offset and in any order, by several
// threads, in time that reading in order keeps short; and that damage to them
// is found before a byte is used.

#include "frontends/zip/inflate.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/testing/zip_builder.h"
#include "frontends/zip/zip_archive.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;
using testing::ZipBuilder;

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

// A text that compresses, but not by much.
std::string Noise(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 1;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>('a' + (state >> 28));
  }
  return text;
}

TEST(InflateTest, DeflatedMembersAreReadAtAnyOffset) {
  const std::string text = Noise(500'000);
  ZipBuilder builder;
  builder.Add("r/a", text).Add("r/b", "end");
  builder.members[0].deflate = true;
  auto source = std::make_shared<CountingSource>("m.zip", builder.Build());
  const auto zip = ZipArchive::Open(source);
  ASSERT_TRUE(zip.ok());
  const auto read = [&](size_t offset, size_t size) {
    std::string bytes(size, '\0');
    const absl::Status status = (*zip)->ReadAt(
        0, offset,
        absl::MakeSpan(reinterpret_cast<uint8_t*>(bytes.data()), size));
    return status.ok() ? bytes : status.ToString();
  };
  for (const size_t offset :
       {0, 100'000, 99'999, 499'990, 3, 250'000, 260'000, 499'999}) {
    const size_t size = std::min<size_t>(1000, text.size() - offset);
    EXPECT_EQ(read(offset, size), text.substr(offset, size)) << offset;
  }
  EXPECT_EQ(read(500'000, 0), "");
  EXPECT_THAT(read(499'999, 2), ::testing::HasSubstr("500000 bytes"));
  EXPECT_EQ(read(0, text.size()), text);

  // In rising order every byte is inflated once, from where the last read left
  // off, whatever else is read by turns.
  read(0, 1);
  source->bytes_read = 0;
  for (size_t offset = 0; offset < text.size(); offset += 1000) {
    EXPECT_EQ(read(offset, 1000), text.substr(offset, 1000));
    read(0, 1);
  }
  EXPECT_LT(source->bytes_read, 500 * (70 << 10) + text.size());
}

TEST(InflateTest, DamageToADeflatedMemberIsFoundBeforeItsFirstByteIsUsed) {
  ZipBuilder builder;
  builder.Add("r/a", Noise(300'000)).Add("r/b", "end");
  builder.members[0].deflate = true;
  const std::string good = builder.Build();
  for (const size_t at : {100, 50'000, 100'000}) {
    std::string bad = good;
    bad[at] ^= 1;
    const auto zip = Open(bad);
    ASSERT_TRUE(zip.ok());
    uint8_t byte;
    ExpectError((*zip)->ReadAt(0, 0, absl::MakeSpan(&byte, 1)), kDataLoss,
                "m.zip: member 'r/a' is damaged: its ");
  }
}

TEST(InflateTest, ThreadsInflateTogether) {
  const std::string text = Noise(200'000);
  ZipBuilder builder;
  for (int i = 0; i < 20; ++i) {
    builder.Add(absl::StrCat("r/", i), text);
    builder.members.back().deflate = true;
  }
  const auto zip = Open(builder.Build());
  ASSERT_TRUE(zip.ok());
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t step = 0; step < 100; ++step) {
        const size_t member = (step * 7 + t) % 20;
        const size_t offset = step * 1999;
        uint8_t byte = 0;
        const absl::Status read =
            (*zip)->ReadAt(member, offset, absl::MakeSpan(&byte, 1));
        if (!read.ok() || byte != static_cast<uint8_t>(text[offset])) {
          ++failures;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
}

TEST(InflateTest, RefusesDamagedDeflateStreams) {
  ZipBuilder builder;
  builder.Add("r/a", std::string(1000, 'x') + "abcdefghijklmnop");
  builder.members[0].deflate = true;
  for (const int delta : {-1, 1}) {
    builder.members[0].size = static_cast<uint32_t>(1016 + delta);
    builder.members[0].local_size = builder.members[0].size;
    const auto zip = Open(builder.Build());
    ASSERT_TRUE(zip.ok());
    ExpectError((*zip)->ReadMember(0, 2000), kDataLoss, "deflate stream");
  }
}

}  // namespace
}  // namespace monoquant
