// Guards: distributed checkpoints, from their bytes to the tensors: chunks, the
// root, what is left out; what opening reads; and that a checkpoint that lies
// about itself ends in an error that names the directory and the tensor.

#include "frontends/dcp/dcp_reader.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/testing/corruption.h"
#include "frontends/testing/dcp_builder.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/testing/read_tensor.h"
#include "frontends/testing/zip_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::BytesOf;
using testing::DcpBuilder;
using ::testing::ElementsAre;
using testing::ExpectError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::PickleBuilder;
using testing::ReadTensor;
using testing::SavedChunk;
using testing::SavedTensor;
using testing::TensorArchive;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;
using Files = std::vector<std::pair<std::string, std::string>>;

Opened Open(Files files, const OpenOptions& options = {}) {
  return OpenDcp(InMemoryFiles("dir", std::move(files)), options);
}

Opened Open(const DcpBuilder& builder, const OpenOptions& options = {}) {
  return Open(builder.Build(), options);
}

SavedChunk Chunk(std::vector<int64_t> offset, std::vector<int64_t> size,
                 std::string bytes) {
  SavedChunk chunk;
  chunk.offset = offset;
  chunk.stored_offset = std::move(offset);
  chunk.size = std::move(size);
  chunk.bytes = std::move(bytes);
  return chunk;
}

// A tensor of one chunk.
SavedTensor Whole(std::vector<std::string> path, std::vector<float> values) {
  SavedTensor tensor;
  tensor.path = std::move(path);
  tensor.size = {static_cast<int64_t>(values.size())};
  tensor.chunks = {Chunk({0}, tensor.size, BytesOf<float>(values))};
  return tensor;
}

// [[0, 1, 2], [3, 4, 5]] in three chunks, and an empty one.
SavedTensor Cut() {
  SavedTensor tensor;
  tensor.path = {"w"};
  tensor.size = {2, 3};
  tensor.chunks = {
      Chunk({1, 0}, {1, 2}, BytesOf<float>({3, 4})),
      Chunk({2, 0}, {0, 3}, ""),
      Chunk({0, 2}, {2, 1}, BytesOf<float>({2, 5})),
      Chunk({0, 0}, {1, 2}, BytesOf<float>({0, 1})),
  };
  return tensor;
}

std::vector<std::string> Names(const Opened& reader) {
  if (!reader.ok()) return {std::string(reader.status().message())};
  std::vector<std::string> names;
  for (const TensorInfo& info : (*reader)->index().tensors) {
    names.push_back(info.name);
  }
  return names;
}

