#include "ir/torch_ao.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace monoquant {
namespace {

// Reads "0", "1", ... "999", in the one way in which torch writes them.
bool ConsumeLayer(absl::string_view* text, size_t* layer) {
  size_t digits = 0;
  *layer = 0;
  while (digits < text->size() && absl::ascii_isdigit((*text)[digits])) {
    *layer = *layer * 10 + static_cast<size_t>((*text)[digits] - '0');
    if (*layer >= TorchAoWeight::kMaxLayers) return false;
    ++digits;
  }
  if (digits == 0 || (digits > 1 && text->front() == '0')) return false;
  text->remove_prefix(digits);
  return true;
}

}  // namespace

std::optional<TorchAoWeight> ParseTorchAoWeight(absl::string_view name,
                                                absl::Span<const int64_t> shape,
                                                NumberFormat format) {
  if (shape.size() < 2 || shape.size() > 5) return std::nullopt;
  const size_t dot = name.rfind('.');
  if (dot == absl::string_view::npos || dot == 0) return std::nullopt;
  TorchAoWeight weight;
  weight.module = std::string(name.substr(0, dot));
  absl::string_view rest = name.substr(dot + 1);
  if (!absl::ConsumePrefix(&rest, "weight")) return std::nullopt;
  weight.bias = absl::StrCat(weight.module, ".bias", rest);
  if (rest.empty() && shape.size() > 2) {
    weight.kind = TorchAoModule::kConvolution;
  } else if (rest.empty() && format == NumberFormat::kUInt8) {
    weight.kind = TorchAoModule::kEmbedding;
    weight.bias.clear();
  }
  if (rest.empty()) return weight;
  if (shape.size() > 2) return std::nullopt;
  weight.hidden = absl::ConsumePrefix(&rest, "_hh");
  if (!weight.hidden && !absl::ConsumePrefix(&rest, "_ih")) return std::nullopt;
  weight.kind = TorchAoModule::kCell;
  if (rest.empty()) return weight;
  weight.kind = TorchAoModule::kRecurrent;
  if (!absl::ConsumePrefix(&rest, "_l") ||
      !ConsumeLayer(&rest, &weight.layer)) {
    return std::nullopt;
  }
  weight.reverse = absl::ConsumePrefix(&rest, "_reverse");
  if (!rest.empty()) return std::nullopt;
  return weight;
}

}  // namespace monoquant
