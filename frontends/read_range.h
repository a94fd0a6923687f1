// What the readers share in CheckpointReader::Read.

#ifndef MONOQUANT_FRONTENDS_READ_RANGE_H_
#define MONOQUANT_FRONTENDS_READ_RANGE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ir/checkpoint.h"

namespace monoquant {

// The byte at which elements [first, first + count) of a tensor begin in its
// contiguous form. InvalidArgument, naming file and tensor, if the range does
// not exist, does not cut at bytes or is not `dst_size` bytes long.
absl::StatusOr<uint64_t> CheckReadRange(const CheckpointIndex& index,
                                        size_t tensor, uint64_t first,
                                        uint64_t count, size_t dst_size);

// `status`, whose message may begin with the file's name already, as one that
// names the file first and then the tensor. OK stays OK.
absl::Status WithTensor(absl::string_view file, absl::string_view tensor,
                        const absl::Status& status);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_READ_RANGE_H_
