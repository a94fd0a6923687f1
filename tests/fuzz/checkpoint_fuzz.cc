// Any file by the front door: the kinds that have no target of their own, and
// the decision what a file is.

#include <string>

#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace monoquant::fuzz;
  OpenAndRead(OneFile("model.bin",
                      std::string(reinterpret_cast<const char*>(data), size)));
  return 0;
}
