// Where checkpoint bytes come from: a local file, memory, a browser's File.

#ifndef MONOQUANT_IR_BYTE_SOURCE_H_
#define MONOQUANT_IR_BYTE_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace monoquant {

// Random-access bytes of a known, fixed size. Thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // What error messages call these bytes: a path as the user wrote it.
  virtual const std::string& name() const = 0;

  // Bytes in total.
  virtual uint64_t size() const = 0;

  // Fills `dst` with the bytes from `offset` on. OutOfRange if any lies beyond
  // size(); DataLoss if the file has become shorter since it was opened;
  // Unavailable for a device error. `dst` is unspecified after an error.
  virtual absl::Status ReadAt(uint64_t offset,
                              absl::Span<uint8_t> dst) const = 0;
};

// Bytes in memory. `bytes` is owned.
class MemorySource : public ByteSource {
 public:
  MemorySource(std::string name, std::string bytes)
      : name_(std::move(name)), bytes_(std::move(bytes)) {}

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return bytes_.size(); }
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override;

 private:
  std::string name_;
  std::string bytes_;
};

// A window of another source: [offset, offset + size) of `base`, which it keeps
// alive. OutOfRange if `base` does not contain the range.
absl::StatusOr<std::unique_ptr<ByteSource>> SliceSource(
    std::shared_ptr<const ByteSource> base, uint64_t offset, uint64_t size,
    std::string name);

// Reads all of a small source (an index, a JSON file) of at most `limit`
// bytes. InvalidArgument naming the source and the limit if it is larger.
absl::StatusOr<std::string> ReadAll(const ByteSource& source, uint64_t limit);

// The files of one checkpoint, as a frontend sees them: one file, or the
// regular files directly inside one directory. Hides whether they are local
// files, a test's memory or files that were dropped on a page.
struct CheckpointFiles {
  using Opener = std::function<absl::StatusOr<std::shared_ptr<ByteSource>>(
      absl::string_view name)>;

  // What the user named, for messages.
  std::string path;

  // True if the user named a directory; then `main` is empty.
  bool is_directory = false;

  // The file that the user named, or empty.
  std::string main;

  // Bare names of the files that can be opened, sorted: the directory's, or
  // for a single file those beside it (an index needs its shards).
  std::vector<std::string> names;

  // Opens one of `names`. NotFound for any other name: nothing outside the
  // directory can be reached, whatever a file claims.
  Opener open;
};

// Files in memory, for tests and embedders: pairs of bare name and bytes. The
// last component of `path` names the main one; if no file has that name, `path`
// stands for the directory that holds them.
CheckpointFiles InMemoryFiles(
    std::string path, std::vector<std::pair<std::string, std::string>> files);

}  // namespace monoquant

#endif  // MONOQUANT_IR_BYTE_SOURCE_H_
