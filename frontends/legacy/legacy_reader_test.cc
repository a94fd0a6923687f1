// Guards: legacy streams from their bytes to the tensors, of every protocol
// and age; what opening reads; and that nothing which torch lets pass is read:
// storages that are missing, doubled, of another size or cut off.

#include "frontends/legacy/legacy_reader.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/testing/corruption.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/testing/read_tensor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::BytesOf;
using ::testing::ElementsAre;
using testing::ExpectError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::PickleBuilder;
using testing::ReadTensor;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

constexpr absl::string_view kMagic =
    "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.";

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;

CheckpointFiles Files(std::string bytes) {
  return InMemoryFiles("dir/m.pt", {{"m.pt", std::move(bytes)}});
}

Opened Open(std::string bytes, const OpenOptions& options = {}) {
  return OpenLegacyStream(Files(std::move(bytes)), options);
}

// A storage of the stream: its key, and its number of elements as stated in
// front of its bytes.
struct Stored {
  std::string key;
  int64_t numel;
  std::string bytes;
};

// What `Stream` writes, part by part, so that a test can put in a wrong one.
struct Stream {
  std::string magic = std::string(kMagic);
  std::string version = PickleBuilder().Int(1001).Build();
  std::string machine = PickleBuilder()
                            .Dict()
                            .Mark()
                            .Str("little_endian")
                            .Bool(true)
                            .SetItems()
                            .Build();
  std::string object;
  std::vector<std::string> keys;
  std::vector<Stored> storages;

  std::string Build() const {
    PickleBuilder list;
    list.Op(PickleOp::kEmptyList).Mark();
    for (const std::string& key : keys) list.Str(key);
    std::string bytes = absl::StrCat(magic, version, machine, object,
                                     list.Op(PickleOp::kAppends).Build());
    for (const Stored& storage : storages) {
      bytes += BytesOf<int64_t>({storage.numel});
      bytes += storage.bytes;
    }
    return bytes;
  }
};

// The persistent id of a storage as legacy streams write it, with what `view`
// writes at its end.
void Storage(PickleBuilder& p, absl::string_view type, absl::string_view key,
             int64_t numel,
             const std::function<void(PickleBuilder&)>& view = nullptr) {
  p.Mark().Str("storage").Global("torch", type).Str(key).Str("cpu").Int(numel);
  if (view == nullptr) {
    p.None();
  } else {
    view(p);
  }
  p.Tuple().Op(PickleOp::kBinPersId);
}

void Tensor(PickleBuilder& p, absl::string_view type, absl::string_view key,
            int64_t numel, int64_t offset, const std::vector<int64_t>& size,
            const std::function<void(PickleBuilder&)>& view = nullptr) {
  std::vector<int64_t> stride(size.size(), 1);
  for (size_t i = size.size(); i-- > 1;) stride[i - 1] = stride[i] * size[i];
  p.Global("torch._utils", "_rebuild_tensor").Mark();
  Storage(p, type, key, numel, view);
  p.Int(offset).IntTuple(size).IntTuple(stride).Tuple().Reduce();
}

// {"a": 4 floats of storage "20", "b": 3 bytes of storage "10"}.
Stream TwoTensors() {
  PickleBuilder p;
  p.Dict().Mark().Str("a");
  Tensor(p, "FloatStorage", "20", 4, 0, {2, 2});
  p.Str("b");
  Tensor(p, "ByteStorage", "10", 3, 0, {3});
  Stream stream;
  stream.object = p.SetItems().Build();
  stream.keys = {"10", "20"};
  stream.storages = {{"10", 3, "abc"}, {"20", 4, BytesOf<float>({1, 2, 3, 4})}};
  return stream;
}

// {"x": what `write` writes}, in storage "1" of four floats 0, 1, 2, 3.
Stream OneStorage(const std::function<void(PickleBuilder&)>& write) {
  PickleBuilder p;
  p.Dict().Mark().Str("x");
  write(p);
  Stream stream;
  stream.object = p.SetItems().Build();
  stream.keys = {"1"};
  stream.storages = {{"1", 4, BytesOf<float>({0, 1, 2, 3})}};
  return stream;
}

std::string Bytes(const Opened& reader, size_t tensor) {
  if (!reader.ok()) return reader.status().ToString();
  const auto bytes = ReadTensor(**reader, tensor);
  return bytes.ok() ? *bytes : bytes.status().ToString();
}

