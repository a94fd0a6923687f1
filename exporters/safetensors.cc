#include "exporters/safetensors.h"

#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "exporters/plain_codes.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/quant_record.h"
#include "ir/shape.h"
#include "ir/sort.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kAlignment = 64;
constexpr uint64_t kMaxHeader = 100'000'000;
constexpr absl::string_view kMetadataKey = "__metadata__";
constexpr absl::string_view kTiesKey = "monoquant.ties";

absl::Status CheckTensor(const OutputTensor& tensor) {
  const DTypeInfo& info = GetDTypeInfo(PlainCodes(tensor.dtype));
  if (!info.in_safetensors) {
    return FailedPreconditionError(
        "tensor '", tensor.name, "': safetensors has no dtype ", info.name,
        "; write a torch or mqir file, which can hold it");
  }
  if (tensor.name == kMetadataKey) {
    return FailedPreconditionError(
        "tensor '", tensor.name, "': safetensors keeps this name for itself; ",
        "write a torch or mqir file, which can hold it");
  }
  return absl::OkStatus();
}

// The tensors to be stored, in the order of their data.
std::vector<size_t> DataOrder(const Manifest& manifest) {
  std::vector<size_t> order;
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    if (manifest.tensors[i].tie == kNoTie) order.push_back(i);
  }
  Sort(order, [&](size_t a, size_t b) {
    return GetDTypeInfo(manifest.tensors[a].dtype).bits >
           GetDTypeInfo(manifest.tensors[b].dtype).bits;
  });
  return order;
}

// Text members in order; the first value for a key stays.
class MetadataBuilder {
 public:
  void Add(absl::string_view key, std::string value) {
    if (!keys_.insert(std::string(key)).second) return;
    members_.emplace_back(std::string(key), Json(std::move(value)));
  }
  Json::Object Finish() && { return std::move(members_); }

 private:
  absl::flat_hash_set<std::string> keys_;
  Json::Object members_;
};

Json::Object Metadata(const Manifest& manifest) {
  MetadataBuilder builder;
  builder.Add("format", "pt");
  if (!manifest.record.empty()) {
    builder.Add(kQuantRecordKey, QuantRecordToJson(manifest.record));
  }
  Json::Object ties;
  for (const OutputTensor& tensor : manifest.tensors) {
    if (tensor.tie == kNoTie) continue;
    ties.emplace_back(tensor.name, manifest.tensors[tensor.tie].name);
  }
  if (!ties.empty()) builder.Add(kTiesKey, Json(ties).ToString());
  for (const auto& [name, kept] : ties) builder.Add(name, *kept.AsString());
  for (const auto& [key, value] : manifest.metadata) builder.Add(key, value);
  return std::move(builder).Finish();
}

Json Entry(const OutputTensor& tensor, uint64_t begin) {
  Json::Array shape;
  for (int64_t dim : tensor.shape) shape.push_back(Json(dim));
  Json::Object entry;
  entry.emplace_back("dtype", Json(DTypeName(PlainCodes(tensor.dtype))));
  entry.emplace_back("shape", Json(std::move(shape)));
  entry.emplace_back(
      "data_offsets",
      Json(Json::Array{Json(begin), Json(begin + tensor.byte_size)}));
  return Json(std::move(entry));
}

struct File {
  std::string head;  // everything before the data
  FileLayout layout;
};

absl::StatusOr<File> BuildFile(const Manifest& manifest) {
  const std::vector<OutputTensor>& tensors = manifest.tensors;
  MQ_RETURN_IF_ERROR(CheckHasWriter(manifest.record));
  File file;
  file.layout.offsets.resize(tensors.size());
  for (const OutputTensor& tensor : tensors) {
    MQ_RETURN_IF_ERROR(CheckTensor(tensor));
  }

  Json::Object header;
  header.emplace_back(std::string(kMetadataKey), Json(Metadata(manifest)));
  uint64_t data_size = 0;
  for (size_t i : DataOrder(manifest)) {
    header.emplace_back(tensors[i].name, Entry(tensors[i], data_size));
    file.layout.offsets[i] = data_size;
    if (!CheckedAdd(data_size, tensors[i].byte_size, &data_size)) {
      return FailedPreconditionError("tensor '", tensors[i].name,
                                     "': the file would exceed 2^64 bytes");
    }
  }
  std::string json = Json(std::move(header)).ToString();
  const uint64_t begin =
      (kLengthBytes + json.size() + kAlignment - 1) & ~(kAlignment - 1);
  json.resize(begin - kLengthBytes, ' ');
  if (json.size() > kMaxHeader) {
    return FailedPreconditionError(
        "the header for ", tensors.size(), " tensors has ", json.size(),
        " bytes, but safetensors readers accept no more than ", kMaxHeader,
        "; write a torch or mqir file");
  }
  if (!CheckedAdd(begin, data_size, &file.layout.file_size)) {
    return FailedPreconditionError("the file would exceed 2^64 bytes");
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    file.layout.offsets[i] = tensors[i].tie == kNoTie
                                 ? file.layout.offsets[i] + begin
                                 : file.layout.offsets[tensors[i].tie];
  }
  // Not of size_t, which has 32 bits in WebAssembly.
  const uint64_t length = json.size();
  for (uint64_t i = 0; i < kLengthBytes; ++i) {
    file.head.push_back(static_cast<char>(length >> (8 * i) & 0xFF));
  }
  file.head += json;
  return file;
}

class Safetensors : public Exporter {
 public:
  absl::string_view name() const override { return "safetensors"; }

  absl::StatusOr<FileLayout> Layout(const Manifest& manifest) const override {
    MQ_ASSIGN_OR_RETURN(File file, BuildFile(manifest));
    return std::move(file.layout);
  }

  absl::Status WriteIndex(const Manifest& manifest, const FileLayout&,
                          absl::Span<const uint32_t>,
                          ByteSink& sink) const override {
    MQ_ASSIGN_OR_RETURN(const File file, BuildFile(manifest));
    return sink.WriteAt(
        0,
        absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(file.head.data()),
                            file.head.size()));
  }
};

}  // namespace

const Exporter& SafetensorsExporter() {
  static const Exporter* const exporter = new Safetensors;
  return *exporter;
}

}  // namespace monoquant
