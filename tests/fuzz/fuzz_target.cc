#include "tests/fuzz/fuzz_target.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/types/span.h"
#include "frontends/frontend.h"
#include "frontends/scan/scan.h"
#include "frontends/scan/scan_report.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/shape.h"

namespace monoquant::fuzz {
namespace {

// For one input; a fuzzer wants thousands of them a second.
constexpr uint64_t kMaxReadBytes = uint64_t{2} << 20;
constexpr uint64_t kMaxPiece = 64 << 10;
constexpr size_t kMaxTensors = 200;

constexpr size_t kMaxMessage = 4000;

// The bytes of elements [first, first + count), in pieces of `piece` elements.
absl::StatusOr<std::string> ReadPieces(const CheckpointReader& reader,
                                       size_t tensor, uint64_t count,
                                       uint64_t piece) {
  std::string bytes;
  for (uint64_t first = 0; first < count; first += piece) {
    const uint64_t now = std::min(piece, count - first);
    const auto range = ElementBytes(reader.index().tensors[tensor], first, now);
    Check(range.ok(), "a piece of the tensor is no range of it");
    const size_t begin = bytes.size();
    bytes.resize(begin + static_cast<size_t>(range->size));
    const absl::Status status =
        reader.Read(tensor, first, now,
                    absl::MakeSpan(reinterpret_cast<uint8_t*>(&bytes[begin]),
                                   static_cast<size_t>(range->size)));
    if (!status.ok()) return status;
  }
  return bytes;
}

void ReadOne(const CheckpointFiles& files, const CheckpointReader& reader,
             size_t tensor) {
  const TensorInfo& info = reader.index().tensors[tensor];
  const auto elements = NumElements(info.shape);
  Check(elements.ok(), "a shape without a number of elements");
  // 8 elements are whole bytes in every type.
  uint64_t count = std::min(*elements, kMaxPiece);
  if (count < *elements) count -= count % 8;
  const auto whole = ReadPieces(reader, tensor, count, kMaxPiece);
  const auto parts = ReadPieces(reader, tensor, count, 24);
  if (!whole.ok() || !parts.ok()) {
    CheckMessage(whole.ok() ? parts.status() : whole.status());
    return;
  }
  Check(*whole == *parts, "pieces differ from the whole");

  const auto extent = reader.Locate(tensor);
  if (!extent.has_value()) return;
  Check(extent->size == info.byte_size, "an extent of another size");
  const auto source = files.open(extent->file);
  Check(source.ok(), "an extent in a file that does not open");
  std::string located(whole->size(), '\0');
  const absl::Status status = (*source)->ReadAt(
      extent->offset, absl::MakeSpan(reinterpret_cast<uint8_t*>(located.data()),
                                     located.size()));
  Check(status.ok(), "an extent outside of its file");
  Check(located == *whole, "an extent of other bytes");
}

}  // namespace

void Check(bool holds, absl::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "\nbroken promise: %.*s\n",
               static_cast<int>(what.size()), what.data());
  std::abort();
}

void CheckMessage(const absl::Status& status) {
  Check(status.code() != absl::StatusCode::kInternal &&
            GetErrorRow(status.code()).exit_code != 1,
        "an error of the kind that is a bug");
  Check(!status.message().empty() && status.message().size() < kMaxMessage,
        "a message of no or too much text");
  // The name of a file is as the user wrote it.
  const absl::string_view message = status.message();
  for (char c : message.substr(std::min(message.find(": "), message.size()))) {
    Check(!absl::ascii_iscntrl(static_cast<unsigned char>(c)),
          "a control character in a message");
  }
}

void ReadTensors(const CheckpointFiles& files, const CheckpointReader& reader) {
  const size_t tensors = std::min(reader.index().tensors.size(), kMaxTensors);
  uint64_t spent = 0;
  for (size_t i = 0; i < tensors && spent < kMaxReadBytes; ++i) {
    ReadOne(files, reader, i);
    spent += std::min(reader.index().tensors[i].byte_size, kMaxPiece);
  }
}

void OpenAndRead(const CheckpointFiles& files) {
  bool opened[2] = {};
  for (const bool allow_opaque : {false, true}) {
    OpenOptions options;
    options.allow_opaque = allow_opaque;
    options.as_stored = allow_opaque;
    const auto reader = OpenCheckpoint(files, options);
    opened[allow_opaque ? 1 : 0] = reader.ok();
    if (!reader.ok()) {
      CheckMessage(reader.status());
      continue;
    }
    Check(ValidateIndex((*reader)->index()).ok(), "an index that is not valid");
    ReadTensors(files, **reader);
  }
  const auto report = ScanCheckpoint(files);
  if (!report.ok()) return CheckMessage(report.status());
  if (!opened[0] && opened[1]) {
    // Or the stored tensors are sound, and what they stand for is not.
    OpenOptions options;
    options.as_stored = true;
    if (OpenCheckpoint(files, options).ok()) return;
    Check(report->verdict == ScanVerdict::kDangerous,
          "refused as dangerous, and not found to be");
  }
}

CheckpointFiles OneFile(absl::string_view name, std::string bytes) {
  return InMemoryFiles(std::string(name),
                       {{std::string(name), std::move(bytes)}});
}

uint64_t Decisions::Take(size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes && !rest_.empty(); ++i) {
    value |= uint64_t{static_cast<uint8_t>(rest_[0])} << (8 * i);
    rest_.remove_prefix(1);
  }
  return value;
}

int64_t Decisions::Number() {
  constexpr int64_t kEdges[] = {-1,
                                std::numeric_limits<int64_t>::min(),
                                std::numeric_limits<int64_t>::max(),
                                int64_t{1} << 62,
                                int64_t{1} << 32,
                                (int64_t{1} << 31) - 1,
                                int64_t{1} << 40,
                                -(int64_t{1} << 32)};
  const uint8_t kind = Byte();
  if (kind < 0xE0) return kind & 0x1F;
  if (kind < 0xF0) return kEdges[kind % 8];
  return static_cast<int64_t>(Take(8));
}

std::string Decisions::Text(size_t max_size) {
  // In this order: taking the size makes the rest shorter.
  const size_t wanted = Below(max_size + 1);
  const size_t size = std::min(wanted, rest_.size());
  const std::string text(rest_.substr(0, size));
  rest_.remove_prefix(size);
  return text;
}

std::string Decisions::Rest() {
  const std::string rest(rest_);
  rest_ = {};
  return rest;
}

std::vector<std::string> Decisions::Parts() {
  constexpr absl::string_view kBetween = "\xFE\xFD";
  std::vector<std::string> parts;
  while (true) {
    const size_t end = rest_.find(kBetween);
    parts.emplace_back(rest_.substr(0, end));
    if (end == rest_.npos || parts.size() >= 16) break;
    rest_.remove_prefix(end + kBetween.size());
  }
  rest_ = {};
  return parts;
}

}  // namespace monoquant::fuzz