TEST(LegacyReaderTest, ReadsTensorsAtAnyAlignment) {
  const std::string bytes = TwoTensors().Build();
  const Opened reader = Open(bytes);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const CheckpointIndex& index = (*reader)->index();
  EXPECT_EQ(index.container, "torch-legacy");
  EXPECT_EQ(index.path, "dir/m.pt");
  EXPECT_THAT(index.notes, IsEmpty());
  ASSERT_EQ(index.tensors.size(), 2);
  EXPECT_EQ(index.tensors[0].name, "a");
  EXPECT_EQ(index.tensors[0].shape, (Shape{2, 2}));
  EXPECT_EQ(index.tensors[1].dtype, DType::kU8);
  EXPECT_EQ(Bytes(reader, 0), BytesOf<float>({1, 2, 3, 4}));
  EXPECT_EQ(Bytes(reader, 1), "abc");
  const auto extent = (*reader)->Locate(0);
  ASSERT_TRUE(extent.has_value());
  EXPECT_EQ(extent->file, "m.pt");
  EXPECT_EQ(bytes.substr(extent->offset, extent->size), Bytes(reader, 0));
}

TEST(LegacyReaderTest, RecognisesTheMagicNumberInEveryProtocol) {
  const std::string number =
      "\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.";
  const std::string frame("\x95\x0D\0\0\0\0\0\0\0", 9);
  for (const std::string& magic :
       {"\x80\x02" + number, "\x80\x03" + number, "\x80\x04" + frame + number,
        "\x80\x05" + frame + number,
        std::string("L119547037146038801333356L\n.")}) {
    Stream stream = TwoTensors();
    stream.magic = magic;
    EXPECT_TRUE(*IsLegacyStream(Files(stream.Build())));
    const Opened reader = Open(stream.Build());
    EXPECT_EQ(Bytes(reader, 1), "abc");
  }
  EXPECT_FALSE(*IsLegacyStream(Files("\x80\x06" + number)));
  EXPECT_FALSE(*IsLegacyStream(Files("\x80\x02" + number.substr(0, 12))));
  EXPECT_FALSE(*IsLegacyStream(Files("")));
}

TEST(LegacyReaderTest, ViewsOfStorages) {
  const auto part = [](int64_t offset, int64_t numel) {
    return [=](PickleBuilder& p) {
      p.Mark().Str("99").Int(offset).Int(numel).Tuple();
    };
  };
  const auto open = [&](int64_t offset, int64_t numel, int64_t tensor_offset,
                        int64_t size) {
    return Open(OneStorage([&](PickleBuilder& p) {
                  Tensor(p, "FloatStorage", "1", 4, tensor_offset, {size},
                         part(offset, numel));
                }).Build());
  };
  EXPECT_EQ(Bytes(open(1, 2, 0, 2), 0), BytesOf<float>({1, 2}));
  EXPECT_EQ(Bytes(open(1, 3, 1, 2), 0), BytesOf<float>({2, 3}));
  EXPECT_EQ(Bytes(open(4, 0, 0, 0), 0), "");
  // The tensor stays in the view, the view in the storage.
  ExpectError(open(1, 2, 0, 3), kDataLoss, "dir/m.pt: tensor 'x': size [3]");
  ExpectError(open(2, 3, 0, 1), kDataLoss,
              "tensor 'x': a view of 3 elements from 2 on goes beyond its "
              "storage of 4");
  ExpectError(open(int64_t{1} << 62, 4, 0, 1), kDataLoss, "goes beyond");
}

TEST(LegacyReaderTest, TensorsOfTheFirstVersions) {
  const auto state = [](PickleBuilder& p) {
    p.Mark();
    Storage(p, "FloatStorage", "1", 4);
    p.Int(1).IntTuple({3}).IntTuple({1}).Tuple().Op(PickleOp::kBuild);
  };
  struct Case {
    const char* name;
    std::function<void(PickleBuilder&)> write;
  };
  const std::vector<Case> cases = {
      {"FloatTensor, REDUCE",
       [&](PickleBuilder& p) {
         p.Global("torch", "FloatTensor").Op(PickleOp::kEmptyTuple).Reduce();
         state(p);
       }},
      {"cuda.FloatTensor, NEWOBJ",
       [&](PickleBuilder& p) {
         p.Global("torch.cuda", "FloatTensor").Op(PickleOp::kEmptyTuple);
         p.Op(PickleOp::kNewObj);
         state(p);
       }},
      {"Parameter of a tensor, with its state",
       [&](PickleBuilder& p) {
         p.Global("torch.nn.parameter", "Parameter");
         Tensor(p, "FloatStorage", "1", 4, 1, {3});
         p.Op(PickleOp::kTuple1).Reduce();
         p.Mark().Bool(true).Bool(false).OrderedDict().Tuple();
         p.Op(PickleOp::kBuild);
       }},
      {"Variable whose state begins with the tensor",
       [&](PickleBuilder& p) {
         p.Global("torch.autograd.variable", "Variable");
         p.Op(PickleOp::kEmptyTuple).Op(PickleOp::kNewObj).Mark();
         Tensor(p, "FloatStorage", "1", 4, 1, {3});
         p.None().None().Bool(true).OrderedDict().Tuple();
         p.Op(PickleOp::kBuild);
       }},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    EXPECT_EQ(Bytes(Open(OneStorage(test.write).Build()), 0),
              BytesOf<float>({1, 2, 3}));
  }
}

