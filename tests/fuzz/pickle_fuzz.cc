// Pickles, byte by byte, and the walk over what they say.

#include <string>

#include "frontends/pickle/pickle_machine.h"
#include "frontends/torch/state_dict.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace monoquant;
  const auto graph =
      ReadPickle(std::string(reinterpret_cast<const char*>(data), size));
  if (!graph.ok()) {
    fuzz::CheckMessage(graph.status());
    return 0;
  }
  fuzz::Check(graph->consumed() <= size, "more was consumed than there is");
  // Less than in earnest: going over the same values again and again, four
  // times, shows nothing new (//tests/hostile tries that).
  StateDictLimits limits;
  limits.revisits = 100'000;
  for (const char* root : {"", ".", "model", "0.1"}) {
    const auto found = FindStateDict(*graph, root, limits);
    if (!found.ok()) fuzz::CheckMessage(found.status());
  }
  return 0;
}
