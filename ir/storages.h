// The storages of ir/quant_storage.h, one file each. Implementation.

#ifndef MONOQUANT_IR_STORAGES_H_
#define MONOQUANT_IR_STORAGES_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"

namespace monoquant::internal {

struct StorageRow {
  absl::string_view name;
  // StoreWeight for schemes with scales.
  absl::StatusOr<StoredWeight> (*store)(absl::string_view name,
                                        const QuantScheme& scheme,
                                        absl::Span<const int64_t> shape);
  // DefaultScaleDType, of a weight whose type scales can have.
  DType (*scale_dtype)(DType weight);
  // CheckWritable for schemes with scales; null if all can be written.
  absl::Status (*check_writable)(const QuantScheme& scheme,
                                 absl::Span<const int64_t> shape);
};

extern const StorageRow kPlainStorage;
extern const StorageRow kCompressedTensorsStorage;
extern const StorageRow kGptqStorage;
extern const StorageRow kAwqStorage;
extern const StorageRow kFp8Storage;
extern const StorageRow kTorchaoStorage;
extern const StorageRow kTorchaoBlocksStorage;
extern const StorageRow kBitsandbytesStorage;
extern const StorageRow kBitsandbytesNestedStorage;
extern const StorageRow kTorchAoStorage;
extern const StorageRow kPackQuantizedStorage;
extern const StorageRow kIntQuantizedStorage;
extern const StorageRow kGptqV2Storage;
extern const StorageRow kTorchQuantizedStorage;

// As in kPlain, casts too.
absl::StatusOr<StoredWeight> StorePlain(absl::string_view name,
                                        const QuantScheme& scheme,
                                        absl::Span<const int64_t> shape);

// FailedPrecondition: "STORAGE has no place for WHAT; REMEDY".
absl::Status NoPlace(absl::string_view storage, absl::string_view what,
                     absl::string_view remedy);

// FailedPrecondition: "STORAGE is read but not written; use OTHER".
absl::Status OnlyRead(absl::string_view storage, absl::string_view other);

// NoPlace unless it is a matrix called "*.weight", as layers have.
absl::Status CheckIsLayerWeight(absl::string_view storage,
                                absl::string_view name,
                                absl::Span<const int64_t> shape);

// NoPlace unless that dimension of a matrix is a multiple of `factor`: what the
// programs which read it can do.
absl::Status CheckMultiple(absl::string_view storage,
                           absl::Span<const int64_t> shape, size_t dimension,
                           int64_t factor);

}  // namespace monoquant::internal

#endif  // MONOQUANT_IR_STORAGES_H_
