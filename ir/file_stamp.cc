#include "ir/file_stamp.h"

#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "ir/errors.h"

namespace monoquant {

bool FileStamps::Take(const std::string& path, Stamp* stamp) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return false;
  *stamp = {info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec,
            info.st_mtim.tv_nsec};
  return true;
}

void FileStamps::Add(const std::string& path) {
  Stamp stamp;
  if (Take(path, &stamp)) stamps_.try_emplace(path, stamp);
}

absl::Status FileStamps::Check(const std::vector<std::string>& paths) const {
  for (const std::string& path : paths) {
    const auto before = stamps_.find(path);
    if (before == stamps_.end()) continue;
    Stamp now;
    if (Take(path, &now) && now == before->second) continue;
    return DataLossError(
        path,
        ": was changed while it was read, so the output would be "
        "of two versions; run again when nothing writes to it");
  }
  return absl::OkStatus();
}

std::string FileStamps::Describe(const std::vector<std::string>& paths) const {
  std::string text;
  for (const std::string& path : paths) {
    const auto found = stamps_.find(path);
    if (found == stamps_.end()) continue;
    const Stamp& stamp = found->second;
    text +=
        absl::StrCat(path, " ", stamp.device, " ", stamp.inode, " ", stamp.size,
                     " ", stamp.seconds, " ", stamp.nanoseconds, "\n");
  }
  return text;
}

}  // namespace monoquant
