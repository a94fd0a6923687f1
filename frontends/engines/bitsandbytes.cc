#include "frontends/engines/bitsandbytes.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "ir/codebooks.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kSameCheckpoint =
    "; check that both are of one checkpoint";
constexpr absl::string_view kIncomplete =
    ", which is missing; the checkpoint is incomplete, download or copy all of "
    "it again";

// What the name of a quant_state ends in.
struct State {
  absl::string_view suffix;
  NumberFormat format;
};
constexpr State kStates[] = {
    {".quant_state.bitsandbytes__nf4", NumberFormat::kNf4},
    {".quant_state.bitsandbytes__fp4", NumberFormat::kFp4},
};

// What else lies beside codes of 4 bits.
constexpr absl::string_view kParts[] = {".absmax", ".quant_map",
                                        ".nested_absmax", ".nested_quant_map"};

// Of 8 bits: the codes, M.weight; their scales, M.SCB; and M.weight_format.
constexpr absl::string_view kWeight = ".weight";
constexpr absl::string_view kScales = ".SCB";
constexpr absl::string_view kOrder = "_format";

// ------------------------------------------------------------ quant_state --

// What a quant_state says.
struct Facts {
  int64_t block = 0;
  DType dtype = DType::kF32;
  Shape shape;
  bool nested = false;
};

// The JSON text in a tensor of a few bytes.
absl::StatusOr<Json> ReadState(const EngineWeights& weights,
                               const TensorInfo& tensor) {
  if (tensor.dtype != DType::kU8 || tensor.shape.size() != 1 ||
      tensor.shape[0] < 1 || tensor.shape[0] > kMaxQuantStateBytes) {
    return weights.Damaged(
        tensor,
        absl::StrCat("is ", DescribeStored(tensor),
                     ", expected U8 and a text of up to ", kMaxQuantStateBytes,
                     " bytes; download or copy the checkpoint again"));
  }
  std::string text(static_cast<size_t>(tensor.shape[0]), '\0');
  MQ_RETURN_IF_ERROR(weights.reader().Read(
      weights.NumberOf(tensor), 0, text.size(),
      absl::MakeSpan(reinterpret_cast<uint8_t*>(text.data()), text.size())));
  absl::StatusOr<Json> state = ParseJson(text);
  if (state.ok() && state->is_object()) return state;
  return weights.Damaged(
      tensor,
      absl::StrCat(
          "holds no JSON object",
          state.ok() ? "" : absl::StrCat(" (", state.status().message(), ")"),
          "; download or copy the checkpoint again"));
}

// The member `key` of a quant_state is not what it can be.
absl::Status WrongFact(const EngineWeights& weights, const TensorInfo& tensor,
                       absl::string_view key, const Json* found) {
  return weights.Damaged(
      tensor, absl::StrCat("says that ", key, " is ",
                           found == nullptr ? "nothing" : JsonExcerpt(*found),
                           ", which it cannot be; download or copy the "
                           "checkpoint again"));
}

bool IsText(const Json* json, absl::string_view text) {
  return json != nullptr && json->AsString() != nullptr &&
         *json->AsString() == text;
}

absl::Status ReadNested(const EngineWeights& weights, const TensorInfo& tensor,
                        const Json& state) {
  const Json* offset = state.Find("nested_offset");
  if (offset->AsDouble() == nullptr && offset->AsInt() == nullptr) {
    return WrongFact(weights, tensor, "nested_offset", offset);
  }
  const Json* block = state.Find("nested_blocksize");
  if (block == nullptr || block->AsInt() == nullptr) {
    return WrongFact(weights, tensor, "nested_blocksize", block);
  }
  if (*block->AsInt() != kNestedBlock) {
    return weights.NotRead(
        tensor, absl::StrCat("has blocks of ", *block->AsInt(), " scales"));
  }
  const Json* dtype = state.Find("nested_dtype");
  if (!IsText(dtype, "float32")) {
    if (dtype == nullptr || dtype->AsString() == nullptr) {
      return WrongFact(weights, tensor, "nested_dtype", dtype);
    }
    return weights.NotRead(tensor,
                           absl::StrCat("has scales of ", JsonExcerpt(*dtype)));
  }
  return absl::OkStatus();
}

