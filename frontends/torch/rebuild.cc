#include "frontends/torch/rebuild.h"

#include <cstddef>
#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/torch/python_values.h"
#include "frontends/torch/storage_types.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

enum class Function {
  kTensor,
  kTensorV2,
  kTensorV3,
  kQuantized,
  kParameter,
  kParameterWithState,
  kFromType,
  kFromCpuTensor,
  kSparse,
  kNested,
  kMeta,
  kWrapper,
};

struct FunctionRow {
  absl::string_view module;
  absl::string_view name;
  Function function;
  // How many arguments torch passes.
  size_t min_args;
  size_t max_args;
};

constexpr FunctionRow kFunctions[] = {
    {"torch._utils", "_rebuild_tensor", Function::kTensor, 4, 4},
    {"torch._utils", "_rebuild_tensor_v2", Function::kTensorV2, 6, 7},
    {"torch._utils", "_rebuild_tensor_v3", Function::kTensorV3, 7, 8},
    {"torch._utils", "_rebuild_qtensor", Function::kQuantized, 7, 7},
    {"torch._utils", "_rebuild_parameter", Function::kParameter, 3, 3},
    {"torch._utils", "_rebuild_parameter_with_state",
     Function::kParameterWithState, 4, 4},
    {"torch._tensor", "_rebuild_from_type", Function::kFromType, 4, 4},
    {"torch._tensor", "_rebuild_from_type_v2", Function::kFromType, 4, 4},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor",
     Function::kFromCpuTensor, 4, 4},
    {"torch._utils", "_rebuild_sparse_tensor", Function::kSparse, 2, 2},
    {"torch._utils", "_rebuild_nested_tensor", Function::kNested, 4, 4},
    {"torch._utils", "_rebuild_meta_tensor_no_storage", Function::kMeta, 4, 4},
    {"torch._utils", "_rebuild_wrapper_subclass", Function::kWrapper, 6, 9},
};

struct SparseRow {
  absl::string_view layout;
  absl::string_view components[3];
};

constexpr SparseRow kSparse[] = {
    {"torch.sparse_coo", {"indices", "values"}},
    {"torch.sparse_csr", {"crow_indices", "col_indices", "values"}},
    {"torch.sparse_csc", {"ccol_indices", "row_indices", "values"}},
    {"torch.sparse_bsr", {"crow_indices", "col_indices", "values"}},
    {"torch.sparse_bsc", {"ccol_indices", "row_indices", "values"}},
};

const FunctionRow* FindFunction(const PickleGlobal* global) {
  if (global == nullptr) return nullptr;
  for (const FunctionRow& row : kFunctions) {
    if (global->Is(row.module, row.name)) return &row;
  }
  return nullptr;
}

using Args = absl::Span<const NodeId>;
using Parts = std::vector<std::pair<std::string, NodeId>>;

// Many tensors can share one key and one dict. What each of them costs is
// bounded.
constexpr size_t kMaxStorageKey = 1000;
constexpr size_t kMaxMetadata = 100;
constexpr size_t kMaxAttributes = 10'000;

std::optional<uint64_t> AsSize(const PickleGraph& graph, NodeId node) {
  const auto value = graph.AsInt(node);
  if (!value.has_value() || *value < 0) return std::nullopt;
  return static_cast<uint64_t>(*value);
}

// Strings of Python 2 may come as bytes.
std::optional<absl::string_view> AsText(const PickleGraph& graph, NodeId node) {
  if (const auto text = graph.AsString(node)) return text;
  return graph.AsBytes(node);
}

