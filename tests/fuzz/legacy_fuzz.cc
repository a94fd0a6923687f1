// What torch wrote before 1.6: streams of pickles, and before that tar
// archives. The input is a byte and the parts; tar gets right checksums.

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/fuzz/fuzz_target.h"

namespace monoquant::fuzz {
namespace {

constexpr absl::string_view kMembers[] = {"sys_info", "pickle", "storages",
                                          "tensors"};

constexpr size_t kBlock = 512;

// A member with a header of POSIX 1988.
std::string TarMember(absl::string_view name, absl::string_view bytes) {
  std::string header(kBlock, '\0');
  const auto put = [&header](size_t offset, absl::string_view text) {
    header.replace(offset, text.size(), text.data(), text.size());
  };
  char number[16];
  put(0, name);
  put(100, "0000644");
  std::snprintf(number, sizeof(number), "%011o",
                static_cast<unsigned>(bytes.size()));
  put(124, number);
  put(148, "        ");
  put(156, "0");
  put(257, absl::string_view("ustar\00000", 8));
  unsigned sum = 0;
  for (char c : header) sum += static_cast<unsigned char>(c);
  std::snprintf(number, sizeof(number), "%06o", sum);
  put(148, absl::string_view(number, 7));
  std::string member = header;
  member.append(bytes.data(), bytes.size());
  member.resize((member.size() + kBlock - 1) / kBlock * kBlock);
  return member;
}

}  // namespace
}  // namespace monoquant::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace monoquant::fuzz;
  Decisions decisions(data, size);
  std::string file;
  if (decisions.Byte() % 2 == 0) {
    for (const std::string& part : decisions.Parts()) file += part;
  } else {
    size_t i = 0;
    for (const std::string& part : decisions.Parts()) {
      if (i == std::size(kMembers)) break;
      file += TarMember(kMembers[i++], part);
    }
    file.resize(file.size() + 2 * kBlock);
  }
  OpenAndRead(OneFile("model.pth", file));
  return 0;
}
