// The outermost layer of a .mqir file: constants and the fixed header.
// docs/ir_format.md describes the whole file.
//
//   0                header, 64 bytes
//   64               index: a FlatBuffer (schema/mqir.fbs)
//   next 64          payload extents, each at a multiple of 64

#ifndef MONOQUANT_IR_MQIR_FORMAT_H_
#define MONOQUANT_IR_MQIR_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace monoquant {

// Not text, so that a transfer that changes line ends is found here.
inline constexpr absl::string_view kMqirMagic = "\x89MQIR\r\n\x1A";

// What is written. Readers accept this and everything older.
inline constexpr uint32_t kMqirVersion = 1;

inline constexpr uint64_t kMqirHeaderSize = 64;
inline constexpr uint64_t kMqirAlignment = 64;

// Limits of what is read, and so of what is written.
inline constexpr uint64_t kMaxMqirIndexSize = uint64_t{256} << 20;
inline constexpr size_t kMaxMqirTensors = 1'000'000;
inline constexpr size_t kMaxMqirSources = 10'000;

// What the header says besides its constants. The index follows it at once.
struct MqirHeader {
  uint64_t file_size = 0;
  uint64_t index_size = 0;
  uint32_t index_crc32 = 0;
};

// The kMqirHeaderSize bytes:
//    0  8  magic
//    8  4  version
//   12  4  zero
//   16  8  file size
//   24  8  index offset: 64
//   32  8  index size
//   40  4  CRC-32 of the index
//   44 16  zero
//   60  4  CRC-32 of bytes 0 to 59
// Numbers are little-endian.
std::string EncodeMqirHeader(const MqirHeader& header);

// The inverse. `bytes` is the beginning of a file of `file_size` bytes, as much
// as there is of kMqirHeaderSize. DataLoss, or Unimplemented for a version to
// come; the caller adds the file's name.
absl::StatusOr<MqirHeader> DecodeMqirHeader(absl::Span<const uint8_t> bytes,
                                            uint64_t file_size);

// Where the first extent may begin; false on overflow.
[[nodiscard]] bool MqirPayloadStart(uint64_t index_size, uint64_t* start);

}  // namespace monoquant

#endif  // MONOQUANT_IR_MQIR_FORMAT_H_
