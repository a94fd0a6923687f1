#include "frontends/pickle/pickle_machine.h"

#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/pickle/global_verdict.h"
#include "frontends/pickle/graph_builder.h"
#include "frontends/pickle/opcodes.h"
#include "frontends/pickle/pickle_cursor.h"
#include "frontends/pickle/pickle_policy.h"
#include "frontends/pickle/pickle_text.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

absl::Status Beyond(absl::string_view what, uint64_t limit) {
  return DataLossError(what, " exceeds the limit of ", limit);
}

enum class Manner {
  kStrict,   // for ReadPickle
  kLenient,  // for RunPickle
};

// The stack program's state. One object runs one pickle.
class PickleMachine {
 public:
  PickleMachine(std::string bytes, const PickleLimits& limits, Manner manner)
      : limits_(limits),
        lenient_(manner == Manner::kLenient),
        nodes_(std::move(bytes), {limits.values, limits.memory}),
        cursor_(nodes_.bytes(), limits.string_bytes) {}

  PickleRun Run() && {
    const absl::Status status = RunToStop();
    // In this order: the graph is moved out of this object.
    const NodeId root = root_;
    return {std::move(nodes_).Finish(root, cursor_.position()), status,
            !status.ok() && cursor_.truncated()};
  }

 private:
  absl::Status RunToStop();
  // Runs the next instruction; sets root_ at STOP. The instructions are
  // grouped by what they deal with.
  absl::Status Step();
  absl::Status StepText(PickleOp op);
  absl::Status StepValue(PickleOp op);
  absl::Status StepContainer(PickleOp op);
  absl::Status StepMemo(PickleOp op);
  absl::Status StepCall(PickleOp op);
  absl::Status StepExtension(PickleOp op);

  // A string or bytes behind their size in the given width.
  template <typename Size>
  absl::StatusOr<NodeId> TakeSized(NodeKind kind);

  // The stack. A mark fences off what is below it.
  size_t Floor() const { return marks_.empty() ? 0 : marks_.back(); }
  absl::Status Need(size_t count) const;
  absl::Status NeedMark() const;
  absl::Status NeedRoom() const;
  // Valid until the stack changes.
  absl::Span<const NodeId> AboveMark() const {
    return absl::MakeConstSpan(stack_).subspan(Floor());
  }
  absl::Span<const NodeId> Top(size_t count) const {
    return absl::MakeConstSpan(stack_).last(count);
  }
  NodeId Pop();
  void PopToMark();
  absl::Status Push(const absl::StatusOr<NodeId>& node);

  absl::Status Memoize(uint64_t index);
  absl::Status Recall(uint64_t index);
  size_t MemoSize() const { return memo_.size() + far_memo_.size(); }

  // `status`, unless it is about a value that Python may yet accept.
  absl::Status Tolerate(const absl::Status& status, NodeId target) const;
  // A value of which nothing is known but that it is there.
  absl::Status PushUnknown(absl::string_view what);

  const PickleLimits limits_;
  const bool lenient_;
  PickleGraphBuilder nodes_;
  PickleCursor cursor_;
  NodeId root_ = kNoNode;
  std::vector<NodeId> stack_;
  std::vector<size_t> marks_;
  // The memo. Its indices come from the file: those that count up from 0 are in
  // an array, all others in a map, never in an array that they would stretch.
  // The array ends before the first index of the map.
  std::vector<NodeId> memo_;
  absl::flat_hash_map<uint64_t, NodeId> far_memo_;
};

absl::Status PickleMachine::RunToStop() {
  if (nodes_.bytes().size() > limits_.bytes) {
    return Beyond("the size of the pickle", limits_.bytes);
  }
  uint64_t count = 0;
  while (root_ == kNoNode) {
    const size_t start = cursor_.position();
    nodes_.BeginInstruction(start);
    const absl::Status status =
        ++count > limits_.opcodes
            ? Beyond("the number of instructions", limits_.opcodes)
            : Step();
    if (!status.ok()) return Annotate(absl::StrCat("byte ", start), status);
  }
  return absl::OkStatus();
}

