// Whether a file is still the one that it was.

#ifndef MONOQUANT_IR_FILE_STAMP_H_
#define MONOQUANT_IR_FILE_STAMP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"

namespace monoquant {

// Remembers files by device, inode, size and time of the last change. Does not
// notice a change that leaves all of them as they were.
class FileStamps {
 public:
  // Remembers the file as it is now, unless it was added before. What cannot be
  // examined is not remembered; opening it has told why.
  void Add(const std::string& path);

  // DataLoss, naming the file, if one of those in `paths` that were added has
  // changed since, has been replaced or is gone.
  absl::Status Check(const std::vector<std::string>& paths) const;

  // A text that is equal for equal paths and stamps of those that were added.
  std::string Describe(const std::vector<std::string>& paths) const;

 private:
  struct Stamp {
    uint64_t device;
    uint64_t inode;
    int64_t size;
    int64_t seconds;
    int64_t nanoseconds;

    bool operator==(const Stamp&) const = default;
  };

  static bool Take(const std::string& path, Stamp* stamp);

  absl::flat_hash_map<std::string, Stamp> stamps_;
};

}  // namespace monoquant

#endif  // MONOQUANT_IR_FILE_STAMP_H_
