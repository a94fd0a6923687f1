// The file .metadata of a distributed checkpoint: a pickled object that says
// which tensors there are, into which chunks they were cut, and where those
// lie.
//
//   Metadata
//     state_dict_metadata  {key: TensorStorageMetadata | BytesStorageMetadata}
//       properties         TensorProperties, whose state begins with the dtype
//       size               torch.Size
//       chunks             [ChunkStorageMetadata{offsets, sizes}, ...]
//     planner_data         {key: (part, part, ...)}: the key's path in the
//                          nested dicts that were saved; may be missing
//     storage_data         {MetadataIndex{fqn, offset}: _StorageInfo}
//       relative_path, offset, length   a slice of a file
//       transform_descriptors           how it was compressed; may be missing
//
// Objects are told apart by their attributes, not by their classes, which have
// moved between versions of torch.

#ifndef MONOQUANT_FRONTENDS_DCP_DCP_METADATA_H_
#define MONOQUANT_FRONTENDS_DCP_DCP_METADATA_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/dcp/box_list.h"
#include "frontends/pickle/pickle_graph.h"
#include "frontends/pickle/pickle_machine.h"
#include "ir/dtype.h"
#include "ir/shape.h"

namespace monoquant {

// Limits of a checkpoint; each is named in its error. Those of IndexLimits hold
// too, for the tensors that are read.
inline constexpr size_t kMaxDcpEntries = 500'000;
inline constexpr size_t kMaxDcpNameBytes = size_t{32} << 20;
inline constexpr size_t kMaxDcpPathParts = 1000;
// Offsets and sizes of the chunks of all tensors.
inline constexpr size_t kMaxChunkNumbers = 2'000'000;

// An entry of state_dict_metadata.
struct DcpItem {
  struct Part {
    size_t end;     // in `name`
    bool is_index;  // of a list
  };

  // A string: what storage_data calls it.
  NodeId key = kNoNode;
  NodeId value = kNoNode;
  // False for a Python object that was pickled by itself.
  bool is_tensor = false;
  // The parts of its path, joined by dots; the key alone without planner_data.
  std::string name;
  std::vector<Part> parts;
};

struct DcpMetadata {
  PickleGraph graph;
  std::vector<DcpItem> items;  // in the order of the file
  NodeId storage_data = kNoNode;
  size_t bytes_behind = 0;  // the end of the pickle
};

// Reads .metadata as far as it is the same for all tensors. DataLoss if it is
// malformed or makes calls that are refused; errors name the entry, not the
// file.
absl::StatusOr<DcpMetadata> ReadDcpMetadata(std::string pickle,
                                            OpaqueCalls calls);

// What .metadata says of one tensor. Shape and chunks count elements as
// ir/dtype.h does.
struct DcpTensor {
  DType dtype = DType::kF32;
  Shape shape;
  BoxList chunks{0};
};

// Reads the value of an item that is_tensor. `*numbers` counts towards
// kMaxChunkNumbers. Errors do not name the tensor.
absl::StatusOr<DcpTensor> ReadDcpTensor(const PickleGraph& graph, NodeId value,
                                        size_t* numbers);

// Brings offsets or sizes from torch's count to that of ir/dtype.h: torch
// counts pairs of F4. `if_scalar` is the number for a tensor without
// dimensions.
absl::Status ToElements(DType dtype, int64_t if_scalar,
                        std::vector<int64_t>* numbers);

// An entry of storage_data.
struct DcpSlice {
  absl::string_view key;
  std::vector<int64_t> chunk_offset;  // as torch counts; see ToElements
  absl::string_view file;
  uint64_t offset = 0;
  uint64_t length = 0;
};

// Calls `use` with every slice of a tensor whose key is `wanted`; stops at its
// first error. Unimplemented for slices that are compressed or the like.
absl::Status ForEachDcpSlice(
    const DcpMetadata& metadata,
    absl::FunctionRef<bool(absl::string_view key)> wanted,
    absl::FunctionRef<absl::Status(const DcpSlice& slice)> use);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_DCP_DCP_METADATA_H_
