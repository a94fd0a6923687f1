// Guards: archives of more than 4 GiB, as torch writes them, and the records
// that they need.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/testing/zip_builder.h"
#include "frontends/zip/zip_archive.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"

namespace monoquant {
namespace {

using testing::ZipBuilder;

// A file of any size whose bytes are 0 but for a few pieces.
class SparseSource : public ByteSource {
 public:
  explicit SparseSource(uint64_t size) : size_(size) {}

  void Put(uint64_t offset, std::string bytes) {
    pieces_.emplace_back(offset, std::move(bytes));
  }

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return size_; }
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override {
    for (size_t i = 0; i < dst.size(); ++i) {
      dst[i] = 0;
      for (const auto& [begin, bytes] : pieces_) {
        if (offset + i >= begin && offset + i - begin < bytes.size()) {
          dst[i] = static_cast<uint8_t>(bytes[offset + i - begin]);
        }
      }
    }
    return absl::OkStatus();
  }

 private:
  const std::string name_ = "huge.zip";
  const uint64_t size_;
  std::vector<std::pair<uint64_t, std::string>> pieces_;
};

std::string Number(uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) {
    bytes.push_back(static_cast<char>(value >> (8 * i)));
  }
  return bytes;
}

// A header of a member: of the directory with an offset, otherwise local.
std::string HugeHeader(absl::string_view name, uint64_t size,
                       std::optional<uint64_t> offset) {
  const bool is_huge = size >= 0xFFFFFFFF;
  const bool is_far = offset.has_value() && *offset >= 0xFFFFFFFF;
  // torch leaves the sizes in front of a member 0, and writes them behind it.
  std::string fields;
  if (is_huge && offset.has_value()) fields = Number(size, 8) + Number(size, 8);
  if (is_far) fields += Number(*offset, 8);
  const std::string extra =
      fields.empty() ? "" : Number(1, 2) + Number(fields.size(), 2) + fields;
  std::string header = offset.has_value() ? "PK\x01\x02" + Number(45, 2)
                                          : std::string("PK\x03\x04");
  const uint64_t shown =
      !offset.has_value() ? 0 : std::min<uint64_t>(size, 0xFFFFFFFF);
  header += Number(45, 2) + Number(0x0808, 2) + Number(0, 2) + Number(0, 4) +
            Number(0, 4) + Number(shown, 4) + Number(shown, 4) +
            Number(name.size(), 2) + Number(extra.size(), 2);
  if (offset.has_value()) {
    // Comment, disk and attributes, which say nothing.
    header += std::string(10, '\0') +
              Number(std::min<uint64_t>(*offset, 0xFFFFFFFF), 4);
  }
  return absl::StrCat(header, name, extra);
}

TEST(Zip64Test, MembersAndOffsetsBeyond4GiB) {
  const uint64_t huge = (uint64_t{5} << 30) + 3;
  const std::string local_a = HugeHeader("r/a", huge, std::nullopt);
  const std::string descriptor =
      "PK\x07\x08" + Number(0, 4) + Number(huge, 8) + Number(huge, 8);
  const uint64_t data_a = local_a.size();
  const uint64_t header_b = data_a + huge + descriptor.size();
  const std::string local_b = HugeHeader("r/b", 4, std::nullopt);
  const uint64_t data_b = header_b + local_b.size();
  const std::string descriptor_b =
      "PK\x07\x08" + Number(0, 4) + Number(4, 4) + Number(4, 4);
  const uint64_t directory = data_b + 4 + descriptor_b.size();
  const std::string entries =
      HugeHeader("r/a", huge, 0) + HugeHeader("r/b", 4, header_b);
  const std::string end = absl::StrCat(
      "PK\x06\x06", Number(44, 8), Number(45, 2), Number(45, 2), Number(0, 8),
      Number(2, 8), Number(2, 8), Number(entries.size(), 8),
      Number(directory, 8), "PK\x06\x07", Number(0, 4),
      Number(directory + entries.size(), 8), Number(1, 4), "PK\x05\x06",
      Number(0, 4), Number(2, 2), Number(2, 2), Number(entries.size(), 4),
      Number(0xFFFFFFFF, 4), Number(0, 2));
  auto source =
      std::make_shared<SparseSource>(directory + entries.size() + end.size());
  source->Put(0, local_a);
  source->Put(data_a + huge - 4, "last");
  source->Put(data_a + huge, descriptor);
  source->Put(header_b, local_b + "next" + descriptor_b);
  source->Put(directory, entries + end);

  const auto zip = ZipArchive::Open(source);
  ASSERT_TRUE(zip.ok()) << zip.status();
  ASSERT_EQ((*zip)->size(), 2);
  EXPECT_EQ((*zip)->entry(0).size, huge);
  EXPECT_EQ(*(*zip)->DataOffset(1), data_b);
  uint8_t bytes[4];
  ASSERT_TRUE((*zip)->ReadAt(0, huge - 4, absl::MakeSpan(bytes)).ok());
  EXPECT_EQ(std::string(bytes, bytes + 4), "last");
  EXPECT_EQ(*(*zip)->ReadMember(1, 100), "next");
  EXPECT_FALSE((*zip)->ReadAt(0, huge - 3, absl::MakeSpan(bytes)).ok());
}

TEST(Zip64Test, Zip64RecordsMustAgree) {
  ZipBuilder builder;
  builder.Add("r/a", "first").Add("r/b", "the second");
  builder.zip64_end = true;
  const std::string good = builder.Build();
  // The locator's offset, the record's number of members and its directory.
  for (const size_t from_end : {22 + 12, 22 + 20 + 24, 22 + 20 + 8}) {
    std::string bad = good;
    bad[bad.size() - from_end] ^= 1;
    EXPECT_FALSE(
        ZipArchive::Open(std::make_shared<MemorySource>("m.zip", bad)).ok())
        << from_end;
  }
}

}  // namespace
}  // namespace monoquant
