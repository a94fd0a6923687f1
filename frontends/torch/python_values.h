// Python values in a pickle, as far as a checkpoint's structure needs them.

#ifndef MONOQUANT_FRONTENDS_TORCH_PYTHON_VALUES_H_
#define MONOQUANT_FRONTENDS_TORCH_PYTHON_VALUES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "frontends/pickle/pickle_graph.h"

namespace monoquant {

struct DictEntry {
  NodeId key;
  NodeId value;
};

// The entries of a dict or anything like one (OrderedDict, defaultdict and
// every other class to which keys were set), in Python's order: a key that is
// set again keeps its place and gets the new value, if it is a name or an
// integer. nullopt for other nodes.
std::optional<std::vector<DictEntry>> AsMapping(const PickleGraph& graph,
                                                NodeId node);

// The value under a string key of a mapping, or kNoNode.
NodeId FindEntry(const std::vector<DictEntry>& mapping,
                 const PickleGraph& graph, absl::string_view key);

// Strings beyond this are no names.
inline constexpr size_t kMaxNamePart = 4096;

// What a key contributes to a tensor's name: strings as they are, integers in
// decimal. nullopt for other keys, and for strings of more than kMaxNamePart
// bytes.
std::optional<std::string> KeyName(const PickleGraph& graph, NodeId key);

// A string; those of Python 2 may come as bytes.
std::optional<absl::string_view> AsText(const PickleGraph& graph, NodeId node);

// An integer that is not negative.
std::optional<uint64_t> AsSize(const PickleGraph& graph, NodeId node);

// The integers of a tuple, a list or a torch.Size, of which there are at most
// kMaxDims.
std::optional<std::vector<int64_t>> AsIntegers(const PickleGraph& graph,
                                               NodeId node);

// The class of an object ("torch.nn.modules.linear.Linear"), or nullptr.
const PickleGlobal* ClassOf(const PickleGraph& graph, NodeId node);

// True for a call that only changes the type of its first argument:
// TorchScript's build_tensorlist([...]), set([...]).
bool IsConversion(const PickleGraph& graph, NodeId node);

// What is inside of such calls. Other nodes come back as they are, and so do
// calls to whose result something was added afterwards.
NodeId Unwrap(const PickleGraph& graph, NodeId node);

// What a node is, for a report: "int", "dict of 3", "numpy array",
// "argparse.Namespace".
std::string DescribeNode(const PickleGraph& graph, NodeId node);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_PYTHON_VALUES_H_
