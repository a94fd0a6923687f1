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

class InflateStream;

// An open archive. Opening read the central directory and nothing else; the
// header and the CRC-32 of a member are checked once, when it is first used,
// in bounded memory, whether it is stored or deflated. Thread-safe.
class ZipArchive {
 public:
  // The errors of ReadZipDirectory.
  static absl::StatusOr<std::unique_ptr<ZipArchive>> Open(
      std::shared_ptr<const ByteSource> source);
  ~ZipArchive();

  // The file, for messages.
  const std::string& name() const { return source_->name(); }

  size_t size() const { return entries_.size(); }
  const ZipEntry& entry(size_t member) const { return entries_[member]; }

  // The member with exactly this name.
  std::optional<size_t> Find(absl::string_view name) const;

  // False if the archive was written without checksums, as torch can be told
  // to: it then has 0 for every member, or another number that is wrong for all
  // of them, which shows when the first member is read. Nothing is verified
  // then.
  bool has_checksums() const {
    return has_checksums_.load(std::memory_order_relaxed);
  }

  // Where in the file the bytes of a member begin, stored or deflated.
  absl::StatusOr<uint64_t> DataOffset(size_t member) const;

  // Fills `dst` with the bytes of a member from `offset` on; the range must lie
  // inside the member. A deflated member is inflated from its beginning, or
  // from where an earlier read left off: read it in rising order. DataLoss if
  // the member is damaged.
  absl::Status ReadAt(size_t member, uint64_t offset,
                      absl::Span<uint8_t> dst) const;

  // All of a member of at most `limit` bytes.
  absl::StatusOr<std::string> ReadMember(size_t member, uint64_t limit) const;

  // A stored member as a source of its own, for archives in archives. Its bytes
  // are not checked: those that the inner archive has checksums for are checked
  // there, and for others there is Verify. Unimplemented if it is deflated.
  absl::StatusOr<std::shared_ptr<const ByteSource>> OpenStored(
      size_t member) const;

  // DataLoss if the member is damaged. Reads all of it, once.
  absl::Status Verify(size_t member) const;

 private:
  ZipArchive(std::shared_ptr<const ByteSource> source,
             std::vector<ZipEntry> entries);

  absl::Status ReadInflated(size_t member, uint64_t offset,
                            absl::Span<uint8_t> dst) const;
  absl::StatusOr<uint32_t> ComputeCrc(size_t member) const;
  // Settles a member's check with the CRC-32 that was found.
  absl::Status Settle(size_t member, uint32_t crc) const;
  // True if `member`, whose checksum is wrong, is in the company of others,
  // and theirs are wrong too.
  bool NoChecksumIsRight(size_t member) const;
  // A stream of `member` that is at `offset` or before.
  absl::StatusOr<std::unique_ptr<InflateStream>> TakeStream(
      size_t member, uint64_t offset) const;
  void KeepStream(size_t member, std::unique_ptr<InflateStream> stream) const;
  // `status`, with the member's name if it says that the member is damaged.
  absl::Status Explain(size_t member, const absl::Status& status) const;
  absl::Status Damaged(size_t member, absl::string_view what) const;

  std::shared_ptr<const ByteSource> source_;
  std::vector<ZipEntry> entries_;
  // Keys point into entries_.
  absl::flat_hash_map<absl::string_view, size_t> by_name_;
  mutable std::atomic<bool> has_checksums_{true};

  // Per member; 0 while its local header has not been read. No member's bytes
  // begin there, since its header comes first.
  std::unique_ptr<std::atomic<uint64_t>[]> data_offsets_;
  // Per member: its CRC-32 was found to be right.
  std::unique_ptr<std::atomic<bool>[]> sound_;
  // A thread that verifies a member holds the lock number `member % size`, so
  // that no other does the same work beside it.
  mutable std::array<std::mutex, 16> verifying_;

  // Streams of deflated members that nobody reads at the moment, the one that
  // was used last at the end.
  struct IdleStream {
    size_t member;
    std::unique_ptr<InflateStream> stream;
  };
  mutable std::mutex idle_mutex_;
  mutable std::vector<IdleStream> idle_;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ZIP_ZIP_ARCHIVE_H_
