// Prints the table of output formats as the documents have it.

#include <cstdio>

#include "exporters/format_table.h"

int main() {
  std::fputs(monoquant::FormatTable().c_str(), stdout);
  return 0;
}
