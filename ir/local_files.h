// Files of the local file system as sources and sinks (POSIX).
//
// Not compiled into the wasm module, which gets its bytes from its host.

#ifndef MONOQUANT_IR_LOCAL_FILES_H_
#define MONOQUANT_IR_LOCAL_FILES_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ir/byte_sink.h"
#include "ir/byte_source.h"

namespace monoquant {

// Opens a file for random access. NotFound, PermissionDenied, or
// InvalidArgument if `path` is no regular file; the message names the path.
absl::StatusOr<std::unique_ptr<ByteSource>> OpenLocalFile(
    const std::string& path);

// The checkpoint at `path`, a file or a directory. `names` are the entries of
// the directory (for a file, of the one it lies in) that are regular files or
// symbolic links that lead to one: hub caches link every file to a blob store.
// Nothing below the directory is listed, so a name never has a separator.
//
// NotFound, PermissionDenied, or InvalidArgument for a device or a pipe. A
// single file in a directory that cannot be listed is a checkpoint of one file.
absl::StatusOr<CheckpointFiles> OpenLocalCheckpoint(const std::string& path);

// What becomes of an output that is not committed.
enum class Unfinished : uint8_t {
  kRemove,  // it leaves nothing
  // It stays, under the name of PartName (ir/output_place.h), which only one
  // run may use at a time (ir/unfinished_output.h). What has that name now is
  // removed first ...
  kKeep,
  // ... or gone on with: ranges that are not written keep what they hold.
  kContinue,
};

struct LocalSinkOptions {
  // Replace an existing file at Commit. Otherwise its existence is an error
  // already at creation, and once more at Commit.
  bool overwrite = false;
  Unfinished unfinished = Unfinished::kRemove;
};

// Creates a sink for `path` of exactly `size` bytes: a temporary file
// ".NAME.mq-XXXXXX.tmp" in the same directory, space reserved at once, synced
// and renamed at Commit, removed (see Unfinished) if the sink is destroyed
// before. If `path` is
// a symbolic link, the file that it leads to is created or replaced and the
// link stays.
//
// Errors, none of which touches what exists: AlreadyExists (without
// `overwrite`), NotFound (no such directory), PermissionDenied,
// ResourceExhausted (not enough space; states bytes needed and free),
// InvalidArgument (`path` is a directory, a device or a pipe).
absl::StatusOr<std::unique_ptr<ByteSink>> CreateLocalSink(
    const std::string& path, uint64_t size, const LocalSinkOptions& options);

// Removes the temporary files of all sinks, and of every LocalDirectory
// (ir/local_directory.h), that are neither committed nor destroyed, unless they
// are to be kept.
// Async-signal-safe (on Linux), for a handler that is about to end the process:
// they cannot be committed afterwards. Covers up to 32 at a time; a directory
// with all of its files is one.
void RemovePendingOutputs();

// True if both paths exist and are one file or directory (device and inode),
// however they are spelled or linked.
bool SameFile(const std::string& a, const std::string& b);

}  // namespace monoquant

#endif  // MONOQUANT_IR_LOCAL_FILES_H_
