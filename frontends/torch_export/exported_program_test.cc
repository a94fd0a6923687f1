// Guards: .pt2 archives of every age, from their lists to the tensors: names,
// views, ties, constants, several programs; archives inside of archives, read
// one level deep; AOTInductor packages; and that every lie ends in an error.

#include "frontends/torch_export/exported_program.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "frontends/testing/corruption.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/testing/read_tensor.h"
#include "frontends/testing/zip_builder.h"
#include "frontends/torch/torch_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::testing::Contains;
using testing::ExpectError;
using ::testing::HasSubstr;
using testing::PickleBuilder;
using testing::ReadTensor;
using testing::ZipBuilder;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;

Opened Open(std::string bytes, absl::string_view root = "") {
  OpenOptions options;
  options.root = std::string(root);
  return OpenTorchZip(InMemoryFiles("m.pt2", {{"m.pt2", std::move(bytes)}}),
                      options);
}

// "name=bytes ...", or the error.
std::string Tensors(const Opened& reader) {
  if (!reader.ok()) return reader.status().ToString();
  std::vector<std::string> tensors;
  for (size_t i = 0; i < (*reader)->index().tensors.size(); ++i) {
    const auto bytes = ReadTensor(**reader, i);
    tensors.push_back(
        absl::StrCat((*reader)->index().tensors[i].name, "=",
                     bytes.ok() ? *bytes : bytes.status().ToString()));
  }
  return absl::StrJoin(tensors, " ");
}

// {"as_int": 3}, ...
std::string Numbers(const std::vector<int>& numbers) {
  return absl::StrCat("[",
                      absl::StrJoin(numbers, ", ",
                                    [](std::string* out, int number) {
                                      absl::StrAppend(
                                          out, "{\"as_int\": ", number, "}");
                                    }),
                      "]");
}

// An entry of a list of weights: a tensor of bytes.
std::string Entry(absl::string_view name, absl::string_view path,
                  const std::vector<int>& sizes,
                  const std::vector<int>& strides, int offset,
                  bool use_pickle = false) {
  return absl::StrCat(
      "\"", name, "\": {\"path_name\": \"", path,
      "\", \"is_param\": true, \"use_pickle\": ", use_pickle ? "true" : "false",
      ", \"tensor_meta\": {\"dtype\": 1, \"sizes\": ", Numbers(sizes),
      ", \"requires_grad\": false, \"device\": {\"type\": \"cpu\", \"index\": "
      "null}, \"strides\": ",
      Numbers(strides), ", \"storage_offset\": {\"as_int\": ", offset,
      "}, \"layout\": 7}}");
}

std::string Config(const std::vector<std::string>& entries) {
  return absl::StrCat("{\"config\": {", absl::StrJoin(entries, ", "), "}}");
}

// What torch.save writes for what `write` pushes, with one storage, "0".
std::string Saved(const PickleBuilder& pickle, absl::string_view storage) {
  return ZipBuilder()
      .Add("archive/data.pkl", pickle.Build())
      .Add("archive/data/0", storage)
      .Add("archive/version", "3\n")
      .Build();
}

PickleBuilder Bytes(int64_t size) {
  PickleBuilder pickle;
  return pickle.Tensor("ByteStorage", "0", size, 0, {size}, {1});
}

PickleBuilder DictOf(absl::string_view name, int64_t size) {
  PickleBuilder pickle;
  pickle.Dict().Mark().Str(name);
  return pickle.Tensor("ByteStorage", "0", size, 0, {size}, {1}).SetItems();
}

const char kWeights[] = "m/data/weights/model_weights_config.json";
const char kConstants[] = "m/data/constants/model_constants_config.json";

ZipBuilder Program(absl::string_view weights, absl::string_view constants) {
  return ZipBuilder()
      .Add("m/data/weights/weight_0", "abcdef")
      .Add("m/data/weights/weight_1", "s")
      .Add(kWeights, weights)
      .Add("m/data/constants/tensor_0", "CONST")
      .Add(kConstants, constants)
      .Add("m/models/model.json", "{}")
      .Add("m/archive_format", "pt2")
      .Add("m/archive_version", "0")
      .Add("m/byteorder", "little");
}

