// MqirIndex to FlatBuffer.
//
// Every Create* stands in a statement of its own: the order in which a compiler
// evaluates arguments would otherwise decide about the bytes.

#include "absl/container/flat_hash_map.h"
#include "flatbuffers/flatbuffers.h"
#include "ir/mqir_index.h"
#include "ir/schema/mqir_generated.h"

namespace monoquant {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;
template <typename T>
using Offset = flatbuffers::Offset<T>;
template <typename T>
using Vector = flatbuffers::Vector<T>;
using TensorNumbers = absl::flat_hash_map<absl::string_view, uint32_t>;

// What an index takes at least, to refuse early what would take more than a
// FlatBuffer can hold.
uint64_t LowerBound(const MqirIndex& index) {
  uint64_t size = index.checkpoint.quant.recipe.size();
  for (const TensorInfo& tensor : index.checkpoint.tensors) {
    size += tensor.name.size() + tensor.module_kind.size() +
            8 * tensor.shape.size();
  }
  for (const auto& [key, value] : index.checkpoint.metadata) {
    size += key.size() + value.size();
  }
  return size;
}

// An absent field for an empty text.
Offset<flatbuffers::String> OptionalText(const std::string& text,
                                         Builder* builder) {
  if (text.empty()) return 0;
  return builder->CreateString(text);
}

Offset<mqir::Tensor> EncodeTensor(const TensorInfo& tensor, uint32_t extent,
                                  Builder* builder) {
  const auto name = builder->CreateString(tensor.name);
  const auto shape = builder->CreateVector(tensor.shape);
  const auto module_kind = OptionalText(tensor.module_kind, builder);
  return mqir::CreateTensor(*builder, name,
                            static_cast<mqir::DType>(tensor.dtype), shape,
                            extent, module_kind);
}

Offset<Vector<Offset<mqir::Tensor>>> EncodeTensors(const MqirIndex& index,
                                                   Builder* builder) {
  std::vector<Offset<mqir::Tensor>> tensors;
  tensors.reserve(index.checkpoint.tensors.size());
  for (size_t i = 0; i < index.checkpoint.tensors.size(); ++i) {
    tensors.push_back(EncodeTensor(index.checkpoint.tensors[i],
                                   index.tensor_extents[i], builder));
  }
  return builder->CreateVector(tensors);
}

Offset<Vector<const mqir::Extent*>> EncodeExtents(const MqirIndex& index,
                                                  Builder* builder) {
  std::vector<mqir::Extent> extents;
  extents.reserve(index.extents.size());
  for (const MqirExtent& extent : index.extents) {
    extents.emplace_back(extent.offset, extent.size, extent.crc32,
                         extent.source);
  }
  return builder->CreateVectorOfStructs(extents);
}

Offset<Vector<Offset<mqir::Source>>> EncodeSources(const MqirIndex& index,
                                                   Builder* builder) {
  std::vector<Offset<mqir::Source>> sources;
  for (const MqirSource& source : index.sources) {
    const auto file = builder->CreateString(source.file);
    const auto container = OptionalText(source.container, builder);
    sources.push_back(
        mqir::CreateSource(*builder, file, source.size, container));
  }
  return builder->CreateVector(sources);
}

Offset<Vector<Offset<mqir::KeyValue>>> EncodeMetadata(const MqirIndex& index,
                                                      Builder* builder) {
  std::vector<Offset<mqir::KeyValue>> entries;
  for (const auto& [key_text, value_text] : index.checkpoint.metadata) {
    const auto key = builder->CreateString(key_text);
    const auto value = builder->CreateString(value_text);
    entries.push_back(mqir::CreateKeyValue(*builder, key, value));
  }
  return builder->CreateVector(entries);
}

Offset<mqir::QuantizedTensor> EncodeQuantized(const QuantizedTensor& tensor,
                                              const TensorNumbers& numbers,
                                              Builder* builder) {
  const QuantScheme& scheme = tensor.scheme;
  const auto shape = builder->CreateVector(tensor.shape);
  Offset<flatbuffers::String> name = 0;
  if (!tensor.codes.empty()) name = builder->CreateString(tensor.name);
  std::vector<uint32_t> constant_numbers;
  for (const std::string& constant : tensor.constants) {
    constant_numbers.push_back(numbers.at(constant));
  }
  Offset<flatbuffers::Vector<uint32_t>> constants = 0;
  if (!constant_numbers.empty()) {
    constants = builder->CreateVector(constant_numbers);
  }
  mqir::QuantizedTensorBuilder entry(*builder);
  entry.add_codes(numbers.at(tensor.codes_name()));
  entry.add_dtype(static_cast<mqir::DType>(tensor.dtype));
  entry.add_shape(shape);
  entry.add_format(static_cast<mqir::NumberFormat>(scheme.format));
  entry.add_granularity(static_cast<mqir::Granularity>(scheme.granularity));
  entry.add_axis(scheme.axis);
  entry.add_group_size(scheme.group_size);
  entry.add_symmetric(scheme.symmetric);
  entry.add_convention(static_cast<mqir::Convention>(scheme.convention));
  if (HasScales(scheme.format)) {
    entry.add_scale_dtype(static_cast<mqir::DType>(scheme.scale_dtype));
    entry.add_scale(numbers.at(tensor.scale));
  }
  if (!tensor.zero_point.empty()) {
    entry.add_zero_point(numbers.at(tensor.zero_point));
  }
  if (!tensor.global_scale.empty()) {
    entry.add_global_scale(numbers.at(tensor.global_scale));
  }
  entry.add_storage(static_cast<mqir::Storage>(tensor.storage));
  if (!tensor.codes.empty()) entry.add_name(name);
  if (!tensor.constants.empty()) entry.add_constants(constants);
  return entry.Finish();
}

Offset<mqir::Quantization> EncodeQuantization(const MqirIndex& index,
                                              Builder* builder) {
  TensorNumbers numbers;
  numbers.reserve(index.checkpoint.tensors.size());
  for (size_t i = 0; i < index.checkpoint.tensors.size(); ++i) {
    numbers[index.checkpoint.tensors[i].name] = static_cast<uint32_t>(i);
  }
  std::vector<Offset<mqir::QuantizedTensor>> entries;
  for (const QuantizedTensor& tensor : index.checkpoint.quant.tensors) {
    entries.push_back(EncodeQuantized(tensor, numbers, builder));
  }
  const auto tensors = builder->CreateVector(entries);
  const auto recipe = OptionalText(index.checkpoint.quant.recipe, builder);
  return mqir::CreateQuantization(*builder, recipe, tensors);
}

Offset<mqir::Provenance> EncodeProvenance(const QuantRecord& record,
                                          Builder* builder) {
  const auto version = builder->CreateString(record.version);
  const auto container = OptionalText(record.source_container, builder);
  const auto name = OptionalText(record.source_name, builder);
  return mqir::CreateProvenance(*builder, version, container, name);
}

}  // namespace

std::vector<uint8_t> EncodeMqirIndex(const MqirIndex& index) {
  if (LowerBound(index) > kMaxMqirIndexSize ||
      index.checkpoint.tensors.size() > kMaxMqirTensors) {
    return {};
  }
  Builder builder;
  const auto tensors = EncodeTensors(index, &builder);
  const auto extents = EncodeExtents(index, &builder);
  const auto sources = EncodeSources(index, &builder);
  const auto metadata = EncodeMetadata(index, &builder);
  Offset<mqir::Provenance> provenance = 0;
  Offset<mqir::Quantization> quantization = 0;
  if (!index.checkpoint.quant.empty()) {
    provenance = EncodeProvenance(index.checkpoint.quant, &builder);
    quantization = EncodeQuantization(index, &builder);
  }
  const auto root = mqir::CreateIndex(builder, tensors, extents, sources,
                                      metadata, provenance, quantization);
  mqir::FinishIndexBuffer(builder, root);
  if (builder.GetSize() > kMaxMqirIndexSize) return {};
  return std::vector<uint8_t>(builder.GetBufferPointer(),
                              builder.GetBufferPointer() + builder.GetSize());
}

}  // namespace monoquant
