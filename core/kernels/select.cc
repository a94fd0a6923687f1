// Which tables there are, and which one is in use.

#include <atomic>

#include "core/kernels/kernels.h"
#include "core/kernels/simd.h"

namespace monoquant {
namespace {

// Null until the first use.
std::atomic<const Kernels*> active{nullptr};

}  // namespace

absl::Span<const Kernels* const> AvailableKernels() {
  // Made once; the reference ends it.
  static const struct Tables {
    const Kernels* tables[kMaxSimdTables + 1];
    size_t size;
  } all = [] {
    Tables found{};
    found.size = FindSimdKernels(found.tables);
    found.tables[found.size++] = &kScalarKernels;
    return found;
  }();
  return absl::MakeConstSpan(all.tables, all.size);
}

const Kernels& ActiveKernels() {
  const Kernels* kernels = active.load(std::memory_order_acquire);
  return kernels != nullptr ? *kernels : *AvailableKernels().front();
}

bool UseKernels(absl::string_view name) {
  for (const Kernels* kernels : AvailableKernels()) {
    if (kernels->name != name) continue;
    active.store(kernels, std::memory_order_release);
    return true;
  }
  return false;
}

}  // namespace monoquant
