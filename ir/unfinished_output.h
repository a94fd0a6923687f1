// What an interrupted run leaves of its output, so that another run can go on
// from there (POSIX).
//
// While it is written, an output lies beside its place under the name of
// PartName (ir/output_place.h), and a log there says, in records that mean
// something to the caller, what of it is finished. Nothing is synced for it: a
// power cut may lose parts that the log has, and the log's end. So a record has
// to tell how its part can be checked.

#ifndef MONOQUANT_IR_UNFINISHED_OUTPUT_H_
#define MONOQUANT_IR_UNFINISHED_OUTPUT_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ir/output_place.h"
#include "ir/unique_fd.h"

namespace monoquant {

// The output belongs to this object, and to no other process, as long as it
// exists. Add is thread-safe.
class UnfinishedOutput {
 public:
  // `key` is a text without line breaks that two runs share if, and only if,
  // they write the same bytes to the same places.
  //
  // AlreadyExists if another run is writing the output. Any other error means
  // that this cannot be had here, for a file system without locks or a
  // directory that may not be written to; the output itself may be possible.
  static absl::StatusOr<std::unique_ptr<UnfinishedOutput>> Claim(
      const std::string& path, OutputPlace place, absl::string_view key);

  // Leaves everything to a later run if there is any record, and removes it
  // otherwise.
  ~UnfinishedOutput();

  UnfinishedOutput(const UnfinishedOutput&) = delete;
  UnfinishedOutput& operator=(const UnfinishedOutput&) = delete;

  // Those of an earlier run with the same key whose parts are still there, in
  // their order; empty if there was none.
  const std::vector<std::string>& records() const { return records_; }

  // The entry that holds the parts.
  std::string PartPath() const;

  // Appends a record. Where that fails, nothing more is recorded: what is lost
  // is work, should this run be interrupted.
  void Add(absl::string_view record);

  // Whether a later run has anything to go on from.
  bool worth_keeping() const;

  // Removes the parts and the log: the output has its place, or what was
  // written is of no use to anybody.
  void Remove();

 private:
  UnfinishedOutput(OutputPlace place, UniqueFd directory)
      : place_(std::move(place)), directory_(std::move(directory)) {}

  absl::Status Lock(const std::string& path);
  void ReadLog(absl::string_view key);
  void StartLog(absl::string_view key);

  const OutputPlace place_;
  UniqueFd directory_;
  UniqueFd log_;
  std::vector<std::string> records_;
  bool removed_ = false;

  mutable std::mutex mutex_;
  uint64_t log_size_ = 0;
  uint64_t added_ = 0;
  bool broken_ = false;
};

}  // namespace monoquant

#endif  // MONOQUANT_IR_UNFINISHED_OUTPUT_H_
