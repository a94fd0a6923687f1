// Where an output that is named by a path will lie, and what its unfinished
// parts are called. Native only.

#ifndef MONOQUANT_IR_OUTPUT_PLACE_H_
#define MONOQUANT_IR_OUTPUT_PLACE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace monoquant {

struct OutputPlace {
  std::string directory;  // in which the unfinished parts lie
  std::string name;       // of the output: the last component of its path
};

// Of an output that is a file: beside the file that it is a link to, if it is
// one, whether that exists or not.
absl::StatusOr<OutputPlace> PlaceOfFile(const std::string& path);

// Of a directory of files: inside of it where it exists, beside it where not.
OutputPlace PlaceOfDirectory(std::string path);

// Names of hidden entries in OutputPlace::directory, both at most as long as
// file systems allow and different for different outputs: ".NAME.mq-resume.tmp"
// holds the bytes that an interrupted run has written, ".NAME.mq-resume.log"
// says which they are.
std::string PartName(absl::string_view name);
std::string PartLogName(absl::string_view name);

}  // namespace monoquant

#endif  // MONOQUANT_IR_OUTPUT_PLACE_H_
