// bazel run //tests/bench:kernels [-- [--json] [--threads] KERNELS...]
//
// What the loops over weights cost without any file: one thread, data in
// memory, gigabytes of input a second beside memcpy of the same bytes. A row is
// what a job does with a piece: casts, statistics, levels, packing, and with
// "+error" the comparison of the result with the input. KERNELS are tables of
// core/kernels/kernels.h ("avx2"); by default the fastest. With --json a row is
// a JSON object on a line of its own.
//
// --threads compares two threads, each with data of its own, with one: with
// data in memory, and with as much work on data that stays in a core's own
// cache. The second tells what two threads could do if they did not share the
// memory.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "core/casts.h"
#include "core/error_stats.h"
#include "core/kernels/kernels.h"
#include "core/nonfinite.h"
#include "core/observers/minmax.h"
#include "core/recipe.h"
#include "core/registry.h"
#include "core/resolve_scheme.h"
#include "core/tensor_coder.h"
#include "core/testing/synthetic.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

constexpr int kRuns = 5;
constexpr size_t kRows = 4096;
constexpr size_t kColumns = 4096;
// Rows of a matrix that the second-level cache has room for.
constexpr size_t kCachedRows = 32;
constexpr size_t kTile = 4096;
// Results go where a job puts them: into a buffer that is used again and again.
constexpr size_t kBuffer = size_t{1} << 20;

