#include "frontends/zip/zip_archive.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "frontends/zip/inflate.h"
#include "ir/crc32.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr size_t kVerifyBlock = 256 << 10;

}  // namespace

absl::StatusOr<std::unique_ptr<ZipArchive>> ZipArchive::Open(
    std::shared_ptr<const ByteSource> source) {
  MQ_ASSIGN_OR_RETURN(std::vector<ZipEntry> entries, ReadZipDirectory(*source));
  return std::unique_ptr<ZipArchive>(
      new ZipArchive(std::move(source), std::move(entries)));
}

ZipArchive::ZipArchive(std::shared_ptr<const ByteSource> source,
                       std::vector<ZipEntry> entries)
    : source_(std::move(source)),
      entries_(std::move(entries)),
      data_offsets_(new std::atomic<uint64_t>[entries_.size()]()),
      sound_(new std::atomic<bool>[entries_.size()]()) {
  by_name_.reserve(entries_.size());
  bool any_bytes = false;
  bool any_checksum = false;
  for (size_t i = 0; i < entries_.size(); ++i) {
    by_name_.emplace(entries_[i].name, i);
    any_bytes |= entries_[i].size > 0;
    any_checksum |= entries_[i].crc32 != 0;
  }
  has_checksums_ = any_checksum || !any_bytes;
}

std::optional<size_t> ZipArchive::Find(absl::string_view name) const {
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) return std::nullopt;
  return it->second;
}

absl::StatusOr<uint64_t> ZipArchive::DataOffset(size_t member) const {
  uint64_t offset = data_offsets_[member].load(std::memory_order_relaxed);
  if (offset == 0) {
    // Two threads may both do this; they find the same.
    MQ_ASSIGN_OR_RETURN(offset, LocateZipMember(*source_, entries_[member]));
    data_offsets_[member].store(offset, std::memory_order_relaxed);
  }
  return offset;
}

absl::Status ZipArchive::ReadAt(size_t member, uint64_t offset,
                                absl::Span<uint8_t> dst) const {
  const ZipEntry& entry = entries_[member];
  if (entry.method != ZipMethod::kStored) {
    return absl::InternalError(absl::StrCat(
        name(), ": member ", QuotedName(entry.name), " is compressed"));
  }
  if (offset > entry.size || dst.size() > entry.size - offset) {
    return absl::OutOfRangeError(absl::StrCat(
        name(), ": member ", QuotedName(entry.name), " has ", entry.size,
        " bytes, not ", dst.size(), " at offset ", offset));
  }
  MQ_ASSIGN_OR_RETURN(const uint64_t data_offset, DataOffset(member));
  if (dst.size() == entry.size &&
      !sound_[member].load(std::memory_order_acquire)) {
    // The whole member comes along, so it need not be read twice.
    MQ_RETURN_IF_ERROR(source_->ReadAt(data_offset, dst));
    return Settle(member, Crc32(dst));
  }
  MQ_RETURN_IF_ERROR(VerifyStored(member, data_offset));
  return source_->ReadAt(data_offset + offset, dst);
}

absl::StatusOr<std::string> ZipArchive::ReadMember(size_t member,
                                                   uint64_t limit) const {
  const ZipEntry& entry = entries_[member];
  if (entry.size > limit) {
    return absl::DataLossError(
        absl::StrCat(name(), ": member ", QuotedName(entry.name), " has ",
                     entry.size, " bytes, more than the limit of ", limit));
  }
  std::string bytes(static_cast<size_t>(entry.size), '\0');
  const absl::Span<uint8_t> span(reinterpret_cast<uint8_t*>(bytes.data()),
                                 bytes.size());
  if (entry.method == ZipMethod::kStored) {
    MQ_RETURN_IF_ERROR(ReadAt(member, 0, span));
    return bytes;
  }
  MQ_ASSIGN_OR_RETURN(const uint64_t data_offset, DataOffset(member));
  const absl::Status inflated =
      Inflate(*source_, data_offset, entry.compressed_size, span);
  if (absl::IsDataLoss(inflated)) return Damaged(member, inflated.message());
  MQ_RETURN_IF_ERROR(inflated);
  MQ_RETURN_IF_ERROR(Settle(member, Crc32(span)));
  return bytes;
}

absl::Status ZipArchive::VerifyStored(size_t member,
                                      uint64_t data_offset) const {
  const std::atomic<bool>& sound = sound_[member];
  if (!has_checksums_ || sound.load(std::memory_order_acquire)) {
    return absl::OkStatus();
  }
  std::lock_guard<std::mutex> lock(verifying_[member % verifying_.size()]);
  if (sound.load(std::memory_order_acquire)) return absl::OkStatus();

  const ZipEntry& entry = entries_[member];
  std::vector<uint8_t> block(
      static_cast<size_t>(std::min<uint64_t>(kVerifyBlock, entry.size)));
  uint32_t crc = kEmptyCrc32;
  for (uint64_t done = 0; done < entry.size; done += block.size()) {
    block.resize(static_cast<size_t>(
        std::min<uint64_t>(block.size(), entry.size - done)));
    MQ_RETURN_IF_ERROR(
        source_->ReadAt(data_offset + done, absl::MakeSpan(block)));
    crc = ExtendCrc32(crc, block);
  }
  return Settle(member, crc);
}

absl::Status ZipArchive::Settle(size_t member, uint32_t crc) const {
  if (!has_checksums_) return absl::OkStatus();
  const uint32_t expected = entries_[member].crc32;
  if (crc != expected) {
    return Damaged(member,
                   absl::StrCat("its CRC-32 is ", absl::Hex(crc),
                                ", the archive says ", absl::Hex(expected)));
  }
  sound_[member].store(true, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status ZipArchive::Damaged(size_t member, absl::string_view what) const {
  return absl::DataLossError(
      absl::StrCat(name(), ": member ", QuotedName(entries_[member].name),
                   " is damaged: ", what, "; download or copy it again"));
}

}  // namespace monoquant
