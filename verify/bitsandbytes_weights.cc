// Weights of bitsandbytes': M.weight with absmax, quant_map and quant_state
// (4 bits), or with M.SCB (8 bits).

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "verify/checks.h"

namespace monoquant {
namespace {

constexpr FindingKind kTensors = FindingKind::kTensors;
constexpr absl::string_view kGetAgain =
    "check that all parts are of one checkpoint, or download it again";
constexpr absl::string_view kState = ".quant_state.bitsandbytes__";
constexpr uint64_t kMaxStateBytes = 64 << 10;

std::string Describe(const TensorInfo& tensor) {
  return absl::StrCat(DTypeName(tensor.dtype), " ",
                      ShapeToString(tensor.shape));
}

// What quant_state says.
struct State {
  std::string type;
  int64_t block = 0;
  Shape shape;
  bool nested = false;
  int64_t nested_block = 0;
};

int64_t Ceil(int64_t value, int64_t divisor) {
  return value / divisor + (value % divisor != 0);
}

class Finder {
 public:
  Finder(Subject* subject, Findings* findings)
      : subject_(*subject), findings_(*findings) {}

  void Run() {
    for (size_t i = 0; i < subject_.tensors().size(); ++i) {
      const TensorInfo& tensor = subject_.tensors()[i];
      const size_t at = tensor.name.rfind(kState);
      if (at != std::string::npos) {
        Add4Bit(i, tensor.name.substr(0, at));
      } else if (absl::EndsWith(tensor.name, ".SCB")) {
        Add8Bit(tensor);
      }
      CheckPartOf(tensor);
    }
  }

 private:
  void Wrong(absl::string_view weight, absl::string_view what) {
    findings_.Error(kTensors, "", weight, what, kGetAgain);
  }

  // A part needs its weight, and codes their parts.
  void CheckPartOf(const TensorInfo& tensor) {
    for (const absl::string_view suffix :
         {".weight.absmax", ".weight.quant_map", ".weight.nested_absmax",
          ".weight.nested_quant_map"}) {
      absl::string_view module = tensor.name;
      if (!absl::ConsumeSuffix(&module, suffix)) continue;
      const std::string weight = absl::StrCat(module, ".weight");
      if (subject_.Find(weight) == nullptr) {
        Wrong(tensor.name, "is a part of a weight that is missing");
      }
    }
    if (subject_.method == EngineMethod::kBitsandbytes &&
        tensor.dtype == DType::kU8 && absl::EndsWith(tensor.name, ".weight") &&
        subject_.Find(absl::StrCat(tensor.name, kState, "nf4")) == nullptr &&
        subject_.Find(absl::StrCat(tensor.name, kState, "fp4")) == nullptr) {
      Wrong(tensor.name, "has codes of 4 bits, but no quant_state");
    }
  }

  std::optional<State> ReadState(size_t number, const std::string& weight) {
    const TensorInfo& tensor = subject_.tensors()[number];
    if (tensor.dtype != DType::kU8 || tensor.byte_size > kMaxStateBytes) {
      Wrong(weight, absl::StrCat("has a quant_state of ", Describe(tensor),
                                 ", expected the bytes of a JSON text"));
      return std::nullopt;
    }
    std::string text(static_cast<size_t>(tensor.byte_size), '\0');
    const absl::Status read = subject_.stored->Read(
        number, 0, tensor.byte_size,
        absl::MakeSpan(reinterpret_cast<uint8_t*>(text.data()), text.size()));
    const absl::StatusOr<Json> json =
        read.ok() ? ParseJson(text) : absl::StatusOr<Json>(read);
    if (!json.ok()) {
      Wrong(weight, absl::StrCat("has a quant_state that cannot be read: ",
                                 json.status().message()));
      return std::nullopt;
    }
    State state;
    const std::string* type = TextOf(&*json, "quant_type");
    const int64_t* block = IntegerOf(&*json, "blocksize");
    const Json* shape = EntryOf(&*json, "shape");
    if (type == nullptr || block == nullptr || *block < 1 || shape == nullptr ||
        !shape->is_array()) {
      Wrong(weight, "has a quant_state without quant_type, blocksize or shape");
      return std::nullopt;
    }
    state.type = *type;
    state.block = *block;
    for (const Json& size : *shape->AsArray()) {
      if (size.AsInt() == nullptr) return std::nullopt;
      state.shape.push_back(*size.AsInt());
    }
    const int64_t* nested = IntegerOf(&*json, "nested_blocksize");
    state.nested = nested != nullptr && *nested > 0;
    if (state.nested) state.nested_block = *nested;
    return state;
  }