// Seconds of the median run.
double Median(const std::function<void()>& run) {
  run();  // touches memory, fills caches
  std::vector<double> seconds;
  for (int i = 0; i < kRuns; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - begin;
    seconds.push_back(time.count());
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[kRuns / 2];
}

std::vector<uint8_t> MakeInput(DType dtype, size_t rows = kRows) {
  const std::vector<float> values =
      testing::Make(testing::Values::kRandom, kColumns * kCachedRows);
  std::vector<uint8_t> bytes(rows * kColumns * FloatBytes(dtype));
  const size_t step = values.size() * FloatBytes(dtype);
  for (size_t at = 0; at < bytes.size(); at += step) {
    FromFloat(dtype, values, bytes.data() + at);
  }
  return bytes;
}

// Quantizes all rows of `input` into `codes`, a tile at a time. In cache lines
// of its own, and of the pairs that processors fetch, so that two threads with
// one each have nothing in common.
class alignas(256) Quantizer {
 public:
  Quantizer(DType dtype, const QuantScheme& scheme, size_t rows = kRows)
      : dtype_(dtype),
        layout_(*ComputeParamLayout(scheme, {static_cast<int64_t>(rows),
                                             static_cast<int64_t>(kColumns)})),
        coder_(scheme, layout_, DefaultRegistry().FindAlgorithm("rtn")),
        values_(kTile),
        levels_(kTile) {}

  void Run(const std::vector<uint8_t>& input, bool errors,
           std::vector<uint8_t>& codes) {
    const SlotRange slots = {0, layout_.num_params};
    const std::unique_ptr<Observer> observer =
        kMinMaxObserver.create(slots.count);
    std::vector<QParams> params(slots.count);
    ErrorStats stats;
    for (size_t at = 0; at < layout_.num_elements; at += kTile) {
      const uint8_t* from = input.data() + at * FloatBytes(dtype_);
      absl::Span<const float> values =
          absl::MakeConstSpan(reinterpret_cast<const float*>(from), kTile);
      if (dtype_ != DType::kF32) {
        nonfinite_ += ToFloat(dtype_, from, absl::MakeSpan(values_)) ? 0 : 1;
        values = values_;
      } else {
        nonfinite_ += CountNonfinite(values);
      }
      coder_.Observe(at, values, slots, *observer);
      const SlotRange seen = SlotsOf(layout_, at, kTile);
      observer->Compute(seen.first, coder_.grid(),
                        absl::MakeSpan(params).subspan(seen.first, seen.count));
      const CodeRows& rows = coder_.rows();
      uint8_t* const out = codes.data() + rows.ByteOf(at) % kBuffer;
      const absl::Span<uint8_t> levels =
          absl::MakeSpan(rows.stores_levels() ? out : levels_.data(), kTile);
      coder_.Quantize(at, values, slots, params, levels,
                      errors ? &stats : nullptr);
      if (!rows.stores_levels()) rows.Pack(at, levels, out);
    }
  }

 private:
  DType dtype_;
  ParamLayout layout_;
  TensorCoder coder_;
  std::vector<float> values_;
  std::vector<uint8_t> levels_;
  size_t nonfinite_ = 0;
};

void Cast(DType from, DType to, const std::vector<uint8_t>& input, bool errors,
          std::vector<uint8_t>& output) {
  std::vector<float> values(2048);
  std::vector<float> decoded(values.size());
  ErrorStats stats;
  for (size_t at = 0; at < kRows * kColumns; at += values.size()) {
    uint8_t* out = output.data() + at * FloatBytes(to) % kBuffer;
    ToFloat(from, input.data() + at * FloatBytes(from), absl::MakeSpan(values));
    FromFloat(to, values, out);
    if (!errors) continue;
    ToFloat(to, out, absl::MakeSpan(decoded));
    stats.Add(values, decoded);
  }
}

QuantScheme SchemeOf(const char* spec) {
  const SchemeSpec parsed = **ParseSchemeSpec(spec);
  const Shape shape = {static_cast<int64_t>(kRows),
                       static_cast<int64_t>(kColumns)};
  return ResolveScheme(parsed, shape)->scheme;
}

// Seconds of two threads that run at the same time, the median of runs.
template <typename Run>
double MedianOfTwo(Run run) {
  return Median([&] {
    std::thread other([&] { run(1); });
    run(0);
    other.join();
  });
}

// How much more two threads do than one, with matrices of `rows` rows that are
// gone through `times` times, for memcpy and for each scheme.
std::vector<std::pair<std::string, double>> GainsOfTwo(DType dtype, size_t rows,
                                                       int times) {
  const std::vector<uint8_t> inputs[2] = {MakeInput(dtype, rows),
                                          MakeInput(dtype, rows)};
  std::vector<uint8_t> outputs[2];
  // Quantizers write to a buffer however large the input is.
  for (std::vector<uint8_t>& output : outputs) {
    output.resize(std::max(inputs[0].size(), kBuffer));
  }
  std::vector<std::pair<std::string, double>> gains;
  const auto measure = [&](std::string what, auto run_once) {
    const auto run = [&](size_t thread) {
      for (int i = 0; i < times; ++i) run_once(thread);
    };
    const double one = Median([&] { run(0); });
    gains.emplace_back(std::move(what), 2 * one / MedianOfTwo(run));
  };
  measure("memcpy", [&](size_t thread) {
    std::memcpy(outputs[thread].data(), inputs[thread].data(),
                inputs[thread].size());
  });
  for (const char* spec : {"int8", "int4,group=128", "fp8_e4m3"}) {
    Quantizer quantizers[2] = {Quantizer(dtype, SchemeOf(spec), rows),
                               Quantizer(dtype, SchemeOf(spec), rows)};
    for (bool errors : {false, true}) {
      measure(spec + std::string(errors ? " +error" : ""), [&](size_t thread) {
        quantizers[thread].Run(inputs[thread], errors, outputs[thread]);
      });
    }
  }
  return gains;
}

void MeasureThreads(DType dtype) {
  // Long enough that the start of a thread does not matter.
  constexpr int kTimes = 20;
  const auto in_memory = GainsOfTwo(dtype, kRows, kTimes);
  const auto in_cache =
      GainsOfTwo(dtype, kCachedRows, kTimes * (kRows / kCachedRows));
  for (size_t i = 0; i < in_memory.size(); ++i) {
    std::printf(
        "%-28s %-5s two threads do as much as %.2f; with data in the cache "
        "%.2f\n",
        in_memory[i].first.c_str(), std::string(DTypeName(dtype)).c_str(),
        in_memory[i].second, in_cache[i].second);
  }
}

// Prints the rows of one table of kernels for one type of input.
class Printer {
 public:
  Printer(std::string kernels, bool json, DType dtype, double bytes,
          double yardstick)
      : kernels_(std::move(kernels)),
        json_(json),
        dtype_(DTypeName(dtype)),
        bytes_(bytes),
        yardstick_(yardstick) {}

  void Print(const std::string& what, bool errors, double seconds) const {
    const double speed = bytes_ / seconds / 1e9;
    const double share = yardstick_ / seconds;
    if (json_) {
      std::printf(
          "{\"kernels\": \"%s\", \"scheme\": \"%s\", \"error\": %s, "
          "\"dtype\": \"%s\", \"gigabytes_per_second\": %.4f, "
          "\"of_memcpy\": %.4f}\n",
          kernels_.c_str(), what.c_str(), errors ? "true" : "false",
          dtype_.c_str(), speed, share);
    } else {
      std::printf("%-28s %-5s %7.2f GB/s  %5.2f of memcpy\n",
                  (what + (errors ? " +error" : "")).c_str(), dtype_.c_str(),
                  speed, share);
    }
  }

 private:
  std::string kernels_;
  bool json_;
  std::string dtype_;
  double bytes_;
  double yardstick_;
};

void Measure(const std::string& kernels, bool json, DType dtype) {
  const std::vector<uint8_t> input = MakeInput(dtype);
  std::vector<uint8_t> output(input.size());
  const double yardstick =
      Median([&] { std::memcpy(output.data(), input.data(), input.size()); });
  const Printer printer(kernels, json, dtype, static_cast<double>(input.size()),
                        yardstick);
  printer.Print("memcpy", false, yardstick);
  for (const char* spec : {"int8", "int8,asymmetric", "int4,group=128",
                           "int4,group=128,asymmetric", "int4,group=32",
                           "fp8_e4m3", "fp8_e4m3,group=128", "nf4,group=64",
                           "fp4_e2m1,group=32,scale_dtype=e8m0", "llm_int8"}) {
    Quantizer quantizer(dtype, SchemeOf(spec));
    for (bool errors : {false, true}) {
      const double seconds =
          Median([&] { quantizer.Run(input, errors, output); });
      printer.Print(spec, errors, seconds);
    }
  }
  for (DType to : {DType::kF16, DType::kBF16}) {
    if (to == dtype) continue;
    for (bool errors : {false, true}) {
      const double seconds =
          Median([&] { Cast(dtype, to, input, errors, output); });
      printer.Print("to " + std::string(DTypeName(to)), errors, seconds);
    }
  }
}

}  // namespace
}  // namespace monoquant

int main(int argc, char** argv) {
  std::vector<std::string> names(argv + 1, argv + argc);
  const bool json = std::erase(names, "--json") > 0;
  const bool threads = std::erase(names, "--threads") > 0;
  if (names.empty()) {
    names.emplace_back(monoquant::AvailableKernels().front()->name);
  }
  for (const std::string& name : names) {
    if (!monoquant::UseKernels(name)) {
      std::fprintf(stderr, "this processor has no kernels '%s'; it has",
                   name.c_str());
      for (const monoquant::Kernels* kernels : monoquant::AvailableKernels()) {
        std::fprintf(stderr, " %s", std::string(kernels->name).c_str());
      }
      std::fprintf(stderr, "\n");
      return 2;
    }
    if (!json) std::printf("%s\n", name.c_str());
    for (monoquant::DType dtype :
         {monoquant::DType::kBF16, monoquant::DType::kF16,
          monoquant::DType::kF32}) {
      if (threads) {
        monoquant::MeasureThreads(dtype);
      } else {
        monoquant::Measure(name, json, dtype);
      }
    }
  }
  return 0;
}
