#include "frontends/torch/state_dict.h"

#include <cstddef>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "frontends/name_list.h"
#include "frontends/torch/python_values.h"
#include "frontends/torch/root.h"
#include "frontends/torch/structure.h"
#include "ir/errors.h"
#include "ir/marks.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"
#include "ir/utf8.h"

namespace monoquant {
namespace {

// Longer names of classes are cut.
constexpr size_t kMaxGlobalName = 200;

// Collects the tensors below a node, depth first, without recursion.
class Walker {
 public:
  Walker(const PickleGraph& graph, const StateDictLimits& limits)
      : graph_(graph),
        limits_(limits),
        budget_(limits.index),
        on_path_(graph.size(), false),
        opened_(graph.size(), false),
        barren_(graph.size(), false) {}

  // With `skip_training_state`, leaves out the entries of `root` that are
  // IsTrainingState.
  absl::Status Walk(NodeId root, bool skip_training_state);

  std::vector<NamedTensor> TakeTensors() { return std::move(tensors_); }
  bool skipped_training_state() const { return !training_state_.empty(); }
  void AppendNotes(std::vector<std::string>* notes) const;

 private:
  // A value whose children are being visited.
  struct Frame {
    NodeId node;
    std::vector<Child> children;
    size_t next = 0;
    std::string class_name;
    Structure::Kind kind = Structure::Kind::kMapping;
    // Size of the name up to here, and number of tensors found before.
    size_t name_size = 0;
    size_t tensors_before = 0;
    NameList skipped;
  };

  // Counts values looked at against the limit.
  absl::Status Spend(NodeId node, size_t entries);
  absl::Status Visit(NodeId node);
  absl::Status VisitTensor(NodeId node, TorchValue value);
  absl::Status PushFrame(NodeId node, Structure structure);
  void PopFrame();
  void Skip(NodeId node, NameList* list) const;

  const PickleGraph& graph_;
  const StateDictLimits limits_;
  std::vector<NamedTensor> tensors_;
  IndexBudget budget_;
  size_t quantized_ = 0;
  size_t revisits_ = 0;
  size_t attributes_ = 0;
  // Children of all frames.
  size_t open_entries_ = 0;
  std::vector<Frame> frames_;
  // Name of the value that is being visited.
  std::string name_;
  // Values that are open on the way down: going into one again would not end.
  Marks on_path_;
  // Nodes that were looked into.
  Marks opened_;
  // Containers in which no tensor was found; not entered twice, so that values
  // without tensors cost what their description costs.
  Marks barren_;