// torch.save(model): the class of a module is a persistent id, with its source.
TEST(LegacyReaderTest, WholeModels) {
  const Opened reader =
      Open(OneStorage([](PickleBuilder& p) {
             p.Mark()
                 .Str("module")
                 .Global("my.nets", "Net")
                 .Str("net.py")
                 .Str("...");
             p.Tuple().Op(PickleOp::kBinPersId).Op(PickleOp::kEmptyTuple);
             p.Op(PickleOp::kNewObj).Dict().Mark();
             p.Str("_backend");
             p.Global("torch.nn.backends.thnn", "_get_thnn_function_backend");
             p.Op(PickleOp::kEmptyTuple).Reduce();
             p.Str("_parameters").OrderedDict().Mark().Str("weight");
             Tensor(p, "FloatStorage", "1", 4, 0, {4});
             p.SetItems();
             p.Str("_buffers").OrderedDict().Str("_modules").OrderedDict();
             p.SetItems().Op(PickleOp::kBuild);
           }).Build());
  ASSERT_TRUE(reader.ok()) << reader.status();
  const CheckpointIndex& index = (*reader)->index();
  ASSERT_EQ(index.tensors.size(), 1);
  EXPECT_EQ(index.tensors[0].name, "x.weight");
  EXPECT_EQ(index.tensors[0].module_kind, "Net");
  EXPECT_THAT(index.notes, ::testing::Contains(HasSubstr("my.nets.Net")));
}

TEST(LegacyReaderTest, SizesOfTensorsThatAreNotChosenCountToo) {
  PickleBuilder p;
  p.Dict().Mark().Str("model").Dict().Mark().Str("w");
  Tensor(p, "FloatStorage", "2", 1, 0, {1});
  p.SetItems().Str("optimizer").Dict().Mark().Str("m");
  Tensor(p, "DoubleStorage", "1", 2, 0, {2});
  Stream stream;
  stream.object = p.SetItems().SetItems().Build();
  stream.keys = {"1", "2"};
  stream.storages = {{"1", 2, std::string(16, 'x')}, {"2", 1, "1234"}};
  const Opened reader = Open(stream.Build());
  EXPECT_EQ(Bytes(reader, 0), "1234");
  EXPECT_EQ((*reader)->index().root, "model");
}

TEST(LegacyReaderTest, EveryStorageIsThereOnceAndWhole) {
  const auto open = [](const std::function<void(Stream&)>& change) {
    Stream stream = TwoTensors();
    change(stream);
    return Open(stream.Build());
  };
  ExpectError(open([](Stream& s) { s.keys = {}; }), kDataLoss,
              "dir/m.pt: storages that the object uses are not in the list: "
              "'10', '20'; the file is damaged");
  ExpectError(open([](Stream& s) { s.keys = {"10"}; }), kDataLoss, "'20'");
  ExpectError(open([](Stream& s) { s.keys = {"10", "10"}; }), kDataLoss,
              "storage '10' is listed twice");
  ExpectError(open([](Stream& s) { s.keys = {"10", "20", "30"}; }), kDataLoss,
              "storage '30' is listed, but the object has nothing in it");
  ExpectError(open([](Stream& s) { s.storages[0].numel = 4; }), kDataLoss,
              "storage '10' has 4 elements at byte");
  ExpectError(open([](Stream& s) { s.storages[0].numel = -1; }), kDataLoss,
              "has -1 elements");
  ExpectError(open([](Stream& s) { s.storages.pop_back(); }), kDataLoss,
              "dir/m.pt is truncated: storage '20' takes 16 bytes");
  ExpectError(open([](Stream& s) { s.storages[1].bytes.pop_back(); }),
              kDataLoss, "dir/m.pt is truncated: storage '20'");
  const Opened longer = open([](Stream& s) { s.storages[1].bytes += "junk"; });
  EXPECT_EQ(Bytes(longer, 0), BytesOf<float>({1, 2, 3, 4}));
  EXPECT_THAT((*longer)->index().notes,
              ElementsAre("bytes after the last storage: 4"));
}

