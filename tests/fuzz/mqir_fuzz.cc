// .mqir files with right checksums around an index and payload of the input.

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "ir/crc32.h"
#include "ir/mqir_format.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace monoquant;
  fuzz::Decisions decisions(data, size);
  std::string file;
  if (decisions.Byte() == 0xFF) {
    file = decisions.Rest();
  } else {
    const std::vector<std::string> parts = decisions.Parts();
    const std::string& index = parts[0];
    const std::string payload = parts.size() > 1 ? parts[1] : "";
    uint64_t start = 0;
    fuzz::Check(MqirPayloadStart(index.size(), &start), "an index too large");
    MqirHeader header;
    header.index_size = index.size();
    header.file_size = payload.empty() ? kMqirHeaderSize + index.size()
                                       : start + payload.size();
    header.index_crc32 = Crc32(absl::MakeConstSpan(
        reinterpret_cast<const uint8_t*>(index.data()), index.size()));
    file = EncodeMqirHeader(header) + index;
    if (!payload.empty()) file.resize(static_cast<size_t>(start));
    file += payload;
  }
  fuzz::OpenAndRead(fuzz::OneFile("model.mqir", file));
  return 0;
}
