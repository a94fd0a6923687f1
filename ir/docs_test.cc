// The documents state what the code does: the error table in docs/errors.md,
// the example file in docs/ir_format.md.

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ir/errors.h"
#include "ir/mqir_reader.h"
#include "ir/mqir_testing.h"

namespace monoquant {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.is_open()) << path;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Sixteen bytes a line, as hexdump -C prints them, without repeated lines
// folded.
std::string HexDump(const std::string& bytes) {
  std::string dump;
  for (size_t line = 0; line < bytes.size(); line += 16) {
    dump += absl::StrCat(absl::Hex(line, absl::kZeroPad8), " ");
    std::string text;
    for (size_t i = line; i < line + 16; ++i) {
      if (i % 8 == 0) dump += " ";
      if (i >= bytes.size()) {
        dump += "   ";
        continue;
      }
      const auto byte = static_cast<unsigned char>(bytes[i]);
      dump += absl::StrCat(absl::Hex(byte, absl::kZeroPad2), " ");
      text.push_back(byte >= 0x20 && byte < 0x7F ? bytes[i] : '.');
    }
    dump += absl::StrCat(" |", text, "|\n");
  }
  return dump;
}

TEST(DocsTest, ErrorsHasEveryRow) {
  const std::string text = ReadFile("docs/errors.md");
  size_t rows = 0;
  for (const ErrorRow& row : ErrorTable()) {
    const std::string line = absl::StrCat(
        "| ", row.exit_code, " | `", row.name, "` | `",
        absl::StatusCodeToString(row.code), "` | ", row.meaning, " |\n");
    EXPECT_TRUE(absl::StrContains(text, line)) << line;
    ++rows;
  }
  // And no others.
  size_t documented = 0;
  for (size_t at = text.find("Error` | `"); at != std::string::npos;
       at = text.find("Error` | `", at + 1)) {
    ++documented;
  }
  EXPECT_EQ(documented, rows);
}

// The smallest file worth showing: one tensor, two floats, 1 and -2.
TEST(DocsTest, FormatShowsARealFile) {
  Manifest manifest;
  manifest.tensors = {testing::MakeOutput("w", DType::kF32, {2})};
  const std::string payload("\x00\x00\x80\x3F\x00\x00\x00\xC0", 8);
  const MqirLayout layout = LayoutMqir(manifest).value();
  const uint32_t crc = Crc32(testing::AsBytes(payload));
  std::string file = BuildMqirHeadAndIndex(manifest, layout, {crc}).value();
  file += payload;
  ASSERT_EQ(file.size(), layout.file_size);
  ASSERT_TRUE(OpenMqir(InMemoryFiles("m", {{"m", file}})).ok());

  const std::string dump = HexDump(file);
  EXPECT_TRUE(absl::StrContains(ReadFile("docs/ir_format.md"), dump))
      << "docs/ir_format.md should show:\n"
      << dump;
}

}  // namespace
}  // namespace monoquant
