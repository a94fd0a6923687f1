#include "frontends/zip/zip_archive.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "frontends/zip/inflate.h"
#include "ir/crc32.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr size_t kVerifyBlock = 256 << 10;

// Deflated members that are read by turns, each from where it was left.
constexpr size_t kMaxIdleStreams = 16;

// How many other members decide whether an archive has checksums at all, and
// how small they are.
constexpr size_t kWitnesses = 8;
constexpr uint64_t kWitnessBytes = 64 << 10;

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

ZipArchive::~ZipArchive() = default;

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
  if (offset > entry.size || dst.size() > entry.size - offset) {
    return OutOfRangeError(absl::StrCat(
        name(), ": member ", QuotedName(entry.name), " has ", entry.size,
        " bytes, not ", dst.size(), " at offset ", offset));
  }
  const bool is_stored = entry.method == ZipMethod::kStored;
  MQ_ASSIGN_OR_RETURN(const uint64_t data_offset, DataOffset(member));
  if (dst.size() == entry.size &&
      !sound_[member].load(std::memory_order_acquire)) {
    // The whole member comes along, so it need not be read twice.
    if (is_stored) {
      MQ_RETURN_IF_ERROR(source_->ReadAt(data_offset, dst));
    } else {
      MQ_ASSIGN_OR_RETURN(
          const auto stream,
          InflateStream::Open(*source_, data_offset, entry.compressed_size));
      MQ_RETURN_IF_ERROR(Explain(member, stream->Read(dst)));
      MQ_RETURN_IF_ERROR(Explain(member, stream->ExpectEnd()));
    }
    return Settle(member, Crc32(dst));
  }
  MQ_RETURN_IF_ERROR(Verify(member));
  if (is_stored) return source_->ReadAt(data_offset + offset, dst);
  return ReadInflated(member, offset, dst);
}

absl::StatusOr<std::string> ZipArchive::ReadMember(size_t member,
                                                   uint64_t limit) const {
  const ZipEntry& entry = entries_[member];
  if (entry.size > limit) {
    return DataLossError(name(), ": member ", QuotedName(entry.name), " has ",
                         entry.size, " bytes, more than the limit of ", limit);
  }
  std::string bytes(static_cast<size_t>(entry.size), '\0');
  MQ_RETURN_IF_ERROR(ReadAt(
      member, 0,
      absl::MakeSpan(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size())));
  return bytes;
}

absl::StatusOr<std::shared_ptr<const ByteSource>> ZipArchive::OpenStored(
    size_t member) const {
  const ZipEntry& entry = entries_[member];
  if (entry.method != ZipMethod::kStored) {
    return UnimplementedError(
        name(), ": member ", QuotedName(entry.name),
        " is an archive that is compressed once more; extract it first");
  }
  MQ_ASSIGN_OR_RETURN(const uint64_t data_offset, DataOffset(member));
  MQ_ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> slice,
                      SliceSource(source_, data_offset, entry.size,
                                  absl::StrCat(name(), "/", entry.name)));
  return std::shared_ptr<const ByteSource>(std::move(slice));
}

absl::Status ZipArchive::Verify(size_t member) const {
  const std::atomic<bool>& sound = sound_[member];
  if (!has_checksums() || sound.load(std::memory_order_acquire)) {
    return absl::OkStatus();
  }
  std::lock_guard<std::mutex> lock(verifying_[member % verifying_.size()]);
  if (sound.load(std::memory_order_acquire)) return absl::OkStatus();
  MQ_ASSIGN_OR_RETURN(const uint32_t crc, ComputeCrc(member));
  return Settle(member, crc);
}

