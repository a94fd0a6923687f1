// Memory of a running job: measured, against PeakMemory's word for it. Counts
// what goes through operator new.

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "core/job.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "gtest/gtest.h"
#include "ir/checkpoint.h"
#include "ir/quant_storage.h"

namespace {

std::atomic<int64_t> live{0};
std::atomic<int64_t> peak{0};

void Count(int64_t bytes) {
  const int64_t now = live.fetch_add(bytes) + bytes;
  int64_t most = peak;
  while (now > most && !peak.compare_exchange_weak(most, now)) {
  }
}

}  // namespace

void* operator new(size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  Count(static_cast<int64_t>(malloc_usable_size(memory)));
  return memory;
}
void* operator new[](size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept {
  Count(-static_cast<int64_t>(malloc_usable_size(memory)));
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete[](void* memory, size_t) noexcept {
  operator delete(memory);
}

namespace monoquant {
namespace {

// Tensors of any size that take no memory: all values follow from the index.
class EndlessReader : public CheckpointReader {
 public:
  void Add(const std::string& name, Shape shape, DType dtype = DType::kF32) {
    TensorInfo info;
    info.name = name;
    info.dtype = dtype;
    info.byte_size = ByteSize(dtype, shape).value();
    info.shape = std::move(shape);
    index_.tensors.push_back(std::move(info));
  }
  const CheckpointIndex& index() const override { return index_; }
  absl::Status Read(size_t, uint64_t, uint64_t,
                    absl::Span<uint8_t> dst) const override {
    std::memset(dst.data(), 0x3c, dst.size());
    return absl::OkStatus();
  }
  std::optional<FileExtent> Locate(size_t) const override {
    return std::nullopt;
  }

 private:
  CheckpointIndex index_;
};

struct Case {
  const char* spec;
  Shape shape;
  DType dtype;
};

// PeakMemory is honest to within a factor of 1.5, on either side, and one
// tensor of 200 MB to 3 GB takes no more than a few chunks.
TEST(JobMemoryTest, PeakMemoryIsHonest) {
  const Case cases[] = {
      {"int8", {3000, 4096}, DType::kF32},
      {"int8,tensor", {3000, 4096}, DType::kF32},
      {"int8,axis=1", {3000, 4096}, DType::kF32},
      {"int8,axis=1,asymmetric", {20, 500000}, DType::kF32},
      {"int4,group=32", {3000, 4096}, DType::kF32},
      {"int4,group=32,asymmetric", {3, 8 << 20}, DType::kF16},
      {"uint8,group=1,asymmetric", {3000, 4096}, DType::kF16},
      {"nvfp4", {3000, 4096}, DType::kF32},
      {"nf4,double_quant", {3000, 4096}, DType::kF32},
      {"nf4,group=4096,double_quant", {3000, 4096}, DType::kF16},
      {"int4,axis=0", {2, 5000001}, DType::kF64},
      {"fp16", {3000, 4096}, DType::kF64},
      {"bf16", {3000, 4096}, DType::kF16},
  };
  for (const Case& c : cases) {
    for (uint64_t chunk : {uint64_t{64} << 10, uint64_t{8} << 20}) {
      SCOPED_TRACE(std::string(c.spec) + " " + ShapeToString(c.shape) + " " +
                   std::to_string(chunk));
      EndlessReader reader;
      reader.Add("w.weight", c.shape, c.dtype);
      reader.Add("copy", {20000000}, DType::kI8);
      Recipe recipe;
      recipe.rules.push_back({"w.weight", *ParseSchemeSpec(c.spec)});
      PlanOptions options_of_plan;
      if (recipe.rules[0].spec->double_quant) {
        options_of_plan.storage = QuantStorage::kBitsandbytes;
      }
      const Plan plan = *MakePlan(reader.index(), recipe, options_of_plan);
      const Emit emit = [](size_t, uint64_t, absl::Span<const uint8_t>,
                           uint32_t) { return absl::OkStatus(); };
      JobOptions options;
      options.chunk_bytes = chunk;
      const int64_t before = live;
      peak = before;
      {
        auto job = *Job::Create(&reader, plan, emit, options);
        ASSERT_TRUE(RunToEnd(*job).ok());
        ASSERT_TRUE(job->Results().ok());
      }
      const double measured = static_cast<double>(peak - before);
      const double said = static_cast<double>(PeakMemory(plan, 1, chunk));
      EXPECT_LE(measured, said * 1.5);
      EXPECT_GE(measured * 1.5, said);
      EXPECT_LE(live - before, 4096);
    }
  }
}

// Each worker has its own buffers, the rest is shared.
TEST(JobMemoryTest, GrowsWithThreads) {
  EndlessReader reader;
  reader.Add("w", {12000, 4096});
  const Plan plan = *MakePlan(reader.index(), Recipe());
  const uint64_t chunk = 8 << 20;
  const uint64_t one = PeakMemory(plan, 1, chunk);
  const uint64_t four = PeakMemory(plan, 4, chunk);
  EXPECT_GT(four, 3 * one);
  EXPECT_LE(four, 4 * one);
  EXPECT_LE(one, 4 * chunk);
}

// The scale of large models: 3 GB in one tensor within a few chunks.
TEST(JobMemoryTest, LargeTensors) {
  for (const char* spec :
       {"int4,group=32,asymmetric", "int8,axis=1", "int8,tensor"}) {
    EndlessReader reader;
    reader.Add("w", {49152, 16384});
    Recipe recipe;
    recipe.rules.push_back({"w", *ParseSchemeSpec(spec)});
    EXPECT_LE(PeakMemory(*MakePlan(reader.index(), recipe), 1, 8 << 20),
              32u << 20)
        << spec;
  }
}

}  // namespace
}  // namespace monoquant
