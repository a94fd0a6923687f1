#include "cli/finished_parts.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "cli/parallel.h"
#include "cli/timer.h"
#include "ir/byte_source.h"
#include "ir/crc32.h"
#include "ir/local_files.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

constexpr uint64_t kReadBytes = uint64_t{1} << 20;

// Reads files, of which the last one stays open. For one worker.
class PartReader {
 public:
  explicit PartReader(absl::Span<const std::string> files) : files_(files) {}

  // Whether the bytes have the checksum.
  bool Matches(size_t file, uint64_t offset, uint64_t size, uint32_t crc32) {
    if (!Open(file)) return false;
    uint32_t crc = kEmptyCrc32;
    buffer_.resize(static_cast<size_t>(kReadBytes));
    while (size > 0) {
      const uint64_t part = std::min(size, kReadBytes);
      const absl::Span<uint8_t> bytes =
          absl::MakeSpan(buffer_).first(static_cast<size_t>(part));
      if (!source_->ReadAt(offset, bytes).ok()) return false;
      crc = ExtendCrc32(crc, bytes);
      offset += part;
      size -= part;
    }
    return crc == crc32;
  }

 private:
  bool Open(size_t file) {
    if (source_ != nullptr && file == file_) return true;
    absl::StatusOr<std::unique_ptr<ByteSource>> source =
        OpenLocalFile(files_[file]);
    if (!source.ok()) return false;
    source_ = *std::move(source);
    file_ = file;
    return true;
  }

  absl::Span<const std::string> files_;
  size_t file_ = 0;
  std::unique_ptr<ByteSource> source_;
  std::vector<uint8_t> buffer_;
};

}  // namespace

absl::StatusOr<std::vector<FinishedPiece>> FindFinishedParts(
    absl::Span<const std::string> records, absl::Span<const std::string> files,
    size_t num_outputs, const std::function<PayloadPlace(size_t output)>& place,
    int threads, const std::atomic<bool>& cancel, Progress& progress) {
  std::vector<FinishedPiece> pieces;
  uint64_t bytes_total = 0;
  for (const std::string& record : records) {
    absl::StatusOr<FinishedPiece> piece = DecodeFinishedPiece(record);
    if (!piece.ok()) continue;
    for (const FinishedRange& range : piece->ranges) bytes_total += range.size;
    pieces.push_back(*std::move(piece));
  }

  std::vector<PartReader> readers;
  for (int i = 0; i < threads; ++i) readers.emplace_back(files);
  std::vector<uint8_t> intact(pieces.size());
  std::atomic<uint64_t> bytes_done{0};
  const auto work = [&](size_t item, int worker) {
    PartReader& reader = readers[static_cast<size_t>(worker)];
    bool matches = true;
    for (const FinishedRange& range : pieces[item].ranges) {
      matches = matches && range.output < num_outputs;
      if (!matches) break;
      const PayloadPlace at = place(range.output);
      matches = reader.Matches(at.file, at.offset + range.offset, range.size,
                               range.crc32);
      bytes_done.fetch_add(range.size, std::memory_order_relaxed);
    }
    intact[item] = matches ? 1 : 0;
    return absl::OkStatus();
  };
  const Timer timer;
  const auto tick = [&] {
    progress.Update(bytes_done, bytes_total, timer.seconds());
  };
  MQ_RETURN_IF_ERROR(ParallelFor(pieces.size(), threads, cancel, work, tick));

  std::vector<FinishedPiece> finished;
  absl::flat_hash_set<std::pair<size_t, uint64_t>> seen;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (intact[i] == 0) continue;
    // A piece that was found damaged, and done again, has two records.
    if (!seen.emplace(pieces[i].tensor, pieces[i].piece).second) continue;
    finished.push_back(std::move(pieces[i]));
  }
  return finished;
}

}  // namespace monoquant::cli
