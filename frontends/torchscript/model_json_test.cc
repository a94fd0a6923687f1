// Guards: TorchScript archives of torch 1.0 to 1.2, from model.json to the
// tensors: names and order of state_dict(), both ways to write an integer,
// what is left out, and that every lie in the JSON ends in an error.

#include "frontends/torchscript/model_json.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "frontends/testing/corruption.h"
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
using testing::ReadTensor;
using testing::ZipBuilder;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;

// A module with a submodule, as torch 1.2 describes it. Tensor 3 is used by
// code only, tensor 4 is a view of the storage of tensor 0.
constexpr absl::string_view kModel = R"({
  "protoVersion": "2", "producerName": "pytorch",
  "mainModule": {
    "torchscriptArena": {"key": "code/net.py"}, "name": "", "optimize": true,
    "submodules": [{
      "name": "fc",
      "parameters": [
        {"isBuffer": true, "tensorId": "2", "name": "mean"},
        {"isBuffer": false, "tensorId": "1", "name": "weight"},
        {"isBuffer": false, "tensorId": "0", "name": "tied"}],
      "attributes": [{"type": "List[Tensor]", "name": "cache", "id": "0"},
                     {"type": "int", "name": "n", "id": "1"}]}],
    "parameters": [{"isBuffer": false, "tensorId": "0", "name": "scale"},
                   {"isBuffer": false, "tensorId": 4, "name": "view"}]},
  "tensors": [
    {"dims": ["2", "2"], "offset": "0", "strides": ["2", "1"],
     "requiresGrad": true, "dataType": "UINT8",
     "data": {"key": "tensors/0"}, "device": "cpu"},
    {"dims": [2], "offset": 1, "strides": [2], "dataType": "INT16",
     "data": {"key": "tensors/1"}},
    {"dataType": "UINT8", "data": {"key": "tensors/2"}},
    {"dims": ["1"], "strides": ["1"], "dataType": "UINT8",
     "data": {"key": "tensors/3"}},
    {"dims": ["2", "2"], "offset": "0", "strides": ["1", "2"],
     "dataType": "UINT8", "data": {"key": "tensors/0"}}]})";

std::string Archive(absl::string_view model) {
  return ZipBuilder()
      .Add("net/version", "1\n")
      .Add("net/code/net.py", "op_version_set = 1\n")
      .Add("net/tensors/0", "abcd")
      .Add("net/tensors/1", "ABCDEFGH")
      .Add("net/tensors/2", "m")
      .Add("net/tensors/3", "k")
      .Add("net/model.json", model)
      .Build();
}