absl::Status PickleMachine::Tolerate(const absl::Status& status,
                                     NodeId target) const {
  const NodeKind kind = nodes_.graph().kind(target);
  const bool is_opaque = kind == NodeKind::kObject || kind == NodeKind::kGlobal;
  return lenient_ && !is_opaque ? absl::OkStatus() : status;
}

absl::Status PickleMachine::PushUnknown(absl::string_view what) {
  if (!lenient_) return DataLossError(what);
  return Push(nodes_.Empty(NodeKind::kBigInt));
}

template <typename Size>
absl::StatusOr<NodeId> PickleMachine::TakeSized(NodeKind kind) {
  MQ_ASSIGN_OR_RETURN(const Size size, cursor_.TakeInt<Size>());
  // Bytes hold whole arrays; they are bounded by the size of the pickle.
  MQ_ASSIGN_OR_RETURN(const absl::string_view slice,
                      kind == NodeKind::kString && !lenient_
                          ? cursor_.TakeString(size)
                          : cursor_.Take(size));
  return nodes_.Slice(kind, slice);
}

// ---------------------------------------------------------------------------
// The stack and the memo

absl::Status PickleMachine::Need(size_t count) const {
  if (stack_.size() - Floor() >= count) return absl::OkStatus();
  return DataLossError("too few values are on the stack");
}

absl::Status PickleMachine::NeedMark() const {
  if (!marks_.empty()) return absl::OkStatus();
  return DataLossError("no mark is on the stack");
}

absl::Status PickleMachine::NeedRoom() const {
  if (stack_.size() + marks_.size() < limits_.stack) return absl::OkStatus();
  return Beyond("the stack", limits_.stack);
}

NodeId PickleMachine::Pop() {
  const NodeId node = stack_.back();
  stack_.pop_back();
  return node;
}

void PickleMachine::PopToMark() {
  stack_.resize(Floor());
  marks_.pop_back();
}

absl::Status PickleMachine::Push(const absl::StatusOr<NodeId>& node) {
  MQ_RETURN_IF_ERROR(node.status());
  MQ_RETURN_IF_ERROR(NeedRoom());
  stack_.push_back(*node);
  return absl::OkStatus();
}

absl::Status PickleMachine::Memoize(uint64_t index) {
  MQ_RETURN_IF_ERROR(Need(1));
  if (index < memo_.size()) {
    memo_[static_cast<size_t>(index)] = stack_.back();
    return absl::OkStatus();
  }
  const bool is_known = far_memo_.contains(index);
  if (MemoSize() >= limits_.memo && !is_known) {
    return Beyond("the memo", limits_.memo);
  }
  if (index == memo_.size() && !is_known) {
    MQ_RETURN_IF_ERROR(nodes_.Spend(3 * sizeof(NodeId)));
    memo_.push_back(stack_.back());
    return absl::OkStatus();
  }
  // A hash map that has just grown, and the one it grew from.
  constexpr size_t kFarCost = 58;
  if (!is_known) MQ_RETURN_IF_ERROR(nodes_.Spend(kFarCost));
  far_memo_[index] = stack_.back();
  return absl::OkStatus();
}

absl::Status PickleMachine::Recall(uint64_t index) {
  if (index < memo_.size()) return Push(memo_[static_cast<size_t>(index)]);
  const auto it = far_memo_.find(index);
  if (it == far_memo_.end()) {
    return DataLossError("memo ", index, " is read but was never set");
  }
  return Push(it->second);
}

// ---------------------------------------------------------------------------
// Instructions

