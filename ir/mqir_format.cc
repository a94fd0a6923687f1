#include "ir/mqir_format.h"

#include <algorithm>

#include "absl/status/status.h"
#include "ir/crc32.h"
#include "ir/errors.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

constexpr size_t kVersionAt = 8;
constexpr size_t kFileSizeAt = 16;
constexpr size_t kIndexOffsetAt = 24;
constexpr size_t kIndexSizeAt = 32;
constexpr size_t kIndexCrcAt = 40;
constexpr size_t kHeaderCrcAt = 60;

void Put(uint64_t value, size_t at, size_t bytes, std::string* out) {
  for (size_t i = 0; i < bytes; ++i) {
    (*out)[at + i] = static_cast<char>(value >> (8 * i) & 0xFF);
  }
}

uint64_t Get(absl::Span<const uint8_t> in, size_t at, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= uint64_t{in[at + i]} << (8 * i);
  return value;
}

uint32_t Get32(absl::Span<const uint8_t> in, size_t at) {
  return static_cast<uint32_t>(Get(in, at, 4));
}

absl::Span<const uint8_t> AsBytes(absl::string_view text) {
  return absl::MakeSpan(reinterpret_cast<const uint8_t*>(text.data()),
                        text.size());
}

}  // namespace

std::string EncodeMqirHeader(const MqirHeader& header) {
  std::string out(kMqirHeaderSize, '\0');
  std::copy(kMqirMagic.begin(), kMqirMagic.end(), out.begin());
  Put(kMqirVersion, kVersionAt, 4, &out);
  Put(header.file_size, kFileSizeAt, 8, &out);
  Put(kMqirHeaderSize, kIndexOffsetAt, 8, &out);
  Put(header.index_size, kIndexSizeAt, 8, &out);
  Put(header.index_crc32, kIndexCrcAt, 4, &out);
  const uint32_t crc = Crc32(AsBytes(out).subspan(0, kHeaderCrcAt));
  Put(crc, kHeaderCrcAt, 4, &out);
  return out;
}

absl::StatusOr<MqirHeader> DecodeMqirHeader(absl::Span<const uint8_t> bytes,
                                            uint64_t file_size) {
  if (bytes.size() < kMqirHeaderSize) {
    return DataLossError(
        "has ", file_size, " bytes, but the header of an .mqir file alone has ",
        kMqirHeaderSize, "; the file is truncated, get it again");
  }
  const absl::Span<const uint8_t> magic = bytes.subspan(0, kMqirMagic.size());
  if (magic != AsBytes(kMqirMagic)) {
    return DataLossError("does not begin with the signature of an .mqir file");
  }
  const uint32_t crc = Crc32(bytes.subspan(0, kHeaderCrcAt));
  if (crc != Get32(bytes, kHeaderCrcAt)) {
    return DataLossError(
        "the header does not match its checksum; the file is damaged, get it "
        "again");
  }
  const uint32_t version = Get32(bytes, kVersionAt);
  if (version > kMqirVersion) {
    return UnimplementedError("has format version ", version,
                              ", this monoquant reads up to ", kMqirVersion,
                              "; update monoquant");
  }

  MqirHeader header;
  header.file_size = Get(bytes, kFileSizeAt, 8);
  header.index_size = Get(bytes, kIndexSizeAt, 8);
  header.index_crc32 = Get32(bytes, kIndexCrcAt);
  if (header.file_size != file_size) {
    return DataLossError(
        "has ", file_size, " bytes, but its header says ", header.file_size,
        file_size < header.file_size
            ? "; the file is truncated, get it again"
            : "; something was appended to the file, get it again");
  }
  if (header.index_size > kMaxMqirIndexSize) {
    return DataLossError("the index has ", header.index_size,
                         " bytes, more than the limit of ", kMaxMqirIndexSize);
  }
  uint64_t payload_start;
  if (!MqirPayloadStart(header.index_size, &payload_start) ||
      payload_start > file_size) {
    return DataLossError("the index of ", header.index_size,
                         " bytes goes beyond the end of the file at ",
                         file_size, " bytes");
  }
  // What is left of the header is constant in this version.
  if (EncodeMqirHeader(header) !=
      absl::string_view(reinterpret_cast<const char*>(bytes.data()),
                        kMqirHeaderSize)) {
    return DataLossError("the header sets fields that version 1 does not have");
  }
  return header;
}

bool MqirPayloadStart(uint64_t index_size, uint64_t* start) {
  uint64_t end;
  return CheckedAdd(kMqirHeaderSize, index_size, &end) &&
         CheckedAlignUp(end, kMqirAlignment, start);
}

}  // namespace monoquant
