// Several local files that appear together, or not at all (POSIX).

#ifndef MONOQUANT_IR_LOCAL_DIRECTORY_H_
#define MONOQUANT_IR_LOCAL_DIRECTORY_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ir/byte_sink.h"
#include "ir/local_files.h"

namespace monoquant {

// An output that is a directory of files. Everything is written into a
// temporary directory ".NAME.mq-XXXXXX.tmp": beside `path` where that does not
// exist yet, inside it where it does. Commit gives a new directory its name,
// all of it at once, or moves the files into the existing one. Destroyed
// before, it leaves nothing, unless it is to be kept (Unfinished); otherwise
// RemovePendingOutputs covers it.
//
// Not thread-safe. The sinks are, as ByteSink says.
class LocalDirectory {
 public:
  // The directory that is to be created, in one that exists, or to be added to.
  // With `overwrite` files in it may be replaced. Touches nothing that exists.
  //
  // NotFound (no such parent), PermissionDenied, InvalidArgument (`path` is no
  // directory), ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<LocalDirectory>> Create(
      const std::string& path, const LocalSinkOptions& options);

  virtual ~LocalDirectory() = default;

  // A sink for the file `name`, a bare name that was not used before, of `size`
  // bytes, for which space is reserved. Its Commit makes the bytes durable and
  // no more: the file gets its place with the directory. Files are open from
  // their first WriteAt to their Commit only, so there may be any number of
  // them. The directory must outlive the sink.
  //
  // AlreadyExists (without `overwrite`), InvalidArgument (a directory or a
  // special file is in the way), ResourceExhausted.
  virtual absl::StatusOr<std::unique_ptr<ByteSink>> CreateSink(
      const std::string& name, uint64_t size) = 0;

  // Puts the files in place, in the order of CreateSink; every sink must have
  // been committed. To be called once. After an error everything is as it was
  // before; where the file system cannot exchange two files, those that were
  // replaced already stay replaced.
  virtual absl::Status Commit() = 0;
};

}  // namespace monoquant

#endif  // MONOQUANT_IR_LOCAL_DIRECTORY_H_
