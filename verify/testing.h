// Model directories in memory, and what is found in them.

#ifndef MONOQUANT_VERIFY_TESTING_H_
#define MONOQUANT_VERIFY_TESTING_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "exporters/programs.h"
#include "ir/byte_source.h"
#include "ir/codebooks.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/shape.h"
#include "verify/verify.h"

namespace monoquant::testing {

struct FakeTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  // The bytes, or the first of them; the others are 0.
  std::string bytes = "";
};

using FakeTensors = std::vector<FakeTensor>;
using FakeFiles = std::vector<std::pair<std::string, std::string>>;

inline FakeTensors operator+(FakeTensors a, const FakeTensors& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// `tensors` without the one of this name.
inline FakeTensors Without(FakeTensors tensors, absl::string_view name) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].name != name) continue;
    tensors.erase(tensors.begin() + static_cast<int64_t>(i));
    break;
  }
  return tensors;
}

// `count` equal words, little-endian.
inline std::string Words(uint32_t word, size_t count) {
  std::string bytes;
  for (size_t i = 0; i < count; ++i) {
    for (int shift = 0; shift < 32; shift += 8) {
      bytes += static_cast<char>(word >> shift & 0xff);
    }
  }
  return bytes;
}

inline std::string SafetensorsFile(const FakeTensors& tensors,
                                   Json metadata = Json(Json::Object())) {
  std::string data;
  Json header;
  header.Set("__metadata__", std::move(metadata));
  for (const FakeTensor& tensor : tensors) {
    const auto size =
        static_cast<size_t>(ByteSize(tensor.dtype, tensor.shape).value());
    std::string bytes = tensor.bytes;
    bytes.resize(size);
    Json entry;
    entry.Set("dtype", DTypeName(tensor.dtype));
    entry.Set("shape", Json::Array(tensor.shape.begin(), tensor.shape.end()));
    entry.Set("data_offsets",
              Json(Json::Array{Json(data.size()), Json(data.size() + size)}));
    data += bytes;
    header.Set(tensor.name, std::move(entry));
  }
  const std::string text = header.ToString();
  std::string file = Words(static_cast<uint32_t>(text.size()), 1);
  return absl::StrCat(file.append(4, '\0'), text, data);
}

// A directory of one file and, unless it is empty, a config.json.
inline FakeFiles Model(const FakeTensors& tensors,
                       absl::string_view config = "") {
  FakeFiles files = {{"model.safetensors", SafetensorsFile(tensors)}};
  if (!config.empty()) files.emplace_back("config.json", config);
  return files;
}

// A config.json with this quantization_config.
inline std::string Config(absl::string_view quantization,
                          absl::string_view entries = "") {
  return absl::StrCat(R"({"dtype": "float16", "quantization_config": )",
                      quantization, entries, "}");
}

inline absl::StatusOr<VerifyReport> Verify(const FakeFiles& files,
                                           absl::string_view program = "",
                                           bool hashes = false,
                                           const std::string& path = "m") {
  VerifyOptions options;
  options.hashes = hashes;
  if (!program.empty()) options.program = FindProgram(program).value();
  return VerifyCheckpoint(InMemoryFiles(path, files), options,
                          [](uint64_t, uint64_t) { return absl::OkStatus(); });
}

// "error config config.json: a.weight, b.weight: WHAT", one each, or the
// status.
inline std::vector<std::string> Found(
    const absl::StatusOr<VerifyReport>& report) {
  if (!report.ok()) return {report.status().ToString()};
  std::vector<std::string> lines;
  for (const Finding& finding : report->findings.list()) {
    lines.push_back(
        absl::StrCat(SeverityName(finding.severity), " ",
                     FindingKindName(finding.kind), " ", finding.file, ": ",
                     absl::StrJoin(finding.tensors, ", "), ": ", finding.what));
  }
  return lines;
}

inline std::vector<std::string> Found(const FakeFiles& files,
                                      absl::string_view program = "") {
  return Found(Verify(files, program));
}

// -------------------------------------------------------------- layers --

inline FakeTensors FloatLayer(const std::string& module, int64_t rows,
                              int64_t columns) {
  return {{module + ".weight", DType::kF16, {rows, columns}}};
}

// Packed as compressed-tensors does, symmetric, 4 bits.
inline FakeTensors PackedLayer(const std::string& module, int64_t rows,
                               int64_t columns, int64_t group_size) {
  std::string shape;
  for (const int64_t size : {rows, columns}) {
    shape += Words(static_cast<uint32_t>(size), 1) + Words(0, 1);
  }
  return {{module + ".weight_packed", DType::kI32, {rows, columns / 8}},
          {module + ".weight_scale", DType::kF16, {rows, columns / group_size}},
          {module + ".weight_shape", DType::kI64, {2}, shape}};
}

