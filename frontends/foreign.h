// Names what a file is that monoquant does not read.

#ifndef MONOQUANT_FRONTENDS_FOREIGN_H_
#define MONOQUANT_FRONTENDS_FOREIGN_H_

#include "absl/status/status.h"
#include "ir/byte_source.h"

namespace monoquant {

// The error for a file that is not what it is taken for: Unimplemented with
// what it looks like and the next step, or the error of reading it.
absl::Status DescribeForeignFile(const ByteSource& source);

// The same for a file or directory that no frontend recognises.
absl::Status DescribeForeign(const CheckpointFiles& files);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_FOREIGN_H_
