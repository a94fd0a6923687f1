// Prints the table of containers as the documents have it.

#include <cstdio>

#include "frontends/frontend.h"

int main() {
  std::fputs(monoquant::ContainerTable().c_str(), stdout);
  return 0;
}
