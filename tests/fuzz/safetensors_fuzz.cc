// safetensors: a header that is JSON at least, with its true size before it
// and the data behind it. The input is a byte, the header, and the data.

#include <string>
#include <vector>

#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace monoquant;
  fuzz::Decisions decisions(data, size);
  std::string file;
  if (decisions.Byte() == 0xFF) {
    // As it is, size and all.
    file = decisions.Rest();
  } else {
    const std::vector<std::string> parts = decisions.Parts();
    for (int shift = 0; shift < 64; shift += 8) {
      file += static_cast<char>(uint64_t{parts[0].size()} >> shift);
    }
    file += parts[0];
    if (parts.size() > 1) file += parts[1];
  }
  fuzz::OpenAndRead(fuzz::OneFile("model.safetensors", file));
  return 0;
}
