// The files of a model directory besides its weights: configuration, tokenizer,
// licence, code. They make the weights usable, so outputs get a copy.

#ifndef MONOQUANT_EXPORTERS_SIDE_FILES_H_
#define MONOQUANT_EXPORTERS_SIDE_FILES_H_

#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace monoquant {

// What lies in a directory besides the weights that are read from it: bare
// names, sorted. Hidden entries (.git, .cache) and indexes of shards are in
// none of them.
struct SideFiles {
  std::vector<std::string> carried;
  // Told by their extension: weights in other forms, optimizers. Beside new
  // weights they would be wrong.
  std::vector<std::string> other_weights;
  // Not followed. Told by the caller where there may be any.
  std::vector<std::string> directories;
};

// True for a name with the extension of weights, whoever wrote them.
bool IsNameOfWeights(absl::string_view name);

// Sorts the files `names` of a directory, of which `in_use` are the weights
// that are read and their index.
SideFiles FindSideFiles(const std::vector<std::string>& names,
                        const std::set<std::string>& in_use);

// A line for each kind of thing that is not carried to an output.
std::vector<std::string> NotesOnLeftOut(const SideFiles& side_files);

// "a, b, c" or, if there are many, "a, b, c and 7 more".
std::string FewNames(const std::vector<std::string>& names);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_SIDE_FILES_H_