absl::StatusOr<uint32_t> ZipArchive::ComputeCrc(size_t member) const {
  const ZipEntry& entry = entries_[member];
  MQ_ASSIGN_OR_RETURN(const uint64_t data_offset, DataOffset(member));
  std::unique_ptr<InflateStream> stream;
  if (entry.method == ZipMethod::kDeflated) {
    MQ_ASSIGN_OR_RETURN(stream, InflateStream::Open(*source_, data_offset,
                                                    entry.compressed_size));
  }
  std::vector<uint8_t> block(
      static_cast<size_t>(std::min<uint64_t>(kVerifyBlock, entry.size)));
  uint32_t crc = kEmptyCrc32;
  for (uint64_t done = 0; done < entry.size; done += block.size()) {
    block.resize(static_cast<size_t>(
        std::min<uint64_t>(block.size(), entry.size - done)));
    if (stream != nullptr) {
      MQ_RETURN_IF_ERROR(Explain(member, stream->Read(absl::MakeSpan(block))));
    } else {
      MQ_RETURN_IF_ERROR(
          source_->ReadAt(data_offset + done, absl::MakeSpan(block)));
    }
    crc = ExtendCrc32(crc, block);
  }
  if (stream != nullptr) {
    MQ_RETURN_IF_ERROR(Explain(member, stream->ExpectEnd()));
  }
  return crc;
}

absl::Status ZipArchive::Settle(size_t member, uint32_t crc) const {
  if (!has_checksums()) return absl::OkStatus();
  const uint32_t expected = entries_[member].crc32;
  if (crc != expected) {
    if (NoChecksumIsRight(member)) {
      has_checksums_.store(false, std::memory_order_relaxed);
      return absl::OkStatus();
    }
    return Damaged(member,
                   absl::StrCat("its CRC-32 is ", absl::Hex(crc),
                                ", the archive says ", absl::Hex(expected)));
  }
  sound_[member].store(true, std::memory_order_release);
  return absl::OkStatus();
}

bool ZipArchive::NoChecksumIsRight(size_t member) const {
  size_t wrong = 0;
  for (size_t i = 0; i < entries_.size() && wrong < kWitnesses; ++i) {
    if (i == member || entries_[i].size == 0 ||
        entries_[i].size > kWitnessBytes) {
      continue;
    }
    const absl::StatusOr<uint32_t> crc = ComputeCrc(i);
    // A member that cannot be read tells nothing.
    if (!crc.ok()) continue;
    if (*crc == entries_[i].crc32) return false;
    ++wrong;
  }
  return wrong > 0;
}

absl::Status ZipArchive::ReadInflated(size_t member, uint64_t offset,
                                      absl::Span<uint8_t> dst) const {
  MQ_ASSIGN_OR_RETURN(std::unique_ptr<InflateStream> stream,
                      TakeStream(member, offset));
  MQ_RETURN_IF_ERROR(Explain(member, stream->SkipTo(offset)));
  MQ_RETURN_IF_ERROR(Explain(member, stream->Read(dst)));
  KeepStream(member, std::move(stream));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<InflateStream>> ZipArchive::TakeStream(
    size_t member, uint64_t offset) const {
  {
    std::lock_guard<std::mutex> lock(idle_mutex_);
    auto best = idle_.end();
    for (auto it = idle_.begin(); it != idle_.end(); ++it) {
      if (it->member != member || it->stream->position() > offset) continue;
      if (best == idle_.end() ||
          it->stream->position() > best->stream->position()) {
        best = it;
      }
    }
    if (best != idle_.end()) {
      std::unique_ptr<InflateStream> stream = std::move(best->stream);
      idle_.erase(best);
      return stream;
    }
  }
  MQ_ASSIGN_OR_RETURN(const uint64_t data_offset, DataOffset(member));
  return InflateStream::Open(*source_, data_offset,
                             entries_[member].compressed_size);
}

void ZipArchive::KeepStream(size_t member,
                            std::unique_ptr<InflateStream> stream) const {
  std::lock_guard<std::mutex> lock(idle_mutex_);
  if (idle_.size() >= kMaxIdleStreams) idle_.erase(idle_.begin());
  idle_.push_back({member, std::move(stream)});
}

absl::Status ZipArchive::Explain(size_t member,
                                 const absl::Status& status) const {
  return absl::IsDataLoss(status) ? Damaged(member, status.message()) : status;
}

absl::Status ZipArchive::Damaged(size_t member, absl::string_view what) const {
  return DataLossError(name(), ": member ", QuotedName(entries_[member].name),
                       " is damaged: ", what, "; download or copy it again");
}

}  // namespace monoquant