absl::Status PickleMachine::Step() {
  MQ_ASSIGN_OR_RETURN(const uint8_t code, cursor_.TakeInt<uint8_t>());
  const auto op = static_cast<PickleOp>(code);
  switch (op) {
    case PickleOp::kStop:
      MQ_RETURN_IF_ERROR(Need(1));
      root_ = Pop();
      return absl::OkStatus();
    case PickleOp::kProto: {
      MQ_ASSIGN_OR_RETURN(const uint8_t version, cursor_.TakeInt<uint8_t>());
      nodes_.SetProtocol(version);
      if (version <= 5) return absl::OkStatus();
      return UnimplementedError("pickle protocol ", version, " is not known");
    }
    case PickleOp::kFrame: {
      // A hint for readers that buffer; it needs no following, but may not
      // lie.
      MQ_ASSIGN_OR_RETURN(const uint64_t size, cursor_.TakeInt<uint64_t>());
      return lenient_ ? absl::OkStatus() : cursor_.Need(size);
    }
    case PickleOp::kMark:
      MQ_RETURN_IF_ERROR(NeedRoom());
      marks_.push_back(stack_.size());
      return absl::OkStatus();
    case PickleOp::kPop:
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
        return absl::OkStatus();
      }
      MQ_RETURN_IF_ERROR(Need(1));
      Pop();
      return absl::OkStatus();
    case PickleOp::kPopMark:
      MQ_RETURN_IF_ERROR(NeedMark());
      PopToMark();
      return absl::OkStatus();
    case PickleOp::kDup:
      MQ_RETURN_IF_ERROR(Need(1));
      return Push(stack_.back());

    case PickleOp::kFloat:
    case PickleOp::kInt:
    case PickleOp::kLong:
    case PickleOp::kString:
    case PickleOp::kUnicode:
      return StepText(op);

    case PickleOp::kNone:
    case PickleOp::kNewTrue:
    case PickleOp::kNewFalse:
    case PickleOp::kBinFloat:
    case PickleOp::kBinInt:
    case PickleOp::kBinInt1:
    case PickleOp::kBinInt2:
    case PickleOp::kLong1:
    case PickleOp::kLong4:
    case PickleOp::kBinString:
    case PickleOp::kShortBinString:
    case PickleOp::kBinUnicode:
    case PickleOp::kShortBinUnicode:
    case PickleOp::kBinUnicode8:
    case PickleOp::kBinBytes:
    case PickleOp::kShortBinBytes:
    case PickleOp::kBinBytes8:
    case PickleOp::kByteArray8:
      return StepValue(op);

    case PickleOp::kEmptyTuple:
    case PickleOp::kTuple:
    case PickleOp::kTuple1:
    case PickleOp::kTuple2:
    case PickleOp::kTuple3:
    case PickleOp::kEmptyList:
    case PickleOp::kList:
    case PickleOp::kAppend:
    case PickleOp::kAppends:
    case PickleOp::kEmptyDict:
    case PickleOp::kDict:
    case PickleOp::kSetItem:
    case PickleOp::kSetItems:
    case PickleOp::kEmptySet:
    case PickleOp::kAddItems:
    case PickleOp::kFrozenSet:
      return StepContainer(op);

    case PickleOp::kGet:
    case PickleOp::kBinGet:
    case PickleOp::kLongBinGet:
    case PickleOp::kPut:
    case PickleOp::kBinPut:
    case PickleOp::kLongBinPut:
    case PickleOp::kMemoize:
      return StepMemo(op);

    case PickleOp::kPersId:
    case PickleOp::kBinPersId:
    case PickleOp::kGlobal:
    case PickleOp::kStackGlobal:
    case PickleOp::kReduce:
    case PickleOp::kNewObj:
    case PickleOp::kNewObjEx:
    case PickleOp::kObj:
    case PickleOp::kInst:
    case PickleOp::kBuild:
      return StepCall(op);

    case PickleOp::kExt1:
    case PickleOp::kExt2:
    case PickleOp::kExt4:
      if (lenient_) return StepExtension(op);
      return UnimplementedError(
          "an extension code, which only the program that wrote it can "
          "resolve");
    case PickleOp::kNextBuffer:
    case PickleOp::kReadonlyBuffer:
      return UnimplementedError(
          "a buffer outside of the pickle; save it without buffer_callback");
  }
  return DataLossError("no instruction has the code 0x", absl::Hex(code));
}

absl::Status PickleMachine::StepText(PickleOp op) {
  MQ_ASSIGN_OR_RETURN(const absl::string_view line, cursor_.TakeLine());
  if (op == PickleOp::kString || op == PickleOp::kUnicode) {
    const std::optional<std::string> text = op == PickleOp::kString
                                                ? ParsePickleString(line)
                                                : ParsePickleUnicode(line);
    if (!text.has_value()) return PushUnknown("a broken string");
    return Push(nodes_.Decoded(*text));
  }
  if (line.size() > limits_.integer_bytes) {
    if (lenient_) return PushUnknown("");
    return Beyond("the size of a number", limits_.integer_bytes);
  }
  if (op == PickleOp::kFloat) {
    const std::optional<double> value = ParsePickleFloat(line);
    if (!value.has_value()) return PushUnknown("a broken number");
    return Push(nodes_.Float(*value));
  }
  // How protocols 0 and 1 write booleans.
  if (op == PickleOp::kInt && (line == "00" || line == "01")) {
    return Push(nodes_.Bool(line == "01"));
  }
  const auto integer = ParsePickleInteger(line, op == PickleOp::kLong);
  if (!integer.has_value()) return PushUnknown("a broken number");
  return Push(integer->value.has_value() ? nodes_.Int(*integer->value)
                                         : nodes_.Empty(NodeKind::kBigInt));
}

