// NumPy arrays and scalars in a pickle, whose elements are in the pickle too.

#ifndef MONOQUANT_FRONTENDS_TORCH_NUMPY_ARRAY_H_
#define MONOQUANT_FRONTENDS_TORCH_NUMPY_ARRAY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "frontends/pickle/pickle_graph.h"
#include "ir/dtype.h"
#include "ir/shape.h"

namespace monoquant {

struct NumpyArray {
  DType dtype = DType::kF32;
  bool big_endian = false;
  Shape size;
  std::vector<int64_t> stride;  // in elements
  uint64_t bytes = 0;
  // The string or bytes that hold the elements; kNoNode if there are none.
  NodeId text = kNoNode;
  // The elements are the characters of a UTF-8 text: how protocols below 3
  // write bytes.
  bool is_latin1 = false;
};

// True for the calls by which NumPy makes arrays and scalars
// (multiarray._reconstruct, multiarray.scalar, numeric._frombuffer), whatever
// their element type.
bool IsNumpyCall(const PickleGraph& graph, NodeId node);

// True for those that make a scalar.
bool IsNumpyScalar(const PickleGraph& graph, NodeId node);

// True for a NumPy call whose elements have a type that tensors can have: no
// objects, strings, dates or records.
bool IsNumpyArray(const PickleGraph& graph, NodeId node);

// What a NumPy array holds. DataLoss, naming neither file nor tensor, if it is
// malformed. Whether `text` has `bytes` bytes is not checked here.
absl::StatusOr<NumpyArray> ReadNumpyArray(const PickleGraph& graph,
                                          NodeId node);

// "numpy array of dtype 'U12', not read", for a report on a NumPy call that is
// no IsNumpyArray.
std::string DescribeNumpyCall(const PickleGraph& graph, NodeId node);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_NUMPY_ARRAY_H_
