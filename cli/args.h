// The arguments that several commands share, as plain data.
//
// flags.cc fills them from the command line; tests fill them by hand.

#ifndef MONOQUANT_CLI_ARGS_H_
#define MONOQUANT_CLI_ARGS_H_

#include <cstdint>
#include <string>

#include "cli/progress.h"

namespace monoquant::cli {

struct InputArgs {
  std::string path;           // a file or a directory
  std::string root;           // --root: OpenOptions::root
  bool allow_opaque = false;  // --allow-opaque, likewise
  bool as_stored = false;     // --as-stored, likewise
};

// --verify: what of the output is read back.
enum class VerifyMode : uint8_t { kNone, kSample, kAll };

struct OutputArgs {
  std::string path;     // empty: chosen by the command
  std::string to;       // --to: name of an exporter; empty: by the extension
  std::string program;  // --for: name of a program; empty: none
  bool force = false;
  bool resume = true;  // --no-resume: keep nothing, and go on with nothing
  VerifyMode verify = VerifyMode::kNone;
  uint64_t max_shard_bytes = 0;  // --max-shard-size; 0: shards as in the input
};

struct RunArgs {
  int threads = 0;           // 0: one for each core
  uint64_t chunk_bytes = 0;  // 0: see job_size.h
  uint64_t max_memory = 0;   // --max-memory; 0: see job_size.h
  std::string simd;          // --simd; empty: the fastest there is
};

struct ReportArgs {
  bool json = false;   // one JSON document instead of the summary
  bool quiet = false;  // no summary, no notes, no progress
  ProgressStyle progress = ProgressStyle::kPlain;
};

// What every command has that turns one checkpoint into another.
struct TransformArgs {
  InputArgs input;
  OutputArgs output;
  RunArgs run;
  ReportArgs report;
};

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_ARGS_H_