absl::Status PickleMachine::StepValue(PickleOp op) {
  switch (op) {
    case PickleOp::kNone:
      return Push(nodes_.Empty(NodeKind::kNone));
    case PickleOp::kNewTrue:
    case PickleOp::kNewFalse:
      return Push(nodes_.Bool(op == PickleOp::kNewTrue));
    case PickleOp::kBinFloat: {
      // The one big-endian number of the format.
      MQ_ASSIGN_OR_RETURN(uint64_t bits, cursor_.TakeInt<uint64_t>());
      bits = __builtin_bswap64(bits);
      double value;
      std::memcpy(&value, &bits, sizeof(value));
      return Push(nodes_.Float(value));
    }
    case PickleOp::kBinInt: {
      MQ_ASSIGN_OR_RETURN(const uint32_t bits, cursor_.TakeInt<uint32_t>());
      return Push(nodes_.Int(static_cast<int32_t>(bits)));
    }
    case PickleOp::kBinInt1: {
      MQ_ASSIGN_OR_RETURN(const uint8_t value, cursor_.TakeInt<uint8_t>());
      return Push(nodes_.Int(value));
    }
    case PickleOp::kBinInt2: {
      MQ_ASSIGN_OR_RETURN(const uint16_t value, cursor_.TakeInt<uint16_t>());
      return Push(nodes_.Int(value));
    }
    case PickleOp::kLong1:
    case PickleOp::kLong4: {
      uint32_t size = 0;
      if (op == PickleOp::kLong1) {
        MQ_ASSIGN_OR_RETURN(size, cursor_.TakeInt<uint8_t>());
      } else {
        MQ_ASSIGN_OR_RETURN(size, cursor_.TakeInt<uint32_t>());
      }
      if (size > limits_.integer_bytes && !lenient_) {
        return Beyond("the size of a number", limits_.integer_bytes);
      }
      MQ_ASSIGN_OR_RETURN(const absl::string_view bytes, cursor_.Take(size));
      const PickleInteger integer = DecodePickleLong(bytes);
      return Push(integer.value.has_value() ? nodes_.Int(*integer.value)
                                            : nodes_.Empty(NodeKind::kBigInt));
    }
    case PickleOp::kShortBinString:
    case PickleOp::kShortBinUnicode:
      return Push(TakeSized<uint8_t>(NodeKind::kString));
    case PickleOp::kBinString:
    case PickleOp::kBinUnicode:
      return Push(TakeSized<uint32_t>(NodeKind::kString));
    case PickleOp::kBinUnicode8:
      return Push(TakeSized<uint64_t>(NodeKind::kString));
    case PickleOp::kShortBinBytes:
      return Push(TakeSized<uint8_t>(NodeKind::kBytes));
    case PickleOp::kBinBytes:
      return Push(TakeSized<uint32_t>(NodeKind::kBytes));
    default:  // BINBYTES8, BYTEARRAY8
      return Push(TakeSized<uint64_t>(NodeKind::kBytes));
  }
}

