// Recipe x index = everything that will happen, before a payload byte is read.
//
// A dry run, the size estimate of the page and the job itself are all this one
// struct, printed or executed.

#ifndef MONOQUANT_CORE_PLAN_H_
#define MONOQUANT_CORE_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/recipe.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/manifest.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"

namespace monoquant {

enum class Action : uint8_t {
  kCopy = 0,      // bytes unchanged; halves as F32 where the output has that
  kQuantize = 1,  // by `scheme`
  kTie = 2,       // shares the output of an earlier tensor
};

inline constexpr size_t kNoTensor = static_cast<size_t>(-1);

// What happens to one tensor of the input.
struct TensorPlan {
  size_t input = 0;           // index into CheckpointIndex::tensors
  DType dtype = DType::kF32;  // of the input
  Action action = Action::kCopy;
  // Why, in words for the user: "float weight", "embedding (name)", "1-D",
  // "fewer than 512 elements", "rule *.bias", "not float (I64)" ...
  std::string reason;
  // kQuantize only.
  QuantScheme scheme;
  ParamLayout layout;
  std::string observer;
  std::string algorithm;
  // That of PlanOptions, or kBitsandbytesNested where the recipe asks for it
  // (SchemeSpec::double_quant).
  QuantStorage storage = QuantStorage::kPlain;
  // How the codes lie in their tensor.
  CodePacking packing;
  // Indices into Manifest::tensors: what is copied, or the parts of
  // StoredWeight. A tensor that shares the codes of another has parts under its
  // own name too, which share those of the other.
  size_t output = kNoTensor;
  size_t scale = kNoTensor;
  size_t zero_point = kNoTensor;
  size_t global_scale = kNoTensor;
  // Of schemes with a global scale: the first of those that have it in common,
  // an index into Plan::tensors; the tensor itself if it has it alone. Weights
  // that engines put together (core/siblings.h) have one.
  size_t scale_leader = kNoTensor;
  struct Constant {
    size_t output;
    ConstantKind kind;
  };
  std::vector<Constant> constants;

  // kCopy only: it would be quantized if it were not for PlanOptions::program.
  bool for_program = false;

  // All of these that there are.
  std::vector<size_t> outputs() const;
};

struct Plan {
  std::vector<TensorPlan> tensors;  // one for each input tensor, same order
  Manifest manifest;                // what will be written
  Nonfinite nonfinite = Nonfinite::kError;
  // Sums over the tensors' payload; ties count once.
  uint64_t input_bytes = 0;
  uint64_t output_bytes = 0;

  // How many weights are not quantized for the sake of PlanOptions::program.
  uint64_t left_for_program() const;
};

// FailedPrecondition, without the tensor's name, if a program has no use for a
// weight that is to be stored so. The names of its parts are not filled in.
using WeightCheck = std::function<absl::Status(const QuantizedTensor& weight)>;

// FailedPrecondition, naming the tensor, if a program does not load an output
// although it has a use for each of its weights.
using ManifestCheck = std::function<absl::Status(const Manifest& manifest)>;

struct PlanOptions {
  // Tensors to leave alone besides the recipe's, with the reason to state:
  // those that NonfiniteSearch found.
  std::vector<std::pair<size_t, std::string>> keep = {};
  // How quantized tensors are stored. What the storage has no place for is left
  // as it is, or is an error where a rule asks for it; so is what outputs are
  // not to have (CheckWritable). Scales are those of DefaultScaleDType unless
  // the recipe says otherwise.
  //
  // In kTorchAo modules are quantized as a whole, whatever their size, since
  // torch replaces all modules of a class; their biases become F32.
  QuantStorage storage = QuantStorage::kPlain;

  // The program that the output is for, as it calls itself ("vLLM"), and what
  // it asks for (exporters/program_checks.h). What does not fit is left as it
  // is, or is an error where a rule asks for it.
  std::string program = {};
  // Weights that it lays side by side, and all experts of a layer
  // (core/siblings.h), have one scheme.
  bool fused_siblings = false;
  bool fused_experts = false;
  // Null if it takes all weights that the storage has a place for.
  WeightCheck check_weight = nullptr;
  // Asked about what follows from all decisions; null if there is no more.
  ManifestCheck check_manifest = nullptr;
};

// Decides about every tensor. Reads no payload.
//
// Tied tensors are one tensor with several names: the first rule that matches
// any of them decides for all, and if the default policy takes any of them for
// an embedding, all are. Tensors without elements and those that have the
// format already are copied whatever a rule says.
//
// InvalidArgument: a rule that matches nothing (with the closest name as a
// suggestion), a rule that matches no float tensor, double_quant for a storage
// other than kBitsandbytes.
// FailedPrecondition: an explicit group size that does not divide the row, an
// axis out of range, an input that is already quantized, a scheme that the
// storage has no place for or the program no use, an output that the program
// does not load, a tensor that has the name of a part of another ("NAME.scale",
// "NAME.zero_point"); each names the tensor.
absl::StatusOr<Plan> MakePlan(const CheckpointIndex& index,
                              const Recipe& recipe,
                              const PlanOptions& options = {});

// The plan that changes nothing: for converting between containers. Keeps the
// quantization record; where another program quantized the tensors, monoquant
// is named as the writer of the output, and there is no recipe.
absl::StatusOr<Plan> MakeCopyPlan(const CheckpointIndex& index);

// The plan as docs/schemas/plan.json describes it.
Json PlanToJson(const CheckpointIndex& index, const Plan& plan);

// The largest amount of memory that running the plan takes beyond the index,
// for `threads` workers and chunks of `chunk_bytes`, in bytes.
uint64_t PeakMemory(const Plan& plan, int threads, uint64_t chunk_bytes);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_PLAN_H_