absl::StatusOr<Facts> ReadFacts(const EngineWeights& weights,
                                const TensorInfo& tensor, NumberFormat format) {
  MQ_ASSIGN_OR_RETURN(const Json state, ReadState(weights, tensor));
  Facts facts;
  const Json* type = state.Find("quant_type");
  if (!IsText(type, NumberFormatName(format))) {
    return WrongFact(weights, tensor, "quant_type", type);
  }
  const Json* block = state.Find("blocksize");
  if (block == nullptr || block->AsInt() == nullptr || *block->AsInt() < 1) {
    return WrongFact(weights, tensor, "blocksize", block);
  }
  facts.block = *block->AsInt();
  const Json* dtype = state.Find("dtype");
  const std::optional<DType> known =
      dtype == nullptr || dtype->AsString() == nullptr
          ? std::nullopt
          : DTypeFromTorchName(*dtype->AsString());
  if (!known.has_value() || !IsQuantizable(*known)) {
    return WrongFact(weights, tensor, "dtype", dtype);
  }
  facts.dtype = *known;
  const Json* shape = state.Find("shape");
  if (shape == nullptr || !shape->is_array()) {
    return WrongFact(weights, tensor, "shape", shape);
  }
  for (const Json& dim : *shape->AsArray()) {
    if (dim.AsInt() == nullptr || *dim.AsInt() < 1) {
      return WrongFact(weights, tensor, "shape", shape);
    }
    facts.shape.push_back(*dim.AsInt());
  }
  if (facts.shape.empty() || !NumElements(facts.shape).ok()) {
    return WrongFact(weights, tensor, "shape", shape);
  }
  facts.nested = state.Find("nested_offset") != nullptr;
  if (facts.nested) MQ_RETURN_IF_ERROR(ReadNested(weights, tensor, state));
  return facts;
}

// ------------------------------------------------------------ the tensors --

// Codes, as bytes of two, for so many elements.
absl::Status CheckCodes(const EngineWeights& weights, const TensorInfo& codes,
                        const TensorInfo& state, const Facts& facts) {
  if (codes.dtype != DType::kU8) {
    return weights.NotRead(
        codes, absl::StrCat("has codes in elements of ", DTypeName(codes.dtype),
                            " (bnb_4bit_quant_storage)"));
  }
  MQ_ASSIGN_OR_RETURN(const uint64_t elements, NumElements(facts.shape));
  const Shape flat = {static_cast<int64_t>(elements / 2 + elements % 2)};
  if (codes.shape == flat || codes.shape == Shape{flat[0], 1}) {
    return absl::OkStatus();
  }
  return weights.Damaged(
      codes, absl::StrCat("is ", DescribeStored(codes), ", but ",
                          QuotedName(state.name), " says that the weight is ",
                          ShapeToString(facts.shape), kSameCheckpoint));
}

// The numbers that codes stand for are those of the format.
absl::Status CheckNumbers(const EngineWeights& weights, const TensorInfo& codes,
                          NumberFormat format) {
  const std::string name = absl::StrCat(codes.name, ".quant_map");
  MQ_ASSIGN_OR_RETURN(const TensorInfo* const map,
                      weights.FindPart(codes, "numbers of codes", name));
  if (map->dtype != DType::kF32 || map->shape != Shape{16}) {
    return weights.Damaged(
        codes, absl::StrCat("its numbers of codes ", QuotedName(name), " are ",
                            DescribeStored(*map), ", expected F32 [16]",
                            kSameCheckpoint));
  }
  float found[16];
  MQ_RETURN_IF_ERROR(weights.reader().Read(
      weights.NumberOf(*map), 0, std::size(found),
      absl::MakeSpan(reinterpret_cast<uint8_t*>(found), sizeof(found))));
  const float* expected =
      format == NumberFormat::kNf4 ? kNf4Numbers : kFp4Numbers;
  if (std::equal(std::begin(found), std::end(found), expected)) {
    return absl::OkStatus();
  }
  return weights.NotRead(
      codes, absl::StrCat("has numbers in ", QuotedName(name), " that are not ",
                          "those of ", NumberFormatName(format)));
}

