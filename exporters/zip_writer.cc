#include "exporters/zip_writer.h"

#include <utility>

#include "absl/strings/string_view.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr uint64_t kMaxArchive = uint64_t{1} << 62;

// From here on a 32-bit field holds this value and zip64 the true one.
constexpr uint64_t kMax32 = 0xFFFFFFFF;
constexpr uint64_t kMax16 = 0xFFFF;

constexpr uint64_t kLocalHeader = 30;
constexpr uint64_t kCentralHeader = 46;
constexpr uint64_t kEnd = 22;
constexpr uint64_t kZip64End = 56;
constexpr uint64_t kZip64Locator = 20;
constexpr uint64_t kExtraHeader = 4;  // id and length of any extra field
constexpr uint16_t kZip64Extra = 0x0001;
constexpr uint16_t kPaddingExtra = 'F' | ('B' << 8);

constexpr uint16_t kVersionStored = 10;
constexpr uint16_t kVersionZip64 = 45;

// 1 January 1980, the first day that the format knows: no clock is read.
constexpr uint16_t kDosTime = 0;
constexpr uint16_t kDosDate = 1 << 5 | 1;

void Put(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) {
    out.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
  }
}
void Put16(std::string& out, uint64_t value) { Put(out, value, 2); }
void Put32(std::string& out, uint64_t value) { Put(out, value, 4); }
void Put64(std::string& out, uint64_t value) { Put(out, value, 8); }

bool Large(uint64_t value) { return value >= kMax32; }
uint64_t Clamp32(uint64_t value) { return Large(value) ? kMax32 : value; }

// Of the zip64 field in the local header (both sizes) and in the directory
// (those that do not fit), with its own header.
uint64_t LocalZip64(uint64_t size) {
  return Large(size) ? kExtraHeader + 16 : 0;
}
uint64_t CentralZip64(const StoredZip::Member& member) {
  const uint64_t body =
      (Large(member.size) ? 16 : 0) + (Large(member.header_offset) ? 8 : 0);
  return body == 0 ? 0 : kExtraHeader + body;
}

uint16_t VersionNeeded(uint64_t zip64_size) {
  return zip64_size == 0 ? kVersionStored : kVersionZip64;
}

// The fields that local and central header have in common, from the version
// on to the length of the name.
void PutCommon(std::string& out, const StoredZip::Member& member, uint32_t crc,
               uint16_t version) {
  Put16(out, version);
  Put16(out, 0);  // flags: names are ASCII, no data descriptor
  Put16(out, 0);  // method: stored
  Put16(out, kDosTime);
  Put16(out, kDosDate);
  Put32(out, crc);
  Put32(out, Clamp32(member.size));  // compressed
  Put32(out, Clamp32(member.size));
  Put16(out, member.name.size());
}

std::string LocalHeader(const StoredZip::Member& member, uint32_t crc) {
  const uint64_t zip64 = LocalZip64(member.size);
  const uint64_t extra = member.data_offset - member.header_offset -
                         kLocalHeader - member.name.size();
  std::string out;
  Put32(out, 0x04034b50);
  PutCommon(out, member, crc, VersionNeeded(zip64));
  Put16(out, extra);
  out += member.name;
  if (zip64 != 0) {
    Put16(out, kZip64Extra);
    Put16(out, zip64 - kExtraHeader);
    Put64(out, member.size);
    Put64(out, member.size);
  }
  const uint64_t padding = extra - zip64 - kExtraHeader;
  Put16(out, kPaddingExtra);
  Put16(out, padding);
  out.append(padding, '\0');
  return out;
}

void PutCentralHeader(std::string& out, const StoredZip::Member& member,
                      uint32_t crc) {
  const uint64_t zip64 = CentralZip64(member);
  Put32(out, 0x02014b50);
  Put16(out, VersionNeeded(zip64));  // made by: the same, on no system
  PutCommon(out, member, crc, VersionNeeded(zip64));
  Put16(out, zip64);
  Put16(out, 0);  // comment
  Put16(out, 0);  // disk
  Put16(out, 0);  // internal attributes
  Put32(out, 0);  // external attributes
  Put32(out, Clamp32(member.header_offset));
  out += member.name;
  if (zip64 != 0) {
    Put16(out, kZip64Extra);
    Put16(out, zip64 - kExtraHeader);
    if (Large(member.size)) {
      Put64(out, member.size);
      Put64(out, member.size);
    }
    if (Large(member.header_offset)) Put64(out, member.header_offset);
  }
}

