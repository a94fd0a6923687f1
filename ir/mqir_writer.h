// Everything in a .mqir file but its payload, made from a manifest.
//
// Layout first: it fixes the size of the file and every offset from the index
// alone. Then payload goes to its places in any order; at the end, when all
// checksums are known, the header and the index are made.

#ifndef MONOQUANT_IR_MQIR_WRITER_H_
#define MONOQUANT_IR_MQIR_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "ir/manifest.h"

namespace monoquant {

// A tensor whose payload stays in another file, which must lie beside the .mqir
// file and not change afterwards.
struct MqirLink {
  size_t tensor = 0;       // index into Manifest::tensors, without a tie
  std::string file;        // bare name
  uint64_t file_size = 0;  // of the whole file
  uint64_t offset = 0;     // of the tensor's contiguous bytes in it
  std::string container;   // what the file is ("torch"), for people
};

struct MqirLayout {
  uint64_t file_size = 0;
  // One for each tensor: where its payload begins in this file; for a linked
  // tensor, in the linked one. Tied tensors have the offset of the tensor that
  // they share.
  std::vector<uint64_t> offsets;
};

// FailedPrecondition, naming the tensor, for what the format cannot hold: a
// manifest that contradicts itself, or an index beyond its limits.
absl::StatusOr<MqirLayout> LayoutMqir(const Manifest& manifest,
                                      absl::Span<const MqirLink> links = {});

// The bytes at the beginning of the file, up to the first payload. `manifest`
// and `links` are those of `layout`; crc32[i] is the CRC-32 of the payload of
// tensor i, linked ones included (those of ties are not looked at).
absl::StatusOr<std::string> BuildMqirHeadAndIndex(
    const Manifest& manifest, const MqirLayout& layout,
    absl::Span<const uint32_t> crc32, absl::Span<const MqirLink> links = {});

}  // namespace monoquant

#endif  // MONOQUANT_IR_MQIR_WRITER_H_