ZipBuilder Program() {
  return Program(Config({Entry("fc.weight", "weight_0", {3, 2}, {1, 3}, 0),
                         Entry("fc.part", "weight_0", {3}, {1}, 2),
                         Entry("tied", "weight_0", {3, 2}, {1, 3}, 0),
                         Entry("count", "weight_1", {}, {}, 0)}),
                 Config({Entry("mask", "tensor_0", {5}, {1}, 0)}));
}

TEST(ExportedProgramTest, ReadsTheStateDict) {
  const Opened reader = Open(Program().Build());
  EXPECT_EQ(Tensors(reader),
            "fc.weight=adbecf fc.part=cde tied=adbecf count=s");
  ASSERT_TRUE(reader.ok());
  const CheckpointIndex& index = (*reader)->index();
  EXPECT_EQ(index.container, "torch-export");
  EXPECT_EQ(index.root, "");
  EXPECT_EQ(index.tensors[2].tie, 0);
  EXPECT_EQ(index.tensors[3].shape, Shape{});
  EXPECT_THAT(index.notes,
              Contains("constants of the program are left out: 'mask'; choose "
                       "them with --root constants"));
}

TEST(ExportedProgramTest, Roots) {
  const Opened constants = Open(Program().Build(), "constants");
  EXPECT_EQ(Tensors(constants), "mask=CONST");
  EXPECT_EQ((*constants)->index().root, "constants");
  EXPECT_EQ(Tensors(Open(Program().Build(), ".")),
            "fc.weight=adbecf fc.part=cde tied=adbecf count=s "
            "constants.mask=CONST");
  EXPECT_EQ(Tensors(Open(Program().Build(), "fc")), "weight=adbecf part=cde");
  ExpectError(Open(Program().Build(), "conv"),
              absl::StatusCode::kInvalidArgument, "nothing called 'conv'");
}

TEST(ExportedProgramTest, SeveralPrograms) {
  ZipBuilder zip = Program();
  zip.Add("m/data/weights/weight_2", "other");
  zip.Add("m/data/weights/encoder_weights_config.json",
          Config({Entry("w", "weight_2", {5}, {1}, 0)}));
  zip.Add("m/data/constants/encoder_constants_config.json", Config({}));
  EXPECT_EQ(Tensors(Open(zip.Build())),
            "model.fc.weight=adbecf model.fc.part=cde model.tied=adbecf "
            "model.count=s encoder.w=other");
  EXPECT_EQ(Tensors(Open(zip.Build(), "encoder")), "w=other");
  EXPECT_EQ(Tensors(Open(zip.Build(), "constants")), "model.mask=CONST");
}

TEST(ExportedProgramTest, BigEndian) {
  ZipBuilder zip =
      Program(absl::StrReplaceAll(Config({Entry("x", "weight_0", {3}, {1}, 0)}),
                                  {{"\"dtype\": 1", "\"dtype\": 3"}}),
              Config({}));
  EXPECT_EQ(Tensors(Open(zip.Build())), "x=abcdef");
  zip.members.back().bytes = "big";
  EXPECT_EQ(Tensors(Open(zip.Build())), "x=badcfe");
}