absl::Status PickleMachine::StepContainer(PickleOp op) {
  switch (op) {
    case PickleOp::kEmptyTuple:
      return Push(nodes_.Tuple({}));
    case PickleOp::kEmptyList:
      return Push(nodes_.Empty(NodeKind::kList));
    case PickleOp::kEmptyDict:
      return Push(nodes_.Empty(NodeKind::kDict));
    case PickleOp::kEmptySet:
      return Push(nodes_.Empty(NodeKind::kSet));

    case PickleOp::kTuple1:
    case PickleOp::kTuple2:
    case PickleOp::kTuple3: {
      const size_t count =
          static_cast<size_t>(op) - static_cast<size_t>(PickleOp::kTuple1) + 1;
      MQ_RETURN_IF_ERROR(Need(count));
      const absl::StatusOr<NodeId> tuple = nodes_.Tuple(Top(count));
      stack_.resize(stack_.size() - count);
      return Push(tuple);
    }
    case PickleOp::kTuple: {
      MQ_RETURN_IF_ERROR(NeedMark());
      const absl::StatusOr<NodeId> tuple = nodes_.Tuple(AboveMark());
      PopToMark();
      return Push(tuple);
    }
    case PickleOp::kList:
    case PickleOp::kFrozenSet: {
      MQ_RETURN_IF_ERROR(NeedMark());
      MQ_ASSIGN_OR_RETURN(const NodeId node,
                          nodes_.Empty(op == PickleOp::kList ? NodeKind::kList
                                                             : NodeKind::kSet));
      MQ_RETURN_IF_ERROR(nodes_.Append(node, AboveMark()));
      PopToMark();
      return Push(node);
    }
    case PickleOp::kDict: {
      MQ_RETURN_IF_ERROR(NeedMark());
      MQ_ASSIGN_OR_RETURN(const NodeId node, nodes_.Empty(NodeKind::kDict));
      MQ_RETURN_IF_ERROR(nodes_.SetItems(node, AboveMark()));
      PopToMark();
      return Push(node);
    }

    case PickleOp::kAppend:
      MQ_RETURN_IF_ERROR(Need(2));
      MQ_RETURN_IF_ERROR(Tolerate(nodes_.Append(Top(2)[0], Top(1)), Top(2)[0]));
      Pop();
      return absl::OkStatus();
    case PickleOp::kSetItem:
      MQ_RETURN_IF_ERROR(Need(3));
      MQ_RETURN_IF_ERROR(
          Tolerate(nodes_.SetItems(Top(3)[0], Top(2)), Top(3)[0]));
      stack_.resize(stack_.size() - 2);
      return absl::OkStatus();
    default: {  // APPENDS, ADDITEMS, SETITEMS
      MQ_RETURN_IF_ERROR(NeedMark());
      const size_t floor = Floor();
      const size_t floor_below =
          marks_.size() > 1 ? marks_[marks_.size() - 2] : 0;
      if (floor == floor_below) {
        return DataLossError("too few values are on the stack");
      }
      const NodeId target = stack_[floor - 1];
      MQ_RETURN_IF_ERROR(Tolerate(op == PickleOp::kSetItems
                                      ? nodes_.SetItems(target, AboveMark())
                                      : nodes_.Append(target, AboveMark()),
                                  target));
      PopToMark();
      return absl::OkStatus();
    }
  }
}

absl::Status PickleMachine::StepMemo(PickleOp op) {
  switch (op) {
    case PickleOp::kMemoize:
      return Memoize(MemoSize());
    case PickleOp::kBinGet:
    case PickleOp::kBinPut: {
      MQ_ASSIGN_OR_RETURN(const uint8_t index, cursor_.TakeInt<uint8_t>());
      return op == PickleOp::kBinGet ? Recall(index) : Memoize(index);
    }
    case PickleOp::kLongBinGet:
    case PickleOp::kLongBinPut: {
      MQ_ASSIGN_OR_RETURN(const uint32_t index, cursor_.TakeInt<uint32_t>());
      return op == PickleOp::kLongBinGet ? Recall(index) : Memoize(index);
    }
    default: {  // GET, PUT
      MQ_ASSIGN_OR_RETURN(const absl::string_view line, cursor_.TakeLine());
      uint64_t index;
      if (!absl::SimpleAtoi(line, &index)) {
        return DataLossError("a broken memo index");
      }
      return op == PickleOp::kGet ? Recall(index) : Memoize(index);
    }
  }
}

