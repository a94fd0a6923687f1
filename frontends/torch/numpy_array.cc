#include "frontends/torch/numpy_array.h"

#include <cstddef>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/torch/python_values.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

using Items = absl::Span<const NodeId>;

enum class Function { kReconstruct, kScalar, kFromBuffer };

struct FunctionRow {
  absl::string_view module;
  absl::string_view name;
  Function function;
};

// NumPy 2 put an underscore before its core.
constexpr FunctionRow kFunctions[] = {
    {"numpy.core.multiarray", "_reconstruct", Function::kReconstruct},
    {"numpy._core.multiarray", "_reconstruct", Function::kReconstruct},
    {"numpy.core.multiarray", "scalar", Function::kScalar},
    {"numpy._core.multiarray", "scalar", Function::kScalar},
    {"numpy.core.numeric", "_frombuffer", Function::kFromBuffer},
    {"numpy._core.numeric", "_frombuffer", Function::kFromBuffer},
};

struct TypeRow {
  absl::string_view name;
  DType dtype;
};

// Kind and bytes of an element, as NumPy names types in pickles.
constexpr TypeRow kTypes[] = {
    {"f4", DType::kF32}, {"f8", DType::kF64},   {"f2", DType::kF16},
    {"i8", DType::kI64}, {"i4", DType::kI32},   {"i2", DType::kI16},
    {"i1", DType::kI8},  {"u8", DType::kU64},   {"u4", DType::kU32},
    {"u2", DType::kU16}, {"u1", DType::kU8},    {"b1", DType::kBool},
    {"c8", DType::kC64}, {"c16", DType::kC128},
};

// Nobody's type has a longer name; some have a list of fields instead of one.
constexpr size_t kMaxTypeName = 40;

std::optional<Function> FindFunction(const PickleGraph& graph, NodeId node) {
  const PickleGlobal* global = graph.CalleeGlobal(node);
  // Asked of every node: most are ruled out by a glance.
  if (global == nullptr || global->module.size() < 5 ||
      global->module[0] != 'n') {
    return std::nullopt;
  }
  for (const FunctionRow& row : kFunctions) {
    if (global->Is(row.module, row.name)) return row.function;
  }
  return std::nullopt;
}

// The last state that BUILD gave to an object, if it is a tuple.
Items LastState(const PickleGraph& graph, NodeId node) {
  const Items states = graph.States(node);
  if (states.empty() || graph.kind(states.back()) != NodeKind::kTuple) {
    return {};
  }
  return graph.Items(states.back());
}

struct ElementType {
  DType dtype = DType::kF32;
  bool big_endian = false;
};

// numpy.dtype('f4', False, True) with the state (3, '<', None, None, None, -1,
// -1, 0): version, byte order, and what records and dates have. nullopt for
// all that is no plain number.
std::optional<ElementType> ReadElementType(const PickleGraph& graph,
                                           NodeId node) {
  const PickleGlobal* global = graph.CalleeGlobal(node);
  if (global == nullptr || !global->Is("numpy", "dtype")) return std::nullopt;
  const Items args = graph.Items(graph.Args(node));
  if (args.empty()) return std::nullopt;
  const auto text = AsText(graph, args[0]);
  if (!text.has_value() || text->empty()) return std::nullopt;
  absl::string_view name = *text;
  char order = '<';
  if (absl::string_view("<>=|").find(name[0]) != name.npos) {
    order = name[0];
    name.remove_prefix(1);
  }
  const Items state = LastState(graph, node);
  if (state.size() > 1) {
    const auto stated = AsText(graph, state[1]);
    if (!stated.has_value() || stated->size() != 1) return std::nullopt;
    order = stated->front();
  }
  for (size_t i = 2; i < state.size() && i < 5; ++i) {
    if (graph.kind(state[i]) != NodeKind::kNone) return std::nullopt;
  }
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return ElementType{row.dtype, order == '>'};
  }
  return std::nullopt;
}

// Where a call keeps its element type; kNoNode if it is malformed.
NodeId TypeNode(const PickleGraph& graph, NodeId node, Function function) {
  Items items;
  size_t place = 0;
  switch (function) {
    case Function::kReconstruct:  // (version, shape, dtype, fortran, data)
      items = LastState(graph, node);
      place = 2;
      if (items.size() != 5) return kNoNode;
      break;
    case Function::kScalar:  // (dtype, data)
      items = graph.Items(graph.Args(node));
      if (items.size() != 2) return kNoNode;
      break;
    case Function::kFromBuffer:  // (data, dtype, shape, order)
      items = graph.Items(graph.Args(node));
      place = 1;
      if (items.size() != 4) return kNoNode;
      break;
  }
  return items[place];
}

