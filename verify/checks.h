// The checks, one file each. Each adds what it finds.

#ifndef MONOQUANT_VERIFY_CHECKS_H_
#define MONOQUANT_VERIFY_CHECKS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "verify/checksums.h"
#include "verify/finding.h"
#include "verify/subject.h"

namespace monoquant {

// The files that the index, `main_file`, names, against those that are there:
// missing and left over ones, tensors that lie elsewhere than it says, and
// total_size. Opens each, and adds to `subject` what is said of a file and not
// of the checkpoint. Errors of the index itself are returned.
absl::Status CheckShards(Subject* subject, Findings* findings);

// Finds the method of `subject` in its configuration, and what is wrong with
// the configuration whatever the method is.
void CheckMethod(Subject* subject, Findings* findings);

// Fills in subject->weights: those that opening has found and describes in
// `found`, and FP8 with scales.
void FindWeights(const QuantRecord& found, Subject* subject);

// The configuration against the weights, by method.
void CheckConfig(const Subject& subject, Findings* findings);
void CheckCompressedTensorsConfig(const Subject& subject, Findings* findings);
void CheckWordsConfig(const Subject& subject, Findings* findings);
// Modules that Transformers is told to leave in floats, in the list under
// `key`, against those that are floats.
void CheckFloatModules(const Subject& subject, absl::string_view key,
                       Findings* findings);

// Zero points and groups of columns of GPTQ's, which are read.
absl::Status CheckGptqParts(const Subject& subject, Findings* findings);

// The metadata of torchao's files against the tensors.
void CheckTorchaoMetadata(const Subject& subject, Findings* findings);

// Global scales of NVFP4 that have to be one, which are read.
absl::Status CheckGlobalScales(const Subject& subject, Findings* findings);

// Types that no program knows, and ties.
void CheckTensors(const Subject& subject, Findings* findings);

// What the program of the subject cannot load; without one, what some cannot.
void CheckProgram(const Subject& subject, Findings* findings);

// How its weights are stored: a name of --to, another quant_method, or that of
// the container.
std::string FormatOf(const Subject& subject);

// Reads everything that a file has a checksum of, and compares.
absl::StatusOr<Checksums> CheckChecksums(const Subject& subject,
                                         VerifyProgress progress,
                                         Findings* findings);

}  // namespace monoquant

#endif  // MONOQUANT_VERIFY_CHECKS_H_
