// How a checkpoint is quantized. monoquant writes it into every output, so that
// the output explains itself, can be read back as floats, and the run be
// repeated. For what other programs quantized, a reader makes it.

#ifndef MONOQUANT_IR_QUANT_RECORD_H_
#define MONOQUANT_IR_QUANT_RECORD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"

namespace monoquant {

// One quantized tensor. The names of the tensors that it is stored in are
// stated, not guessed ("W.scale", "W.zero_point").
struct QuantizedTensor {
  std::string name;
  // Of what another program quantized, the convention says nothing.
  QuantScheme scheme;
  // Of the tensor before quantization.
  DType dtype = DType::kF32;
  Shape shape;
  // Empty where the format or the storage has none.
  std::string scale;
  std::string zero_point;
  QuantStorage storage = QuantStorage::kPlain;
  // Where the codes lie, if not under the tensor's own name, and those of
  // StoredWeight::constants.
  std::string codes = "";
  std::vector<std::string> constants = {};
  // Of schemes with one (HasGlobalScale).
  std::string global_scale = "";

  const std::string& codes_name() const { return codes.empty() ? name : codes; }
  // What lies beside the codes.
  std::vector<absl::string_view> part_names() const;
};

// The record of a weight that is stored so; `dtype` and `shape` are its own.
QuantizedTensor RecordOf(absl::string_view name, const QuantScheme& scheme,
                         QuantStorage storage, const StoredWeight& stored,
                         DType dtype, Shape shape);

struct QuantRecord {
  // Version of monoquant that wrote the file. Empty if another program did;
  // then there is nothing but the tensors.
  std::string version;
  // Container and bare file name of the input. No path, no time, no machine:
  // equal runs give equal files.
  std::string source_container;
  std::string source_name;
  // The recipe as it was applied: the text of a JSON object (core/recipe.h).
  // Empty if the tensors were quantized by another program, and monoquant
  // copied them.
  std::string recipe;
  // In the order of the tensors.
  std::vector<QuantizedTensor> tensors;

  // Whether nothing is quantized and no monoquant wrote the file.
  bool empty() const { return version.empty() && tensors.empty(); }
};

// The key under which safetensors metadata and the name under which a zip
// archive carry the record.
inline constexpr absl::string_view kQuantRecordKey = "monoquant";
inline constexpr absl::string_view kQuantRecordFile = "monoquant.json";

// One-line JSON (docs/schemas/quant_record.json) and back. A recipe that is no
// JSON object is left out. Reading checks every field and refuses unknown ones,
// since codes must not be decoded by half a description; InvalidArgument says
// which is wrong.
std::string QuantRecordToJson(const QuantRecord& record);
absl::StatusOr<QuantRecord> QuantRecordFromJson(absl::string_view text);

// FailedPrecondition if there are tensors and no version: such a record is none
// to write, since it does not say who has written the file (MakeCopyPlan).
absl::Status CheckHasWriter(const QuantRecord& record);

// Adds what `part`, the record of one file, says to `record`, that of the
// checkpoint that the file is a shard of; empty before the first. DataLoss if
// the two are not of one run: another version, source or recipe.
absl::Status MergeQuantRecord(QuantRecord part, QuantRecord* record);

// A stored tensor, as far as a record says something about it.
struct StoredTensor {
  absl::string_view name;
  DType dtype;
  absl::Span<const int64_t> shape;
};

// Checks that the record describes `tensors`: there is all that StoreWeight
// says, with these dtypes and shapes (but a symmetric scheme may have a zero
// point for each scale), and no tensor has two roles. Names in `tensors` are
// unique. DataLoss naming the tensor.
absl::Status ValidateQuantRecord(const QuantRecord& record,
                                 absl::Span<const StoredTensor> tensors);

}  // namespace monoquant

#endif  // MONOQUANT_IR_QUANT_RECORD_H_