// NVFP4 of compressed-tensors'; the global scale is that of the bytes of 1.0.
inline FakeTensors Nvfp4Layer(const std::string& module, int64_t rows,
                              int64_t columns, uint32_t global = 0x3f800000) {
  return {
      {module + ".weight_packed", DType::kU8, {rows, columns / 2}},
      {module + ".weight_scale", DType::kF8E4M3, {rows, columns / 16}},
      {module + ".weight_global_scale", DType::kF32, {1}, Words(global, 1)}};
}

// MXFP4 and MXFP8.
inline FakeTensors Mxfp4Layer(const std::string& module, int64_t rows,
                              int64_t columns) {
  return {{module + ".weight_packed", DType::kU8, {rows, columns / 2}},
          {module + ".weight_scale", DType::kU8, {rows, columns / 32}}};
}
inline FakeTensors Mxfp8Layer(const std::string& module, int64_t rows,
                              int64_t columns) {
  return {{module + ".weight", DType::kF8E4M3, {rows, columns}},
          {module + ".weight_scale", DType::kU8, {rows, columns / 32}}};
}

// A quantization_config of compressed-tensors with one group for all of Linear.
inline std::string FloatConfig(absl::string_view format, int bits,
                               absl::string_view strategy, int group_size,
                               absl::string_view ignore = "[]") {
  return Config(absl::StrCat(
      R"({"quant_method": "compressed-tensors", "format": ")", format,
      R"(", "quantization_status": "compressed", "ignore": )", ignore,
      R"(, "config_groups": {"g": {"targets": ["Linear"], "weights": {
          "num_bits": )",
      bits, R"(, "type": "float", "strategy": ")", strategy,
      R"(", "group_size": )", group_size, "}}}}"));
}

inline std::string Nvfp4Config(absl::string_view ignore = "[]") {
  return FloatConfig("nvfp4-pack-quantized", 4, "tensor_group", 16, ignore);
}
inline std::string Mxfp4Config(absl::string_view ignore = "[]") {
  return FloatConfig("mxfp4-pack-quantized", 4, "group", 32, ignore);
}
inline std::string Mxfp8Config(absl::string_view ignore = "[]") {
  return FloatConfig("mxfp8-quantized", 8, "group", 32, ignore);
}

// GPTQ of 4 bits, symmetric, version 1.
inline FakeTensors GptqLayer(const std::string& module, int64_t rows,
                             int64_t columns, int64_t group_size) {
  const int64_t groups = columns / group_size;
  std::string order;
  for (int64_t i = 0; i < columns; ++i) {
    order += Words(static_cast<uint32_t>(i / group_size), 1);
  }
  return {
      {module + ".g_idx", DType::kI32, {columns}, order},
      {module + ".qweight", DType::kI32, {columns / 8, rows}},
      {module + ".qzeros",
       DType::kI32,
       {groups, rows / 8},
       Words(0x77777777, static_cast<size_t>(groups * rows / 8))},
      {module + ".scales", DType::kF16, {groups, rows}},
  };
}

inline FakeTensors AwqLayer(const std::string& module, int64_t rows,
                            int64_t columns, int64_t group_size) {
  const int64_t groups = columns / group_size;
  return {{module + ".qweight", DType::kI32, {columns, rows / 8}},
          {module + ".qzeros", DType::kI32, {groups, rows / 8}},
          {module + ".scales", DType::kF16, {groups, rows}}};
}

// FP8 in blocks of 128.
inline FakeTensors Fp8Layer(const std::string& module, int64_t rows,
                            int64_t columns) {
  return {{module + ".weight", DType::kF8E4M3, {rows, columns}},
          {module + ".weight_scale_inv",
           DType::kF32,
           {(rows + 127) / 128, (columns + 127) / 128}}};
}

// The numbers of NF4's codes.
inline std::string Nf4Numbers() {
  std::string bytes;
  for (const float number : kNf4Numbers) {
    uint32_t word = 0;
    std::memcpy(&word, &number, sizeof(word));
    bytes += Words(word, 1);
  }
  return bytes;
}

// NF4 of bitsandbytes' in groups of 64.
inline FakeTensors Nf4Layer(const std::string& module, int64_t rows,
                            int64_t columns) {
  const std::string state = absl::StrCat(
      R"({"quant_type": "nf4", "blocksize": 64, "dtype": "float16", )"
      R"("shape": [)",
      rows, ", ", columns, "]}");
  return {{module + ".weight", DType::kU8, {rows * columns / 2, 1}},
          {module + ".weight.absmax", DType::kF32, {rows * columns / 64}},
          {module + ".weight.quant_map", DType::kF32, {16}, Nf4Numbers()},
          {module + ".weight.quant_state.bitsandbytes__nf4",
           DType::kU8,
           {static_cast<int64_t>(state.size())},
           state}};
}

}  // namespace monoquant::testing

#endif  // MONOQUANT_VERIFY_TESTING_H_
