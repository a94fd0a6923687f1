// Guards: that a checkpoint is recognised by its content whatever it is called,
// and that everything else is named, with a next step.

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/frontend.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/testing/zip_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;
using testing::ZipBuilder;

constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

template <size_t kSize>
std::string Bytes(const char (&literal)[kSize]) {
  return std::string(literal, kSize - 1);
}

std::string Safetensors() { return Bytes("\x02\0\0\0\0\0\0\0{}"); }

absl::StatusOr<std::unique_ptr<CheckpointReader>> Open(absl::string_view name,
                                                       std::string bytes) {
  return OpenCheckpoint(InMemoryFiles(std::string(name),
                                      {{std::string(name), std::move(bytes)}}));
}

TEST(RegistryTest, RowsHaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const Frontend& frontend : AllFrontends()) {
    EXPECT_FALSE(frontend.kinds.empty());
    for (const ContainerKind& kind : frontend.kinds) {
      EXPECT_TRUE(names.insert(std::string(kind.name)).second) << kind.name;
    }
    EXPECT_NE(frontend.recognises, nullptr);
    EXPECT_NE(frontend.open, nullptr);
  }
  EXPECT_THAT(names,
              ::testing::IsSupersetOf({"mqir", "torch", "safetensors",
                                       "safetensors-sharded", "torch-sharded",
                                       "dcp", "dcp-safetensors", "torch-legacy",
                                       "torch-tar", "torch-mobile", "pickle"}));
}

TEST(RegistryTest, ContentCountsNotTheName) {
  const std::string torch =
      ZipBuilder()
          .Add("m/data.pkl", testing::PickleBuilder().Dict().Build())
          .Build();
  for (const char* name : {"a.pt", "a.bin", "a.safetensors", "a.tar", "a"}) {
    const auto zip = Open(name, torch);
    ASSERT_TRUE(zip.ok()) << zip.status();
    EXPECT_EQ((*zip)->index().container, "torch");
    const auto safetensors = Open(name, Safetensors());
    ASSERT_TRUE(safetensors.ok()) << safetensors.status();
    EXPECT_EQ((*safetensors)->index().container, "safetensors");
  }
}

TEST(RegistryTest, NamesWhatAFileIsNot) {
  struct Case {
    std::string bytes;
    const char* what;
    const char* next_step;
  };
  const std::string tar = std::string(257, 'x') + "ustar" + std::string(300, 0);
  const std::vector<Case> cases = {
      {"", "this file is empty", "download or copy it again"},
      {"<!DOCTYPE html><html>", "a web page", "download the file itself"},
      {"\n  <html lang=en>", "a web page", "download the file itself"},
      {"{\"error\":\"Repository not found\"}", "error message (JSON)",
       "download the file itself"},
      {"{\"a\": 1}", "JSON", "name the checkpoint itself"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:1",
       "a Git LFS pointer", "git lfs pull"},
      {Bytes("GGUF\x03\0\0\0"), "a GGUF file", "name the PyTorch checkpoint"},
      {"\x89HDF\r\n\x1A\n", "an HDF5 file", "only PyTorch"},
      {"\x1F\x8B\x08", "gzip-compressed", "gunzip"},
      {Bytes("\xFD"
             "7zXZ\0"),
       "xz-compressed", "unxz"},
      {"BZh9", "bzip2-compressed", "bunzip2"},
      {"\x28\xB5\x2F\xFD", "zstd-compressed", "unzstd"},
      {"\x7F"
       "ELF",
       "a program or library", "name the checkpoint"},
      {Bytes("\x08\x07\x12\x07pytorch"), "an ONNX model", "state_dict()"},
      {Bytes("\x08\x0A\x3A\xB6\x9D\x08\x0A\x12"), "an ONNX model",
       "state_dict()"},
      {"\x80\x04N.", "a bare pickle", "torch.save"},
      {tar, "a tar archive", "extract it"},
      {Bytes("\x04\0\0\0\x01\0\0\0"), "a Lua Torch file (.t7)", "convert it"},
      {Bytes("\x93NUMPY\x01\0"), "a NumPy array", "safetensors"},
      {"some notes\n", "plain text", "name the checkpoint itself"},
      {Bytes("\x01\x02\x03\0"), "of no kind that monoquant knows",
       "name a file that torch.save wrote"},
      {"P", "plain text", "name the checkpoint itself"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.what);
    const auto reader = Open("x.pt", test.bytes);
    ExpectError(reader, kUnimplemented, test.what);
    ExpectError(reader, kUnimplemented, absl::StrCat("; "));
    ExpectError(reader, kUnimplemented, test.next_step);
    ExpectError(reader, kUnimplemented, "x.pt: ");
  }
}

TEST(RegistryTest, TruncatedFilesAreDamagedNotForeign) {
  const std::string zip = ZipBuilder().Add("m/data.pkl", "}.").Build();
  ExpectError(Open("x.pt", zip.substr(0, 40)), absl::StatusCode::kDataLoss,
              "x.pt is truncated: ");
  const std::string safetensors = Bytes("\x99\0\0\0\0\0\0\0{\"a\":");
  ExpectError(Open("x.safetensors", safetensors), absl::StatusCode::kDataLoss,
              "x.safetensors is truncated: ");
}

