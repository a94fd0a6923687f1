// The table of output formats that the documents show.

#ifndef MONOQUANT_EXPORTERS_FORMAT_TABLE_H_
#define MONOQUANT_EXPORTERS_FORMAT_TABLE_H_

#include <string>

namespace monoquant {

// A row for each format of AllExporters(), in Markdown: its files, the schemes
// and the weights that its storage has a place for, and who loads it. Schemes
// are found by asking the storage for each that there is.
std::string FormatTable();

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_FORMAT_TABLE_H_
