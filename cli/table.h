// Text in aligned columns.

#ifndef MONOQUANT_CLI_TABLE_H_
#define MONOQUANT_CLI_TABLE_H_

#include <string>
#include <vector>

namespace monoquant::cli {

// Rows of cells, printed with two spaces between columns as wide as their
// widest cell. Every cell goes through Printable.
class Table {
 public:
  enum class Align { kLeft, kRight };

  // One alignment a column; the header is the first row.
  Table(std::vector<std::string> header, std::vector<Align> align);

  // Adds a row of as many cells as the header has.
  void Add(std::vector<std::string> cells);

  // Lines ending in a newline, without trailing spaces.
  std::string ToString() const;

 private:
  std::vector<Align> align_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_TABLE_H_
