// Guards: opening a checkpoint reads its index and next to nothing else,
// however large the weights are.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "frontends/frontend.h"
#include "gtest/gtest.h"
#include "tests/bench/sparse_checkpoint.h"

namespace monoquant::bench {
namespace {

constexpr size_t kTensors = 300;
// 5 GB in all.
constexpr uint64_t kElements = 5'000'000'000 / sizeof(float) / kTensors + 1;

void ExpectIndexOnly(const std::string& name, SparseFile file) {
  const uint64_t index_bytes = file.IndexBytes();
  const auto source = std::make_shared<CountingSource>(
      std::make_shared<SparseSource>(name, std::move(file)));
  ASSERT_GE(source->size(), 5'000'000'000u);
  const auto reader = OpenCheckpoint(FilesOf(source));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->index().tensors.size(), kTensors);
  EXPECT_LT(source->bytes_read(), source->size() / 100);
  // Looking what it is takes some bytes more, for each kind that it could be.
  EXPECT_LT(source->bytes_read(), 2 * index_bytes + 100'000);
}

TEST(OpenReads, IndexOfTorchZip) {
  ExpectIndexOnly("model.pt", SparseTorchZip(kTensors, kElements));
}

TEST(OpenReads, IndexOfSafetensors) {
  ExpectIndexOnly("model.safetensors", SparseSafetensors(kTensors, kElements));
}

TEST(OpenReads, OneTensorBeyond4GiB) {
  const uint64_t elements = uint64_t{5} << 30 >> 2;
  for (SparseFile file :
       {SparseTorchZip(1, elements), SparseSafetensors(1, elements)}) {
    const auto source = std::make_shared<CountingSource>(
        std::make_shared<SparseSource>("model", std::move(file)));
    const auto reader = OpenCheckpoint(FilesOf(source));
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ((*reader)->index().tensors[0].byte_size, uint64_t{5} << 30);
    EXPECT_LT(source->bytes_read(), 100'000u);
  }
}

}  // namespace
}  // namespace monoquant::bench