TEST(ExportedProgramTest, PickledTensors) {
  PickleBuilder parts;
  parts.Global("torch._tensor", "_rebuild_from_type_v2").Mark();
  parts.Global("torch._utils", "_rebuild_wrapper_subclass");
  parts.Global("my", "Packed").Mark();
  parts.Global("my", "Packed").Global("torch", "float32").IntTuple({3});
  parts.IntTuple({1}).Int(0).None().None().Bool(false).Tuple();
  parts.Dict().Mark().Str("codes");
  parts.Tensor("ByteStorage", "0", 3, 0, {3}, {1}).SetItems();
  parts.Tuple().Reduce();
  ZipBuilder zip = Program(
      Config({Entry("fc.weight", "weight_2", {3}, {1}, 0, true),
              Entry("again", "weight_2", {3}, {1}, 0, true),
              Entry("packed", "weight_3", {3}, {1}, 0, true)}),
      Config({"\"object\": {\"path_name\": \"custom_obj_0\", \"use_pickle\": "
              "true, \"tensor_meta\": null}"}));
  zip.Add("m/data/weights/weight_2", Saved(Bytes(3), "xyz"));
  zip.Add("m/data/weights/weight_3", Saved(parts, "123"));
  const Opened reader = Open(zip.Build());
  EXPECT_EQ(Tensors(reader), "fc.weight=xyz again=xyz packed.codes=123");
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->index().tensors[1].tie, 0);
  const auto extent = (*reader)->Locate(0);
  ASSERT_TRUE(extent.has_value());
  EXPECT_EQ(extent->file, "m.pt2");
  EXPECT_EQ(zip.Build().substr(extent->offset, extent->size), "xyz");
  const Opened constants = Open(zip.Build(), "constants");
  EXPECT_EQ(Tensors(constants), "");
  EXPECT_THAT((*constants)->index().notes,
              Contains("objects that are no tensors are left out: 'object'"));

  zip.members.back().bytes = Saved(DictOf("two", 3), "123");
  ExpectError(Open(zip.Build()), kDataLoss, "holds more than the tensor");
  zip.members.back().bytes = "no archive";
  ExpectError(Open(zip.Build()), kDataLoss, "m.pt2/m/data/weights/weight_3");
  zip.members.back().bytes = Program().Build();
  ExpectError(Open(zip.Build()), kUnimplemented,
              "inside of another archive is not read");
  zip.members.back().bytes = Saved(parts, "123");
  zip.members.back().deflate = true;
  ExpectError(Open(zip.Build()), kUnimplemented, "extract it first");
  zip.members.pop_back();
  ExpectError(Open(zip.Build()), kDataLoss, "'data/weights/weight_3'");
}

TEST(ExportedProgramTest, Refuses) {
  struct Case {
    const char* old_text;
    const char* new_text;
    absl::StatusCode code;
    const char* message;
  };
  const std::string good = Config({Entry("w", "weight_0", {6}, {1}, 0)});
  for (const Case& test : {
           Case{"\"sizes\": [{\"as_int\": 6}]",
                "\"sizes\": [{\"as_expr\": {\"expr_str\": \"s0\"}}]",
                kUnimplemented, "'sizes' is an expression, not a number"},
           Case{"{\"as_int\": 6}", "{\"as_int\": -6}", kDataLoss, "size [-6]"},
           Case{"{\"as_int\": 6}", "{\"as_int\": 7}", kDataLoss,
                "reaches to byte 7, but the storage has 6"},
           Case{"{\"as_int\": 6}", "{\"as_int\": 6.5}", kDataLoss,
                "'sizes' holds"},
           Case{"{\"as_int\": 6}", "{\"as_float\": 6}", kDataLoss,
                "'sizes' holds"},
           Case{"{\"as_int\": 6}", "{\"as_int\": 6}, {\"as_int\": 6}",
                kDataLoss, "tensor 'w'"},
           Case{"\"strides\": [", "\"strides\": [{\"as_int\": -1}, ", kDataLoss,
                "tensor 'w'"},
           Case{"\"storage_offset\": {\"as_int\": 0}",
                "\"storage_offset\": {\"as_int\": -1}", kDataLoss,
                "'storage_offset' is negative"},
           Case{"\"storage_offset\": {\"as_int\": 0}",
                "\"storage_offset\": {\"as_int\": 4611686018427387904}",
                kDataLoss, "tensor 'w'"},
           Case{"\"dtype\": 1", "\"dtype\": 0", kUnimplemented,
                "dtype 0 is not known"},
           Case{"\"dtype\": 1", "\"dtype\": 14", kUnimplemented,
                "dtype 14 is not known"},
           Case{"\"dtype\": 1", "\"dtype\": \"float\"", kDataLoss,
                "'dtype' holds"},
           Case{"\"dtype\": 1, ", "", kDataLoss, "'dtype' is missing"},
           Case{"\"layout\": 7", "\"layout\": 1", kUnimplemented,
                "layout 1 is not read"},
           Case{"weight_0", "weight_9", kDataLoss,
                "storage 'data/weights/weight_9' is not in the archive"},
           Case{"weight_0", "../constants/tensor_0", kDataLoss,
                "is not in the archive"},
           Case{"\"path_name\"", "\"path\"", kDataLoss, "no 'path_name'"},
           Case{"\"tensor_meta\"", "\"meta\"", kDataLoss, "no 'tensor_meta'"},
           Case{"{\"config\"", "{\"konfig\"", kDataLoss,
                "has no object 'config'"},
           Case{"\"w\": {", "\"w\": {}, \"w\": {", kDataLoss,
                "model_weights_config.json"},
           Case{"\"w\": {", "\"w\": [], \"x\": {", kDataLoss,
                "tensor 'w': it has no 'path_name'"},
           Case{"\"use_pickle\": false", "\"use_pickle\": true", kDataLoss,
                "m.pt2/m/data/weights/weight_0 is truncated"},
       }) {
    SCOPED_TRACE(test.new_text);
    const std::string bad =
        absl::StrReplaceAll(good, {{test.old_text, test.new_text}});
    ASSERT_NE(bad, good);
    const Opened reader = Open(Program(bad, Config({})).Build());
    ExpectError(reader, test.code, test.message);
    ExpectError(reader, test.code, "m.pt2");
  }
}

