#include "ir/mqir_reader.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ir/crc32.h"
#include "ir/errors.h"
#include "ir/mqir_format.h"
#include "ir/mqir_index.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// A checksum is verified in pieces of this size.
constexpr uint64_t kPieceBytes = uint64_t{1} << 20;

// Threads that verify different tensors rarely wait for each other.
constexpr size_t kNumLocks = 16;

class MqirReader : public CheckpointReader {
 public:
  // sources[0] is the file itself, the others as in index.sources.
  MqirReader(MqirIndex index, std::string file,
             std::vector<std::shared_ptr<ByteSource>> sources)
      : index_(std::move(index)),
        file_(std::move(file)),
        sources_(std::move(sources)),
        verified_(
            std::make_unique<std::atomic<bool>[]>(index_.extents.size())) {}

  const CheckpointIndex& index() const override { return index_.checkpoint; }

  absl::Status Read(size_t tensor, uint64_t first, uint64_t count,
                    absl::Span<uint8_t> dst) const override {
    if (tensor >= index().tensors.size()) {
      return InvalidArgumentError(index().path, ": there is no tensor ", tensor,
                                  " of ", index().tensors.size());
    }
    const TensorInfo& info = index().tensors[tensor];
    const absl::StatusOr<ByteRange> range = ElementBytes(info, first, count);
    if (!range.ok()) return Annotate(index().path, range.status());
    if (range->size != dst.size()) {
      return InvalidArgumentError(absl::StrCat(
          index().path, ": tensor ", QuotedName(info.name), ": ", count,
          " elements have ", range->size, " bytes, the buffer ", dst.size()));
    }
    const uint32_t number = index_.tensor_extents[tensor];
    const MqirExtent& extent = index_.extents[number];
    if (!verified_[number].load(std::memory_order_acquire)) {
      if (range->size == extent.size) return ReadWhole(info, number, dst);
      MQ_RETURN_IF_ERROR(Verify(info, number));
    }
    return ReadBytes(info, extent, range->offset, dst);
  }

  std::optional<FileExtent> Locate(size_t tensor) const override {
    if (tensor >= index().tensors.size()) return std::nullopt;
    const MqirExtent& extent = index_.extents[index_.tensor_extents[tensor]];
    return FileExtent{
        extent.source == 0 ? file_ : index_.sources[extent.source - 1].file,
        extent.offset, extent.size};
  }

 private:
  absl::Status ReadBytes(const TensorInfo& tensor, const MqirExtent& extent,
                         uint64_t offset, absl::Span<uint8_t> dst) const {
    const absl::Status status =
        sources_[extent.source]->ReadAt(extent.offset + offset, dst);
    if (status.ok()) return status;
    return absl::Status(status.code(),
                        absl::StrCat(status.message(), " (tensor ",
                                     QuotedName(tensor.name), ")"));
  }

  // The common case of a tensor that is read at once: no second pass.
  absl::Status ReadWhole(const TensorInfo& tensor, uint32_t number,
                         absl::Span<uint8_t> dst) const {
    MQ_RETURN_IF_ERROR(ReadBytes(tensor, index_.extents[number], 0, dst));
    return Compare(tensor, number, Crc32(dst));
  }

  absl::Status Verify(const TensorInfo& tensor, uint32_t number) const {
    // One thread computes the checksum, the others wait for it.
    const std::lock_guard<std::mutex> lock(locks_[number % kNumLocks]);
    if (verified_[number].load(std::memory_order_acquire)) {
      return absl::OkStatus();
    }
    const MqirExtent& extent = index_.extents[number];
    std::vector<uint8_t> piece(std::min(extent.size, kPieceBytes));
    uint32_t crc = kEmptyCrc32;
    for (uint64_t done = 0; done < extent.size; done += piece.size()) {
      piece.resize(std::min(extent.size - done, kPieceBytes));
      MQ_RETURN_IF_ERROR(
          ReadBytes(tensor, extent, done, absl::MakeSpan(piece)));
      crc = ExtendCrc32(crc, piece);
    }
    return Compare(tensor, number, crc);
  }