// Whether the configuration says that there are weights of these bits.
absl::Status CheckConfigured(const EngineWeights& weights,
                             const TensorInfo& codes, int bits) {
  const std::string key = absl::StrCat("load_in_", bits, "bit");
  MQ_ASSIGN_OR_RETURN(const std::optional<bool> configured, weights.Bool(key));
  if (configured.value_or(true)) return absl::OkStatus();
  return weights.Damaged(
      codes,
      absl::StrCat("has codes of ", bits, " bits, but ", key,
                   " is not true in quantization_config", kSameCheckpoint));
}

// No parts of nested scales beside plain ones.
absl::Status CheckPlain(const EngineWeights& weights, absl::string_view name,
                        const TensorInfo& state) {
  for (const absl::string_view suffix :
       {".nested_absmax", ".nested_quant_map"}) {
    const TensorInfo* part = weights.Find(absl::StrCat(name, suffix));
    if (part == nullptr) continue;
    return weights.Damaged(
        *part, absl::StrCat("belongs to scales that are quantized, which ",
                            QuotedName(state.name), " does not describe",
                            kSameCheckpoint));
  }
  return absl::OkStatus();
}

absl::Status AddNibbles(const State& kind, const TensorInfo& state,
                        EngineWeights* weights) {
  const absl::string_view name = absl::StripSuffix(state.name, kind.suffix);
  const TensorInfo* codes = weights->Find(name);
  if (codes == nullptr) {
    return weights->Damaged(
        state, absl::StrCat("belongs to ", QuotedName(name), kIncomplete));
  }
  for (const State& other : kStates) {
    const std::string also = absl::StrCat(name, other.suffix);
    if (also == state.name || weights->Find(also) == nullptr) continue;
    return weights->Damaged(
        state,
        absl::StrCat("describes ", QuotedName(name), ", and so does ",
                     QuotedName(also), "; remove the one that is not meant"));
  }
  MQ_RETURN_IF_ERROR(CheckConfigured(*weights, *codes, 4));
  MQ_ASSIGN_OR_RETURN(Facts facts, ReadFacts(*weights, state, kind.format));
  if (!facts.nested) MQ_RETURN_IF_ERROR(CheckPlain(*weights, name, state));
  MQ_RETURN_IF_ERROR(CheckCodes(*weights, *codes, state, facts));
  MQ_RETURN_IF_ERROR(CheckNumbers(*weights, *codes, kind.format));
  const int64_t row = facts.shape.back();
  if (row % facts.block != 0) {
    return weights->NotRead(
        *codes, absl::StrCat("has blocks of ", facts.block,
                             " that go over the ends of its rows of ", row));
  }
  QuantScheme scheme;
  scheme.format = kind.format;
  scheme.granularity = Granularity::kGroup;
  scheme.group_size = facts.block;
  return weights->AddOfType(*codes, name, scheme,
                            facts.nested ? QuantStorage::kBitsandbytesNested
                                         : QuantStorage::kBitsandbytes,
                            std::move(facts.shape), facts.dtype);
}

