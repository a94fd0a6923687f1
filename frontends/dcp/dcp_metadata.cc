#include "frontends/dcp/dcp_metadata.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/torch/python_values.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"
#include "ir/utf8.h"

namespace monoquant {
namespace {

// No class of these has more attributes; what has is not searched again and
// again.
constexpr size_t kMaxFields = 64;

// The attribute `name` of an object, as BUILD gave it; kNoNode if there is none
// or it is None.
NodeId FindField(const PickleGraph& graph, NodeId object,
                 absl::string_view name) {
  if (graph.States(object).empty()) return kNoNode;
  const auto entries = graph.Entries(graph.States(object).back());
  if (entries.size() > 2 * kMaxFields) return kNoNode;
  NodeId found = kNoNode;
  for (size_t i = 0; i + 1 < entries.size(); i += 2) {
    if (graph.AsString(entries[i]) == name) found = entries[i + 1];
  }
  if (found != kNoNode && graph.kind(found) == NodeKind::kNone) return kNoNode;
  return found;
}

absl::Status Malformed(absl::string_view what) {
  return DataLossError("malformed metadata: ", what);
}

// What takes the place of something else, for a message.
std::string Found(const PickleGraph& graph, NodeId node) {
  return node == kNoNode ? "nothing" : DescribeNode(graph, node);
}

// The attribute `name`, which must be a list of integers.
absl::StatusOr<std::vector<int64_t>> ReadIntegers(const PickleGraph& graph,
                                                  NodeId object,
                                                  absl::string_view name) {
  const NodeId node = FindField(graph, object, name);
  if (node != kNoNode) {
    if (auto integers = AsIntegers(graph, node)) return *std::move(integers);
  }
  return Malformed(absl::StrCat(QuotedName(name), " is no list of at most ",
                                kMaxDims, " integers but ",
                                Found(graph, node)));
}

absl::StatusOr<uint64_t> ReadPosition(const PickleGraph& graph, NodeId object,
                                      absl::string_view name) {
  const NodeId node = FindField(graph, object, name);
  const auto value =
      node == kNoNode ? std::optional<int64_t>() : graph.AsInt(node);
  if (!value.has_value() || *value < 0) {
    return Malformed(absl::StrCat(QuotedName(name), " is no position but ",
                                  Found(graph, node)));
  }
  return static_cast<uint64_t>(*value);
}

// Takes the item's name from its path.
absl::Status ReadPath(const PickleGraph& graph, NodeId path, DcpItem* item) {
  const absl::Span<const NodeId> parts = graph.Items(path);
  if (parts.empty() || parts.size() > kMaxDcpPathParts) {
    return Malformed(absl::StrCat("its path is no tuple of 1 to ",
                                  kMaxDcpPathParts, " parts but ",
                                  Found(graph, path)));
  }
  item->name.clear();
  for (NodeId node : parts) {
    const auto part = KeyName(graph, node);
    if (!part.has_value()) {
      return Malformed(absl::StrCat("its path has a part that is no name but ",
                                    Found(graph, node)));
    }
    if (!item->parts.empty()) item->name.push_back('.');
    item->name += *part;
    item->parts.push_back(
        {item->name.size(), graph.kind(node) == NodeKind::kInt});
  }
  return absl::OkStatus();
}

absl::StatusOr<DcpItem> ReadItem(const PickleGraph& graph, NodeId key,
                                 NodeId value, NodeId path) {
  DcpItem item;
  item.key = key;
  item.value = value;
  item.is_tensor = FindField(graph, value, "properties") != kNoNode;
  if (!item.is_tensor) {
    const PickleGlobal* type = ClassOf(graph, value);
    if (type == nullptr || type->name != "BytesStorageMetadata") {
      return Malformed(
          absl::StrCat("neither a tensor nor bytes but ", Found(graph, value)));
    }
  }
  if (path != kNoNode) {
    MQ_RETURN_IF_ERROR(ReadPath(graph, path, &item));
  } else {
    item.name = std::string(*graph.AsString(key));
    item.parts.push_back({item.name.size(), false});
  }
  if (!IsValidUtf8(item.name)) return Malformed("its name is no UTF-8");
  return item;
}

absl::Status ReadItems(DcpMetadata* metadata) {
  const PickleGraph& graph = metadata->graph;
  const NodeId list = FindField(graph, graph.root(), "state_dict_metadata");
  const auto entries = list == kNoNode ? std::nullopt : AsMapping(graph, list);
  if (!entries.has_value()) {
    return Malformed(
        absl::StrCat("no 'state_dict_metadata', as "
                     "torch.distributed.checkpoint writes it, in ",
                     Found(graph, graph.root())));
  }
  if (entries->size() > kMaxDcpEntries) {
    return Malformed(
        absl::StrCat("more entries than the limit of ", kMaxDcpEntries));
  }
  absl::flat_hash_map<absl::string_view, NodeId> paths;
  const NodeId planner_data = FindField(graph, graph.root(), "planner_data");
  if (planner_data != kNoNode) {
    for (const DictEntry& entry :
         AsMapping(graph, planner_data).value_or(std::vector<DictEntry>())) {
      if (const auto key = graph.AsString(entry.key)) {
        paths.emplace(*key, entry.value);
      }
    }
  }
  size_t name_bytes = 0;
  metadata->items.reserve(entries->size());
  for (const DictEntry& entry : *entries) {
    const auto key = graph.AsString(entry.key);
    if (!key.has_value() || key->size() > kMaxNamePart) {
      return Malformed(
          absl::StrCat("a key is no name but ", Found(graph, entry.key)));
    }
    const auto path = paths.find(*key);
    absl::StatusOr<DcpItem> item =
        ReadItem(graph, entry.key, entry.value,
                 path == paths.end() ? kNoNode : path->second);
    if (!item.ok()) {
      return Annotate(absl::StrCat("entry ", QuotedName(*key)), item.status());
    }
    name_bytes +=
        item->name.size() + item->parts.size() * sizeof(DcpItem::Part);
    if (name_bytes > kMaxDcpNameBytes) {
      return Malformed(
          absl::StrCat("the paths of the entries exceed the limit of ",
                       kMaxDcpNameBytes, " bytes"));
    }
    metadata->items.push_back(*std::move(item));
  }
  return absl::OkStatus();
}

absl::StatusOr<DType> ReadDType(const PickleGraph& graph, NodeId value) {
  const NodeId properties = FindField(graph, value, "properties");
  NodeId node = kNoNode;
  if (!graph.States(properties).empty()) {
    const auto state = graph.Items(graph.States(properties).back());
    if (!state.empty()) node = state[0];
  }
  const PickleGlobal* global = node == kNoNode ? nullptr : graph.AsGlobal(node);
  if (global == nullptr || global->module != "torch") {
    return Malformed(absl::StrCat("its dtype is no dtype of torch but ",
                                  Found(graph, node)));
  }
  const auto dtype = DTypeFromTorchName(global->name);
  if (!dtype.has_value()) {
    return UnimplementedError("dtype ",
                              QuotedName(absl::StrCat("torch.", global->name)),
                              " is not known");
  }
  return *dtype;
}

absl::StatusOr<DcpSlice> ReadSlice(const PickleGraph& graph,
                                   absl::string_view key, NodeId index,
                                   NodeId info) {
  DcpSlice slice;
  slice.key = key;
  MQ_ASSIGN_OR_RETURN(slice.chunk_offset, ReadIntegers(graph, index, "offset"));
  const NodeId path = FindField(graph, info, "relative_path");
  const auto file = path == kNoNode ? std::nullopt : graph.AsString(path);
  if (!file.has_value()) {
    return Malformed(
        absl::StrCat("'relative_path' is no string but ", Found(graph, path)));
  }
  slice.file = *file;
  MQ_ASSIGN_OR_RETURN(slice.offset, ReadPosition(graph, info, "offset"));
  MQ_ASSIGN_OR_RETURN(slice.length, ReadPosition(graph, info, "length"));
  const NodeId transforms = FindField(graph, info, "transform_descriptors");
  if (transforms == kNoNode) return slice;
  const NodeKind kind = graph.kind(transforms);
  if (kind != NodeKind::kList && kind != NodeKind::kTuple) {
    return Malformed(absl::StrCat("'transform_descriptors' is no list but ",
                                  Found(graph, transforms)));
  }
  for (NodeId transform : graph.Items(transforms)) {
    return UnimplementedError(
        "it was transformed by ",
        QuotedName(graph.AsString(transform).value_or("something unknown")),
        ", which is not read; save the checkpoint again without extensions");
  }
  return slice;
}

}  // namespace

absl::StatusOr<DcpMetadata> ReadDcpMetadata(std::string pickle,
                                            OpaqueCalls calls) {
  const size_t size = pickle.size();
  MQ_ASSIGN_OR_RETURN(PickleGraph graph,
                      ReadPickle(std::move(pickle), PickleLimits(), calls));
  DcpMetadata metadata{std::move(graph), {}, kNoNode, 0};
  metadata.bytes_behind = size - metadata.graph.consumed();
  MQ_RETURN_IF_ERROR(ReadItems(&metadata));
  metadata.storage_data =
      FindField(metadata.graph, metadata.graph.root(), "storage_data");
  if (metadata.storage_data == kNoNode) return Malformed("no 'storage_data'");
  return metadata;
}

absl::Status ToElements(DType dtype, int64_t if_scalar,
                        std::vector<int64_t>* numbers) {
  if (dtype != DType::kF4) return absl::OkStatus();
  if (numbers->empty()) numbers->push_back(if_scalar);
  if (__builtin_mul_overflow(numbers->back(), 2, &numbers->back())) {
    return Malformed("its shape overflows");
  }
  return absl::OkStatus();
}

absl::StatusOr<DcpTensor> ReadDcpTensor(const PickleGraph& graph, NodeId value,
                                        size_t* numbers) {
  DcpTensor tensor;
  MQ_ASSIGN_OR_RETURN(tensor.dtype, ReadDType(graph, value));
  MQ_ASSIGN_OR_RETURN(tensor.shape, ReadIntegers(graph, value, "size"));
  const size_t rank = tensor.shape.size();
  MQ_RETURN_IF_ERROR(ToElements(tensor.dtype, 1, &tensor.shape));
  const NodeId list = FindField(graph, value, "chunks");
  if (list == kNoNode || graph.kind(list) != NodeKind::kList) {
    return Malformed(
        absl::StrCat("'chunks' is no list but ", Found(graph, list)));
  }
  tensor.chunks = BoxList(tensor.shape.size());
  for (NodeId chunk : graph.Items(list)) {
    *numbers += 2 * std::max<size_t>(rank, 1);
    if (*numbers > kMaxChunkNumbers) {
      return Malformed(absl::StrCat(
          "offsets and sizes of its chunks and those of the tensors before it "
          "exceed the limit of ",
          kMaxChunkNumbers, " numbers"));
    }
    MQ_ASSIGN_OR_RETURN(std::vector<int64_t> offset,
                        ReadIntegers(graph, chunk, "offsets"));
    MQ_ASSIGN_OR_RETURN(std::vector<int64_t> size,
                        ReadIntegers(graph, chunk, "sizes"));
    if (offset.size() != rank || size.size() != rank) {
      return Malformed(absl::StrCat("its chunk ", ShapeToString(size), " at ",
                                    ShapeToString(offset), " has not the ",
                                    rank, " dimensions of the tensor"));
    }
    MQ_RETURN_IF_ERROR(ToElements(tensor.dtype, 0, &offset));
    MQ_RETURN_IF_ERROR(ToElements(tensor.dtype, 1, &size));
    tensor.chunks.Add(offset, size);
  }
  return tensor;
}

absl::Status ForEachDcpSlice(
    const DcpMetadata& metadata,
    absl::FunctionRef<bool(absl::string_view key)> wanted,
    absl::FunctionRef<absl::Status(const DcpSlice& slice)> use) {
  const PickleGraph& graph = metadata.graph;
  const absl::Span<const NodeId> entries = graph.Entries(metadata.storage_data);
  for (size_t i = 0; i + 1 < entries.size(); i += 2) {
    const NodeId fqn = FindField(graph, entries[i], "fqn");
    const auto key = fqn == kNoNode ? std::nullopt : graph.AsString(fqn);
    if (!key.has_value()) {
      return Malformed(absl::StrCat("a key of 'storage_data' has no 'fqn': ",
                                    Found(graph, entries[i])));
    }
    if (!wanted(*key)) continue;
    const absl::StatusOr<DcpSlice> slice =
        ReadSlice(graph, *key, entries[i], entries[i + 1]);
    const absl::Status status = slice.ok() ? use(*slice) : slice.status();
    if (!status.ok()) {
      return Annotate(absl::StrCat("tensor ", QuotedName(*key)), status);
    }
  }
  return absl::OkStatus();
}

}  // namespace monoquant
