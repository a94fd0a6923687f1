// Zip archives, byte by byte: the directory, the headers and the members.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "frontends/zip/zip_archive.h"
#include "ir/byte_source.h"
#include "tests/fuzz/fuzz_target.h"

namespace monoquant::fuzz {
namespace {

constexpr uint64_t kLimit = 1 << 20;

void ReadMembers(const ZipArchive& archive) {
  for (size_t i = 0; i < std::min<size_t>(archive.size(), 50); ++i) {
    const ZipEntry& entry = archive.entry(i);
    Check(archive.Find(entry.name) == i, "a member is not found by its name");
    const auto all = archive.ReadMember(i, kLimit);
    if (!all.ok()) {
      CheckMessage(all.status());
    } else {
      Check(all->size() == entry.size, "a member of another size");
    }
    if (entry.method != ZipMethod::kStored || entry.size == 0) continue;
    std::vector<uint8_t> bytes(
        static_cast<size_t>(std::min<uint64_t>(entry.size / 2 + 1, 4096)));
    const absl::Status status =
        archive.ReadAt(i, entry.size - bytes.size(), absl::MakeSpan(bytes));
    if (all.ok()) Check(status.ok(), "a part of a sound member");
    if (!status.ok()) CheckMessage(status);
  }
}

}  // namespace
}  // namespace monoquant::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace monoquant;
  const auto archive = ZipArchive::Open(std::make_shared<MemorySource>(
      "model.pt", std::string(reinterpret_cast<const char*>(data), size)));
  if (archive.ok()) {
    fuzz::ReadMembers(**archive);
  } else {
    fuzz::CheckMessage(archive.status());
  }
  return 0;
}