TEST(LegacyReaderTest, WrongPreambles) {
  const auto open = [](const std::function<void(Stream&)>& change) {
    Stream stream = TwoTensors();
    change(stream);
    return Open(stream.Build());
  };
  ExpectError(
      open([](Stream& s) { s.version = PickleBuilder().Int(1002).Build(); }),
      kUnimplemented, "dir/m.pt: this is a legacy torch stream of a version");
  ExpectError(open([](Stream& s) { s.machine = "\x80\x02\xFF"; }), kDataLoss,
              "dir/m.pt: the description of the machine (the pickle at byte");
  // Big-endian machines wrote little-endian too.
  EXPECT_EQ(Bytes(open([](Stream& s) {
                    s.machine = PickleBuilder()
                                    .Dict()
                                    .Mark()
                                    .Str("little_endian")
                                    .Bool(false)
                                    .SetItems()
                                    .Build();
                  }),
                  0),
            BytesOf<float>({1, 2, 3, 4}));
}

TEST(LegacyReaderTest, OneStorageHasOneSize) {
  Stream stream = OneStorage([](PickleBuilder& p) {
    Tensor(p, "FloatStorage", "1", 4, 0, {4});
    p.Str("y");
    Tensor(p, "FloatStorage", "1", 5, 0, {4});
  });
  ExpectError(Open(stream.Build()), kDataLoss,
              "dir/m.pt: storage '1' has 16 bytes in one place of the pickle "
              "and 20 in another");
  ExpectError(Open(OneStorage([](PickleBuilder& p) {
                     Tensor(p, "NewStorage", "1", 4, 0, {4});
                   }).Build()),
              kUnimplemented,
              "tensor 'x': storage class 'torch.NewStorage' is not known");
}

TEST(LegacyReaderTest, OpeningReadsNoData) {
  // Counts what is read.
  class Counting : public ByteSource {
   public:
    explicit Counting(std::string bytes) : source_("m.pt", std::move(bytes)) {}
    const std::string& name() const override { return source_.name(); }
    uint64_t size() const override { return source_.size(); }
    absl::Status ReadAt(uint64_t offset,
                        absl::Span<uint8_t> dst) const override {
      read += dst.size();
      return source_.ReadAt(offset, dst);
    }
    mutable uint64_t read = 0;

   private:
    MemorySource source_;
  };
  constexpr int64_t kNumel = 4 << 20;
  Stream stream = OneStorage([](PickleBuilder& p) {
    Tensor(p, "ByteStorage", "1", kNumel, 0, {kNumel});
  });
  stream.storages = {{"1", kNumel, std::string(kNumel, 'x')}};
  const auto source = std::make_shared<Counting>(stream.Build());
  CheckpointFiles files = Files("");
  files.open =
      [&](absl::string_view) -> absl::StatusOr<std::shared_ptr<ByteSource>> {
    return source;
  };
  ASSERT_TRUE(OpenLegacyStream(files, {}).ok());
  EXPECT_LT(source->read, source->size() / 100);
}

TEST(LegacyReaderTest, PicklesLargerThanTheFirstWindow) {
  const Opened reader = Open(
      OneStorage([](PickleBuilder& p) {
        Tensor(p, "FloatStorage", "1", 4, 0, {4});
        for (int i = 0; i < 40'000; ++i) {
          p.Str(absl::StrCat("a long key of an entry without a tensor ", i))
              .None();
        }
      }).Build());
  EXPECT_EQ(Bytes(reader, 0), BytesOf<float>({0, 1, 2, 3}));
}

TEST(LegacyReaderTest, CutAnywhere) {
  const std::string good = TwoTensors().Build();
  testing::ForEachTruncation(good, [&](std::string bytes, size_t size) {
    SCOPED_TRACE(size);
    if (!*IsLegacyStream(Files(bytes))) return;
    ExpectError(Open(std::move(bytes)), kDataLoss, "dir/m.pt is truncated: ");
  });
}

TEST(LegacyReaderTest, DamagedAnywhere) {
  const std::string good = TwoTensors().Build();
  testing::ForEachChangedByte(good, [&](std::string bytes, size_t position) {
    SCOPED_TRACE(position);
    if (!*IsLegacyStream(Files(bytes))) return;
    const Opened reader = Open(std::move(bytes));
    if (!reader.ok()) {
      EXPECT_THAT(std::string(reader.status().message()),
                  HasSubstr("dir/m.pt"));
      return;
    }
    for (size_t i = 0; i < (*reader)->index().tensors.size(); ++i) {
      EXPECT_TRUE(ReadTensor(**reader, i).ok());
    }
  });
}

}  // namespace
}  // namespace monoquant