// Reads ('storage', class, key, location, numel, ...), the persistent id of a
// storage. The location is where it was when it was saved: no concern here.
absl::Status ReadStorage(const PickleGraph& graph, NodeId node,
                         TorchTensor* tensor) {
  const absl::Status malformed =
      absl::DataLossError("malformed reference to a storage");
  if (graph.kind(node) != NodeKind::kPersistentId) return malformed;
  const NodeId value = graph.PersistentValue(node);
  if (graph.kind(value) == NodeKind::kString) {
    // Protocol 0 turns the reference into its printed form.
    return absl::UnimplementedError(
        "saved with pickle protocol 0, which torch cannot load either; save "
        "it again with protocol 2 or later");
  }
  const Args id = graph.Items(value);
  if (id.size() < 5 || AsText(graph, id[0]) != "storage") return malformed;
  const PickleGlobal* storage_class = graph.AsGlobal(id[1]);
  const auto numel = AsSize(graph, id[4]);
  if (storage_class == nullptr || !numel.has_value()) return malformed;
  if (const auto key = AsText(graph, id[2])) {
    if (key->size() > kMaxStorageKey) return malformed;
    tensor->storage_key = std::string(*key);
  } else if (const auto number = AsSize(graph, id[2])) {
    tensor->storage_key = absl::StrCat(*number);
  } else {
    return malformed;
  }
  const auto type = FindStorageType(*storage_class);
  if (!type.has_value()) {
    return absl::UnimplementedError(
        absl::StrCat("storage class ",
                     QuotedName(absl::StrCat(storage_class->module, ".",
                                             storage_class->name)),
                     " is not known"));
  }
  tensor->dtype = type->dtype.value_or(DType::kU8);
  const auto item_size =
      static_cast<uint64_t>(GetDTypeInfo(tensor->dtype).bits / 8);
  if (!CheckedMul(*numel, item_size, &tensor->storage_bytes)) return malformed;
  return absl::OkStatus();
}

absl::Status ReadDType(const PickleGraph& graph, NodeId node, DType* dtype) {
  const PickleGlobal* global = graph.AsGlobal(node);
  if (global == nullptr || global->module != "torch") {
    return absl::DataLossError("malformed dtype");
  }
  const auto found = DTypeFromTorchName(global->name);
  if (!found.has_value()) {
    return absl::UnimplementedError(
        absl::StrCat("dtype ", QuotedName(absl::StrCat("torch.", global->name)),
                     " is not known"));
  }
  *dtype = *found;
  return absl::OkStatus();
}

// {'conj': True, 'neg': True}: lazy views that torch has not computed yet.
void ReadMetadata(const PickleGraph& graph, NodeId node, TorchTensor* tensor) {
  if (graph.Entries(node).size() > kMaxMetadata) return;
  const auto mapping = AsMapping(graph, node);
  if (!mapping.has_value()) return;
  const auto is_true = [&](absl::string_view key) {
    const NodeId value = FindEntry(*mapping, graph, key);
    return value != kNoNode && graph.AsBool(value) == true;
  };
  tensor->conj = is_true("conj");
  tensor->neg = is_true("neg");
}

// The first arguments of all strided tensors: storage, offset, size, stride.
absl::Status ReadView(const PickleGraph& graph, Args args,
                      TorchTensor* tensor) {
  MQ_RETURN_IF_ERROR(ReadStorage(graph, args[0], tensor));
  const auto offset = AsSize(graph, args[1]);
  const auto size = AsIntegers(graph, args[2]);
  const auto stride = AsIntegers(graph, args[3]);
  if (!offset.has_value() || !size.has_value() || !stride.has_value()) {
    return absl::DataLossError(
        absl::StrCat("malformed offset, size or stride (of at most ", kMaxDims,
                     " dimensions)"));
  }
  tensor->offset = *offset;
  tensor->size = *size;
  tensor->stride = *stride;
  return absl::OkStatus();
}

absl::StatusOr<TorchTensor> ReadTensor(const PickleGraph& graph,
                                       Function function, Args args) {
  TorchTensor tensor;
  MQ_RETURN_IF_ERROR(ReadView(graph, args, &tensor));
  if (function == Function::kTensorV3) {
    MQ_RETURN_IF_ERROR(ReadDType(graph, args[6], &tensor.dtype));
    if (args.size() > 7) ReadMetadata(graph, args[7], &tensor);
  } else if (function == Function::kTensorV2) {
    if (args.size() > 6) ReadMetadata(graph, args[6], &tensor);
  }
  tensor.quantized = function == Function::kQuantized;
  return tensor;
}

