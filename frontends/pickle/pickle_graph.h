// What a pickle says, as a graph that can be walked and nothing more.
//
// Python's unpickler runs a small stack program whose instructions import
// modules and call functions. Here the same program is run with every such
// instruction replaced by a note of what it asked for: a global is its two
// names, a call is a callee and its arguments. Nothing is imported, resolved or
// called, so reading a pickle is as safe as reading a text.
//
// Nodes live in one arena and refer to each other by index. Pickles may share
// values and contain themselves; neither costs anything here, and the arena is
// freed without recursion however deep the nesting is.

#ifndef MONOQUANT_FRONTENDS_PICKLE_PICKLE_GRAPH_H_
#define MONOQUANT_FRONTENDS_PICKLE_PICKLE_GRAPH_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/pickle/opcodes.h"

namespace monoquant {

// Index of a node in its graph.
using NodeId = uint32_t;
inline constexpr NodeId kNoNode = static_cast<NodeId>(-1);

enum class NodeKind : uint8_t {
  kNone,
  kBool,
  kInt,     // fits an int64_t
  kBigInt,  // does not; its value is not kept
  kFloat,
  kString,  // Python 2's byte strings are strings too; may be no UTF-8
  kBytes,   // bytes and bytearray
  kTuple,
  kList,
  kDict,
  kSet,           // set and frozenset
  kGlobal,        // a class or function, by name
  kObject,        // what a call would have made
  kPersistentId,  // a reference out of the pickle: torch's storages
};

// "tuple", "int", ...: what Python calls such a value.
absl::string_view NodeKindName(NodeKind kind);

// A class or function as the pickle names it.
struct PickleGlobal {
  std::string module;
  std::string name;

  // True for exactly this pair. Prefixes and suffixes mean nothing: anybody
  // can call a module "torch_utils".
  bool Is(absl::string_view m, absl::string_view n) const {
    return module == m && name == n;
  }
};

// Which instructions name a global. Of many, the first few are kept.
struct PickleMentions {
  static constexpr size_t kKept = 16;
  uint64_t count = 0;
  std::vector<uint32_t> positions;  // at most kKept, ascending
};

// An instruction that would have had Python run something, and the node that it
// was about.
struct PickleAct {
  NodeId node;
  uint32_t position;
};

class PickleGraph {
 public:
  PickleGraph(PickleGraph&&) = default;
  PickleGraph& operator=(PickleGraph&&) = default;

  // The unpickled value; kNoNode if the pickle broke off before its STOP.
  NodeId root() const { return root_; }
  // Nodes are numbered from 0 to size() - 1.
  size_t size() const { return nodes_.size(); }
  // How many bytes the pickle took, from its first to its STOP, and how many
  // instructions those are.
  size_t consumed() const { return consumed_; }
  uint64_t instructions() const { return instructions_; }
  // The highest protocol that it declares; 0 if it declares none.
  int protocol() const { return protocol_; }
  // The instruction that begins at byte `position`.
  PickleOp OpAt(uint32_t position) const {
    return static_cast<PickleOp>(bytes_[position]);
  }

  NodeKind kind(NodeId node) const { return nodes_[node].kind; }

  // The value if the node is of that kind.
  std::optional<int64_t> AsInt(NodeId node) const;
  std::optional<bool> AsBool(NodeId node) const;
  std::optional<double> AsFloat(NodeId node) const;
  std::optional<absl::string_view> AsString(NodeId node) const;
  std::optional<absl::string_view> AsBytes(NodeId node) const;
  const PickleGlobal* AsGlobal(NodeId node) const;

  // Where the text of a string or bytes node begins in what TakeText returns.
  size_t TextOffset(NodeId node) const { return nodes_[node].text.offset; }
  // The pickle, and behind it what it writes with escapes: all the texts of the
  // graph, which is used up.
  std::string TakeText() && {
    bytes_ += decoded_;
    return std::move(bytes_);
  }

  // The elements of a tuple, list or set, and those appended to an object;
  // empty for other nodes.
  absl::Span<const NodeId> Items(NodeId node) const;
  // Keys and values by turns, as they were set in a dict or an object; empty
  // for other nodes. A key can occur twice.
  absl::Span<const NodeId> Entries(NodeId node) const;

  // Of an object: what was called, with which arguments (a tuple, unless the
  // pickle is strange) and keyword arguments (kNoNode, or a dict).
  NodeId Callee(NodeId node) const;
  NodeId Args(NodeId node) const;
  NodeId KeywordArgs(NodeId node) const;
  // Of an object or a global: the states that BUILD gave to it.
  absl::Span<const NodeId> States(NodeId node) const;
  // Of an object: what was called, if that is a plain global.
  const PickleGlobal* CalleeGlobal(NodeId node) const;

  // Of a persistent id: its value, a tuple as torch writes it.
  NodeId PersistentValue(NodeId node) const;

  // Every global of the pickle, each once, in the order of appearance.
  absl::Span<const PickleGlobal> globals() const { return globals_; }
  // Parallel to globals().
  absl::Span<const PickleMentions> mentions() const { return mentions_; }
  // Index in globals() of a global's node.
  size_t GlobalIndex(NodeId node) const { return nodes_[node].global; }

  // Every call in the order of the pickle, each with the object that it would
  // have made. The nodes ascend.
  absl::Span<const PickleAct> calls() const { return calls_; }
  // Every time that a state, keys or items were given to an object or a global,
  // with that node.
  absl::Span<const PickleAct> changes() const { return changes_; }

 private:
  friend class PickleGraphBuilder;

  struct TextRange {
    uint32_t offset, size;
  };
  struct NodeRange {
    uint32_t first, count;
  };
  struct Call {
    NodeId callee, args;
  };
  // 16 bytes, since a checkpoint has some 20 nodes a tensor. Which member
  // holds follows from the kind.
  struct Node {
    NodeKind kind;
    // kObject, kGlobal: 1 + index in attachments_, 0 without.
    // kList, kDict, kSet: 1 + index in growing_, 0 while empty.
    uint32_t extra;
    union {
      bool boolean;
      int64_t integer;
      double real;
      TextRange text;   // kString, kBytes
      NodeRange items;  // kTuple: a range of tuple_items_
      uint32_t global;  // kGlobal: index in globals_
      Call call;        // kObject
      NodeId persistent;
    };
  };
  // What is done to an object after it was made; most never need it.
  struct Attachments {
    NodeId keyword_args = kNoNode;
    std::vector<NodeId> states;
    std::vector<NodeId> items;
    std::vector<NodeId> entries;
  };

  PickleGraph() = default;

  absl::string_view Text(TextRange range) const;
  const Attachments* FindAttachments(NodeId node) const;

  // The pickle itself: most strings are slices of it.
  std::string bytes_;
  // Strings that are written with escapes, decoded. Offsets of text ranges
  // count on from the end of bytes_ into this.
  std::string decoded_;
  // Deques do not copy as they grow, so that their peak is their size.
  std::deque<Node> nodes_;
  std::vector<NodeId> tuple_items_;
  std::deque<std::vector<NodeId>> growing_;
  std::deque<Attachments> attachments_;
  std::vector<PickleGlobal> globals_;
  std::vector<PickleMentions> mentions_;
  std::vector<PickleAct> calls_;
  std::vector<PickleAct> changes_;
  NodeId root_ = kNoNode;
  size_t consumed_ = 0;
  uint64_t instructions_ = 0;
  int protocol_ = 0;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_PICKLE_GRAPH_H_