bool EndNeedsZip64(uint64_t count, uint64_t size, uint64_t offset) {
  return count >= kMax16 || Large(size) || Large(offset);
}

// The records after the directory, which is `size` bytes at `offset`.
void PutEnd(std::string& out, uint64_t count, uint64_t size, uint64_t offset) {
  if (EndNeedsZip64(count, size, offset)) {
    Put32(out, 0x06064b50);
    Put64(out, kZip64End - 12);
    Put16(out, kVersionZip64);
    Put16(out, kVersionZip64);
    Put32(out, 0);  // this disk
    Put32(out, 0);  // disk of the directory
    Put64(out, count);
    Put64(out, count);
    Put64(out, size);
    Put64(out, offset);
    Put32(out, 0x07064b50);
    Put32(out, 0);  // disk of the record above
    Put64(out, offset + size);
    Put32(out, 1);  // disks
  }
  const uint64_t count16 = count >= kMax16 ? kMax16 : count;
  Put32(out, 0x06054b50);
  Put16(out, 0);
  Put16(out, 0);
  Put16(out, count16);
  Put16(out, count16);
  Put32(out, Clamp32(size));
  Put32(out, Clamp32(offset));
  Put16(out, 0);  // comment
}

absl::Status WriteText(ByteSink& sink, uint64_t offset,
                       absl::string_view text) {
  return sink.WriteAt(
      offset, absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(text.data()),
                                  text.size()));
}

// Collects the directory and writes it in blocks: that of a million members
// should not stand in memory whole.
constexpr size_t kBlock = 64 << 10;

}  // namespace

absl::Status StoredZip::Add(std::string name, uint64_t size) {
  if (size > kMaxArchive || torch_cursor_ > kMaxArchive) {
    return FailedPreconditionError(
        "the archive would be larger than 2^62 bytes");
  }
  Member member;
  member.header_offset = end_;

  // Where torch's writer puts the data when it stands at torch_cursor_. Its
  // zip64 field also holds the header's offset, and it goes on after a data
  // descriptor that holds 32-bit or 64-bit sizes.
  uint64_t start = torch_cursor_ + kLocalHeader + name.size() + kExtraHeader;
  if (Large(size) || Large(torch_cursor_)) start += kExtraHeader;
  if (Large(size)) start += 16;
  if (Large(torch_cursor_)) start += 8;
  member.data_offset = (start + kAlignment - 1) & ~(kAlignment - 1);

  const bool wide = Large(size) || Large(torch_cursor_);
  end_ = member.data_offset + size;
  torch_cursor_ = end_ + (size == 0 ? 0 : wide ? 24 : 16);

  member.name = std::move(name);
  member.size = size;
  members_.push_back(std::move(member));
  return absl::OkStatus();
}

uint64_t StoredZip::DirectorySize() const {
  uint64_t size = 0;
  for (const Member& member : members_) {
    size += kCentralHeader + member.name.size() + CentralZip64(member);
  }
  return size;
}

uint64_t StoredZip::FileSize() const {
  const uint64_t size = DirectorySize();
  const bool zip64 = EndNeedsZip64(members_.size(), size, end_);
  return end_ + size + (zip64 ? kZip64End + kZip64Locator : 0) + kEnd;
}

absl::Status StoredZip::WriteHeaders(absl::Span<const uint32_t> crc32,
                                     ByteSink& sink) const {
  for (size_t i = 0; i < members_.size(); ++i) {
    MQ_RETURN_IF_ERROR(WriteText(sink, members_[i].header_offset,
                                 LocalHeader(members_[i], crc32[i])));
  }
  uint64_t offset = end_;
  std::string block;
  for (size_t i = 0; i < members_.size(); ++i) {
    PutCentralHeader(block, members_[i], crc32[i]);
    if (block.size() >= kBlock) {
      MQ_RETURN_IF_ERROR(WriteText(sink, offset, block));
      offset += block.size();
      block.clear();
    }
  }
  PutEnd(block, members_.size(), DirectorySize(), end_);
  return WriteText(sink, offset, block);
}

}  // namespace monoquant
