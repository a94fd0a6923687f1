#include "frontends/torch/rebuild.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/torch/numpy_array.h"
#include "frontends/torch/python_values.h"
#include "frontends/torch/quantizer.h"
#include "frontends/torch/storage_reference.h"
#include "ir/errors.h"
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
  kVariable,
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
    {"torch._utils", "_rebuild_device_tensor_from_numpy",
     Function::kFromCpuTensor, 4, 4},
    {"torch._utils", "_rebuild_xla_tensor", Function::kFromCpuTensor, 4, 4},
    // torch 0.1 to 0.4 calls the classes themselves.
    {"torch.nn.parameter", "Parameter", Function::kVariable, 0, 2},
    {"torch.nn.parameter", "Buffer", Function::kVariable, 0, 3},
    {"torch.autograd.variable", "Variable", Function::kVariable, 0, 2},
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

// The tensor classes of torch 0.1 to 0.3.
constexpr absl::string_view kTensorClasses[] = {
    "FloatTensor", "DoubleTensor", "HalfTensor",     "ByteTensor",
    "CharTensor",  "ShortTensor",  "IntTensor",      "LongTensor",
    "BoolTensor",  "Tensor",       "BFloat16Tensor",
};

bool IsTensorClass(const PickleGlobal& global) {
  if (global.module == "torch._tensor") return global.name == "Tensor";
  if (global.module != "torch" && global.module != "torch.cuda") return false;
  for (const absl::string_view name : kTensorClasses) {
    if (global.name == name) return true;
  }
  return false;
}

// The last state of an object if that is a tuple of `size`; empty otherwise.
absl::Span<const NodeId> StateOf(const PickleGraph& graph, NodeId node,
                                 size_t size) {
  const auto states = graph.States(node);
  if (states.empty() || graph.kind(states.back()) != NodeKind::kTuple) {
    return {};
  }
  const auto items = graph.Items(states.back());
  return items.size() == size ? items : absl::Span<const NodeId>();
}

// torch.FloatTensor() with the state (storage, offset, size, stride).
bool IsOldTensor(const PickleGraph& graph, NodeId node) {
  const PickleGlobal* global = graph.CalleeGlobal(node);
  if (global == nullptr || !IsTensorClass(*global)) return false;
  const auto state = StateOf(graph, node, 4);
  return !state.empty() && graph.kind(state[0]) == NodeKind::kPersistentId;
}

// A key, alone, instead of torch's tuple.
std::optional<std::string> ExternalKey(const PickleGraph& graph, NodeId node) {
  if (graph.kind(node) != NodeKind::kPersistentId) return std::nullopt;
  return KeyName(graph, graph.PersistentValue(node));
}

using Args = absl::Span<const NodeId>;
using Parts = std::vector<std::pair<std::string, NodeId>>;

// Many tensors can share one dict. What each of them costs is bounded.
constexpr size_t kMaxMetadata = 100;
constexpr size_t kMaxAttributes = 10'000;

// The storage of a tensor, which may be but a part of what the file calls so.
absl::Status ReadStorage(const PickleGraph& graph, NodeId node,
                         TorchTensor* tensor) {
  MQ_ASSIGN_OR_RETURN(StorageReference storage,
                      ReadStorageReference(graph, node));
  tensor->dtype = storage.dtype;
  tensor->storage_key = std::move(storage.key);
  tensor->storage_bytes = storage.bytes;
  if (storage.part.has_value()) {
    tensor->part_offset = storage.part->offset;
    tensor->storage_bytes = storage.part->bytes;
  }
  return absl::OkStatus();
}

absl::Status ReadDType(const PickleGraph& graph, NodeId node, DType* dtype) {
  const PickleGlobal* global = graph.AsGlobal(node);
  if (global == nullptr || global->module != "torch") {
    return DataLossError("malformed dtype");
  }
  const auto found = DTypeFromTorchName(global->name);
  if (!found.has_value()) {
    return UnimplementedError("dtype ",
                              QuotedName(absl::StrCat("torch.", global->name)),
                              " is not known");
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
    return DataLossError("malformed offset, size or stride (of at most ",
                         kMaxDims, " dimensions)");
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
  if (function == Function::kQuantized) {
    MQ_ASSIGN_OR_RETURN(tensor.quantizer, ReadQuantizer(graph, args[4]));
  }
  return tensor;
}

// The attributes of a tensor: a dict, or (dict, dict of slots).
absl::Status AppendState(const PickleGraph& graph, NodeId state, Parts* parts) {
  const bool is_pair = graph.kind(state) == NodeKind::kTuple;
  const Args dicts = is_pair ? graph.Items(state) : Args(&state, 1);
  if (dicts.size() > 2) return DataLossError("malformed attributes");
  for (NodeId dict : dicts) {
    if (graph.Entries(dict).size() / 2 > kMaxAttributes) {
      return DataLossError("more attributes than the limit of ",
                           kMaxAttributes);
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
        return DataLossError("malformed sparse tensor");
      }
      parts->emplace_back(row.components[i], components[i]);
    }
    return absl::OkStatus();
  }
  return DataLossError("malformed sparse tensor");
}

