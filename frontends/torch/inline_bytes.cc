#include "frontends/torch/inline_bytes.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "frontends/torch/python_values.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/utf8.h"

namespace monoquant {
namespace {

// Where the elements of a tensor lie, or of several.
struct Place {
  size_t offset = 0;
  size_t size = 0;
  bool is_latin1 = false;
  bool is_decoded = false;
};

// Turns UTF-8 of characters below 256 into one byte each, in place. nullopt if
// it is anything else.
std::optional<size_t> DecodeLatin1(size_t offset, size_t size,
                                   std::string* text) {
  const absl::string_view encoded =
      absl::string_view(*text).substr(offset, size);
  size_t out = offset;
  for (size_t in = 0; in < encoded.size();) {
    const uint32_t character = DecodeUtf8(encoded, &in);
    if (character > 0xFF) return std::nullopt;
    (*text)[out++] = static_cast<char>(character);
  }
  return out - offset;
}

absl::Status WithName(const NamedTensor& named, absl::string_view message) {
  return DataLossError("tensor ", QuotedName(named.name), ": the NumPy array ",
                       message);
}

}  // namespace

absl::Status TakeInlineBytes(PickleGraph graph, StateDict* state_dict) {
  absl::flat_hash_map<NodeId, Place> places;
  for (const NamedTensor& named : state_dict->tensors) {
    const TorchTensor& tensor = named.tensor;
    if (!tensor.is_inline() || tensor.inline_text == kNoNode) continue;
    const auto [it, inserted] = places.try_emplace(tensor.inline_text);
    Place& place = it->second;
    if (inserted) {
      place.offset = graph.TextOffset(tensor.inline_text);
      place.size = AsText(graph, tensor.inline_text)->size();
      place.is_latin1 = tensor.is_latin1;
    } else if (place.is_latin1 != tensor.is_latin1) {
      return WithName(named, "is bytes here and text elsewhere");
    }
  }
  std::string text = std::move(graph).TakeText();
  for (NamedTensor& named : state_dict->tensors) {
    TorchTensor& tensor = named.tensor;
    if (!tensor.is_inline()) continue;
    Place none;
    Place& place = tensor.inline_text == kNoNode
                       ? none
                       : places.find(tensor.inline_text)->second;
    if (place.is_latin1 && !place.is_decoded) {
      const auto size = DecodeLatin1(place.offset, place.size, &text);
      if (!size.has_value()) {
        return WithName(named, "is text with characters that are no bytes");
      }
      place.size = *size;
      place.is_decoded = true;
    }
    if (place.size != tensor.storage_bytes) {
      return WithName(named,
                      absl::StrCat("has ", place.size, " bytes but its shape ",
                                   tensor.storage_bytes));
    }
    tensor.part_offset = place.offset;
  }
  state_dict->inline_bytes =
      std::make_shared<const std::string>(std::move(text));
  return absl::OkStatus();
}

}  // namespace monoquant
