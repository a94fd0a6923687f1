#include "core/default_policy.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/casts.h"
#include "core/siblings.h"
#include "ir/dtype.h"
#include "ir/quant_storage.h"

namespace monoquant {
namespace {

using Words = absl::Span<const absl::string_view>;

// A name is split at dots into segments and these at underscores into words,
// all in lower case. Digits at the end of a word do not count: "ln_1", "norm2"
// and "conv1_BN" are {ln}, {norm} and {conv, bn}.

// Names of layers that multiply by their weight, as the last word of a segment
// ("conv2d" and the like also).
constexpr absl::string_view kLayerWords[] = {
    "dense", "fc",      "head",       "linear",    "mlp",
    "proj",  "project", "projection", "projector",
};

// The last word of a segment that is a table of embeddings.
constexpr absl::string_view kEmbeddingWords[] = {
    "emb", "embs", "embed", "embeds", "embedding", "embeddings",
};
// Words that may follow them: "embed_tokens", "token_embedding_table".
constexpr absl::string_view kAfterEmbedding[] = {
    "in",    "matrix", "position", "positions",
    "table", "tokens", "weight",   "weights",
};
// Whole names of modules: GPT-2's tables, and the one that T5 shares between
// encoder and decoder.
constexpr absl::string_view kEmbeddingModules[] = {"shared", "wpe", "wte"};
// The last word of a parameter that is an input of the network.
constexpr absl::string_view kInputWords[] = {"latents", "pe", "queries",
                                             "token", "tokens"};

constexpr absl::string_view kNormWords[] = {"bn", "gn", "ln"};

// The last word of a parameter that no layer multiplies by: masks, tables of
// positions and frequencies, statistics, parameters of another quantization.
constexpr absl::string_view kBufferWords[] = {
    "absmax",     "anchors", "biases", "buffer", "cos",    "fb",
    "filterbank", "freq",    "freqs",  "mask",   "masks",  "mean",
    "point",      "points",  "qzeros", "scale",  "scales", "sin",
    "tril",       "triu",    "var",    "window", "zeros",
};
// The same for whole names.
constexpr absl::string_view kBufferNames[] = {
    "a_log",
    "freqs_cis",
    "weight_scale_inv",
};

// Whole names of modules: output layers.
constexpr absl::string_view kOutputModules[] = {"classifier", "embed_out",
                                                "lm_head", "score"};

// Whole names of modules: what routes tokens to experts.
constexpr absl::string_view kRouterModules[] = {"gate", "router",
                                                "shared_expert_gate"};

bool Contains(Words words, absl::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool AllDigits(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

absl::string_view WithoutDigits(absl::string_view word) {
  while (!word.empty() && absl::ascii_isdigit(word.back())) {
    word.remove_suffix(1);
  }
  return word;
}

std::vector<std::string> WordsOf(absl::string_view segment) {
  std::vector<std::string> words;
  for (absl::string_view word :
       absl::StrSplit(segment, '_', absl::SkipEmpty())) {
    word = WithoutDigits(word);
    if (!word.empty()) words.emplace_back(word);
  }
  return words;
}

// What a name says, taken apart once.
struct NameParts {
  // Without the numbers of list entries ("layers.0"), in lower case.
  std::vector<std::string> segments;
  // True if the last segment says no more than "this is the weight", and the
  // one before it names the module: "fc.weight".
  bool plain_weight = false;

  // The segment that says what the tensor is: the module's for a plain weight,
  // otherwise the parameter's own.
  absl::string_view owner() const {
    const size_t from_end = plain_weight ? 2 : 1;
    return segments.size() < from_end
               ? absl::string_view()
               : absl::string_view(segments[segments.size() - from_end]);
  }
};

NameParts Parse(absl::string_view name) {
  NameParts parts;
  for (absl::string_view segment : absl::StrSplit(name, '.')) {
    if (AllDigits(segment)) continue;
    parts.segments.push_back(absl::AsciiStrToLower(segment));
  }
  parts.plain_weight =
      parts.segments.size() > 1 && parts.segments.back() == "weight";
  return parts;
}

bool IsLayer(const std::vector<std::string>& words) {
  return !words.empty() && (Contains(kLayerWords, words.back()) ||
                            absl::StartsWith(words.back(), "conv"));
}

bool IsEmbeddingSegment(absl::string_view segment) {
  std::vector<std::string> words = WordsOf(segment);
  while (words.size() > 1 && Contains(kAfterEmbedding, words.back())) {
    words.pop_back();
  }
  if (words.empty()) return false;
  const absl::string_view last = words.back();
  return Contains(kEmbeddingWords, last) || absl::EndsWith(last, "embed") ||
         absl::EndsWith(last, "embedding") ||
         absl::EndsWith(last, "embeddings");
}

bool IsEmbeddingName(const NameParts& parts, size_t dims) {
  // Tables are matrices; a "weight" of more dimensions is a convolution's.
  if (parts.plain_weight && dims > 2) return false;
  if (Contains(kEmbeddingModules, parts.owner())) return true;
  const std::vector<std::string> words = WordsOf(parts.owner());
  if (!parts.plain_weight && !words.empty() &&
      Contains(kInputWords, words.back())) {
    return true;
  }
  // From the end, since a layer inside an embedding module is a layer: the
  // projection behind a lookup, say.
  for (size_t i = parts.segments.size(); i > 0; --i) {
    const std::string& segment = parts.segments[i - 1];
    if (IsEmbeddingSegment(segment)) return true;
    if (IsLayer(WordsOf(segment))) return false;
  }
  return false;
}

bool IsNormName(const NameParts& parts) {
  const std::vector<std::string> words = WordsOf(parts.owner());
  // "norm1.linear.weight" is a linear layer that feeds a normalisation.
  if (IsLayer(words)) return false;
  return std::any_of(words.begin(), words.end(), [](absl::string_view word) {
    return Contains(kNormWords, word) || absl::StartsWith(word, "normali") ||
           (absl::StrContains(word, "norm") &&
            !absl::StrContains(word, "normal"));
  });
}

bool IsBufferName(const NameParts& parts) {
  const std::vector<std::string> words = WordsOf(parts.owner());
  if (words.empty()) return false;
  // A table of biases may be a module of its own, as T5's
  // "relative_attention_bias.weight" is.
  if (words.back() == "bias") return true;
  if (parts.plain_weight) return false;
  return Contains(kBufferNames, parts.owner()) ||
         Contains(kBufferWords, words.back()) ||
         std::find(words.begin(), words.end(), "bias") != words.end();
}

enum class Kind { kUnknown, kEmbedding, kNorm, kLayer };

Kind KindOfModule(absl::string_view module_kind) {
  if (module_kind.empty()) return Kind::kUnknown;
  if (absl::StartsWith(module_kind, "Embedding")) return Kind::kEmbedding;
  if (absl::StrContains(module_kind, "Norm")) return Kind::kNorm;
  return Kind::kLayer;
}

}  // namespace

bool IsEmbedding(const TensorInfo& tensor) {
  const Kind kind = KindOfModule(tensor.module_kind);
  if (kind != Kind::kUnknown) return kind == Kind::kEmbedding;
  return IsEmbeddingName(Parse(tensor.name), tensor.shape.size());
}

bool IsWeightOfLayer(const TensorInfo& tensor) {
  const NameParts parts = Parse(tensor.name);
  if (IsBufferName(parts)) return false;
  const Kind kind = KindOfModule(tensor.module_kind);
  if (kind != Kind::kUnknown) return kind == Kind::kLayer;
  return !IsEmbeddingName(parts, tensor.shape.size()) && !IsNormName(parts);
}

std::string ReasonForEngines(const TensorInfo& tensor, QuantStorage storage) {
  const NameParts parts = Parse(tensor.name);
  if (Contains(kOutputModules, parts.owner())) return "output layer (name)";
  if (Contains(kRouterModules, parts.owner())) {
    return "router of experts (name)";
  }
  const bool float_experts = storage == QuantStorage::kBitsandbytes ||
                             storage == QuantStorage::kTorchao;
  if (float_experts && !ExpertsOf(tensor.name).empty()) {
    return absl::StrCat("expert (name), which Transformers loads no ",
                        StorageName(storage), " weights of");
  }
  return "";
}

Verdict DefaultPolicy(const TensorInfo& tensor, int64_t min_elements,
                      bool embeddings) {
  if (!IsQuantizable(tensor.dtype)) {
    return {false, absl::StrCat("not float (", DTypeName(tensor.dtype), ")")};
  }
  if (tensor.shape.empty()) return {false, "scalar"};
  if (tensor.shape.size() == 1) return {false, "1-D"};
  const NameParts parts = Parse(tensor.name);
  if (IsBufferName(parts)) {
    return {false, absl::StrCat("no weight (", parts.owner(), ")")};
  }
  const Kind kind = KindOfModule(tensor.module_kind);
  const absl::string_view source =
      kind == Kind::kUnknown ? absl::string_view("name") : tensor.module_kind;
  if (!embeddings && IsEmbedding(tensor)) {
    return {false, absl::StrCat("embedding (", source, ")")};
  }
  if (kind == Kind::kNorm || (kind == Kind::kUnknown && IsNormName(parts))) {
    return {false, absl::StrCat("normalisation (", source, ")")};
  }
  const uint64_t elements = tensor.byte_size / FloatBytes(tensor.dtype);
  if (elements < static_cast<uint64_t>(std::max<int64_t>(min_elements, 0))) {
    return {false, absl::StrCat("fewer than ", min_elements, " elements")};
  }
  return {true, "float weight"};
}

}  // namespace monoquant
