#include "ir/output_place.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "ir/crc32.h"
#include "ir/errno_status.h"

namespace monoquant {
namespace {

constexpr int kMaxLinks = 40;
constexpr size_t kMaxNameBytes = 255;

OutputPlace Split(const std::string& path) {
  const size_t length = path.rfind('/') + 1;
  return {length == 0 ? "." : path.substr(0, length), path.substr(length)};
}

std::string HiddenName(absl::string_view name, absl::string_view suffix) {
  std::string hidden = absl::StrCat(".", name, suffix);
  if (hidden.size() <= kMaxNameBytes) return hidden;
  // Names that differ beyond the cut stay different.
  const uint32_t crc = Crc32(absl::MakeConstSpan(
      reinterpret_cast<const uint8_t*>(name.data()), name.size()));
  const std::string end = absl::StrFormat("-%08x%s", crc, suffix);
  return absl::StrCat(".", name.substr(0, kMaxNameBytes - 1 - end.size()), end);
}

}  // namespace

absl::StatusOr<OutputPlace> PlaceOfFile(const std::string& path) {
  // By hand, so that a link to a file that does not exist yet gives that file.
  std::string resolved = path;
  for (int i = 0; i < kMaxLinks; ++i) {
    char target[4096];
    const ssize_t length =
        readlink(resolved.c_str(), target, sizeof(target) - 1);
    if (length < 0) return Split(resolved);  // no link, or nothing there
    target[length] = '\0';
    if (target[0] == '/') {
      resolved = target;
    } else {
      resolved = resolved.substr(0, resolved.rfind('/') + 1) + target;
    }
  }
  return ErrnoStatus(ELOOP, path, "cannot follow the link");
}

OutputPlace PlaceOfDirectory(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  OutputPlace place = Split(path);
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    place.directory = path;
  }
  return place;
}

std::string PartName(absl::string_view name) {
  return HiddenName(name, ".mq-resume.tmp");
}

std::string PartLogName(absl::string_view name) {
  return HiddenName(name, ".mq-resume.log");
}

}  // namespace monoquant
