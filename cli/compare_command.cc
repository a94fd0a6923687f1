#include "cli/compare_command.h"

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cli/compare_checkpoints.h"
#include "cli/compare_report.h"
#include "cli/human.h"
#include "cli/input_file.h"
#include "cli/parallel.h"
#include "cli/progress.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

constexpr int64_t kDefaultTop = 20;

// Why `other` does not pass the gate, or OK.
absl::Status CheckGate(const Comparison& comparison, double fail_under) {
  const CheckpointComparison& result = comparison.result;
  const std::string& path = comparison.files[1].path;
  const auto tensor = [&](absl::string_view name) {
    return absl::StrCat(path, ": tensor '", name, "'");
  };
  const std::string from_another =
      absl::StrCat(" in ", comparison.files[0].path,
                   "; compare a checkpoint with the one that it was made from");
  if (!result.missing.empty()) {
    return AbortedError(tensor(result.missing[0]), " is missing but present",
                        from_another);
  }
  if (!result.mismatched.empty()) {
    const TensorPair& pair = result.mismatched[0];
    const TensorInfo& info = comparison.original(pair);
    return AbortedError(tensor(info.name), " is ",
                        DescribeTensor(comparison.other(pair)), " but ",
                        DescribeTensor(info), from_another);
  }
  if (!result.different.empty()) {
    const TensorInfo& info = comparison.original(result.different[0]);
    return AbortedError(tensor(info.name), " of type ", DTypeName(info.dtype),
                        " has other values than", from_another);
  }
  if (result.floats.empty()) return absl::OkStatus();
  const FloatComparison& worst = result.floats[0];
  if (worst.SqnrDb() >= fail_under) return absl::OkStatus();
  const std::string& name = comparison.original(worst.pair).name;
  if (worst.became_nonfinite > 0) {
    return AbortedError(
        tensor(name), ": ", Plural(worst.became_nonfinite, "finite value"),
        " became NaN or infinite; give it a type of more range, "
        "as with --rule '",
        name, "=bf16'");
  }
  return AbortedError(tensor(name), " has an SQNR of ", HumanDb(worst.SqnrDb()),
                      ", less than the ", HumanDb(fail_under),
                      " of --fail-under; give it more bits, as with --rule '",
                      name, "=fp16'");
}

}  // namespace

absl::Status RunCompare(const CompareArgs& args, Streams& streams) {
  Comparison comparison;
  const InputArgs* inputs[2] = {&args.original, &args.other};
  for (int side = 0; side < 2; ++side) {
    MQ_ASSIGN_OR_RETURN(comparison.files[side], OpenInput(*inputs[side]));
    MQ_ASSIGN_OR_RETURN(comparison.inputs[side],
                        Dequantized(comparison.files[side]));
  }
  {
    Progress progress(args.report.progress, "comparing", streams.err);
    MQ_ASSIGN_OR_RETURN(comparison.result,
                        CompareCheckpoints(*comparison.inputs[0].reader,
                                           *comparison.inputs[1].reader,
                                           ResolveThreads(args.run.threads),
                                           *streams.cancel, progress));
  }
  for (const FloatComparison& row : comparison.result.floats) {
    comparison.quality.Add(comparison.original(row.pair).name, row.SqnrDb());
  }
  absl::Status status;
  CompareGate gate;
  if (args.fail_under) {
    status = CheckGate(comparison, *args.fail_under);
    gate = {*args.fail_under, status.ok()};
  }
  if (args.report.json) {
    streams.WriteDocument(ComparisonToJson(comparison, args.top.value_or(0),
                                           args.fail_under ? &gate : nullptr));
  } else if (!args.report.quiet) {
    *streams.out << ComparisonToText(comparison,
                                     args.top.value_or(kDefaultTop));
  }
  return status;
}

}  // namespace monoquant::cli