TorchTensor FromNumpy(NumpyArray array, NodeId node) {
  TorchTensor tensor;
  tensor.dtype = array.dtype;
  tensor.size = std::move(array.size);
  tensor.stride = std::move(array.stride);
  tensor.storage_bytes = array.bytes;
  tensor.inline_array = node;
  tensor.is_latin1 = array.is_latin1;
  tensor.inline_text = array.text;
  tensor.big_endian = array.big_endian;
  return tensor;
}

// Tensors that are no call of a function of torch's; kNoTensor for others.
absl::StatusOr<TorchValue> ReadPlain(const PickleGraph& graph, NodeId node) {
  TorchValue value;
  value.kind = TorchValue::Kind::kTensor;
  if (IsNumpyArray(graph, node)) {
    MQ_ASSIGN_OR_RETURN(NumpyArray array, ReadNumpyArray(graph, node));
    value.tensor = FromNumpy(std::move(array), node);
  } else if (IsOldTensor(graph, node)) {
    MQ_RETURN_IF_ERROR(ReadView(graph, StateOf(graph, node, 4), &value.tensor));
  } else if (auto key = ExternalKey(graph, node)) {
    value.tensor.external_key = *std::move(key);
  } else {
    value.kind = TorchValue::Kind::kNoTensor;
  }
  return value;
}

// What a Variable or Parameter of torch 0.1 to 0.4 wraps: its first argument,
// or the first value of its state (data, grad, ...). kNoNode if neither.
NodeId VariableData(const PickleGraph& graph, NodeId node, Args args) {
  if (!args.empty()) return args[0];
  const Args state = StateOf(graph, node, 5);
  return state.empty() ? kNoNode : state[0];
}

}  // namespace

bool IsTorchTensorCall(const PickleGraph& graph, NodeId node) {
  return FindFunction(graph.CalleeGlobal(node)) != nullptr ||
         IsOldTensor(graph, node) || ExternalKey(graph, node).has_value();
}

bool IsTensorCall(const PickleGraph& graph, NodeId node) {
  return IsTorchTensorCall(graph, node) || IsNumpyArray(graph, node);
}

absl::StatusOr<TorchValue> RebuildTensor(const PickleGraph& graph,
                                         NodeId node) {
  MQ_ASSIGN_OR_RETURN(TorchValue value, ReadPlain(graph, node));
  if (value.kind != TorchValue::Kind::kNoTensor) return value;
  const FunctionRow* row = FindFunction(graph.CalleeGlobal(node));
  if (row == nullptr) return value;
  Args args = graph.Items(graph.Args(node));

  // Parameters and subclasses wrap other calls. A pickle can nest these
  // without end.
  for (int depth = 0; depth < 100; ++depth) {
    if (args.size() < row->min_args || args.size() > row->max_args) {
      return DataLossError("a call of ", row->name, " with ", args.size(),
                           " arguments");
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
      case Function::kFromCpuTensor:
      case Function::kVariable: {
        const NodeId data = VariableData(graph, node, args);
        if (data == kNoNode) return TorchValue{};
        MQ_ASSIGN_OR_RETURN(TorchValue plain, ReadPlain(graph, data));
        if (plain.kind != TorchValue::Kind::kNoTensor) {
          plain.parts = std::move(value.parts);
          return plain;
        }
        node = data;
        row = FindFunction(graph.CalleeGlobal(data));
        args = row == nullptr ? Args() : graph.Items(graph.Args(data));
        break;
      }
    }
    if (row == nullptr) {
      // A call that is not known inside one that is: a subclass whose data are
      // its attributes, or an object like any other.
      const bool has_tensors = std::any_of(
          value.parts.begin(), value.parts.end(),
          [&](const auto& part) { return IsTensorCall(graph, part.second); });
      if (!has_tensors) return TorchValue{};
      value.kind = TorchValue::Kind::kParts;
      value.what = "of a class that is not known";
      return value;
    }
  }
  return DataLossError("a tensor is wrapped more than 100 times");
}

}  // namespace monoquant
