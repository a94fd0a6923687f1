// What the tests of .mqir files share: a small manifest with everything in it,
// and files in memory.

#ifndef MONOQUANT_IR_MQIR_TESTING_H_
#define MONOQUANT_IR_MQIR_TESTING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/crc32.h"
#include "ir/manifest.h"
#include "ir/mqir_writer.h"

namespace monoquant::testing {

inline absl::Span<const uint8_t> AsBytes(absl::string_view text) {
  return absl::MakeSpan(reinterpret_cast<const uint8_t*>(text.data()),
                        text.size());
}

inline OutputTensor MakeOutput(std::string name, DType dtype, Shape shape,
                               size_t tie = kNoTie) {
  OutputTensor tensor;
  tensor.name = std::move(name);
  tensor.dtype = dtype;
  tensor.byte_size = ByteSize(dtype, shape).value();
  tensor.shape = std::move(shape);
  tensor.tie = tie;
  return tensor;
}

// Codes with their parameters, a tie of the codes, a cast, a scalar, tensors
// without elements in the middle and at the end, and a type below 8 bits.
inline Manifest MakeManifest() {
  Manifest manifest;
  manifest.tensors = {
      MakeOutput("fc.weight", DType::kI8, {4, 6}),
      MakeOutput("fc.weight.scale", DType::kF32, {4}),
      MakeOutput("fc.weight.zero_point", DType::kI8, {}),
      MakeOutput("none", DType::kF16, {0, 5}),
      MakeOutput("head.weight", DType::kI8, {4, 6}, 0),
      MakeOutput("norm", DType::kBF16, {40}),
      MakeOutput("steps", DType::kI64, {}),
      MakeOutput("tiny", DType::kF4, {2, 3}),
      MakeOutput("end", DType::kF32, {0}),
  };
  manifest.tensors[0].module_kind = "Linear";
  manifest.metadata = {{"author", "gr\xC3\xBC\xC3\x9F"}, {"format", "pt"}};
  QuantRecord& record = manifest.record;
  record.version = "0.1.0";
  record.source_container = "torch";
  record.source_name = "model.pt";
  record.recipe = "{\"rules\":[]}";
  for (const char* name : {"fc.weight", "head.weight"}) {
    record.tensors.push_back({name,
                              QuantScheme(),
                              DType::kF32,
                              {4, 6},
                              "fc.weight.scale",
                              "fc.weight.zero_point"});
  }
  QuantizedTensor& cast = record.tensors.emplace_back();
  cast.name = "norm";
  cast.scheme.format = NumberFormat::kBf16;
  cast.dtype = DType::kF64;
  cast.shape = {40};
  return manifest;
}

// The payload that tests give tensor `i`.
inline std::string MakePayload(const Manifest& manifest, size_t i) {
  if (manifest.tensors[i].tie != kNoTie) {
    return MakePayload(manifest, manifest.tensors[i].tie);
  }
  std::string payload(manifest.tensors[i].byte_size, '\0');
  for (size_t k = 0; k < payload.size(); ++k) {
    payload[k] = static_cast<char>(31 * i + k + 1);
  }
  return payload;
}

// The whole file; payload of linked tensors is left out.
inline std::string MakeMqir(const Manifest& manifest,
                            absl::Span<const MqirLink> links = {}) {
  const MqirLayout layout = LayoutMqir(manifest, links).value();
  std::vector<uint32_t> crc32;
  std::string file(layout.file_size, '\0');
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    const std::string payload = MakePayload(manifest, i);
    crc32.push_back(Crc32(AsBytes(payload)));
    bool is_linked = manifest.tensors[i].tie != kNoTie;
    for (const MqirLink& link : links) is_linked |= link.tensor == i;
    if (!is_linked) file.replace(layout.offsets[i], payload.size(), payload);
  }
  const std::string head =
      BuildMqirHeadAndIndex(manifest, layout, crc32, links).value();
  return file.replace(0, head.size(), head);
}

}  // namespace monoquant::testing

#endif  // MONOQUANT_IR_MQIR_TESTING_H_
