#include "frontends/testing/dcp_builder.h"

#include <cstddef>

#include "absl/strings/str_join.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/testing/zip_builder.h"

namespace monoquant::testing {
namespace {

constexpr char kMetadata[] = "torch.distributed.checkpoint.metadata";
constexpr char kFile[] = "__0_0.distcp";

// An object without arguments, whose attributes follow up to EndFields.
PickleBuilder& Object(PickleBuilder& p, absl::string_view module,
                      absl::string_view name) {
  return p.Global(module, name)
      .Op(PickleOp::kEmptyTuple)
      .Op(PickleOp::kNewObj)
      .Dict()
      .Mark();
}

PickleBuilder& EndFields(PickleBuilder& p) {
  return p.SetItems().Op(PickleOp::kBuild);
}

PickleBuilder& Size(PickleBuilder& p, const std::vector<int64_t>& values) {
  return p.Global("torch", "Size")
      .IntTuple(values)
      .Op(PickleOp::kTuple1)
      .Reduce();
}

std::string Key(const std::vector<std::string>& path) {
  return absl::StrJoin(path, ".");
}

void AddTensor(PickleBuilder& p, const SavedTensor& tensor) {
  p.Str(Key(tensor.path));
  Object(p, kMetadata, "TensorStorageMetadata").Str("properties");
  p.Global(kMetadata, "TensorProperties")
      .Op(PickleOp::kEmptyTuple)
      .Op(PickleOp::kNewObj)
      .Mark()
      .Global("torch", tensor.dtype);
  p.Global("torch.serialization", "_get_layout")
      .Str("torch.strided")
      .Op(PickleOp::kTuple1)
      .Reduce()
      .Bool(false);
  p.Global(kMetadata, "_MEM_FORMAT_ENCODING")
      .Int(0)
      .Op(PickleOp::kTuple1)
      .Reduce()
      .Bool(false)
      .Tuple()
      .Op(PickleOp::kBuild);
  Size(p.Str("size"), tensor.size);
  p.Str("chunks").Op(PickleOp::kEmptyList).Mark();
  for (const SavedChunk& chunk : tensor.chunks) {
    Object(p, kMetadata, "ChunkStorageMetadata");
    Size(p.Str("offsets"), chunk.offset);
    Size(p.Str("sizes"), chunk.size);
    EndFields(p);
  }
  EndFields(p.Op(PickleOp::kAppends));
}

void AddPath(PickleBuilder& p, const std::vector<std::string>& path) {
  p.Str(Key(path)).Mark();
  for (const std::string& part : path) p.Str(part);
  p.Tuple();
}

// Adds an entry of storage_data; with no `offset`, that of a Python object.
void AddSlice(PickleBuilder& p, const std::string& key,
              const std::vector<int64_t>* offset, const std::string& file,
              int64_t begin, int64_t length, const std::string& transform) {
  Object(p, kMetadata, "MetadataIndex").Str("fqn").Str(key);
  if (offset != nullptr) Size(p.Str("offset"), *offset);
  EndFields(p.Str("index").Int(0));
  Object(p, "torch.distributed.checkpoint.filesystem", "_StorageInfo");
  p.Str("relative_path").Str(file);
  p.Str("offset").Int(begin).Str("length").Int(length);
  if (!transform.empty()) {
    p.Str("transform_descriptors")
        .Op(PickleOp::kEmptyList)
        .Str(transform)
        .Op(PickleOp::kAppend);
  }
  EndFields(p);
}

}  // namespace

std::string TensorArchive(absl::string_view storage_class,
                          const std::vector<int64_t>& size,
                          absl::string_view bytes) {
  std::vector<int64_t> stride(size.size(), 1);
  int64_t elements = 1;
  for (size_t i = size.size(); i-- > 0;) {
    stride[i] = elements;
    elements *= size[i];
  }
  PickleBuilder pickle;
  pickle.Tensor(storage_class, "0", elements, 0, size, stride);
  return ZipBuilder()
      .Add("archive/data.pkl", pickle.Build())
      .Add("archive/data/0", bytes)
      .Add("archive/version", "3\n")
      .Build();
}

std::vector<std::pair<std::string, std::string>> DcpBuilder::Build() const {
  PickleBuilder p;
  Object(p, kMetadata, "Metadata").Str("state_dict_metadata").Dict().Mark();
  for (const SavedTensor& tensor : tensors) AddTensor(p, tensor);
  for (const auto& path : objects) {
    p.Str(Key(path));
    p.Global(kMetadata, "BytesStorageMetadata")
        .Op(PickleOp::kEmptyTuple)
        .Op(PickleOp::kNewObj);
  }
  p.SetItems();
  if (has_planner_data) {
    p.Str("planner_data").Dict().Mark();
    for (const SavedTensor& tensor : tensors) AddPath(p, tensor.path);
    for (const auto& path : objects) AddPath(p, path);
    p.SetItems();
  }
  p.Str("storage_data").Dict().Mark();
  std::string file;
  for (const auto& path : objects) {
    AddSlice(p, Key(path), nullptr, kFile, 0, 3, "");
  }
  for (const SavedTensor& tensor : tensors) {
    for (const SavedChunk& chunk : tensor.chunks) {
      const std::string archive =
          chunk.archive.has_value()
              ? *chunk.archive
              : TensorArchive(tensor.storage_class, chunk.size, chunk.bytes);
      if (chunk.is_stored) {
        AddSlice(
            p, Key(tensor.path), &chunk.stored_offset,
            chunk.relative_path.value_or(kFile),
            chunk.slice_offset.value_or(static_cast<int64_t>(file.size())),
            chunk.slice_length.value_or(static_cast<int64_t>(archive.size())),
            chunk.transform);
      }
      file += archive;
    }
  }
  p.SetItems().Str("version").Str("1.0.0");
  EndFields(p);
  return {{".metadata", p.Build()}, {kFile, std::move(file)}};
}

}  // namespace monoquant::testing