// Bytes; a string of Python 2; or a call that makes bytes of a text.
absl::Status ReadData(const PickleGraph& graph, NodeId node,
                      NumpyArray* array) {
  const PickleGlobal* callee = graph.CalleeGlobal(node);
  if (callee != nullptr && callee->Is("builtins", "bytes") &&
      graph.Items(graph.Args(node)).empty()) {
    return absl::OkStatus();
  }
  if (callee != nullptr && callee->Is("_codecs", "encode")) {
    const Items args = graph.Items(graph.Args(node));
    const auto codec =
        args.size() == 2 ? graph.AsString(args[1]) : std::nullopt;
    if (codec != "latin1" && codec != "latin-1") {
      return DataLossError("malformed bytes of a NumPy array");
    }
    array->is_latin1 = true;
    node = args[0];
  }
  if (!AsText(graph, node).has_value()) {
    return DataLossError("malformed bytes of a NumPy array");
  }
  array->text = node;
  return absl::OkStatus();
}

// Column-major strides.
std::vector<int64_t> FortranStride(const Shape& size) {
  const Shape reversed(size.rbegin(), size.rend());
  const std::vector<int64_t> stride = ContiguousStride(reversed);
  return std::vector<int64_t>(stride.rbegin(), stride.rend());
}

}  // namespace

bool IsNumpyCall(const PickleGraph& graph, NodeId node) {
  return FindFunction(graph, node).has_value();
}

bool IsNumpyScalar(const PickleGraph& graph, NodeId node) {
  return FindFunction(graph, node) == Function::kScalar;
}

bool IsNumpyArray(const PickleGraph& graph, NodeId node) {
  const auto function = FindFunction(graph, node);
  if (!function.has_value()) return false;
  const NodeId type = TypeNode(graph, node, *function);
  return type != kNoNode && ReadElementType(graph, type).has_value();
}

absl::StatusOr<NumpyArray> ReadNumpyArray(const PickleGraph& graph,
                                          NodeId node) {
  const absl::Status malformed = DataLossError("malformed NumPy array");
  const auto function = FindFunction(graph, node);
  if (!function.has_value()) return malformed;
  const NodeId type_node = TypeNode(graph, node, *function);
  if (type_node == kNoNode) return malformed;
  const auto type = ReadElementType(graph, type_node);
  if (!type.has_value()) return malformed;

  NodeId shape = kNoNode;
  NodeId data = kNoNode;
  bool is_fortran = false;
  if (*function == Function::kReconstruct) {
    const Items state = LastState(graph, node);
    shape = state[1];
    is_fortran = graph.AsBool(state[3]) == true || graph.AsInt(state[3]) == 1;
    data = state[4];
  } else {
    const Items args = graph.Items(graph.Args(node));
    const bool is_scalar = *function == Function::kScalar;
    if (!is_scalar) {
      shape = args[2];
      is_fortran = AsText(graph, args[3]) == "F";
    }
    data = args[is_scalar ? 1 : 0];
  }
  NumpyArray array;
  array.dtype = type->dtype;
  array.big_endian = type->big_endian;
  if (shape != kNoNode) {
    const auto size = AsIntegers(graph, shape);
    if (!size.has_value()) return malformed;
    array.size = *size;
  }
  const auto bytes = ByteSize(array.dtype, array.size);
  if (!bytes.ok()) return malformed;
  array.bytes = *bytes;
  array.stride =
      is_fortran ? FortranStride(array.size) : ContiguousStride(array.size);
  MQ_RETURN_IF_ERROR(ReadData(graph, data, &array));
  return array;
}

std::string DescribeNumpyCall(const PickleGraph& graph, NodeId node) {
  const auto function = FindFunction(graph, node);
  const NodeId type =
      function.has_value() ? TypeNode(graph, node, *function) : kNoNode;
  std::string of = "";
  if (type != kNoNode && graph.kind(type) == NodeKind::kObject) {
    const Items args = graph.Items(graph.Args(type));
    const auto name = args.empty() ? std::nullopt : AsText(graph, args[0]);
    if (name.has_value() && name->size() <= kMaxTypeName) {
      of = absl::StrCat(" of dtype ", QuotedName(*name));
    }
  }
  return absl::StrCat("numpy array", of, ", not read");
}

}  // namespace monoquant