  void CheckPart(const std::string& weight, absl::string_view part, DType dtype,
                 int64_t count) {
    const TensorInfo* found = subject_.Find(absl::StrCat(weight, ".", part));
    if (found == nullptr) {
      Wrong(weight, absl::StrCat("has no ", part));
    } else if (found->dtype != dtype || found->shape != Shape{count}) {
      Wrong(weight,
            absl::StrCat("has ", part, " of ", Describe(*found), ", expected ",
                         DTypeName(dtype), " [", count, "]"));
    }
  }

  void Add4Bit(size_t state_number, const std::string& name) {
    const TensorInfo* codes = subject_.Find(name);
    if (codes == nullptr) {
      Wrong(subject_.tensors()[state_number].name,
            "is a part of a weight that is missing");
      return;
    }
    const std::optional<State> state = ReadState(state_number, name);
    if (!state.has_value()) return;
    const absl::StatusOr<uint64_t> elements = NumElements(state->shape);
    if (!elements.ok()) {
      Wrong(name, "has a quant_state with an impossible shape");
      return;
    }
    const auto count = static_cast<int64_t>(*elements);
    const int64_t blocks = Ceil(count, state->block);
    if (codes->dtype == DType::kU8 &&
        codes->byte_size != static_cast<uint64_t>(Ceil(count, 2))) {
      Wrong(name,
            absl::StrCat("is ", Describe(*codes),
                         ", but its quant_state says that it has ",
                         ShapeToString(state->shape), " codes of 4 bits"));
    }
    CheckPart(name, "quant_map", DType::kF32, 16);
    CheckPart(name, "absmax", state->nested ? DType::kU8 : DType::kF32, blocks);
    if (state->nested) {
      CheckPart(name, "nested_absmax", DType::kF32,
                Ceil(blocks, state->nested_block));
      CheckPart(name, "nested_quant_map", DType::kF32, 256);
    }
    QuantizedTensor weight;
    weight.name = name;
    weight.scheme.format =
        state->type == "fp4" ? NumberFormat::kFp4 : NumberFormat::kNf4;
    weight.scheme.granularity = Granularity::kGroup;
    weight.scheme.group_size = state->block;
    weight.shape = state->shape;
    weight.scale = absl::StrCat(name, ".absmax");
    weight.storage = QuantStorage::kBitsandbytes;
    subject_.weights.push_back(std::move(weight));
  }

  void Add8Bit(const TensorInfo& scales) {
    const std::string name =
        absl::StrCat(absl::StripSuffix(scales.name, "SCB"), "weight");
    const TensorInfo* codes = subject_.Find(name);
    if (codes == nullptr) {
      Wrong(scales.name, "is a part of a weight that is missing");
      return;
    }
    if (codes->dtype != DType::kI8 || codes->shape.size() != 2 ||
        scales.dtype != DType::kF32 || scales.shape != Shape{codes->shape[0]}) {
      Wrong(name, absl::StrCat("is ", Describe(*codes), " with scales of ",
                               Describe(scales),
                               ", expected I8 and F32, one for each row"));
      return;
    }
    QuantizedTensor weight;
    weight.name = name;
    weight.scheme.format = NumberFormat::kLlmInt8;
    weight.scheme.granularity = Granularity::kAxis;
    weight.shape = codes->shape;
    weight.scale = scales.name;
    weight.storage = QuantStorage::kBitsandbytes;
    subject_.weights.push_back(std::move(weight));
  }

  Subject& subject_;
  Findings& findings_;
};

}  // namespace

void FindBitsandbytesWeights(Subject* subject, Findings* findings) {
  Finder(subject, findings).Run();
}

}  // namespace monoquant
