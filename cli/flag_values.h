// The values of flags, from text. Every error names the flag, quotes the value
// and says what would be right. InvalidArgument throughout.

#ifndef MONOQUANT_CLI_FLAG_VALUES_H_
#define MONOQUANT_CLI_FLAG_VALUES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/args.h"
#include "cli/progress.h"
#include "core/layer_kind.h"
#include "core/recipe.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"

namespace monoquant::cli {

// A whole number from `min` to `max`.
absl::StatusOr<int64_t> ParseInteger(absl::string_view flag,
                                     absl::string_view text, int64_t min,
                                     int64_t max);

// A finite number.
absl::StatusOr<double> ParseNumber(absl::string_view flag,
                                   absl::string_view text);

// Bytes: "65536", "64K", "8M", "1G" (powers of 1024; "KiB" and "KB" mean the
// same), from `min` to `max`.
absl::StatusOr<uint64_t> ParseByteCount(absl::string_view flag,
                                        absl::string_view text, uint64_t min,
                                        uint64_t max);

// --bits: 4, 8 or 16.
absl::StatusOr<int64_t> ParseBits(absl::string_view text);
// --type: a NumberFormatName, or the name of one of NamedSchemes.
absl::StatusOr<absl::string_view> ParseType(absl::string_view text);
// --scheme: true for "symmetric", false for "asymmetric".
absl::StatusOr<bool> ParseSymmetric(absl::string_view text);
absl::StatusOr<Granularity> ParseGranularity(absl::string_view text);
absl::StatusOr<Convention> ParseConvention(absl::string_view text);
absl::StatusOr<Nonfinite> ParseNonfinite(absl::string_view text);
// --layer-types: names with commas between them, as in "Linear,LSTM".
absl::StatusOr<std::vector<LayerKind>> ParseLayerTypes(absl::string_view text);
// --verify: sample or all.
absl::StatusOr<VerifyMode> ParseVerify(absl::string_view text);
// --simd, or the variable that stands for it: the name of kernels that this
// machine can run (core/kernels).
absl::StatusOr<std::string> ParseSimd(absl::string_view flag,
                                      absl::string_view text);
// --dtype: "F32", "f32", "float32" and the like; F16, BF16, F32 or F64.
absl::StatusOr<DType> ParseFloatDType(absl::string_view text);
absl::StatusOr<DType> ParseScaleDType(absl::string_view text);

// --progress: what to show is decided by the value and by where stderr goes.
enum class ProgressFlag : uint8_t { kAuto, kBar, kPlain, kNone };
absl::StatusOr<ProgressFlag> ParseProgress(absl::string_view text);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_FLAG_VALUES_H_