  absl::Status Compare(const TensorInfo& tensor, uint32_t number,
                       uint32_t crc) const {
    const MqirExtent& extent = index_.extents[number];
    if (crc == extent.crc32) {
      verified_[number].store(true, std::memory_order_release);
      return absl::OkStatus();
    }
    return DataLossError(
        sources_[extent.source]->name(), ": tensor ", QuotedName(tensor.name),
        ": the checksum of its bytes is ", absl::Hex(crc, absl::kZeroPad8),
        ", expected ", absl::Hex(extent.crc32, absl::kZeroPad8),
        extent.source == 0
            ? "; the file is damaged, get it again"
            : absl::StrCat("; it was changed after ", index().path,
                           " was linked to it, link again"));
  }

  const MqirIndex index_;
  const std::string file_;
  const std::vector<std::shared_ptr<ByteSource>> sources_;
  // One for each extent. Only success is remembered.
  const std::unique_ptr<std::atomic<bool>[]> verified_;
  mutable std::array<std::mutex, kNumLocks> locks_;
};

absl::StatusOr<std::shared_ptr<ByteSource>> OpenLinked(
    const CheckpointFiles& files, const MqirSource& linked) {
  absl::StatusOr<std::shared_ptr<ByteSource>> source = files.open(linked.file);
  if (absl::IsNotFound(source.status())) {
    return NotFoundError(
        files.path, ": its tensors lie in ", QuotedName(linked.file),
        ", which is not beside it; put that file into the same directory");
  }
  if (source.ok() && (*source)->size() != linked.size) {
    return DataLossError((*source)->name(), ": has ", (*source)->size(),
                         " bytes, but ", files.path,
                         " was linked to a file of ", linked.size,
                         " bytes; put the original file back or link again");
  }
  return source;
}

// Reads and checks the header and the index.
absl::StatusOr<MqirIndex> ReadIndex(const ByteSource& source,
                                    const std::string& path) {
  std::vector<uint8_t> bytes(std::min(source.size(), kMqirHeaderSize));
  MQ_RETURN_IF_ERROR(source.ReadAt(0, absl::MakeSpan(bytes)));
  const absl::StatusOr<MqirHeader> header =
      DecodeMqirHeader(bytes, source.size());
  if (!header.ok()) return Annotate(path, header.status());

  bytes.resize(header->index_size);
  MQ_RETURN_IF_ERROR(source.ReadAt(kMqirHeaderSize, absl::MakeSpan(bytes)));
  if (Crc32(bytes) != header->index_crc32) {
    return DataLossError(
        path,
        ": the index does not match its checksum; the file is damaged, "
        "get it again");
  }
  return DecodeMqirIndex(bytes, *header, path);
}

}  // namespace

absl::StatusOr<bool> IsMqir(const CheckpointFiles& files) {
  if (files.main.empty()) return false;
  MQ_ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source,
                      files.open(files.main));
  std::string start(std::min<uint64_t>(source->size(), kMqirMagic.size()),
                    '\0');
  MQ_RETURN_IF_ERROR(source->ReadAt(
      0,
      absl::MakeSpan(reinterpret_cast<uint8_t*>(start.data()), start.size())));
  return start == kMqirMagic;
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenMqir(
    const CheckpointFiles& files) {
  MQ_ASSIGN_OR_RETURN(std::shared_ptr<ByteSource> main, files.open(files.main));
  MQ_ASSIGN_OR_RETURN(MqirIndex index, ReadIndex(*main, files.path));
  std::vector<std::shared_ptr<ByteSource>> sources = {std::move(main)};
  for (const MqirSource& linked : index.sources) {
    MQ_ASSIGN_OR_RETURN(std::shared_ptr<ByteSource> source,
                        OpenLinked(files, linked));
    sources.push_back(std::move(source));
    index.checkpoint.notes.push_back(absl::StrCat(
        "payload of linked tensors lies in ", QuotedName(linked.file)));
  }
  return std::make_unique<MqirReader>(std::move(index), files.main,
                                      std::move(sources));
}

}  // namespace monoquant
