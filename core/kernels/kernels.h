// The loops that all time is spent in, once for each instruction set.
//
// A table has one function for each loop. kScalarKernels is the reference: it
// defines every result, and all other tables give the same bits (no fused
// multiply-add, sums over kLanes lanes whatever the vector length). So the
// choice of a table changes how long something takes and nothing else.
//
// Elements may have any alignment where they are bytes, and their own where
// they are typed. Inputs and outputs do not overlap.

#ifndef MONOQUANT_CORE_KERNELS_KERNELS_H_
#define MONOQUANT_CORE_KERNELS_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/level_grid.h"

namespace monoquant {

// Sums run in so many lanes, element i in lane i % kLanes.
inline constexpr size_t kLanes = 16;

// Sums over pairs of an original a and its approximation b; e is a - b.
struct ErrorSums {
  double aa[kLanes] = {};
  double ab[kLanes] = {};
  double bb[kLanes] = {};
  double ee[kLanes] = {};
  double max_abs_error[kLanes] = {};
};

struct Kernels {
  // "scalar", "sse4", "avx2", "avx512" or "wasm128".
  absl::string_view name;

  // Casts, of `count` elements: core/casts.h. Those to float tell whether all
  // values are finite.
  bool (*half_to_float)(const uint8_t* src, size_t count, float* dst);
  bool (*bfloat16_to_float)(const uint8_t* src, size_t count, float* dst);
  void (*float_to_half)(const float* src, size_t count, uint8_t* dst);
  void (*float_to_bfloat16)(const float* src, size_t count, uint8_t* dst);

  // How many values are NaN or infinite.
  size_t (*count_nonfinite)(const float* values, size_t count);

  // Extends ranges[i / run] by values[i]. All values are finite; `run` is not
  // 0.
  void (*extend_ranges)(const float* values, size_t count, size_t run,
                        ValueRange* ranges);

  // The level nearest to values[i] under params[i / run], ties to even, as a
  // byte (core/codecs/codec.h). All values are finite.
  void (*round_to_levels)(const LevelGrid& grid, const QParams* params,
                          size_t run, const float* values, size_t count,
                          uint8_t* levels);

  // values[i] = (levels[i] - zero_point) * scale, with params[i / run]; of
  // kLlmInt8 levels[i] * scale / 127.
  void (*levels_to_values)(LevelKind kind, const QParams* params, size_t run,
                           const uint8_t* levels, size_t count, float* values);

  // Two levels of 4 bits a byte, the first one in the lower half; `count` is
  // even. Unpacking extends the sign if `is_signed`.
  void (*pack_nibbles)(const uint8_t* levels, size_t count, uint8_t* bytes);
  void (*unpack_nibbles)(const uint8_t* bytes, size_t count, bool is_signed,
                         uint8_t* levels);

  // Adds the pairs (a[i], b[i]) to `sums`: in float for `count` elements,
  // at most kErrorBlock, and in double from there on. False, with nothing
  // added, where float is not enough: for a NaN, an infinity, or numbers whose
  // squares are too large or too small.
  bool (*add_errors)(const float* a, const float* b, size_t count,
                     ErrorSums* sums);

  // round_to_levels, and add_errors between the values and what their levels
  // stand for, in one go. The first value is number `in_run` of its run; `run`
  // is a multiple of kLanes and so is `in_run`, or all values are of one run.
  // The levels are complete whatever the result is. Sums of a * b follow from
  // the others, a * a + b * b - e * e = 2 a * b: levels are near their values.
  bool (*round_and_add_errors)(const LevelGrid& grid, const QParams* params,
                               size_t run, size_t in_run, const float* values,
                               size_t count, uint8_t* levels, ErrorSums* sums);
};

inline constexpr size_t kErrorBlock = 4096;

// The reference.
extern const Kernels kScalarKernels;

// The tables that this processor can run, the fastest first, the reference
// last.
absl::Span<const Kernels* const> AvailableKernels();

// The table in use: the first of AvailableKernels() unless UseKernels chose
// another. Thread-safe.
const Kernels& ActiveKernels();

// Chooses a table by name for the whole process; false if there is none of that
// name. For measurements and to show that the results are equal.
bool UseKernels(absl::string_view name);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_KERNELS_KERNELS_H_
