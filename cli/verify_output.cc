#include "cli/verify_output.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "cli/human.h"
#include "cli/progress.h"
#include "cli/run_job.h"
#include "core/job.h"
#include "frontends/frontend.h"
#include "ir/errors.h"
#include "ir/local_files.h"
#include "ir/manifest.h"
#include "ir/marks.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

constexpr size_t kSampleStep = 8;

absl::Status Differs(const CheckpointIndex& index, absl::string_view name,
                     absl::string_view how) {
  return AbortedError(
      index.path, ": tensor ", QuotedName(name), " ", how,
      ": what was read back is not what was written; do not use "
      "this file, and check disk and memory");
}

// Compares bytes as a job emits them with those of an output. Thread-safe.
class Verifier {
 public:
  Verifier(const CheckpointReader& written, const Manifest& manifest)
      : written_(written), manifest_(manifest) {}

  // Finds the tensors of the manifest in the output.
  absl::Status Match() {
    const CheckpointIndex& index = written_.index();
    absl::flat_hash_map<absl::string_view, size_t> by_name;
    for (size_t i = 0; i < index.tensors.size(); ++i) {
      by_name.emplace(index.tensors[i].name, i);
    }
    for (const OutputTensor& tensor : manifest_.tensors) {
      const auto found = by_name.find(tensor.name);
      if (found == by_name.end() && tensor.tie == kNoTie) {
        return Differs(index, tensor.name, "is missing");
      }
      tensors_.push_back(found == by_name.end() ? 0 : found->second);
      if (found == by_name.end()) continue;
      const TensorInfo& info = index.tensors[found->second];
      if (info.dtype != tensor.dtype || info.shape != tensor.shape) {
        return Differs(index, tensor.name, "has another type or shape");
      }
    }
    return absl::OkStatus();
  }

  absl::Status Compare(size_t output, uint64_t offset,
                       absl::Span<const uint8_t> bytes) const {
    const OutputTensor& tensor = manifest_.tensors[output];
    const uint64_t bits =
        static_cast<uint64_t>(GetDTypeInfo(tensor.dtype).bits);
    std::vector<uint8_t> found(bytes.size());
    MQ_RETURN_IF_ERROR(written_.Read(tensors_[output], offset * 8 / bits,
                                     bytes.size() * 8 / bits,
                                     absl::MakeSpan(found)));
    const auto [ours, theirs] =
        std::mismatch(bytes.begin(), bytes.end(), found.begin());
    if (ours == bytes.end()) return absl::OkStatus();
    const uint64_t at = offset + static_cast<uint64_t>(ours - bytes.begin());
    return Differs(written_.index(), tensor.name, absl::StrCat("byte ", at));
  }

 private:
  const CheckpointReader& written_;
  const Manifest& manifest_;
  std::vector<size_t> tensors_;  // of each output tensor
};

// The plan without what a sample leaves out. Tensors with a global scale in
// common, which follows from all of them, go together.
Plan Sample(Plan plan) {
  size_t number = 0;
  Marks sampled(plan.tensors.size());
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    TensorPlan& tensor = plan.tensors[i];
    if (tensor.action == Action::kTie) continue;
    sampled[i] = number++ % kSampleStep == 0;
    if (tensor.scale_leader < i) sampled[i] = sampled[tensor.scale_leader];
    // A tied tensor is one that a job does nothing for.
    if (!sampled[i]) tensor.action = Action::kTie;
  }
  return plan;
}

}  // namespace

absl::StatusOr<std::string> VerifyOutput(const std::string& path,
                                         const CheckpointReader& input,
                                         const Plan& plan, VerifyMode mode,
                                         const JobSize& size,
                                         ProgressStyle progress_style,
                                         Streams& streams) {
  MQ_ASSIGN_OR_RETURN(const CheckpointFiles files, OpenLocalCheckpoint(path));
  OpenOptions options;
  options.allow_opaque = true;
  options.as_stored = true;
  MQ_ASSIGN_OR_RETURN(const std::unique_ptr<CheckpointReader> written,
                      OpenCheckpoint(files, options));
  Verifier verifier(*written, plan.manifest);
  MQ_RETURN_IF_ERROR(verifier.Match());
  const Emit compare = [&verifier](size_t output, uint64_t offset,
                                   absl::Span<const uint8_t> bytes, uint32_t) {
    return verifier.Compare(output, offset, bytes);
  };
  JobOptions job_options;
  job_options.chunk_bytes = size.chunk_bytes;
  job_options.measure_errors = false;
  MQ_ASSIGN_OR_RETURN(
      const std::unique_ptr<Job> job,
      Job::Create(&input, mode == VerifyMode::kSample ? Sample(plan) : plan,
                  compare, job_options));
  Progress progress(progress_style, "verifying", streams.err);
  const absl::Status status =
      RunJob(*job, size.threads, *streams.cancel, progress);
  if (absl::IsCancelled(status)) {
    return CancelledError("interrupted; ", path,
                          " is complete, but was not verified to its end");
  }
  MQ_RETURN_IF_ERROR(status);
  return absl::StrCat("the output was read back and compared with ",
                      mode == VerifyMode::kSample
                          ? "every eighth tensor computed again"
                          : "all tensors computed again",
                      ": no difference");
}

}  // namespace monoquant::cli