// The attributes of a tensor: a dict, or (dict, dict of slots).
absl::Status AppendState(const PickleGraph& graph, NodeId state, Parts* parts) {
  const bool is_pair = graph.kind(state) == NodeKind::kTuple;
  const Args dicts = is_pair ? graph.Items(state) : Args(&state, 1);
  if (dicts.size() > 2) return absl::DataLossError("malformed attributes");
  for (NodeId dict : dicts) {
    if (graph.Entries(dict).size() / 2 > kMaxAttributes) {
      return absl::DataLossError(
          absl::StrCat("more attributes than the limit of ", kMaxAttributes));
    }
    const auto mapping = AsMapping(graph, dict);
    if (!mapping.has_value()) continue;
    for (const DictEntry& entry : *mapping) {
      if (const auto name = KeyName(graph, entry.key)) {
        parts->emplace_back(*name, entry.value);
      }
    }
  }
  return absl::OkStatus();
}

// (layout, (components..., size, ...)).
absl::Status AppendSparse(const PickleGraph& graph, Args args, Parts* parts) {
  const PickleGlobal* get_layout = graph.CalleeGlobal(args[0]);
  const Args layout_args =
      get_layout == nullptr ? Args() : graph.Items(graph.Args(args[0]));
  const Args components = graph.Items(args[1]);
  for (const SparseRow& row : kSparse) {
    if (layout_args.empty() || graph.AsString(layout_args[0]) != row.layout) {
      continue;
    }
    for (size_t i = 0; i < 3 && !row.components[i].empty(); ++i) {
      if (i >= components.size()) {
        return absl::DataLossError("malformed sparse tensor");
      }
      parts->emplace_back(row.components[i], components[i]);
    }
    return absl::OkStatus();
  }
  return absl::DataLossError("malformed sparse tensor");
}

}  // namespace

bool IsTensorCall(const PickleGraph& graph, NodeId node) {
  return FindFunction(graph.CalleeGlobal(node)) != nullptr;
}

absl::StatusOr<TorchValue> RebuildTensor(const PickleGraph& graph,
                                         NodeId node) {
  TorchValue value;
  const FunctionRow* row = FindFunction(graph.CalleeGlobal(node));
  if (row == nullptr) return value;
  Args args = graph.Items(graph.Args(node));

  // Parameters and subclasses wrap other calls. A pickle can nest these
  // without end.
  for (int depth = 0; depth < 100; ++depth) {
    if (args.size() < row->min_args || args.size() > row->max_args) {
      return absl::DataLossError(absl::StrCat("a call of ", row->name, " with ",
                                              args.size(), " arguments"));
    }
    switch (row->function) {
      case Function::kTensor:
      case Function::kTensorV2:
      case Function::kTensorV3:
      case Function::kQuantized: {
        MQ_ASSIGN_OR_RETURN(value.tensor,
                            ReadTensor(graph, row->function, args));
        value.kind = TorchValue::Kind::kTensor;
        return value;
      }
      case Function::kSparse:
        MQ_RETURN_IF_ERROR(AppendSparse(graph, args, &value.parts));
        value.kind = TorchValue::Kind::kParts;
        value.what = "sparse";
        return value;
      case Function::kNested:
        for (size_t i = 0; i < 4; ++i) {
          constexpr absl::string_view kNames[] = {"values", "sizes", "strides",
                                                  "offsets"};
          value.parts.emplace_back(kNames[i], args[i]);
        }
        value.kind = TorchValue::Kind::kParts;
        value.what = "nested";
        return value;
      case Function::kWrapper:
        // Its attributes, which hold the data, are among the parts already.
        value.kind = TorchValue::Kind::kParts;
        value.what = "of a wrapper class";
        return value;
      case Function::kMeta:
        value.kind = TorchValue::Kind::kMeta;
        value.what = "without data";
        return value;

      case Function::kFromType: {
        // (function, class, arguments, state)
        MQ_RETURN_IF_ERROR(AppendState(graph, args[3], &value.parts));
        row = FindFunction(graph.AsGlobal(args[0]));
        args = graph.Items(args[2]);
        break;
      }
      case Function::kParameterWithState:
        MQ_RETURN_IF_ERROR(AppendState(graph, args[3], &value.parts));
        [[fallthrough]];
      case Function::kParameter:
      case Function::kFromCpuTensor: {
        const NodeId data = args[0];
        row = FindFunction(graph.CalleeGlobal(data));
        args = row == nullptr ? Args() : graph.Items(graph.Args(data));
        break;
      }
    }
    // A call that is not known inside one that is: an object like any other.
    if (row == nullptr) return TorchValue{};
  }
  return absl::DataLossError("a tensor is wrapped more than 100 times");
}

}  // namespace monoquant
