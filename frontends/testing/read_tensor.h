// Reads whole tensors, for tests.

#ifndef MONOQUANT_FRONTENDS_TESTING_READ_TENSOR_H_
#define MONOQUANT_FRONTENDS_TESTING_READ_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "ir/checkpoint.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant::testing {

// All bytes of a small tensor.
inline absl::StatusOr<std::string> ReadTensor(const CheckpointReader& reader,
                                              size_t tensor) {
  const TensorInfo& info = reader.index().tensors[tensor];
  std::string bytes(static_cast<size_t>(info.byte_size), '\0');
  MQ_ASSIGN_OR_RETURN(const uint64_t elements, NumElements(info.shape));
  MQ_RETURN_IF_ERROR(reader.Read(
      tensor, 0, elements,
      absl::MakeSpan(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size())));
  return bytes;
}

// The bytes of some values, as they are in memory here (little-endian).
template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
  }
  return bytes;
}

}  // namespace monoquant::testing

#endif  // MONOQUANT_FRONTENDS_TESTING_READ_TENSOR_H_
