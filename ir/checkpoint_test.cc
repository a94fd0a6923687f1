#include "ir/checkpoint.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;

TensorInfo MakeTensor(std::string name, DType dtype, Shape shape) {
  TensorInfo tensor;
  tensor.name = std::move(name);
  tensor.dtype = dtype;
  tensor.byte_size = ByteSize(dtype, shape).value();
  tensor.shape = std::move(shape);
  return tensor;
}

CheckpointIndex MakeIndex() {
  CheckpointIndex index;
  index.path = "m.pt";
  index.tensors = {MakeTensor("a", DType::kF32, {2, 3}),
                   MakeTensor("b", DType::kF32, {2, 3}),
                   MakeTensor("c", DType::kF4, {4})};
  index.tensors[1].tie = 0;
  return index;
}

TEST(ValidateIndexTest, Accepts) {
  EXPECT_TRUE(ValidateIndex(CheckpointIndex()).ok());
  EXPECT_TRUE(ValidateIndex(MakeIndex()).ok()) << ValidateIndex(MakeIndex());
}

TEST(ValidateIndexTest, Refuses) {
  const struct {
    std::function<void(CheckpointIndex&)> damage;
    const char* message;
  } cases[] = {
      {[](auto& i) { i.tensors[2].name = "a"; }, "m.pt: tensor 'a': the name"},
      {[](auto& i) { i.tensors[2].name = "\xFF"; }, "not UTF-8"},
      {[](auto& i) { i.tensors[0].byte_size = 25; },
       "tensor 'a': has 25 bytes, but F32 [2, 3] needs 24"},
      {[](auto& i) { i.tensors[2].shape = {3}; }, "no whole number of bytes"},
      {[](auto& i) { i.tensors[2].shape = {-1}; }, "negative"},
      {[](auto& i) { i.tensors[1].tie = 1; }, "does not come before"},
      {[](auto& i) { i.tensors[1].tie = 2; }, "does not come before"},
      {[](auto& i) { i.tensors[1].tie = 3; }, "does not come before"},
      {[](auto& i) { i.tensors[2].tie = 0; }, "F4 [4] is tied to 'a'"},
      {[](auto& i) {
         i.tensors[2] = i.tensors[1];
         i.tensors[2].name = "c";
         i.tensors[2].tie = 1;
       },
       "tied to 'b', which is tied itself"},
      {[](auto& i) {
         i.quant.version = "1";
         i.quant.tensors.push_back({"z", {}, DType::kF32, {2}, "s", "p"});
       },
       "m.pt: quantization record: tensor 'z'"},
  };
  for (const auto& c : cases) {
    CheckpointIndex index = MakeIndex();
    c.damage(index);
    SCOPED_TRACE(c.message);
    ExpectError(ValidateIndex(index), absl::StatusCode::kDataLoss, c.message);
  }
}

TEST(ElementBytesTest, Ranges) {
  const TensorInfo f32 = MakeTensor("a", DType::kF32, {2, 3});
  const TensorInfo f4 = MakeTensor("b", DType::kF4, {8});
  const ByteRange all = ElementBytes(f32, 0, 6).value();
  EXPECT_EQ(all.offset, 0u);
  EXPECT_EQ(all.size, 24u);
  const ByteRange part = ElementBytes(f32, 4, 2).value();
  EXPECT_EQ(part.offset, 16u);
  EXPECT_EQ(part.size, 8u);
  EXPECT_EQ(ElementBytes(f32, 6, 0).value().size, 0u);
  EXPECT_EQ(ElementBytes(f4, 2, 4).value().offset, 1u);
  EXPECT_EQ(ElementBytes(f4, 2, 4).value().size, 2u);

  const uint64_t max = std::numeric_limits<uint64_t>::max();
  for (const auto& [first, count] : {std::pair<uint64_t, uint64_t>{0, 7},
                                     {7, 0},
                                     {6, 1},
                                     {1, max},
                                     {max, 1}}) {
    ExpectError(ElementBytes(f32, first, count),
                absl::StatusCode::kInvalidArgument, "do not exist, it has 6");
  }
  ExpectError(ElementBytes(f4, 1, 2), absl::StatusCode::kInvalidArgument,
              "no whole bytes of F4");
  ExpectError(ElementBytes(f4, 2, 1), absl::StatusCode::kInvalidArgument,
              "no whole bytes of F4");
}

}  // namespace
}  // namespace monoquant
