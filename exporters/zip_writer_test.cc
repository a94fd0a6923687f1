// Guards: offsets (aligned, disjoint, where torch computes them), the fields
// of the headers on both sides of every zip64 limit, without writing
// gigabytes. That real unzip programs agree is tested with files.

#include "exporters/zip_writer.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

constexpr uint64_t k4G = uint64_t{1} << 32;

// Keeps what was written, not the holes between.
class SparseSink : public ByteSink {
 public:
  const std::string& name() const override { return name_; }
  absl::Status WriteAt(uint64_t offset,
                       absl::Span<const uint8_t> src) override {
    parts_[offset] = std::string(src.begin(), src.end());
    return absl::OkStatus();
  }
  absl::Status Commit() override { return absl::OkStatus(); }

  // The bytes from `offset` on, as far as they were written without a hole.
  std::string From(uint64_t offset) const {
    std::string out;
    for (auto it = parts_.upper_bound(offset); it != parts_.begin();) {
      --it;
      if (it->first + it->second.size() > offset) {
        out = it->second.substr(offset - it->first);
        for (++it; it != parts_.end() && it->first == offset + out.size();
             ++it) {
          out += it->second;
        }
      }
      break;
    }
    return out;
  }
  uint64_t end() const {
    return parts_.rbegin()->first + parts_.rbegin()->second.size();
  }

 private:
  std::string name_ = "sparse";
  std::map<uint64_t, std::string> parts_;
};

uint64_t Get(const std::string& bytes, size_t at, int width) {
  uint64_t value = 0;
  for (int i = width; i-- > 0;) {
    value = value << 8 | static_cast<uint8_t>(bytes.at(at + i));
  }
  return value;
}

// What a reader finds, walking from the end of the archive as readers do.
struct Entry {
  std::string name;
  uint32_t crc = 0;
  uint64_t size = 0;
  uint64_t header_offset = 0;
  uint64_t data_offset = 0;  // by the local header
  bool operator==(const Entry& o) const {
    return name == o.name && crc == o.crc && size == o.size &&
           header_offset == o.header_offset && data_offset == o.data_offset;
  }
};

// The value of a 32-bit field, or the next one of the zip64 field.
uint64_t Wide(uint64_t value, const std::string& zip64, size_t* at) {
  if (value != 0xFFFFFFFF) return value;
  *at += 8;
  return Get(zip64, *at - 8, 8);
}

std::string FindExtra(const std::string& extra, uint16_t id) {
  for (size_t at = 0; at < extra.size();) {
    const size_t size = Get(extra, at + 2, 2);
    if (Get(extra, at, 2) == id) return extra.substr(at + 4, size);
    at += 4 + size;
  }
  return "";
}

std::vector<Entry> ReadBack(const SparseSink& sink, uint64_t file_size) {
  const std::string end = sink.From(file_size - 22);
  EXPECT_EQ(Get(end, 0, 4), 0x06054b50u);
  EXPECT_EQ(end.size(), 22u) << "no comment";
  uint64_t count = Get(end, 10, 2);
  uint64_t size = Get(end, 12, 4);
  uint64_t offset = Get(end, 16, 4);
  uint64_t after = file_size - 22;
  if (count == 0xFFFF || size == 0xFFFFFFFF || offset == 0xFFFFFFFF) {
    const std::string locator = sink.From(file_size - 42);
    EXPECT_EQ(Get(locator, 0, 4), 0x07064b50u);
    const std::string end64 = sink.From(Get(locator, 8, 8));
    EXPECT_EQ(Get(end64, 0, 4), 0x06064b50u);
    count = Get(end64, 32, 8);
    size = Get(end64, 40, 8);
    offset = Get(end64, 48, 8);
    after = Get(locator, 8, 8);
    EXPECT_EQ(after, file_size - 22 - 20 - 56);
  }
  EXPECT_EQ(offset + size, after) << "the directory ends where it should";

  std::vector<Entry> entries;
  const std::string directory = sink.From(offset).substr(0, size);
  for (size_t at = 0; at < directory.size();) {
    EXPECT_EQ(Get(directory, at, 4), 0x02014b50u);
    Entry entry;
    const size_t name_size = Get(directory, at + 28, 2);
    const size_t extra_size = Get(directory, at + 30, 2);
    entry.name = directory.substr(at + 46, name_size);
    const std::string zip64 =
        FindExtra(directory.substr(at + 46 + name_size, extra_size), 1);
    size_t used = 0;
    entry.crc = static_cast<uint32_t>(Get(directory, at + 16, 4));
    entry.size = Wide(Get(directory, at + 24, 4), zip64, &used);
    EXPECT_EQ(Wide(Get(directory, at + 20, 4), zip64, &used), entry.size);
    entry.header_offset = Wide(Get(directory, at + 42, 4), zip64, &used);
    EXPECT_EQ(used, zip64.size()) << entry.name;
    at += 46 + name_size + extra_size;

    const std::string local = sink.From(entry.header_offset);
    EXPECT_EQ(Get(local, 0, 4), 0x04034b50u);
    EXPECT_EQ(Get(local, 6, 2), 0u) << "no data descriptor";
    EXPECT_EQ(Get(local, 8, 2), 0u) << "stored";
    EXPECT_EQ(Get(local, 14, 4), entry.crc);
    EXPECT_EQ(Get(local, 26, 2), name_size);
    EXPECT_EQ(local.substr(30, name_size), entry.name);
    const size_t local_extra = Get(local, 28, 2);
    const std::string local_zip64 =
        FindExtra(local.substr(30 + name_size, local_extra), 1);
    used = 0;
    EXPECT_EQ(Wide(Get(local, 22, 4), local_zip64, &used), entry.size);
    EXPECT_EQ(Wide(Get(local, 18, 4), local_zip64, &used), entry.size);
    EXPECT_EQ(used, local_zip64.size()) << entry.name;
    entry.data_offset = entry.header_offset + 30 + name_size + local_extra;
    EXPECT_GE(local.size(), entry.data_offset - entry.header_offset);
    entries.push_back(entry);
  }
  EXPECT_EQ(entries.size(), count);
  return entries;
}

