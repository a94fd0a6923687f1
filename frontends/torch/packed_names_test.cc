// Guards: the names under which packed weights are listed. That the paths are
// those of real files is tested with torch.

#include "frontends/torch/packed_names.h"

#include <string>
#include <vector>

#include "frontends/tensors/placed_tensor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;

QuantRecord RecordOfWeights(const std::vector<std::string>& names,
                            const Shape& shape = {8, 8},
                            NumberFormat format = NumberFormat::kInt8) {
  QuantRecord record;
  record.version = "1.0";
  for (const std::string& name : names) {
    QuantizedTensor tensor;
    tensor.name = name;
    tensor.shape = shape;
    tensor.scheme.format = format;
    tensor.scale = name + ".scale";
    tensor.zero_point = name + ".zero_point";
    tensor.storage = QuantStorage::kTorchAo;
    record.tensors.push_back(tensor);
  }
  return record;
}

// Of a part of a convolution.
bool IsNamedAsItsPath(const QuantRecord& record, const std::string& path) {
  const QuantizedTensor& first = record.tensors.front();
  return first.shape.size() > 2 && (path == first.name || path == first.scale ||
                                    path == first.zero_point);
}

// What becomes of tensors at these paths.
std::vector<std::string> Named(const QuantRecord& record,
                               const std::vector<std::string>& paths,
                               DType codes = DType::kQI8,
                               DType integers = DType::kI8) {
  CheckpointIndex index;
  for (const std::string& path : paths) {
    TensorInfo info;
    info.name = path;
    info.dtype = codes;
    info.module_kind = "ScriptObject";
    index.tensors.push_back(info);
  }
  std::vector<PlacedTensor> placed(paths.size());
  for (size_t i = 0; i < placed.size(); ++i) placed[i].elements_per_item = i;
  index.notes = {"quantized by torch, listed as codes: ...", "other"};
  NamePackedTensors(record, &index, &placed);
  EXPECT_THAT(index.notes, ElementsAre("other"));
  EXPECT_EQ(placed.size(), index.tensors.size());
  std::vector<std::string> names;
  for (size_t i = 0; i < index.tensors.size(); ++i) {
    const TensorInfo& info = index.tensors[i];
    // What has no name of its own is left as it is.
    const std::string& path = paths[placed[i].elements_per_item];
    const bool left = info.name == path && !IsNamedAsItsPath(record, path);
    EXPECT_EQ(info.dtype, left ? codes : integers);
    EXPECT_EQ(info.module_kind, left ? "ScriptObject" : "");
    names.push_back(info.name);
  }
  return names;
}

TEST(PackedNamesTest, Linear) {
  EXPECT_THAT(Named(RecordOfWeights({"a.fc.weight"}),
                    {"a.fc.scale", "a.fc.zero_point",
                     "a.fc._packed_params._packed_params.0",
                     "a.fc._packed_params._packed_params.0.scale",
                     "a.fc._packed_params._packed_params.0.zero_point",
                     "a.fc._packed_params._packed_params.1", "fc.scale"}),
              ElementsAre("a.fc.weight", "a.fc.weight.scale",
                          "a.fc.weight.zero_point", "a.fc.bias", "fc.scale"));
}

TEST(PackedNamesTest, Recurrent) {
  const std::string cell = "m._all_weight_values.3.param.";
  const std::vector<std::string> paths = {cell + "1.0",
                                          cell + "1.1",
                                          cell + "4.0.0",
                                          cell + "4.0.0.scale",
                                          cell + "4.0.1",
                                          cell + "4.1.0",
                                          cell + "4.1.0.zero_point",
                                          cell + "4.1.1"};
  EXPECT_THAT(
      Named(
          RecordOfWeights({"m.weight_ih_l1_reverse", "m.weight_hh_l1_reverse"}),
          paths),
      ElementsAre("m.weight_ih_l1_reverse", "m.weight_ih_l1_reverse.scale",
                  "m.bias_ih_l1_reverse", "m.weight_hh_l1_reverse",
                  "m.weight_hh_l1_reverse.zero_point", "m.bias_hh_l1_reverse"));
  // In one direction the fourth cell is the fourth layer.
  EXPECT_THAT(Named(RecordOfWeights({"m.weight_ih_l3"}), {cell + "4.0.0"}),
              ElementsAre("m.weight_ih_l3"));
}

TEST(PackedNamesTest, Cells) {
  EXPECT_THAT(Named(RecordOfWeights({"c.weight_ih", "c.weight_hh"}),
                    {"c._packed_weight_ih.0", "c._packed_weight_ih.1",
                     "c._packed_weight_hh.0.scale", "c._packed_weight_hh.1"}),
              ElementsAre("c.weight_ih", "c.bias_ih", "c.weight_hh.scale",
                          "c.bias_hh"));
}

TEST(PackedNamesTest, Convolutions) {
  EXPECT_THAT(
      Named(RecordOfWeights({"a.conv.weight"}, {8, 4, 3}),
            {"a.conv.weight", "a.conv.weight.scale", "a.conv.weight.zero_point",
             "a.conv.bias", "a.conv.scale", "a.conv.zero_point", "conv.scale"}),
      ElementsAre("a.conv.weight", "a.conv.weight.scale",
                  "a.conv.weight.zero_point", "a.conv.bias", "conv.scale"));
}

TEST(PackedNamesTest, Embeddings) {
  const std::string path = "e._packed_params._packed_weight";
  EXPECT_THAT(Named(RecordOfWeights({"e.weight"}, {8, 4}, NumberFormat::kUInt8),
                    {path, path + ".scale", path + ".zero_point", "e.scale"},
                    DType::kQU8, DType::kU8),
              ElementsAre("e.weight", "e.weight.scale", "e.weight.zero_point",
                          "e.scale"));
}

TEST(PackedNamesTest, OtherRecordsHaveNone) {
  QuantRecord record = RecordOfWeights({"fc.weight"});
  EXPECT_TRUE(HasPackedModules(record));
  record.tensors[0].storage = QuantStorage::kPlain;
  EXPECT_FALSE(HasPackedModules(record));
  EXPECT_FALSE(HasPackedModules(QuantRecord()));
  EXPECT_THAT(Named(record, {"fc.scale"}), ElementsAre("fc.scale"));
}

}  // namespace
}  // namespace monoquant