TEST(RegistryTest, DirectoriesWithoutACheckpoint) {
  const auto open = [](std::vector<std::pair<std::string, std::string>> files) {
    return OpenCheckpoint(InMemoryFiles("dir", std::move(files)));
  };
  ExpectError(open({}), kUnimplemented,
              "dir: this directory has neither a checkpoint (*.safetensors, "
              "*.bin, *.pt, *.pth, *.ckpt) nor an index (*.index.json); found "
              "no files; name a checkpoint file itself");
  ExpectError(open({{"a.npz", "x"}, {"b.txt", "y"}}), kUnimplemented,
              "found 'a.npz', 'b.txt'; name a checkpoint file itself");
  ExpectError(open({{"__0_0.distcp", "y"}}), kUnimplemented,
              "a distributed checkpoint without its file .metadata; copy that");
  // Of some other program.
  ExpectError(open({{".metadata", "x"}, {"a.npz", "y"}}), kUnimplemented,
              "found '.metadata', 'a.npz'");
}

TEST(RegistryTest, ScalesAreAppliedToTheWholeCheckpoint) {
  const auto shard = [](absl::string_view name, absl::string_view dtype) {
    const std::string header =
        absl::StrCat("{\"", name, "\":{\"dtype\":\"", dtype,
                     "\",\"shape\":[1],\"data_offsets\":[0,1]}}");
    return absl::StrCat(std::string(1, static_cast<char>(header.size())),
                        std::string(7, '\0'), header, "\x40");
  };
  // The two halves of a weight, in files of their own.
  const CheckpointFiles files = InMemoryFiles(
      "dir",
      {{"a.safetensors", shard("w", "F8_E4M3")},
       {"b.safetensors", shard("w_scale_inv", "F8_E8M0")},
       {"model.safetensors.index.json", R"({"weight_map":{"w":"a.safetensors",)"
                                        R"("w_scale_inv":"b.safetensors"}})"}});
  const auto floats = OpenCheckpoint(files);
  ASSERT_TRUE(floats.ok()) << floats.status();
  ASSERT_EQ((*floats)->index().tensors.size(), 1);
  EXPECT_EQ((*floats)->index().tensors[0].dtype, DType::kF32);
  OpenOptions options;
  options.as_stored = true;
  const auto stored = OpenCheckpoint(files, options);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ((*stored)->index().tensors.size(), 2);
  // One half alone.
  ExpectError(Open("b.safetensors", shard("w_scale_inv", "F8_E8M0")),
              absl::StatusCode::kDataLoss, "has scales for 'w'");
}

// What config.json says of weights counts for the whole checkpoint too.
TEST(RegistryTest, WeightsOfAnotherProgramInShards) {
  const auto shard = [](absl::string_view name, absl::string_view dtype,
                        absl::string_view shape, size_t bytes) {
    std::string header = absl::StrCat("{\"", name, "\":{\"dtype\":\"", dtype,
                                      "\",\"shape\":", shape,
                                      ",\"data_offsets\":[0,", bytes, "]}}");
    return absl::StrCat(std::string(1, static_cast<char>(header.size())),
                        std::string(7, '\0'), header, std::string(bytes, '\0'));
  };
  const CheckpointFiles files = InMemoryFiles(
      "dir",
      {{"a.safetensors", shard("l.qweight", "I32", "[8,1]", 32)},
       {"b.safetensors", shard("l.qzeros", "I32", "[1,1]", 4)},
       {"c.safetensors", shard("l.scales", "F16", "[1,8]", 16)},
       {"config.json", R"({"quantization_config": {"quant_method": "awq"}})"},
       {"model.safetensors.index.json",
        R"({"weight_map":{"l.qweight":"a.safetensors",)"
        R"("l.qzeros":"b.safetensors","l.scales":"c.safetensors"}})"}});
  const auto opened = OpenCheckpoint(files);
  ASSERT_TRUE(opened.ok()) << opened.status();
  const CheckpointIndex& index = (*opened)->index();
  EXPECT_EQ(index.container, "safetensors-sharded");
  EXPECT_EQ(index.tensors.size(), 3);
  ASSERT_EQ(index.quant.tensors.size(), 1);
  EXPECT_EQ(index.quant.tensors[0].name, "l.weight");
  OpenOptions options;
  options.as_stored = true;
  const auto stored = OpenCheckpoint(files, options);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_TRUE((*stored)->index().quant.empty());
}

TEST(RegistryTest, ErrorsOfTheSourceArePassedOn) {
  CheckpointFiles files = InMemoryFiles("a.pt", {{"a.pt", "x"}});
  files.open =
      [](absl::string_view) -> absl::StatusOr<std::shared_ptr<ByteSource>> {
    return absl::PermissionDeniedError("a.pt: not for you");
  };
  ExpectError(OpenCheckpoint(files), absl::StatusCode::kPermissionDenied,
              "not for you");
}

}  // namespace
}  // namespace monoquant
