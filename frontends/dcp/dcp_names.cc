#include "frontends/dcp/dcp_names.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "frontends/name_list.h"
#include "frontends/torch/root.h"
#include "ir/errors.h"
#include "ir/quoted.h"

namespace monoquant {
namespace {

// Positions in the list of items.
using Items = std::vector<size_t>;

// Where part `i` of an item's path begins in its name.
size_t PartBegin(const DcpItem& item, size_t i) {
  return i == 0 ? 0 : item.parts[i - 1].end + 1;
}

absl::string_view PartName(const DcpItem& item, size_t i) {
  return absl::string_view(item.name).substr(
      PartBegin(item, i), item.parts[i].end - PartBegin(item, i));
}

// Whether the item lies in a dict of this name, `depth` levels down.
bool IsInDict(const DcpItem& item, size_t depth, absl::string_view name) {
  return item.parts.size() > depth + 1 && !item.parts[depth + 1].is_index &&
         PartName(item, depth) == name;
}

// Counts tensors and other values by their names at some level.
class Census {
 public:
  void Add(absl::string_view name, bool is_tensor) {
    const auto [it, is_new] = places_.try_emplace(name, counts_.size());
    if (is_new) counts_.push_back({name, 0});
    if (is_tensor) ++counts_[it->second].tensors;
  }

  NameList ToList() const {
    NameList list;
    for (const Count& count : counts_) {
      list.Add(count.name,
               count.tensors == 0 || list.IsFull()
                   ? ""
                   : absl::StrCat(count.tensors,
                                  count.tensors == 1 ? " tensor" : " tensors"));
    }
    return list;
  }

 private:
  struct Count {
    absl::string_view name;
    size_t tensors;
  };
  absl::flat_hash_map<absl::string_view, size_t> places_;
  std::vector<Count> counts_;
};

// Nobody nests training checkpoints deeper.
constexpr size_t kMaxRootDepth = 8;

// Descends into customary dicts; gives how many parts of the paths lie above
// the weights, and takes the items that are elsewhere out of `*chosen`.
size_t GuessRootDepth(absl::Span<const DcpItem> items, Items* chosen,
                      NameList* left_out) {
  size_t depth = 0;
  for (; depth < kMaxRootDepth; ++depth) {
    // Below the top, a dict with tensors of its own is a state dict.
    const bool has_tensors =
        std::any_of(chosen->begin(), chosen->end(), [&](size_t i) {
          return items[i].is_tensor && items[i].parts.size() == depth + 1;
        });
    if (depth > 0 && has_tensors) break;
    absl::string_view found;
    for (const absl::string_view name : CustomaryRootNames()) {
      const bool has =
          std::any_of(chosen->begin(), chosen->end(), [&](size_t i) {
            return items[i].is_tensor && IsInDict(items[i], depth, name);
          });
      if (!has) continue;
      found = name;
      break;
    }
    if (found.empty()) break;
    Items inside;
    Census outside;
    for (size_t i : *chosen) {
      if (IsInDict(items[i], depth, found)) {
        inside.push_back(i);
      } else {
        const size_t end = items[i].parts[depth].end;
        outside.Add(absl::string_view(items[i].name).substr(0, end),
                    items[i].is_tensor);
      }
    }
    left_out->Add(outside.ToList());
    *chosen = std::move(inside);
  }
  return depth;
}

// The name under which an item is training state, or empty. Some programs save
// a flat dict with names like "optimizer.state.exp_avg.weight"; there a
// submodule could be called "amp" or "callbacks", but hardly "optimizer".
absl::string_view TrainingState(const DcpItem& item) {
  const absl::string_view first = PartName(item, 0);
  if (item.parts.size() > 1) return IsTrainingState(first) ? first : "";
  const size_t dot = first.find('.');
  if (dot == first.npos) return "";
  const absl::string_view word = first.substr(0, dot);
  const bool is_state = absl::StartsWith(word, "optimizer") ||
                        absl::StartsWith(word, "lr_scheduler");
  return is_state ? word : "";
}

// Takes what is below `path` (bytes of the name, at a dot); gives how many
// bytes of the names lie above.
absl::StatusOr<size_t> TakeRoot(absl::Span<const DcpItem> items,
                                absl::string_view path, Items* chosen) {
  const std::string prefix = absl::StrCat(path, ".");
  Items inside;
  for (size_t i : *chosen) {
    if (items[i].name == path || absl::StartsWith(items[i].name, prefix)) {
      inside.push_back(i);
    }
  }
  if (!inside.empty()) {
    *chosen = std::move(inside);
    return prefix.size();
  }
  Census top;
  for (const DcpItem& item : items) {
    top.Add(PartName(item, 0), item.is_tensor);
  }
  const NameList names = top.ToList();
  return InvalidArgumentError(
      "there is nothing called ", QuotedName(path), " in it",
      names.empty() ? "" : "; its top level has ", names.ToString());
}

}  // namespace

absl::StatusOr<DcpChoice> ChooseDcpTensors(absl::Span<const DcpItem> items,
                                           absl::string_view root) {
  DcpChoice choice;
  Items chosen(items.size());
  for (size_t i = 0; i < items.size(); ++i) chosen[i] = i;
  size_t prefix = 0;  // bytes of the names that are above the root
  if (root.empty()) {
    NameList left_out;
    const size_t depth = GuessRootDepth(items, &chosen, &left_out);
    if (depth > 0) {
      prefix = PartBegin(items[chosen[0]], depth);
      choice.root = items[chosen[0]].name.substr(0, prefix - 1);
    }
    if (!left_out.empty()) {
      choice.notes.push_back(
          absl::StrCat("the weights are those in ", QuotedName(choice.root),
                       "; left out beside it: ", left_out.ToString(),
                       "; choose another part with --root"));
    }
  } else if (root != ".") {
    absl::StatusOr<size_t> above = TakeRoot(items, root, &chosen);
    if (!above.ok()) return above.status();
    prefix = *above;
    choice.root = std::string(root);
  }

  if (root.empty() && choice.root.empty()) {
    Items weights;
    Census state;
    bool has_tensors = false;
    for (size_t i : chosen) {
      const absl::string_view name = TrainingState(items[i]);
      if (!name.empty()) {
        state.Add(name, items[i].is_tensor);
      } else {
        weights.push_back(i);
        has_tensors |= items[i].is_tensor;
      }
    }
    if (has_tensors && weights.size() < chosen.size()) {
      choice.notes.push_back(absl::StrCat(
          "training state is left out: ", state.ToList().ToString(),
          "; choose it with --root, or everything with --root ."));
      chosen = std::move(weights);
    } else if (weights.size() < chosen.size()) {
      choice.notes.push_back("there is nothing but training state in it");
    }
  }

  NameList no_tensors;
  for (size_t i : chosen) {
    const DcpItem& item = items[i];
    if (!item.is_tensor) {
      no_tensors.Add(item.name);
    } else if (item.name.size() < prefix) {
      choice.tensors.push_back({i, "tensor"});  // the root itself
    } else {
      choice.tensors.push_back({i, item.name.substr(prefix)});
    }
  }
  if (!no_tensors.empty()) {
    choice.notes.push_back(
        absl::StrCat("Python objects, left out: ", no_tensors.ToString()));
  }
  return choice;
}

}  // namespace monoquant