Opened Open(std::string bytes, absl::string_view root = "") {
  OpenOptions options;
  options.root = std::string(root);
  return OpenTorchZip(InMemoryFiles("m.pt", {{"m.pt", std::move(bytes)}}),
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

// The model with one text in it replaced.
std::string With(absl::string_view old_text, absl::string_view new_text) {
  const std::string model = absl::StrReplaceAll(kModel, {{old_text, new_text}});
  EXPECT_NE(model, kModel) << old_text;
  return Archive(model);
}

TEST(ModelJsonTest, ReadsParametersThenBuffersThenSubmodules) {
  const Opened reader = Open(Archive(kModel));
  EXPECT_EQ(Tensors(reader),
            "scale=abcd view=acbd fc.weight=CDGH fc.tied=abcd fc.mean=m");
  ASSERT_TRUE(reader.ok());
  const CheckpointIndex& index = (*reader)->index();
  EXPECT_EQ(index.container, "torchscript");
  EXPECT_EQ(index.tensors[0].tie, kNoTie);
  EXPECT_EQ(index.tensors[3].tie, 0);
  EXPECT_EQ(index.tensors[2].dtype, DType::kI16);
  EXPECT_EQ(index.tensors[4].shape, Shape{});
  EXPECT_THAT(index.notes,
              Contains("tensors that are no parameters or buffers are left "
                       "out: '3'; choose them with --root constants"));
  EXPECT_THAT(index.notes, Contains(HasSubstr("are left out: 'fc.cache'")));
}

TEST(ModelJsonTest, Roots) {
  EXPECT_EQ(Tensors(Open(Archive(kModel), "fc")),
            "weight=CDGH tied=abcd mean=m");
  EXPECT_EQ(Tensors(Open(Archive(kModel), "constants")), "3=k");
  EXPECT_EQ(Tensors(Open(Archive(kModel), ".")),
            "scale=abcd view=acbd fc.weight=CDGH fc.tied=abcd fc.mean=m "
            "constants.3=k");
  ExpectError(Open(Archive(kModel), "f"), absl::StatusCode::kInvalidArgument,
              "m.pt: there is nothing called 'f' in it");
}

TEST(ModelJsonTest, Refuses) {
  struct Case {
    const char* old_text;
    const char* new_text;
    const char* message;
  };
  for (const Case& test : {
           Case{"\"mainModule\"", "\"module\"", "no 'mainModule'"},
           Case{"\"tensors\": [", "\"tensors\": 1, \"x\": [", "no 'tensors'"},
           Case{"\"tensorId\": 4", "\"tensorId\": 5",
                "tensor 'view' has a 'tensorId' beyond the 5 tensors"},
           Case{"\"tensorId\": 4", "\"tensorId\": \"-1\"", "beyond the 5"},
           Case{"\"tensorId\": 4", "\"tensorId\": \"4x\"", "beyond the 5"},
           Case{"\"name\": \"view\"", "\"nam\": \"view\"", "has no name"},
           Case{"\"name\": \"fc\",", "", "has no name"},
           Case{"\"offset\": 1", "\"offset\": \"-1\"",
                "tensor 'fc.weight': malformed model.json: 'offset'"},
           Case{"\"dims\": [2]", "\"dims\": [9]",
                "tensor 'fc.weight': size [9], stride [2], offset 1: reaches"},
           Case{"\"dims\": [2]", "\"dims\": [-2]", "tensor 'fc.weight': size"},
           Case{"\"dims\": [2]", "\"dims\": [\"9223372036854775807\"]",
                "tensor 'fc.weight': size"},
           Case{"\"dims\": [2]", "\"dims\": [2, 2]", "tensor 'fc.weight'"},
           Case{"\"dims\": [2]", "\"dims\": [true]", "'dims' holds true"},
           Case{"\"strides\": [2]", "\"strides\": {}", "'strides' is no list"},
           Case{"\"key\": \"tensors/1\"", "\"key\": \"tensors/9\"",
                "tensor 'fc.weight': storage 'tensors/9' is not in the "
                "archive"},
           Case{"\"key\": \"tensors/1\"", "\"key\": \"../net/tensors/1\"",
                "is not in the archive"},
           Case{"\"key\": \"tensors/1\"", "\"key\": 1", "'data' has no 'key'"},
           Case{"\"submodules\": [{", "\"submodules\": [[], {", "has no name"},
           Case{"\"name\": \"fc\"", "\"name\": \"fc\", \"name\": \"x\"",
                "member 'net/model.json': "},
           Case{"\"name\": \"tied\"", "\"name\": \"weight\"", "fc.weight"},
       }) {
    SCOPED_TRACE(test.new_text);
    ExpectError(Open(With(test.old_text, test.new_text)), kDataLoss,
                test.message);
    ExpectError(Open(With(test.old_text, test.new_text)), kDataLoss, "m.pt: ");
  }
  ExpectError(Open(With("INT16", "STRING")), absl::StatusCode::kUnimplemented,
              "tensor 'fc.weight': data type 'STRING' is not read");
  ExpectError(Open(With("\"INT16\"", "\"INT16\", \"isQuantized\": true")),
              absl::StatusCode::kUnimplemented, "'fc.weight'");
}

TEST(ModelJsonTest, LargeDescriptionsAreRefused) {
  ExpectError(Open(Archive(std::string((64 << 20) + 1, ' '))), kDataLoss,
              "more than the limit of 67108864");
}

TEST(ModelJsonTest, OneByteChangedAnywhere) {
  const std::string good = Archive(kModel);
  const std::string expected = Tensors(Open(good));
  testing::ForEachChangedByte(good, [&](const std::string& bad, size_t i) {
    const Opened reader = Open(bad);
    if (!reader.ok()) return;
    // A storage that was damaged is an error of its tensors.
    const std::string tensors = Tensors(reader);
    if (tensors != expected) {
      EXPECT_THAT(tensors, HasSubstr("DATA_LOSS")) << i;
    }
  });
}

}  // namespace
}  // namespace monoquant
