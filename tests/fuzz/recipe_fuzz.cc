// Recipes as JSON, and rules as text. What is accepted must survive a round
// trip.

#include <string>

#include "absl/strings/string_view.h"
#include "core/recipe.h"
#include "ir/json.h"
#include "tests/fuzz/fuzz_target.h"

namespace monoquant::fuzz {
namespace {

void TryJson(absl::string_view text) {
  const auto json = ParseJson(text);
  if (!json.ok()) return CheckMessage(json.status());
  const auto again = ParseJson(json->ToString());
  Check(again.ok() && *again == *json, "JSON changes when it is written");
  const auto recipe = RecipeFromJson(*json);
  if (!recipe.ok()) return CheckMessage(recipe.status());
  Check(ValidateRecipe(*recipe).ok(), "a recipe that is not valid");
  const Json canonical = RecipeToJson(*recipe);
  const auto parsed = RecipeFromJson(canonical);
  Check(parsed.ok() && RecipeToJson(*parsed) == canonical,
        "a recipe changes when it is written");
}

}  // namespace
}  // namespace monoquant::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace monoquant;
  fuzz::Decisions decisions(data, size);
  const uint8_t kind = decisions.Byte();
  const std::string text = decisions.Rest();
  if (kind % 4 == 0) {
    const auto rule = ParseRule(text);
    if (!rule.ok()) fuzz::CheckMessage(rule.status());
    const absl::string_view all = text;
    GlobMatch(all.substr(0, size / 2),
              all.substr(size / 2 > all.size() ? all.size() : size / 2));
  } else {
    fuzz::TryJson(text);
  }
  return 0;
}
