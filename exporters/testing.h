// What the tests of the exporters share: small manifests with a payload that
// follows from the tensor's index, and files made of them.

#ifndef MONOQUANT_EXPORTERS_TESTING_H_
#define MONOQUANT_EXPORTERS_TESTING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "exporters/exporter.h"
#include "exporters/output_writer.h"
#include "ir/byte_sink.h"
#include "ir/crc32.h"
#include "ir/dtype.h"
#include "ir/manifest.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant::testing {

inline OutputTensor MakeTensor(std::string name, DType dtype, Shape shape) {
  OutputTensor tensor;
  tensor.name = std::move(name);
  tensor.dtype = dtype;
  tensor.byte_size = ByteSize(dtype, shape).value();
  tensor.shape = std::move(shape);
  return tensor;
}

// What a plan would make of a model: layers that are quantized, and others.
class QuantizedModel {
 public:
  explicit QuantizedModel(QuantStorage storage) : storage_(storage) {
    manifest_.record.version = "1.0";
  }

  void Add(std::string name, Shape shape) {
    manifest_.tensors.push_back(
        MakeTensor(std::move(name), DType::kBF16, std::move(shape)));
  }

  // The scheme must have a place in the storage.
  void Quantize(const std::string& name, const Shape& shape,
                const QuantScheme& scheme) {
    Quantize(name, shape, scheme, storage_);
  }
  void Quantize(const std::string& name, const Shape& shape,
                const QuantScheme& scheme, QuantStorage storage) {
    const StoredWeight stored =
        StoreWeight(storage, name, scheme, shape).value();
    AddPart(stored.codes);
    for (const auto& part :
         {stored.scale, stored.zero_point, stored.global_scale}) {
      if (part.has_value()) AddPart(*part);
    }
    for (const StoredConstant& constant : stored.constants) {
      AddPart(constant.part);
    }
    manifest_.record.tensors.push_back(
        RecordOf(name, scheme, storage, stored, DType::kBF16, shape));
  }

  const Manifest& manifest() const { return manifest_; }

 private:
  void AddPart(const StoredPart& part) {
    manifest_.tensors.push_back(MakeTensor(part.name, part.dtype, part.shape));
  }

  const QuantStorage storage_;
  Manifest manifest_;
};

// Appends a tensor that shares the bytes of tensor `kept`.
inline void AddTie(Manifest& manifest, std::string name, size_t kept) {
  OutputTensor tensor = manifest.tensors[kept];
  tensor.name = std::move(name);
  tensor.tie = kept;
  manifest.tensors.push_back(std::move(tensor));
}

// Widths mixed, a scalar, an empty tensor, a tie, a name that is not ASCII.
inline Manifest SmallManifest() {
  Manifest manifest;
  manifest.tensors.push_back(MakeTensor("w", DType::kI8, {2, 3}));
  manifest.tensors.push_back(MakeTensor("w.scale", DType::kF32, {2}));
  manifest.tensors.push_back(MakeTensor("steps", DType::kI64, {}));
  manifest.tensors.push_back(MakeTensor("none", DType::kF16, {0, 4}));
  AddTie(manifest, "head", 0);
  manifest.tensors.push_back(
      MakeTensor("gr\xc3\xb6\xc3\x9f"
                 "e",
                 DType::kBF16, {1, 2, 1}));
  return manifest;
}

inline std::string Payload(size_t tensor, uint64_t size) {
  std::string bytes(size, '\0');
  for (uint64_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<char>(17 * tensor + 3 * i + 1);
  }
  return bytes;
}

inline absl::Span<const uint8_t> Bytes(absl::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Writes to an OutputWriter or a ShardedWriter.
template <typename Writer>
absl::Status WriteTo(Writer& writer, size_t tensor, uint64_t offset,
                     absl::string_view bytes) {
  return writer.Write(tensor, offset, Bytes(bytes), Crc32(Bytes(bytes)));
}

// Pieces of at most `piece` bytes, the tensors and their pieces forwards or
// backwards.
inline absl::StatusOr<std::string> Export(const Exporter& exporter,
                                          const Manifest& manifest,
                                          uint64_t piece = 1 << 20,
                                          bool backwards = false) {
  MQ_ASSIGN_OR_RETURN(FileLayout layout, exporter.Layout(manifest));
  std::string file;
  MemorySink sink("out", layout.file_size, &file);
  OutputWriter writer(exporter, manifest, std::move(layout), sink);

  std::vector<std::pair<size_t, uint64_t>> pieces;
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    if (manifest.tensors[i].tie != kNoTie) continue;
    for (uint64_t at = 0; at < manifest.tensors[i].byte_size; at += piece) {
      pieces.emplace_back(i, at);
    }
  }
  if (backwards) pieces = {pieces.rbegin(), pieces.rend()};
  for (const auto& [tensor, at] : pieces) {
    const std::string bytes =
        Payload(tensor, manifest.tensors[tensor].byte_size).substr(at, piece);
    MQ_RETURN_IF_ERROR(WriteTo(writer, tensor, at, bytes));
  }
  MQ_RETURN_IF_ERROR(writer.Finish());
  return file;
}

}  // namespace monoquant::testing

#endif  // MONOQUANT_EXPORTERS_TESTING_H_