absl::Status PickleMachine::StepCall(PickleOp op) {
  switch (op) {
    case PickleOp::kPersId: {
      MQ_ASSIGN_OR_RETURN(const absl::string_view line, cursor_.TakeLine());
      MQ_ASSIGN_OR_RETURN(const NodeId value,
                          nodes_.Slice(NodeKind::kString, line));
      return Push(nodes_.PersistentId(value));
    }
    case PickleOp::kBinPersId:
      MQ_RETURN_IF_ERROR(Need(1));
      return Push(nodes_.PersistentId(Pop()));
    case PickleOp::kGlobal: {
      MQ_ASSIGN_OR_RETURN(const absl::string_view module, cursor_.TakeLine());
      MQ_ASSIGN_OR_RETURN(const absl::string_view name, cursor_.TakeLine());
      return Push(nodes_.Global(module, name));
    }
    case PickleOp::kStackGlobal: {
      MQ_RETURN_IF_ERROR(Need(2));
      const auto name = nodes_.graph().AsString(Pop());
      const auto module = nodes_.graph().AsString(Pop());
      if (!name.has_value() || !module.has_value()) {
        if (lenient_) return Push(nodes_.Global(kComputedModule, "?"));
        return DataLossError("a class whose name is no string");
      }
      return Push(nodes_.Global(*module, *name));
    }
    case PickleOp::kReduce:
    case PickleOp::kNewObj: {
      MQ_RETURN_IF_ERROR(Need(2));
      const NodeId args = Pop();
      const NodeId callee = Pop();
      return Push(nodes_.Call(callee, args, kNoNode));
    }
    case PickleOp::kNewObjEx: {
      MQ_RETURN_IF_ERROR(Need(3));
      const NodeId keyword_args = Pop();
      const NodeId args = Pop();
      const NodeId callee = Pop();
      return Push(nodes_.Call(callee, args, keyword_args));
    }
    case PickleOp::kObj: {
      MQ_RETURN_IF_ERROR(NeedMark());
      MQ_RETURN_IF_ERROR(Need(1));
      const NodeId callee = AboveMark()[0];
      MQ_ASSIGN_OR_RETURN(const NodeId args,
                          nodes_.Tuple(AboveMark().subspan(1)));
      PopToMark();
      return Push(nodes_.Call(callee, args, kNoNode));
    }
    case PickleOp::kInst: {
      MQ_ASSIGN_OR_RETURN(const absl::string_view module, cursor_.TakeLine());
      MQ_ASSIGN_OR_RETURN(const absl::string_view name, cursor_.TakeLine());
      MQ_RETURN_IF_ERROR(NeedMark());
      MQ_ASSIGN_OR_RETURN(const NodeId callee, nodes_.Global(module, name));
      MQ_ASSIGN_OR_RETURN(const NodeId args, nodes_.Tuple(AboveMark()));
      PopToMark();
      return Push(nodes_.Call(callee, args, kNoNode));
    }
    default: {  // BUILD
      MQ_RETURN_IF_ERROR(Need(2));
      const NodeId state = Pop();
      return Tolerate(nodes_.Build(stack_.back(), state), stack_.back());
    }
  }
}

absl::Status PickleMachine::StepExtension(PickleOp op) {
  uint32_t code = 0;
  if (op == PickleOp::kExt1) {
    MQ_ASSIGN_OR_RETURN(code, cursor_.TakeInt<uint8_t>());
  } else if (op == PickleOp::kExt2) {
    MQ_ASSIGN_OR_RETURN(code, cursor_.TakeInt<uint16_t>());
  } else {
    MQ_ASSIGN_OR_RETURN(code, cursor_.TakeInt<uint32_t>());
  }
  return Push(nodes_.Global(kComputedModule, absl::StrCat("extension ", code)));
}

}  // namespace

absl::StatusOr<PickleGraph> ReadPickle(std::string bytes,
                                       const PickleLimits& limits,
                                       OpaqueCalls calls) {
  PickleRun run =
      PickleMachine(std::move(bytes), limits, Manner::kStrict).Run();
  MQ_RETURN_IF_ERROR(run.status);
  if (calls == OpaqueCalls::kRefuse) MQ_RETURN_IF_ERROR(CheckCalls(run.graph));
  return std::move(run.graph);
}

bool IsTruncatedPickle(const absl::Status& status) {
  return absl::StrContains(status.message(), kTruncatedPickle);
}

PickleRun RunPickle(std::string bytes, const PickleLimits& limits) {
  return PickleMachine(std::move(bytes), limits, Manner::kLenient).Run();
}

}  // namespace monoquant