absl::Status AddBytes(const TensorInfo& scales, EngineWeights* weights) {
  const std::string name =
      absl::StrCat(absl::StripSuffix(scales.name, kScales), kWeight);
  const TensorInfo* codes = weights->Find(name);
  if (codes == nullptr) {
    return weights->Damaged(
        scales, absl::StrCat("belongs to ", QuotedName(name), kIncomplete));
  }
  MQ_RETURN_IF_ERROR(CheckConfigured(*weights, *codes, 8));
  if (codes->dtype != DType::kI8) {
    return weights->NotRead(
        *codes,
        absl::StrCat("has scales of 8 bits in ", QuotedName(scales.name),
                     ", but is ", DescribeStored(*codes)));
  }
  const TensorInfo* order = weights->Find(absl::StrCat(name, kOrder));
  if (order != nullptr && order->dtype == DType::kU8 && order->shape.empty()) {
    uint8_t value = 0;
    MQ_RETURN_IF_ERROR(weights->reader().Read(weights->NumberOf(*order), 0, 1,
                                              absl::MakeSpan(&value, 1)));
    if (value != 0) {
      return weights->NotRead(
          *codes, absl::StrCat("has codes that are not row by row (",
                               QuotedName(order->name), " is ", value, ")"));
    }
  }
  QuantScheme scheme;
  scheme.format = NumberFormat::kLlmInt8;
  return weights->Add(*codes, name, scheme, QuantStorage::kBitsandbytes,
                      codes->shape, DType::kF16);
}

// Codes of 8 bits, and what lies beside them, without scales.
absl::Status CheckHasScales(const EngineWeights& weights,
                            const TensorInfo& tensor) {
  absl::string_view base = tensor.name;
  const bool is_order = absl::ConsumeSuffix(&base, kOrder);
  if (!absl::ConsumeSuffix(&base, kWeight)) return absl::OkStatus();
  if (!is_order && tensor.dtype != DType::kI8) return absl::OkStatus();
  const std::string scales = absl::StrCat(base, kScales);
  if (is_order && weights.Find(scales) == nullptr) {
    return weights.Damaged(
        tensor, absl::StrCat("belongs to ", QuotedName(scales), kIncomplete));
  }
  return weights.FindPart(tensor, "scales", scales).status();
}

bool IsDescribed(const EngineWeights& weights, absl::string_view name) {
  return std::any_of(
      std::begin(kStates), std::end(kStates), [&](const State& state) {
        return weights.Find(absl::StrCat(name, state.suffix)) != nullptr;
      });
}

// What lies beside codes of 4 bits, and codes with nothing beside them.
absl::Status CheckIsDescribed(const EngineWeights& weights,
                              const TensorInfo& tensor) {
  const bool has_parts = std::any_of(
      std::begin(kParts), std::end(kParts), [&](absl::string_view suffix) {
        return weights.Find(absl::StrCat(tensor.name, suffix)) != nullptr;
      });
  if (tensor.dtype == DType::kU8 && absl::EndsWith(tensor.name, kWeight) &&
      !has_parts && !IsDescribed(weights, tensor.name)) {
    return weights.Damaged(
        tensor,
        absl::StrCat("has codes of 4 bits, but no ",
                     QuotedName(absl::StrCat(tensor.name, kStates[0].suffix)),
                     " or __fp4; the checkpoint is incomplete, download or "
                     "copy all of it again"));
  }
  for (const absl::string_view suffix : kParts) {
    absl::string_view name = tensor.name;
    if (!absl::ConsumeSuffix(&name, suffix) || IsDescribed(weights, name)) {
      continue;
    }
    return weights.Damaged(
        tensor, absl::StrCat("belongs to ",
                             QuotedName(absl::StrCat(name, kStates[0].suffix)),
                             " or __fp4", kIncomplete));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FindBitsandbytesWeights(EngineWeights* weights) {
  for (const TensorInfo& tensor : weights->tensors()) {
    MQ_RETURN_IF_ERROR(weights->Tell(CheckIsDescribed(*weights, tensor)));
  }
  for (const TensorInfo& tensor : weights->tensors()) {
    MQ_RETURN_IF_ERROR(weights->Tell(CheckHasScales(*weights, tensor)));
    if (absl::EndsWith(tensor.name, kScales)) {
      MQ_RETURN_IF_ERROR(weights->Tell(AddBytes(tensor, weights)));
    }
    for (const State& kind : kStates) {
      if (!absl::EndsWith(tensor.name, kind.suffix)) continue;
      MQ_RETURN_IF_ERROR(weights->Tell(AddNibbles(kind, tensor, weights)));
    }
  }
  return absl::OkStatus();
}

}  // namespace monoquant