TEST(DcpReaderTest, AssemblesChunks) {
  DcpBuilder builder;
  builder.tensors = {Cut(), Whole({"b"}, {7, 8})};
  const Opened reader = Open(builder);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const CheckpointIndex& index = (*reader)->index();
  EXPECT_EQ(index.container, "dcp");
  EXPECT_EQ(index.path, "dir");
  EXPECT_EQ(index.root, "");
  EXPECT_THAT(index.notes, IsEmpty());
  ASSERT_THAT(Names(reader), ElementsAre("w", "b"));
  EXPECT_EQ(index.tensors[0].dtype, DType::kF32);
  EXPECT_EQ(index.tensors[0].shape, (Shape{2, 3}));
  EXPECT_EQ(*ReadTensor(**reader, 0), BytesOf<float>({0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(*ReadTensor(**reader, 1), BytesOf<float>({7, 8}));
  std::vector<uint8_t> two(8);
  ASSERT_TRUE((*reader)->Read(0, 2, 2, absl::MakeSpan(two)).ok());
  EXPECT_EQ(std::string(two.begin(), two.end()), BytesOf<float>({2, 3}));
  ExpectError((*reader)->Read(0, 5, 2, absl::MakeSpan(two)),
              absl::StatusCode::kInvalidArgument, "dir: tensor 'w'");
}

TEST(DcpReaderTest, LocatesWholeTensors) {
  DcpBuilder builder;
  builder.tensors = {Cut(), Whole({"b"}, {7, 8})};
  const Files files = builder.Build();
  const Opened reader = Open(files);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_FALSE((*reader)->Locate(0).has_value());
  const auto extent = (*reader)->Locate(1);
  ASSERT_TRUE(extent.has_value());
  EXPECT_EQ(extent->file, "__0_0.distcp");
  EXPECT_EQ(files[1].second.substr(extent->offset, extent->size),
            BytesOf<float>({7, 8}));
  EXPECT_FALSE((*reader)->Locate(2).has_value());
}

TEST(DcpReaderTest, ScalarsEmptyTensorsAndTypes) {
  DcpBuilder builder;
  SavedTensor scalar;
  scalar.path = {"scalar"};
  scalar.dtype = "int64";
  scalar.storage_class = "LongStorage";
  scalar.chunks = {Chunk({}, {}, BytesOf<int64_t>({5}))};
  SavedTensor empty;
  empty.path = {"empty"};
  empty.size = {0, 3};
  empty.chunks = {Chunk({0, 0}, {0, 3}, "")};
  SavedTensor unknown = scalar;
  unknown.path = {"x"};
  unknown.dtype = "float7";
  builder.tensors = {scalar, empty};
  const Opened reader = Open(builder);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(*ReadTensor(**reader, 0), BytesOf<int64_t>({5}));
  EXPECT_EQ(*ReadTensor(**reader, 1), "");
  builder.tensors.push_back(unknown);
  ExpectError(Open(builder), kUnimplemented,
              "dir/.metadata: tensor 'x': dtype 'torch.float7' is not known");
  builder.tensors.back().dtype = "qint8";
  const Opened quantized = Open(builder);
  EXPECT_THAT(Names(quantized), ElementsAre("scalar", "empty"));
  EXPECT_THAT((*quantized)->index().notes[0], HasSubstr("left out: 'x' (QI8)"));
}

TEST(DcpReaderTest, FourBitFloatsAreCountedByElement) {
  // A row of four bytes, which are eight numbers.
  SavedTensor tensor;
  tensor.path = {"w"};
  tensor.size = {1, 4};
  tensor.dtype = "float4_e2m1fn_x2";
  const auto archive = [](absl::string_view bytes, int64_t size) {
    PickleBuilder pickle;
    pickle.Global("torch._utils", "_rebuild_tensor_v3").Mark();
    pickle.Storage("UntypedStorage", "0", size).Int(0);
    pickle.IntTuple({1, size}).IntTuple({size, 1}).Bool(false).OrderedDict();
    pickle.Global("torch", "float4_e2m1fn_x2").Tuple().Reduce();
    return testing::ZipBuilder()
        .Add("a/data.pkl", pickle.Build())
        .Add("a/data/0", bytes)
        .Build();
  };
  tensor.chunks = {Chunk({0, 0}, {1, 3}, ""), Chunk({0, 3}, {1, 1}, "")};
  tensor.chunks[0].archive = archive("abc", 3);
  tensor.chunks[1].archive = archive("d", 1);
  DcpBuilder builder;
  builder.tensors = {tensor};
  const Opened reader = Open(builder);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->index().tensors[0].shape, (Shape{1, 8}));
  EXPECT_EQ(*ReadTensor(**reader, 0), "abcd");
}

TEST(DcpReaderTest, ChoosesTheRoot) {
  DcpBuilder builder;
  builder.tensors = {Whole({"model", "a.weight"}, {1}),
                     Whole({"optimizer", "state", "0"}, {2}),
                     Whole({"model", "b"}, {3}), Whole({"other"}, {4})};
  builder.objects = {{"epoch"}, {"model", "_extra_state"}};
  const Opened model = Open(builder);
  EXPECT_THAT(Names(model), ElementsAre("a.weight", "b"));
  EXPECT_EQ((*model)->index().root, "model");
  EXPECT_THAT(
      (*model)->index().notes,
      ElementsAre("the weights are those in 'model'; left out beside it: "
                  "'optimizer' (1 tensor), 'other' (1 tensor), 'epoch'; choose "
                  "another part with --root",
                  "Python objects, left out: 'model._extra_state'"));
  EXPECT_EQ(*ReadTensor(**model, 1), BytesOf<float>({3}));

  OpenOptions options;
  options.root = ".";
  EXPECT_THAT(
      Names(Open(builder, options)),
      ElementsAre("model.a.weight", "optimizer.state.0", "model.b", "other"));
  options.root = "optimizer.state";
  EXPECT_THAT(Names(Open(builder, options)), ElementsAre("0"));
  options.root = "other";
  EXPECT_THAT(Names(Open(builder, options)), ElementsAre("tensor"));
  options.root = "mod";
  ExpectError(Open(builder, options), absl::StatusCode::kInvalidArgument,
              "dir: there is nothing called 'mod' in it; its top level has "
              "'model' (2 tensors), 'optimizer' (1 tensor)");
}

TEST(DcpReaderTest, LeavesOutTrainingState) {
  DcpBuilder builder;
  builder.tensors = {Whole({"layer", "w"}, {1}),
                     Whole({"optimizer", "state"}, {2}),
                     Whole({"amp", "scale"}, {3}),
                     // Flat names, as some programs save them.
                     Whole({"optimizer_0.exp_avg.w"}, {4}),
                     Whole({"amp.weight"}, {5}), Whole({"optimizer"}, {6})};
  const Opened reader = Open(builder);
  EXPECT_THAT(Names(reader), ElementsAre("layer.w", "amp.weight", "optimizer"));
  EXPECT_THAT((*reader)->index().notes,
              ElementsAre("training state is left out: 'optimizer' (1 tensor), "
                          "'amp' (1 tensor), 'optimizer_0' (1 tensor); choose "
                          "it with --root, or everything with --root ."));
  builder.tensors = {Whole({"optimizer", "state"}, {2})};
  const Opened only = Open(builder);
  EXPECT_THAT(Names(only), ElementsAre("optimizer.state"));
  EXPECT_THAT((*only)->index().notes,
              ElementsAre("there is nothing but training state in it"));
}

TEST(DcpReaderTest, NamesWithoutPaths) {
  DcpBuilder builder;
  builder.tensors = {Whole({"model", "w"}, {1}), Whole({"lm_head"}, {2})};
  builder.has_planner_data = false;
  const Opened reader = Open(builder);
  // "model.w" may well be the name of a weight.
  EXPECT_THAT(Names(reader), ElementsAre("model.w", "lm_head"));
  EXPECT_EQ((*reader)->index().root, "");
}

TEST(DcpReaderTest, RefusesChunksThatDoNotFit) {
  struct Case {
    std::vector<SavedChunk> chunks;
    const char* message;
  };
  const auto chunk = [](std::vector<int64_t> offset,
                        std::vector<int64_t> size) {
    return Chunk(std::move(offset), std::move(size), "");
  };
  const std::vector<Case> cases = {
      {{}, "its 0 chunks leave holes"},
      {{chunk({0, 0}, {2, 2})}, "its 1 chunks leave holes: they have 4 of"},
      {{chunk({0, 0}, {2, 2}), chunk({0, 1}, {2, 2})}, "its chunks overlap"},
      {{chunk({0, 0}, {2, 3}), chunk({0, 0}, {2, 3})}, "its chunks overlap"},
      {{chunk({0, 0}, {3, 3})}, "reaches beyond [2, 3]"},
      {{chunk({0, -1}, {2, 3})}, "reaches beyond [2, 3]"},
      {{chunk({0}, {2})}, "has not the 2 dimensions of the tensor"},
      {{chunk({0, 0, 0}, {2, 3, 1})}, "has not the 2 dimensions"},
      {{chunk({0}, {2, 3})}, "has not the 2 dimensions"},
  };
  for (const Case& test : cases) {
    SavedTensor tensor = Cut();
    tensor.chunks = test.chunks;
    for (SavedChunk& saved : tensor.chunks) saved.archive = "";
    DcpBuilder builder;
    builder.tensors = {tensor};
    ExpectError(Open(builder), kDataLoss, "dir/.metadata: tensor 'w': ");
    ExpectError(Open(builder), kDataLoss, test.message);
  }
  SavedTensor huge = Cut();
  huge.size = {int64_t{1} << 40, int64_t{1} << 40};
  huge.chunks = {chunk({0, 0}, huge.size)};
  huge.chunks[0].archive = "";
  DcpBuilder builder;
  builder.tensors = {huge};
  ExpectError(Open(builder), kDataLoss, "dir/.metadata: tensor 'w': ");
}

TEST(DcpReaderTest, RefusesSlicesThatAreNotThere) {
  DcpBuilder good;
  good.tensors = {Cut()};
  const auto expect = [&](absl::StatusCode code, const char* message,
                          auto change) {
    DcpBuilder bad = good;
    change(&bad.tensors[0].chunks[0]);
    ExpectError(Open(bad), code, "dir/.metadata: tensor 'w': ");
    ExpectError(Open(bad), code, message);
  };
  expect(kDataLoss, "does not say where the chunk at [1, 0] is stored",
         [](SavedChunk* chunk) { chunk->is_stored = false; });
  expect(kDataLoss, "does not say where the chunk at [1, 0] is stored",
         [](SavedChunk* chunk) { chunk->stored_offset = {1, 1}; });
  expect(kDataLoss, "its chunk at [0, 0] is stored twice",
         [](SavedChunk* chunk) { chunk->stored_offset = {0, 0}; });
  expect(kDataLoss, "which is truncated",
         [](SavedChunk* chunk) { chunk->slice_length = 1'000'000; });
  expect(kDataLoss, "which is truncated",
         [](SavedChunk* chunk) { chunk->slice_offset = INT64_MAX; });
  expect(kDataLoss, "'offset' is no position",
         [](SavedChunk* chunk) { chunk->slice_offset = -1; });
  expect(kDataLoss, "'length' is no position",
         [](SavedChunk* chunk) { chunk->slice_length = -1; });
  expect(kUnimplemented, "it was transformed by 'stream.zstd/1'",
         [](SavedChunk* chunk) { chunk->transform = "stream.zstd/1"; });
  for (const char* path : {"missing.distcp", "../__0_0.distcp", "/etc/passwd",
                           "./__0_0.distcp", "", "__0_0.distcp/"}) {
    SCOPED_TRACE(path);
    expect(absl::StatusCode::kNotFound, "which is no file of the directory",
           [&](SavedChunk* chunk) { chunk->relative_path = path; });
  }
}

TEST(DcpReaderTest, SlicesAreCheckedWhenTheyAreRead) {
  struct Case {
    std::string archive;
    const char* message;
  };
  const std::string right = BytesOf<float>({3, 4});
  const std::string archive = TensorArchive("FloatStorage", {1, 2}, right);
  std::string flipped = archive;
  flipped[archive.find(right) + 2] ^= 1;
  const std::vector<Case> cases = {
      {TensorArchive("IntStorage", {1, 2}, right),
       "is I32 [1, 2], but .metadata promises F32 [1, 2]"},
      {TensorArchive("FloatStorage", {2, 1}, right),
       "is F32 [2, 1], but .metadata promises F32 [1, 2]"},
      {testing::ZipBuilder()
           .Add("a/data.pkl", PickleBuilder().Dict().Build())
           .Build(),
       "has 0 tensors, but .metadata promises one, F32 [1, 2]"},
      {archive.substr(0, archive.size() - 5), "__0_0.distcp"},
      {flipped, "data/0"},
      {"no archive", "__0_0.distcp: 10 bytes at 0"},
  };
  for (const Case& test : cases) {
    DcpBuilder builder;
    builder.tensors = {Cut()};
    builder.tensors[0].chunks[0].archive = test.archive;
    const Opened reader = Open(builder);
    ASSERT_TRUE(reader.ok()) << reader.status();
    const auto read = ReadTensor(**reader, 0);
    EXPECT_FALSE(read.ok());
    EXPECT_THAT(std::string(read.status().message()),
                HasSubstr("dir: tensor 'w': "));
    EXPECT_THAT(std::string(read.status().message()), HasSubstr(test.message));
    // The first two elements are in another chunk.
    std::vector<uint8_t> two(8);
    EXPECT_TRUE((*reader)->Read(0, 0, 2, absl::MakeSpan(two)).ok());
  }
}

TEST(DcpReaderTest, OpeningReadsMetadataOnly) {
  DcpBuilder builder;
  builder.tensors = {Cut(), Whole({"b"}, {7, 8})};
  CheckpointFiles files = InMemoryFiles("dir", builder.Build());
  // A file that tells its size and nothing else.
  class Closed : public ByteSource {
   public:
    explicit Closed(std::shared_ptr<ByteSource> source)
        : source_(std::move(source)) {}
    const std::string& name() const override { return source_->name(); }
    uint64_t size() const override { return source_->size(); }
    absl::Status ReadAt(uint64_t, absl::Span<uint8_t>) const override {
      return absl::UnavailableError("was read");
    }

   private:
    std::shared_ptr<ByteSource> source_;
  };
  files.open = [open = files.open](absl::string_view name)
      -> absl::StatusOr<std::shared_ptr<ByteSource>> {
    auto source = open(name);
    if (!source.ok() || name == ".metadata") return source;
    return std::make_shared<Closed>(*std::move(source));
  };
  const Opened reader = OpenDcp(files, {});
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectError(ReadTensor(**reader, 0), absl::StatusCode::kUnavailable,
              "was read");
}

TEST(DcpReaderTest, RecognisedByItsMetadata) {
  DcpBuilder builder;
  builder.tensors = {Whole({"b"}, {7, 8})};
  const Files files = builder.Build();
  const auto is_dcp = [](const char* path, Files some) {
    return *IsDcp(InMemoryFiles(path, std::move(some)));
  };
  EXPECT_TRUE(is_dcp("dir", files));
  EXPECT_TRUE(is_dcp("dir/.metadata", files));
  EXPECT_TRUE(is_dcp("dir/__0_0.distcp", files));
  ExpectError(OpenDcp(InMemoryFiles("dir/__0_0.distcp", files), {}),
              absl::StatusCode::kInvalidArgument,
              "dir/__0_0.distcp: this file holds a part of a distributed "
              "checkpoint; name its directory");
  EXPECT_FALSE(is_dcp("dir/__0_0.distcp", {files[1]}));
  EXPECT_TRUE(is_dcp("dir", {files[0]}));
  EXPECT_TRUE(is_dcp("dir", {{".metadata", ""}, files[1]}));
  EXPECT_FALSE(is_dcp("dir", {{".metadata", "{}"}, {"a", ""}}));
  EXPECT_FALSE(is_dcp("dir", {files[1]}));
  const Opened by_file = OpenDcp(InMemoryFiles("dir/.metadata", files), {});
  EXPECT_THAT(Names(by_file), ElementsAre("b"));
}

TEST(DcpReaderTest, MetadataCutAnywhere) {
  DcpBuilder builder;
  builder.tensors = {Cut(), Whole({"model", "b"}, {7, 8})};
  builder.objects = {{"epoch"}};
  const Files files = builder.Build();
  testing::ForEachTruncation(files[0].second, [&](std::string bad, size_t) {
    const Opened reader = Open({{".metadata", std::move(bad)}, files[1]});
    ExpectError(reader, kDataLoss, "dir/.metadata: ");
  });
  const Opened longer = Open({{".metadata", files[0].second + "xy"}, files[1]});
  ASSERT_TRUE(longer.ok()) << longer.status();
  EXPECT_EQ((*longer)->index().notes.back(),
            "bytes after the end of .metadata: 2");
}

TEST(DcpReaderTest, OneByteChangedAnywhere) {
  DcpBuilder builder;
  builder.tensors = {Cut()};
  builder.tensors[0].chunks.erase(builder.tensors[0].chunks.begin() + 1);
  const Files files = builder.Build();
  for (const size_t file : {size_t{0}, size_t{1}}) {
    testing::ForEachChangedByte(files[file].second, [&](const std::string& bad,
                                                        size_t) {
      Files changed = files;
      changed[file].second = bad;
      const Opened reader = Open(changed);
      if (!reader.ok()) {
        EXPECT_THAT(std::string(reader.status().message()), HasSubstr("dir"));
        return;
      }
      for (size_t i = 0; i < (*reader)->index().tensors.size(); ++i) {
        const auto bytes = ReadTensor(**reader, i);
        if (bytes.ok()) continue;
        EXPECT_THAT(std::string(bytes.status().message()),
                    HasSubstr("dir: tensor '"));
      }
    });
  }
}

// .metadata with one attribute of the root written by hand.
std::string WithField(absl::string_view field, const PickleBuilder& value) {
  PickleBuilder p;
  p.Global("torch.distributed.checkpoint.metadata", "Metadata")
      .Op(PickleOp::kEmptyTuple)
      .Op(PickleOp::kNewObj)
      .Dict()
      .Mark();
  for (const char* name : {"state_dict_metadata", "storage_data"}) {
    if (name != field) p.Str(name).Dict();
  }
  p.Str(field);
  const std::string bytes = value.Build();
  p.Raw(absl::string_view(bytes).substr(2, bytes.size() - 3));
  return p.SetItems().Op(PickleOp::kBuild).Build();
}

TEST(DcpReaderTest, RefusesStrangeMetadata) {
  struct Case {
    std::string metadata;
    const char* message;
  };
  PickleBuilder cycle;
  cycle.Dict().Put(0).Str("x").Get(0).Op(PickleOp::kSetItem);
  const auto entry = [](auto write) {
    PickleBuilder p;
    p.Dict().Str("x");
    write(p);
    return p.Op(PickleOp::kSetItem);
  };
  // An object with one attribute.
  const auto object = [](PickleBuilder& p, absl::string_view field,
                         auto write) {
    p.Global("m", "C").Op(PickleOp::kEmptyTuple).Op(PickleOp::kNewObj).Dict();
    p.Str(field);
    write(p);
    p.Op(PickleOp::kSetItem).Op(PickleOp::kBuild);
  };
  const std::vector<Case> cases = {
      {PickleBuilder().None().Build(), "no 'state_dict_metadata'"},
      {PickleBuilder().Dict().Build(), "no 'state_dict_metadata'"},
      {WithField("state_dict_metadata", PickleBuilder().None()),
       "no 'state_dict_metadata'"},
      {WithField("state_dict_metadata", PickleBuilder().Int(3)),
       "no 'state_dict_metadata'"},
      {WithField("storage_data", PickleBuilder().None()), "no 'storage_data'"},
      {WithField("state_dict_metadata", cycle),
       "entry 'x': malformed metadata: neither a tensor nor bytes but dict"},
      {WithField("state_dict_metadata",
                 entry([](PickleBuilder& p) { p.Int(1); })),
       "entry 'x': malformed metadata: neither a tensor nor bytes but int"},
      {WithField("state_dict_metadata",
                 PickleBuilder().Dict().Int(1).None().Op(PickleOp::kSetItem)),
       "a key is no name but int"},
      {WithField("state_dict_metadata", entry([&](PickleBuilder& p) {
                   object(p, "properties", [](PickleBuilder& q) { q.Int(1); });
                 })),
       "tensor 'x': malformed metadata: its dtype is no dtype of torch"},
      {WithField("planner_data", PickleBuilder().Int(1)), ""},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.message);
    const Opened reader = Open({{".metadata", test.metadata}});
    if (*test.message == '\0') {
      EXPECT_TRUE(reader.ok()) << reader.status();
      continue;
    }
    ExpectError(reader, kDataLoss, "dir/.metadata: ");
    ExpectError(reader, kDataLoss, test.message);
  }
}

TEST(DcpReaderTest, DangerousCallsAreRefused) {
  PickleBuilder call;
  call.Global("os", "system").Str("true").Op(PickleOp::kTuple1).Reduce();
  const Files files = {{".metadata", WithField("storage_meta", call)}};
  ExpectError(Open(files), kDataLoss, "dir/.metadata: ");
  ExpectError(Open(files), kDataLoss, "'os.system'");
  OpenOptions options;
  options.allow_opaque = true;
  const Opened allowed = Open(files, options);
  EXPECT_TRUE(allowed.ok()) << allowed.status();
}

TEST(DcpReaderTest, StrangePathsAreRefused) {
  // The entry "x" is bytes, so that its path is all that is wrong.
  const auto with_path = [](auto write) {
    PickleBuilder p;
    p.Global("m", "Metadata")
        .Op(PickleOp::kEmptyTuple)
        .Op(PickleOp::kNewObj)
        .Dict()
        .Mark();
    p.Str("state_dict_metadata").Dict().Str("x");
    p.Global("m", "BytesStorageMetadata")
        .Op(PickleOp::kEmptyTuple)
        .Op(PickleOp::kNewObj)
        .Op(PickleOp::kSetItem);
    p.Str("storage_data").Dict().Str("planner_data").Dict().Str("x");
    write(p);
    return p.Op(PickleOp::kSetItem).SetItems().Op(PickleOp::kBuild).Build();
  };
  ExpectError(Open({{".metadata", with_path([](PickleBuilder& p) {
                       p.Op(PickleOp::kEmptyTuple);
                     })}}),
              kDataLoss, "entry 'x': malformed metadata: its path is no tuple");
  ExpectError(Open({{".metadata", with_path([](PickleBuilder& p) {
                       p.None().Op(PickleOp::kTuple1);
                     })}}),
              kDataLoss, "its path has a part that is no name but None");
  ExpectError(Open({{".metadata", with_path([](PickleBuilder& p) {
                       p.Mark();
                       for (int i = 0; i < 2000; ++i) p.Str("x");
                       p.Tuple();
                     })}}),
              kDataLoss, "its path is no tuple of 1 to 1000 parts");
  const Opened odd = Open({{".metadata", with_path([](PickleBuilder& p) {
                              p.Mark().Str("").Str("").Int(3).Tuple();
                            })}});
  ASSERT_TRUE(odd.ok()) << odd.status();
  EXPECT_THAT((*odd)->index().notes,
              ElementsAre("Python objects, left out: '..3'"));
}

TEST(DcpReaderTest, ChunksThatAreReadAgainAndAgain) {
  // One list of 1000 chunks, which 10 000 tensors refer to.
  PickleBuilder p;
  p.Dict().Mark();
  for (int i = 0; i < 10'000; ++i) {
    p.Str(absl::StrCat(i));
    if (i > 0) {
      p.Get(0);
      continue;
    }
    p.Global("m", "T").Op(PickleOp::kEmptyTuple).Op(PickleOp::kNewObj).Dict();
    p.Mark().Str("properties");
    p.Global("m", "P").Op(PickleOp::kEmptyTuple).Op(PickleOp::kNewObj);
    p.Global("torch", "uint8").Op(PickleOp::kTuple1).Op(PickleOp::kBuild);
    p.Str("size").IntTuple({1000}).Str("chunks").Op(PickleOp::kEmptyList);
    p.Mark();
    for (int chunk = 0; chunk < 1000; ++chunk) {
      p.Global("m", "C").Op(PickleOp::kEmptyTuple).Op(PickleOp::kNewObj);
      p.Dict().Mark().Str("offsets").IntTuple({chunk});
      p.Str("sizes").IntTuple({1}).SetItems().Op(PickleOp::kBuild);
    }
    p.Op(PickleOp::kAppends).SetItems().Op(PickleOp::kBuild).Put(0);
  }
  ExpectError(
      Open({{".metadata", WithField("state_dict_metadata", p.SetItems())}}),
      kDataLoss, "exceed the limit of 2000000 numbers");
}

}  // namespace
}  // namespace monoquant