TEST(ExportedProgramTest, DamageIsFound) {
  ZipBuilder zip = Program();
  zip.members[0].crc32 = 1;
  const Opened reader = Open(zip.Build());
  ASSERT_TRUE(reader.ok());
  ExpectError(ReadTensor(**reader, 0), kDataLoss,
              "m.pt2: tensor 'fc.weight': member 'm/data/weights/weight_0' is "
              "damaged");
}

TEST(ExportedProgramTest, StateDictsOfTheFirstVersions) {
  // data/weights/NAME.pt instead of a list.
  ZipBuilder zip;
  zip.Add("m/data/weights/model.pt", Saved(DictOf("w", 3), "xyz"));
  zip.Add("m/data/constants/model.pt", Saved(DictOf("c", 2), "ab"));
  zip.Add("m/archive_format", "pt2");
  EXPECT_EQ(Tensors(Open(zip.Build())), "w=xyz");
  EXPECT_EQ(Tensors(Open(zip.Build(), ".")), "w=xyz constants.c=ab");
}

ZipBuilder OldProgram() {
  return ZipBuilder()
      .Add("serialized_exported_program.json", "{}")
      .Add("serialized_state_dict.pt", Saved(DictOf("model.w", 3), "xyz"))
      .Add("serialized_constants.pt", Saved(DictOf("c", 2), "ab"))
      .Add("serialized_example_inputs.pt", Saved(DictOf("x", 1), "i"))
      .Add("version", "6.1");
}

TEST(PickledExportTest, ReadsTheStateDict) {
  const Opened reader = Open(OldProgram().Build());
  EXPECT_EQ(Tensors(reader), "model.w=xyz");
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->index().container, "torch-export");
  EXPECT_THAT((*reader)->index().notes,
              Contains(HasSubstr("'serialized_constants.pt'")));
  const auto extent = (*reader)->Locate(0);
  ASSERT_TRUE(extent.has_value());
  EXPECT_EQ(OldProgram().Build().substr(extent->offset, extent->size), "xyz");
  EXPECT_EQ(Tensors(Open(OldProgram().Build(), "constants")), "c=ab");
  EXPECT_EQ(Tensors(Open(OldProgram().Build(), ".")),
            "model.w=xyz constants.c=ab");

  ZipBuilder first = OldProgram();
  first.members[1].name = "serialized_state_dict.json";
  EXPECT_EQ(Tensors(Open(first.Build())), "model.w=xyz");
  first.members[1].name = "serialized_state.pt";
  ExpectError(Open(first.Build()), kDataLoss,
              "member 'serialized_state_dict.pt' is missing");
}

