// The weights that a program of an engine's quantized, as they are found among
// the tensors of its checkpoint.

#ifndef MONOQUANT_FRONTENDS_ENGINES_ENGINE_WEIGHTS_H_
#define MONOQUANT_FRONTENDS_ENGINES_ENGINE_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"

namespace monoquant {

// A checkpoint, what its configuration says, and the weights found so far.
//
// A configuration is a claim, tensors are facts: the functions that look for
// weights take sizes from the tensors, and from the configuration only what no
// tensor says; where both say something, they must agree.
class EngineWeights {
 public:
  // `reader` and `config`, the quantization_config of a file called
  // `config_name`, must outlive this, and so must `problems`, which may be null
  // (Tell). `dtype` is that of the model's floats, if the file says so.
  EngineWeights(const CheckpointReader& reader, std::string config_name,
                const Json& config, std::optional<DType> dtype,
                std::vector<absl::Status>* problems);

  const CheckpointReader& reader() const { return reader_; }
  const std::vector<TensorInfo>& tensors() const {
    return reader_.index().tensors;
  }

  // ------------------------------------------------------------ the tensors --

  // Nullptr if there is none of this name.
  const TensorInfo* Find(absl::string_view name) const;
  // Its number, for reading it.
  size_t NumberOf(const TensorInfo& tensor) const;
  // DataLoss if the codes `codes` have no tensor `name` of `role` ("scales").
  absl::StatusOr<const TensorInfo*> FindPart(const TensorInfo& codes,
                                             absl::string_view role,
                                             absl::string_view name) const;

  // ------------------------------------------------------ the configuration --

  // An entry of it, nullopt where that is absent or null. DataLoss if it is
  // something else.
  absl::StatusOr<std::optional<int64_t>> Integer(absl::string_view key) const;
  absl::StatusOr<std::optional<bool>> Bool(absl::string_view key) const;
  absl::StatusOr<std::optional<std::string>> Text(absl::string_view key) const;
  const Json& config() const { return config_; }

  // ------------------------------------------------------------ the weights --

  // Adds the weight `name`, whose codes are in `codes`, if all its parts are
  // there as the storage has them. Its type before it was quantized is that of
  // the model, or else `dtype`. DataLoss naming the part that is missing or
  // differs, each of which is told; Unimplemented for what the storage has no
  // place for.
  absl::Status Add(const TensorInfo& codes, absl::string_view name,
                   const QuantScheme& scheme, QuantStorage storage, Shape shape,
                   DType dtype);
  // The same for a weight that says itself what its type was.
  absl::Status AddOfType(const TensorInfo& codes, absl::string_view name,
                         const QuantScheme& scheme, QuantStorage storage,
                         Shape shape, DType dtype);
  std::vector<QuantizedTensor> Take() && { return std::move(weights_); }

  // ---------------------------------------------------------------- errors --

  // What is wrong with one weight, if it is an error. Where problems are
  // collected it becomes one of them, and OK is returned, so that the other
  // weights are looked at; otherwise `status` itself is. So it is from the
  // thousandth problem on, and for errors of reading.
  absl::Status Tell(absl::Status status);
  // DataLoss: the tensor contradicts others or the configuration.
  absl::Status Damaged(const TensorInfo& tensor, absl::string_view what) const;
  // Unimplemented: "TENSOR: WHAT, which is not read; REMEDY".
  absl::Status NotRead(const TensorInfo& tensor, absl::string_view what) const;
  // The same for an entry of the configuration.
  absl::Status ConfigNotRead(absl::string_view what) const;
  absl::Status ConfigDamaged(absl::string_view what) const;

 private:
  const Json* Entry(absl::string_view key) const;
  absl::Status CheckPart(const TensorInfo& codes, absl::string_view role,
                         const StoredPart& part) const;
  // Tells of each part that is missing or differs; false if one is.
  absl::StatusOr<bool> CheckParts(const TensorInfo& codes,
                                  const StoredWeight& stored);

  const CheckpointReader& reader_;
  const std::string config_name_;
  const Json& config_;
  const std::optional<DType> dtype_;
  std::vector<absl::Status>* const problems_;
  absl::flat_hash_map<absl::string_view, size_t> names_;
  std::vector<QuantizedTensor> weights_;
};

// "I32 [2, 3]".
std::string DescribeStored(const TensorInfo& tensor);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ENGINES_ENGINE_WEIGHTS_H_
