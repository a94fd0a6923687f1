// The directories inside a directory.

#ifndef MONOQUANT_CLI_SUBDIRECTORIES_H_
#define MONOQUANT_CLI_SUBDIRECTORIES_H_

#include <string>
#include <vector>

namespace monoquant::cli {

// Their bare names, sorted, without the hidden ones (.git, .cache). An empty
// `directory` is the working directory; one that cannot be listed has none.
std::vector<std::string> Subdirectories(const std::string& directory);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_SUBDIRECTORIES_H_