TEST(PickledExportTest, DamageIsFoundInEitherArchive) {
  ZipBuilder inner;
  inner.Add("archive/data.pkl", DictOf("w", 3).Build());
  inner.Add("archive/data/0", "xyz").Add("archive/version", "3\n");
  inner.members[1].crc32 = 1;
  ZipBuilder zip = OldProgram();
  zip.members[1].bytes = inner.Build();
  const Opened reader = Open(zip.Build());
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectError(ReadTensor(**reader, 0), kDataLoss,
              "m.pt2/serialized_state_dict.pt: tensor 'w': member "
              "'archive/data/0' is damaged");

  // An inner archive without checksums is protected by the outer one's.
  for (auto& member : inner.members) member.crc32 = 0;
  zip.members[1].bytes = inner.Build();
  EXPECT_EQ(Tensors(Open(zip.Build())), "w=xyz");
  zip.members[1].crc32 = 1;
  ExpectError(Open(zip.Build()), kDataLoss,
              "m.pt2: member 'serialized_state_dict.pt' is damaged");
}

ZipBuilder Compiled(absl::string_view config) {
  return ZipBuilder()
      .Add("m/data/aotinductor/model/model.wrapper.so",
           "\x7f"
           "ELF")
      .Add("m/data/aotinductor/model/weights_config.json", config)
      .Add("m/data/weights/weight_0", Saved(Bytes(6), "abcdef"))
      .Add("m/archive_format", "pt2");
}

TEST(AotInductorTest, WeightsBesideTheLibrary) {
  const Opened reader =
      Open(Compiled("{\"w\": [\"weight_0\", [3, 2], [1, 3], 0], "
                    "\"part\": [\"weight_0\", [2], [1], 4], "
                    "\"tied\": [\"weight_0\", [3, 2], [1, 3], 0]}")
               .Build());
  EXPECT_EQ(Tensors(reader), "w=adbecf part=ef tied=adbecf");
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->index().tensors[2].tie, 0);
}

TEST(AotInductorTest, WeightsInsideOfTheLibrary) {
  ZipBuilder zip = Compiled("{}");
  zip.members.erase(zip.members.begin() + 1);
  ExpectError(Open(zip.Build()), kUnimplemented, "package_constants_on_disk");
  ExpectError(Open(ZipBuilder().Add("m/archive_format", "pt2").Build()),
              kUnimplemented, "no list of weights");
}

TEST(AotInductorTest, Refuses) {
  for (const char* bad :
       {"[]", "{\"w\": 1}", "{\"w\": [\"weight_0\", [3], [1]]}",
        "{\"w\": [0, [3], [1], 0]}", "{\"w\": [\"weight_0\", 3, [1], 0]}",
        "{\"w\": [\"weight_0\", [3], [1], -1]}",
        "{\"w\": [\"weight_0\", [3], [1], 4]}",
        "{\"w\": [\"weight_0\", [-3], [1], 0]}",
        "{\"w\": [\"weight_1\", [3], [1], 0]}"}) {
    SCOPED_TRACE(bad);
    ExpectError(Open(Compiled(bad).Build()), kDataLoss, "m.pt2");
  }
}

TEST(ExportedProgramTest, OneByteChangedAnywhere) {
  for (const std::string& good :
       {Program().Build(), OldProgram().Build(),
        Compiled("{\"w\": [\"weight_0\", [3, 2], [1, 3], 0]}").Build()}) {
    const std::string expected = Tensors(Open(good));
    testing::ForEachChangedByte(good, [&](const std::string& bad, size_t i) {
      const Opened reader = Open(bad);
      if (!reader.ok()) return;
      const std::string tensors = Tensors(reader);
      if (tensors != expected) {
        EXPECT_THAT(tensors, HasSubstr("DATA_LOSS")) << i;
      }
    });
  }
}

}  // namespace
}  // namespace monoquant
