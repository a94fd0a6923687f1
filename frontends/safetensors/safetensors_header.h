// The header of a safetensors file.
//
//   u64 N, little-endian   N <= 100 000 000
//   N bytes of JSON        {"name": {"dtype": "F32", "shape": [2, 3],
//                                    "data_offsets": [0, 24]}, ...,
//                           "__metadata__": {"key": "text", ...}}
//                          filled up with spaces
//   data                   the tensors, one behind the other, without gaps

#ifndef MONOQUANT_FRONTENDS_SAFETENSORS_SAFETENSORS_HEADER_H_
#define MONOQUANT_FRONTENDS_SAFETENSORS_SAFETENSORS_HEADER_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;

struct SafetensorsEntry {
  TensorInfo info;
  uint64_t offset = 0;  // in the file
};

struct SafetensorsHeader {
  // By offset.
  std::vector<SafetensorsEntry> tensors;
  // As it is in the file, by key.
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<std::string> notes;
};

// True if the file begins like safetensors, whole or cut off: a plausible
// header size, and an object behind it.
absl::StatusOr<bool> IsSafetensors(const ByteSource& source);

// Reads and checks the header: every number, and that the tensors cover the
// data from its first byte to the end of the file, each byte once. DataLoss,
// naming the file and the tensor, if it is truncated or anything is wrong.
absl::StatusOr<SafetensorsHeader> ReadSafetensorsHeader(
    const ByteSource& source);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SAFETENSORS_SAFETENSORS_HEADER_H_
