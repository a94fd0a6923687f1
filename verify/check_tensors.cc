#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "verify/checks.h"

namespace monoquant {
namespace {

constexpr FindingKind kTensors = FindingKind::kTensors;
constexpr absl::string_view kOutputLayer = "lm_head";

// torch, and with it every program there is, has no such type.
void CheckTypes(const Subject& subject, Findings* findings) {
  for (const TensorInfo& tensor : subject.tensors()) {
    if (!GetDTypeInfo(tensor.dtype).torch_name.empty()) continue;
    findings->Error(kTensors, "", tensor.name,
                    absl::StrCat("is ", DTypeName(tensor.dtype),
                                 ", a type that torch does not have"),
                    "store it as another type");
  }
}

// An output layer that is the embedding, by the configuration, has no tensors;
// one that is not has some.
void CheckOutputLayer(const Subject& subject, Findings* findings) {
  if (!subject.config.has_value()) return;
  const bool* tied = FlagOf(&subject.config->json, "tie_word_embeddings");
  if (tied == nullptr) return;
  const TensorInfo* output = nullptr;
  for (const TensorInfo& tensor : subject.tensors()) {
    if (absl::StrContains(tensor.name, kOutputLayer)) output = &tensor;
  }
  const Json* classes = EntryOf(&subject.config->json, "architectures");
  bool is_language_model = false;
  if (classes != nullptr && classes->is_array()) {
    for (const Json& name : *classes->AsArray()) {
      is_language_model |= name.AsString() != nullptr &&
                           absl::EndsWith(*name.AsString(), "ForCausalLM");
    }
  }
  if (!*tied && output == nullptr && is_language_model &&
      subject.Find("model.embed_tokens.weight") != nullptr) {
    findings->Error(kTensors, "config.json", "",
                    "says that the output layer is not tied to the embedding "
                    "(tie_word_embeddings), but there is no lm_head: programs "
                    "fill it with random numbers, or refuse",
                    "set tie_word_embeddings to true, or get all tensors");
  }
  if (!*tied) return;
  for (const QuantizedTensor& weight : subject.weights) {
    if (!absl::StrContains(weight.name, kOutputLayer)) continue;
    findings->Warning(kTensors, "config.json", weight.name,
                      "is quantized, but tied to the embedding "
                      "(tie_word_embeddings), which takes its place",
                      "set tie_word_embeddings to false, or leave the layer "
                      "as it is");
  }
}

}  // namespace

void CheckTensors(const Subject& subject, Findings* findings) {
  CheckTypes(subject, findings);
  CheckOutputLayer(subject, findings);
}

}  // namespace monoquant
