// The state of one scan, and the steps that its parts call each other with.

#ifndef MONOQUANT_FRONTENDS_SCAN_SCANNER_H_
#define MONOQUANT_FRONTENDS_SCAN_SCANNER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/pickle/pickle_machine.h"
#include "frontends/scan/scan.h"
#include "frontends/scan/scan_report.h"
#include "frontends/zip/zip_archive.h"
#include "ir/byte_source.h"

namespace monoquant {

// One object scans one file or directory. The functions are in several files,
// by what they look into. The statuses that they return are errors of the
// source; what is wrong with the content goes into the report.
class Scanner {
 public:
  using Source = std::shared_ptr<const ByteSource>;

  // Why a pickle may begin somewhere.
  enum class Expect {
    kByName,    // the member is called like one
    kByHeader,  // it has the header of protocol 2 or later
    kAnything,  // it may, as anywhere
  };

  explicit Scanner(const ScanLimits& limits) : limits_(limits) {}

  // Names what is scanned during its life.
  class Inside {
   public:
    Inside(Scanner* scanner, absl::string_view name);
    ~Inside() { scanner_->where_.pop_back(); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    Scanner* const scanner_;
  };

  // Finds out what the bytes are, whatever they are called. `depth` counts the
  // archives around them.
  absl::Status ScanAnything(const Source& source, int depth);

  // With its verdict.
  ScanReport TakeReport() &&;

 private:
  // scan_pickle.cc

  // Pickles one after another from `offset` on, to the end or to something that
  // is none. Returns where that is.
  absl::StatusOr<uint64_t> ScanPickles(const ByteSource& source,
                                       uint64_t offset, Expect expect);
  // The number of its bytes; 0 if there is none or it does not end.
  absl::StatusOr<uint64_t> ScanOnePickle(const ByteSource& source,
                                         uint64_t offset, Expect expect);
  void Report(const PickleRun& run, const PickleAudit& audit, uint64_t offset);
  // Pickles that torch.storage._load_from_bytes is handed.
  absl::Status ScanLoadedBytes(const PickleGraph& graph);

  // scan_zip.cc

  absl::Status ScanZip(const Source& source, int depth);
  // The members as the strict reader has them; false if it refuses one.
  absl::StatusOr<bool> ScanZipDirectory(const Source& source,
                                        const ZipArchive& zip, int depth);
  // Sound archives one after another, as distributed checkpoints have them;
  // false if that is not what the bytes are.
  absl::StatusOr<bool> ScanZipChain(const Source& source, int depth);
  // Every header of a member that is anywhere in the file.
  absl::Status SearchZip(const Source& source, int depth);
  // The member whose header is at `offset`, of at most `size` stored bytes.
  // Pickles and deflate streams end by themselves, so nothing depends on what
  // sizes and checksums the archive states. Returns false if there is no
  // header.
  absl::StatusOr<bool> ScanZipMember(const Source& source, uint64_t offset,
                                     uint64_t size, int depth);

  // scan_tar.cc

  absl::Status ScanTar(const Source& source, int depth);
  // Pickles between other bytes, behind those of this member that were found.
  absl::Status SearchPickles(const ByteSource& source);

  // scanner.cc

  absl::Status ScanNumpy(const ByteSource& source);
  absl::Status ScanCompressed(const Source& source, int depth);
  // Inflates at most `limit` bytes of what is left for the whole scan. Adds a
  // problem if there is more.
  absl::StatusOr<Source> Inflate(const Source& source, uint64_t offset,
                                 bool has_header, size_t limit);
  void AddProblem(std::string what);

  const ScanLimits limits_;
  ScanReport report_;
  std::vector<std::string> where_;
  uint64_t instructions_ = 0;
  uint64_t inflated_ = 0;
  uint64_t searched_ = 0;
  size_t globals_ = 0;
  // Pickles around the one that is scanned.
  int outer_pickles_ = 0;
};

// What a file or member is, by its first bytes.
enum class ScanKind {
  kZip,
  kTar,
  kPickle,         // with the header of protocol 2 or later
  kNumpy,          // an array that may be pickled
  kDeflate,        // gzip, or zlib as joblib writes it
  kNotLookedInto,  // compressed in another way
  kOther,
};

// `head`: the first 512 bytes, or all.
ScanKind TellScanKind(absl::string_view head);

// The first bytes of a source, up to `size`.
absl::StatusOr<std::string> ReadHead(const ByteSource& source, uint64_t offset,
                                     size_t size);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SCAN_SCANNER_H_
