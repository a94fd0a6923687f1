// The members of a zip archive, read at random offsets and checked against
// their checksums.

#ifndef MONOQUANT_FRONTENDS_ZIP_ZIP_ARCHIVE_H_
#define MONOQUANT_FRONTENDS_ZIP_ZIP_ARCHIVE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/zip/zip_directory.h"
#include "ir/byte_source.h"

namespace monoquant {

// An open archive. Opening read the central directory and nothing else; the
// header and the CRC-32 of a member are checked once, when it is first used,
// in bounded memory. Thread-safe.
class ZipArchive {
 public:
  // The errors of ReadZipDirectory.
  static absl::StatusOr<std::unique_ptr<ZipArchive>> Open(
      std::shared_ptr<const ByteSource> source);

  // The file, for messages.
  const std::string& name() const { return source_->name(); }

  size_t size() const { return entries_.size(); }
  const ZipEntry& entry(size_t member) const { return entries_[member]; }

  // The member with exactly this name.
  std::optional<size_t> Find(absl::string_view name) const;

  // False if the archive was written without checksums: torch can be told to
  // leave them out, and writes 0 for every member. Nothing is verified then.
  bool has_checksums() const { return has_checksums_; }

  // Where in the file the bytes of a stored member begin.
  absl::StatusOr<uint64_t> DataOffset(size_t member) const;

  // Fills `dst` with the bytes of a stored member from `offset` on; the range
  // must lie inside the member. DataLoss if the member is damaged.
  absl::Status ReadAt(size_t member, uint64_t offset,
                      absl::Span<uint8_t> dst) const;

  // All of a member, stored or deflated, of at most `limit` bytes.
  absl::StatusOr<std::string> ReadMember(size_t member, uint64_t limit) const;

 private:
  ZipArchive(std::shared_ptr<const ByteSource> source,
             std::vector<ZipEntry> entries);

  // Computes the CRC-32 of the stored member at `data_offset`, unless that has
  // been done before.
  absl::Status VerifyStored(size_t member, uint64_t data_offset) const;
  // Settles a member's check with the CRC-32 that was found.
  absl::Status Settle(size_t member, uint32_t crc) const;
  absl::Status Damaged(size_t member, absl::string_view what) const;

  std::shared_ptr<const ByteSource> source_;
  std::vector<ZipEntry> entries_;
  // Keys point into entries_.
  absl::flat_hash_map<absl::string_view, size_t> by_name_;
  bool has_checksums_ = true;

  // Per member; 0 while its local header has not been read. No member's bytes
  // begin there, since its header comes first.
  std::unique_ptr<std::atomic<uint64_t>[]> data_offsets_;
  // Per member: its CRC-32 was found to be right.
  std::unique_ptr<std::atomic<bool>[]> sound_;
  // A thread that verifies a member holds the lock number `member % size`, so
  // that no other does the same work beside it.
  mutable std::array<std::mutex, 16> verifying_;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ZIP_ZIP_ARCHIVE_H_