void CheckArchive(const std::vector<uint64_t>& sizes) {
  StoredZip zip;
  std::vector<uint32_t> crc;
  for (size_t i = 0; i < sizes.size(); ++i) {
    ASSERT_TRUE(zip.Add(absl::StrCat("archive/data/", i), sizes[i]).ok());
    crc.push_back(static_cast<uint32_t>(0x9E3779B9u * (i + 1)));
  }
  uint64_t end = 0;
  for (const StoredZip::Member& member : zip.members()) {
    EXPECT_EQ(member.data_offset % StoredZip::kAlignment, 0u);
    EXPECT_EQ(member.header_offset, end) << "no gap, no overlap";
    end = member.data_offset + member.size;
  }
  SparseSink sink;
  ASSERT_TRUE(zip.WriteHeaders(crc, sink).ok());
  EXPECT_EQ(sink.end(), zip.FileSize());

  const std::vector<Entry> entries = ReadBack(sink, zip.FileSize());
  ASSERT_EQ(entries.size(), sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    const StoredZip::Member& member = zip.members()[i];
    EXPECT_EQ(entries[i], (Entry{member.name, crc[i], member.size,
                                 member.header_offset, member.data_offset}));
  }
}

TEST(StoredZipTest, HeadersTellWhatWasPlanned) {
  const std::vector<uint64_t> cases[] = {
      {},
      {0},
      {1, 0, 63, 64, 65, 0, 1000},
      // A size on both sides of the limit.
      {k4G - 2, 1},
      {k4G - 1, 1},
      {k4G, 1},
      // An offset beyond the limit, small members after it.
      {k4G - 100, 5, 0, 7},
      {k4G / 2, k4G / 2, 1, 0, 1},
      // Both.
      {k4G + 5, k4G + 5, 3},
  };
  for (const std::vector<uint64_t>& sizes : cases) {
    SCOPED_TRACE(sizes.empty() ? 0 : sizes[0]);
    CheckArchive(sizes);
  }
}

TEST(StoredZipTest, ManyMembersNeedTheWideEndRecord) {
  for (size_t count : {65534, 65535, 65536, 70000}) {
    SCOPED_TRACE(count);
    CheckArchive(std::vector<uint64_t>(count, 1));
  }
}

// The sum that torch does when it is told not to read local headers
// (serialization.py, _get_offset, and getRecordOffsetNoRead behind it).
TEST(StoredZipTest, DataLiesWhereTorchComputesIt) {
  const std::vector<uint64_t> sizes = {10,      0,  0,        k4G - 2, 3,
                                       k4G - 1, 40, k4G + 64, 0,       1};
  StoredZip zip;
  for (size_t i = 0; i < sizes.size(); ++i) {
    ASSERT_TRUE(zip.Add(absl::StrCat("archive/data/", i), sizes[i]).ok());
  }
  uint64_t cursor = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const uint64_t limit = 0xFFFFFFFF;
    const StoredZip::Member& member = zip.members()[i];
    uint64_t start = cursor + 30 + member.name.size() + 4;
    if (sizes[i] >= limit || cursor >= limit) {
      start += 4;
      if (sizes[i] >= limit) start += 16;
      if (cursor >= limit) start += 8;
    }
    const uint64_t expected = (start + 63) / 64 * 64;
    EXPECT_EQ(member.data_offset, expected) << i;
    const bool wide = cursor >= limit || sizes[i] >= limit;
    cursor = expected + sizes[i];
    if (sizes[i] > 0) cursor += wide ? 24 : 16;
  }
}

TEST(StoredZipTest, AbsurdSizesAreRefused) {
  for (uint64_t size : {UINT64_MAX, uint64_t{1} << 63}) {
    StoredZip zip;
    EXPECT_EQ(zip.Add("a", size).code(), absl::StatusCode::kFailedPrecondition);
  }
  StoredZip zip;
  ASSERT_TRUE(zip.Add("a", uint64_t{1} << 62).ok());
  EXPECT_FALSE(zip.Add("b", 1).ok());
}

}  // namespace
}  // namespace monoquant
