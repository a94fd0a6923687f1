// The kernels with Highway, compiled once for each instruction set.
//
// core/kernels/element.h says what each loop does to an element. The loops are
// in core/kernels/simd, a file for each kind. All go by blocks of kLanes
// floats, one vector or several; what is left over is padded to a block. Only
// Highway's headers are used: which set the processor has is asked of the
// compiler's own cpuid code at the end of the file.

#include "core/kernels/simd.h"

#include "core/kernels/kernels.h"

// SSSE3 alone is not worth a table. g++ 12 does not align vectors of 64 bytes
// on the stack that its address sanitizer makes (gcc.gnu.org/PR110027).
#if defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3)
#else
#define HWY_DISABLED_TARGETS HWY_SSSE3
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/simd.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

// The reference is better where there are no vectors.
#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

#include "core/kernels/simd/casts-inl.h"
#include "core/kernels/simd/errors-inl.h"
#include "core/kernels/simd/nibbles-inl.h"
#include "core/kernels/simd/rounding-inl.h"
#include "core/kernels/simd/statistics-inl.h"

HWY_BEFORE_NAMESPACE();
namespace monoquant {
namespace HWY_NAMESPACE {

const Kernels* Table() {
#if HWY_TARGET == HWY_AVX3
  constexpr absl::string_view kName = "avx512";
#elif HWY_TARGET == HWY_AVX2
  constexpr absl::string_view kName = "avx2";
#elif HWY_TARGET == HWY_SSE4
  constexpr absl::string_view kName = "sse4";
#elif HWY_TARGET == HWY_WASM
  constexpr absl::string_view kName = "wasm128";
#elif HWY_TARGET == HWY_NEON
  constexpr absl::string_view kName = "neon";
#else
  constexpr absl::string_view kName = "";
#endif
  static constexpr Kernels kTable = {
      kName,
      Widen<FromHalf>,
      Widen<FromBFloat16>,
      Narrow<FloatToHalf>,
      Narrow<FloatToBFloat16>,
      CountNonfinite,
      ExtendRanges,
      RoundToLevels,
      LevelsToValues,
      PackNibbles,
      UnpackNibbles,
      AddErrors,
      RoundAndAddErrors,
  };
  return &kTable;
}

}  // namespace HWY_NAMESPACE
}  // namespace monoquant
HWY_AFTER_NAMESPACE();

#endif  // HWY_TARGET

#if HWY_ONCE
namespace monoquant {
namespace {

[[maybe_unused]] bool HasAvx512() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd");
#else
  return false;
#endif
}

// Of the processors with AVX2 all but a few early designs have the rest of what
// Highway's target takes.
[[maybe_unused]] bool HasAvx2() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

[[maybe_unused]] bool HasSse4() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") &&
         __builtin_cpu_supports("aes");
#else
  return false;
#endif
}

}  // namespace

size_t FindSimdKernels(const Kernels* (&tables)[kMaxSimdTables + 1]) {
  size_t found = 0;
#if HWY_TARGETS & HWY_AVX3
  if (HasAvx512()) tables[found++] = N_AVX3::Table();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (HasAvx2()) tables[found++] = N_AVX2::Table();
#endif
#if HWY_TARGETS & HWY_SSE4
  if (HasSse4()) tables[found++] = N_SSE4::Table();
#endif
#if HWY_TARGETS & HWY_NEON
  tables[found++] = N_NEON::Table();
#endif
#if HWY_TARGETS & HWY_WASM
  tables[found++] = N_WASM::Table();
#endif
  return found;
}

}  // namespace monoquant
#endif  // HWY_ONCE