  NameList skipped_;
  NameList training_state_;
  NameList too_large_;
  NameList unnamed_;
  NameList cycles_;
  NameList meta_;
  NameList parts_;
  NameList numpy_;
  NameList classes_;
  absl::flat_hash_set<std::string> seen_classes_;
  bool has_modules_ = false;
};

absl::Status Walker::Walk(NodeId root, bool skip_training_state) {
  // A checkpoint of one bare tensor.
  if (IsTensorCall(graph_, root)) name_ = "tensor";
  MQ_RETURN_IF_ERROR(Visit(root));
  if (skip_training_state && !frames_.empty()) {
    std::vector<Child> kept;
    for (Child& child : frames_[0].children) {
      if (IsTrainingState(child.name) && !IsTensorCall(graph_, child.node) &&
          Expand(graph_, child.node).kind != Structure::Kind::kLeaf) {
        training_state_.Add(child.name, DescribeNode(graph_, child.node));
      } else {
        kept.push_back(std::move(child));
      }
    }
    frames_[0].children = std::move(kept);
  }
  while (!frames_.empty()) {
    Frame& frame = frames_.back();
    name_.resize(frame.name_size);
    if (frame.next == frame.children.size()) {
      PopFrame();
      continue;
    }
    const Child& child = frame.children[frame.next++];
    if (!name_.empty()) name_.push_back('.');
    name_.append(child.name);
    MQ_RETURN_IF_ERROR(Visit(child.node));
  }
  return absl::OkStatus();
}

// Counts `entries` of `node`, unless it is looked into for the first time.
absl::Status Walker::Spend(NodeId node, size_t entries) {
  if (!opened_[node]) {
    opened_[node] = true;
    return absl::OkStatus();
  }
  revisits_ += entries;
  if (revisits_ <= limits_.revisits) return absl::OkStatus();
  return DataLossError(QuotedName(name_),
                       ": values are referred to again and again,"
                       " for more entries than the limit of ",
                       limits_.revisits);
}

// Notes the value that is being visited, which is no tensor.
void Walker::Skip(NodeId node, NameList* list) const {
  list->Add(name_, list->IsFull() ? "" : DescribeNode(graph_, node));
}

absl::Status Walker::Visit(NodeId node) {
  node = Unwrap(graph_, node);
  if (graph_.kind(node) == NodeKind::kNone) return absl::OkStatus();
  if (IsTensorCall(graph_, node)) {
    absl::StatusOr<TorchValue> value = RebuildTensor(graph_, node);
    if (!value.ok()) {
      return Annotate(absl::StrCat("tensor ", QuotedName(name_)),
                      value.status());
    }
    if (value->kind != TorchValue::Kind::kNoTensor) {
      return VisitTensor(node, *std::move(value));
    }
  }
  if (on_path_[node]) {
    cycles_.Add(name_);
    return absl::OkStatus();
  }
  Structure structure;
  if (!barren_[node]) structure = Expand(graph_, node);
  if (structure.kind == Structure::Kind::kTooLarge) {
    Skip(node, &too_large_);
    return absl::OkStatus();
  }
  if (structure.kind == Structure::Kind::kLeaf) {
    Skip(node, frames_.empty() ? &skipped_ : &frames_.back().skipped);
    return absl::OkStatus();
  }
  return PushFrame(node, std::move(structure));
}

absl::Status Walker::VisitTensor(NodeId node, TorchValue value) {
  switch (value.kind) {
    case TorchValue::Kind::kTensor:
      MQ_RETURN_IF_ERROR(budget_.Add(name_, value.tensor.size.size()));
      if (value.tensor.quantizer != nullptr &&
          ++quantized_ > limits_.quantized) {
        return DataLossError(
            "more tensors that torch quantized than the limit of ",
            limits_.quantized);
      }
      if (!IsValidUtf8(name_)) {
        return DataLossError("tensor ", QuotedName(name_),
                             ": its name is no UTF-8");
      }
      if (value.tensor.is_inline()) numpy_.Add(name_);
      tensors_.push_back({name_, std::move(value.tensor),
                          frames_.empty() ? "" : frames_.back().class_name,
                          /*is_module_weight=*/false});
      break;
    case TorchValue::Kind::kMeta:
      meta_.Add(name_);
      break;
    default:
      parts_.Add(name_, value.what);
      break;
  }
  attributes_ += value.parts.size();
  if (attributes_ > limits_.attributes) {
    return DataLossError("tensors have more attributes than the limit of ",
                         limits_.attributes);
  }
  if (value.parts.empty() || on_path_[node]) return absl::OkStatus();
  Structure structure;
  structure.kind = Structure::Kind::kMapping;
  for (auto& [name, part] : value.parts) {
    structure.children.push_back({std::move(name), part});
  }
  return PushFrame(node, std::move(structure));
}

absl::Status Walker::PushFrame(NodeId node, Structure structure) {
  if (frames_.size() >= limits_.nesting) {
    return DataLossError(QuotedName(name_),
                         " is nested deeper than the limit of ",
                         limits_.nesting);
  }
  MQ_RETURN_IF_ERROR(Spend(node, structure.cost));
  open_entries_ += structure.children.size();
  if (open_entries_ > limits_.open_entries) {
    return DataLossError(
        QuotedName(name_),
        " and what it lies in have more entries than the limit of ",
        limits_.open_entries);
  }
  for (NodeId value : structure.unnamed) {
    Skip(value, &unnamed_);
  }
  on_path_[node] = true;
  Frame frame;
  frame.node = node;
  frame.children = std::move(structure.children);
  frame.class_name = std::move(structure.class_name);
  frame.kind = structure.kind;
  frame.name_size = name_.size();
  frame.tensors_before = tensors_.size();
  frames_.push_back(std::move(frame));
  return absl::OkStatus();
}

void Walker::PopFrame() {
  const Frame frame = std::move(frames_.back());
  frames_.pop_back();
  on_path_[frame.node] = false;
  open_entries_ -= frame.children.size();
  if (tensors_.size() == frame.tensors_before) {
    // Nothing in there: one entry to report, not all that is inside.
    barren_[frame.node] = true;
    if (frames_.empty()) {
      skipped_.Add(frame.skipped);
    } else if (!frame.children.empty() ||
               frame.kind == Structure::Kind::kObject) {
      Skip(frame.node, &frames_.back().skipped);
    }
    return;
  }
  skipped_.Add(frame.skipped);
  has_modules_ |= frame.kind == Structure::Kind::kModule;
  if (frame.kind == Structure::Kind::kModule ||
      frame.kind == Structure::Kind::kObject) {
    const PickleGlobal* global = ClassOf(graph_, frame.node);
    if (global == nullptr) return;
    const std::string name = absl::StrCat(global->module, ".", global->name);
    if (seen_classes_.insert(name).second) classes_.Add(name);
  }
}

void Walker::AppendNotes(std::vector<std::string>* notes) const {
  const auto add = [notes](const NameList& names, absl::string_view before,
                           absl::string_view after = {}) {
    if (names.empty()) return;
    notes->push_back(absl::StrCat(before, names.ToString(), after));
  };
  add(training_state_, "training state is left out: ",
      "; choose it with --root, or everything with --root .");
  add(skipped_, "no tensors, left out: ");
  add(too_large_, "too large to look into, left out: ");
  add(unnamed_, "entries whose key is no name are left out in: ");
  add(cycles_, "contain themselves: ");
  add(meta_, "tensors without data (of the meta device) are left out: ");
  add(parts_, "tensors made of others are read as their parts: ");
  add(numpy_, "read from NumPy arrays: ");
  add(classes_, "classes that were neither needed nor executed: ");
  if (has_modules_) {
    notes->push_back(
        "of modules, the parameters and buffers are read that state_dict() "
        "gives, and no other attributes");
  }
}

}  // namespace

absl::StatusOr<StateDict> FindStateDict(const PickleGraph& graph,
                                        absl::string_view root_path,
                                        const StateDictLimits& limits) {
  Root root;
  if (root_path.empty()) {
    root = GuessRoot(graph);
  } else if (root_path == ".") {
    root.node = graph.root();
  } else {
    MQ_ASSIGN_OR_RETURN(root, FindRoot(graph, root_path));
  }
  StateDict result;
  result.root = root.path;
  for (const PickleGlobal& global : graph.globals()) {
    if (result.globals.size() == CheckpointIndex::kMaxGlobals) {
      result.notes.push_back(absl::StrCat(
          "names ", graph.globals().size(), " classes and functions; of them ",
          CheckpointIndex::kMaxGlobals, " are listed"));
      break;
    }
    std::string name = absl::StrCat(global.module, ".", global.name);
    if (name.size() > kMaxGlobalName) {
      name.resize(kMaxGlobalName);
      name += "...";
    }
    result.globals.push_back(std::move(name));
  }
  if (!root.left_out.empty()) {
    result.notes.push_back(
        absl::StrCat("the weights are those in ", QuotedName(root.path),
                     "; left out beside it: ", root.left_out.ToString(),
                     "; choose another part with --root"));
  }
  const bool guess = root_path.empty() && root.path.empty();
  Walker walker(graph, limits);
  MQ_RETURN_IF_ERROR(walker.Walk(root.node, /*skip_training_state=*/guess));
  result.tensors = walker.TakeTensors();
  if (!result.tensors.empty() || !walker.skipped_training_state()) {
    walker.AppendNotes(&result.notes);
    return result;
  }
  // Nothing but training state: then that is what the user means.
  Walker everything(graph, limits);
  MQ_RETURN_IF_ERROR(everything.Walk(root.node, /*skip_training_state=*/false));
  result.tensors = everything.TakeTensors();
  result.notes.push_back("there is nothing but training state in it");
  everything.AppendNotes(&result.notes);
  return result;
}

}  // namespace monoquant
