// What the fuzz targets share.
//
// A target is one file that defines LLVMFuzzerTestOneInput. libFuzzer calls it,
// or, where there is none, the driver in replay.cc.

#ifndef MONOQUANT_TESTS_FUZZ_FUZZ_TARGET_H_
#define MONOQUANT_TESTS_FUZZ_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

// Runs one input. Reports a finding by ending the process.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace monoquant::fuzz {

// Ends the process, with `what` on stderr, if `holds` is false.
void Check(bool holds, absl::string_view what);

// An error's message must be one line of printable text that is not too long.
void CheckMessage(const absl::Status& status);

// Opens a checkpoint by the front door, as the command line does, reads what it
// finds, and scans it. Checks what every reader promises, and that what is
// refused as dangerous is not safe to the scanner.
void OpenAndRead(const CheckpointFiles& files);

// Reads every tensor in pieces, up to some MiB in all: pieces give the same
// bytes as the whole, and a located extent does too.
void ReadTensors(const CheckpointFiles& files, const CheckpointReader& reader);

// One file named `name`.
CheckpointFiles OneFile(absl::string_view name, std::string bytes);

// Takes decisions from the bytes of an input, and zeros when they are used up.
class Decisions {
 public:
  Decisions(const uint8_t* data, size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  uint64_t Take(size_t bytes);
  uint8_t Byte() { return static_cast<uint8_t>(Take(1)); }
  bool Bool() { return (Byte() & 1) != 0; }
  // 0 to limit - 1.
  size_t Below(size_t limit) { return static_cast<size_t>(Take(2)) % limit; }
  // Small numbers mostly, those at the edges of a type at times.
  int64_t Number();
  std::string Text(size_t max_size);
  std::string Rest();
  // Parts of the input, between occurrences of "\xFE\xFD".
  std::vector<std::string> Parts();

 private:
  absl::string_view rest_;
};

}  // namespace monoquant::fuzz

#endif  // MONOQUANT_TESTS_FUZZ_FUZZ_TARGET_H_
