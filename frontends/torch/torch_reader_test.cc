// Guards: whole torch archives, from their bytes to the tensors: views, ties,
// byte order, lazy conjugates, packed types; what opening reads; and that every
// damage ends in an error that names file and tensor.

#include "frontends/torch/torch_reader.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/testing/corruption.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/testing/read_tensor.h"
#include "frontends/testing/zip_builder.h"
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
using testing::PickleBuilder;
using testing::ReadTensor;
using testing::ZipBuilder;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;

Opened Open(std::string bytes, const OpenOptions& options = {}) {
  return OpenTorchZip(InMemoryFiles("dir/m.pt", {{"m.pt", std::move(bytes)}}),
                      options);
}

// A dict {"x": tensor} written by `write`, and its storages "0", "1", ...
ZipBuilder Archive(const std::function<void(PickleBuilder&)>& write,
                   const std::vector<std::string>& storages) {
  PickleBuilder pickle;
  pickle.Dict().Mark().Str("x");
  write(pickle);
  ZipBuilder zip;
  zip.Add("m/data.pkl", pickle.SetItems().Build());
  for (size_t i = 0; i < storages.size(); ++i) {
    zip.Add(absl::StrCat("m/data/", i), storages[i]);
  }
  return zip.Add("m/version", "3\n");
}

// The bytes of "x", the first tensor.
std::string X(const Opened& reader) {
  if (!reader.ok()) return reader.status().ToString();
  const auto bytes = ReadTensor(**reader, 0);
  return bytes.ok() ? *bytes : bytes.status().ToString();
}

TEST(TorchReaderTest, ReadsATensor) {
  const std::string data = BytesOf<float>({1, 2, 3, 4, 5, 6});
  ZipBuilder zip = Archive(
      [](PickleBuilder& p) {
        p.Tensor("FloatStorage", "0", 6, 0, {2, 3}, {3, 1});
      },
      {data});
  const std::string bytes = zip.Build();
  const Opened reader = Open(bytes);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const CheckpointIndex& index = (*reader)->index();
  EXPECT_EQ(index.container, "torch");
  EXPECT_EQ(index.path, "dir/m.pt");
  ASSERT_EQ(index.tensors.size(), 1);
  EXPECT_EQ(index.tensors[0].name, "x");
  EXPECT_EQ(index.tensors[0].dtype, DType::kF32);
  EXPECT_EQ(index.tensors[0].shape, (Shape{2, 3}));
  EXPECT_EQ(index.tensors[0].byte_size, 24);
  EXPECT_EQ(X(reader), data);

  uint8_t two[8];
  ASSERT_TRUE((*reader)->Read(0, 3, 2, absl::MakeSpan(two)).ok());
  EXPECT_EQ(std::string(two, two + 8), data.substr(12, 8));
  ExpectError((*reader)->Read(0, 5, 2, absl::MakeSpan(two)),
              absl::StatusCode::kInvalidArgument, "dir/m.pt: tensor 'x'");
  ExpectError((*reader)->Read(0, 0, 1, absl::MakeSpan(two)),
              absl::StatusCode::kInvalidArgument, "have 4 bytes, not 8");
  ExpectError((*reader)->Read(1, 0, 1, absl::MakeSpan(two)),
              absl::StatusCode::kInvalidArgument, "no tensor number 1");

  const auto extent = (*reader)->Locate(0);
  ASSERT_TRUE(extent.has_value());
  EXPECT_EQ(extent->file, "m.pt");
  EXPECT_EQ(bytes.substr(extent->offset, extent->size), data);
  EXPECT_FALSE((*reader)->Locate(1).has_value());
}

TEST(TorchReaderTest, ReadsViews) {
  struct Case {
    const char* name;
    int64_t offset;
    std::vector<int64_t> size;
    std::vector<int64_t> stride;
    std::vector<uint8_t> expected;
    bool located;
  };
  const std::vector<Case> cases = {
      {"slice", 2, {3}, {1}, {2, 3, 4}, true},
      {"transposed", 0, {3, 2}, {1, 3}, {0, 3, 1, 4, 2, 5}, false},
      {"step", 1, {2}, {3}, {1, 4}, false},
      {"expanded", 5, {2, 2}, {0, 0}, {5, 5, 5, 5}, false},
      {"scalar", 4, {}, {}, {4}, true},
      {"one", 3, {1, 1}, {99, 99}, {3}, true},
      {"empty", 0, {0, 3}, {3, 1}, {}, false},
      {"overlapping", 0, {3, 3}, {1, 1}, {0, 1, 2, 1, 2, 3, 2, 3, 4}, false},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    const Opened reader =
        Open(Archive(
                 [&](PickleBuilder& p) {
                   p.Tensor("ByteStorage", "0", 6, test.offset, test.size,
                            test.stride);
                 },
                 {BytesOf<uint8_t>({0, 1, 2, 3, 4, 5})})
                 .Build());
    EXPECT_EQ(X(reader), BytesOf(test.expected));
    ASSERT_TRUE(reader.ok());
    EXPECT_EQ((*reader)->Locate(0).has_value(), test.located);
  }
}

TEST(TorchReaderTest, ReadsLargeTransposedViewsInAnyPieces) {
  // 9 MB, more than a tile of the cache.
  constexpr int64_t kRows = 1500;
  constexpr int64_t kColumns = 3000;
  std::vector<uint16_t> values(kRows * kColumns);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<uint16_t>(i * 7919);
  }
  std::vector<uint16_t> transposed;
  for (int64_t c = 0; c < kColumns; ++c) {
    for (int64_t r = 0; r < kRows; ++r) {
      transposed.push_back(values[static_cast<size_t>(r * kColumns + c)]);
    }
  }
  const std::string expected = BytesOf(transposed);
  const Opened reader =
      Open(Archive(
               [](PickleBuilder& p) {
                 p.Tensor("HalfStorage", "0", kRows * kColumns, 0,
                          {kColumns, kRows}, {1, kColumns});
               },
               {BytesOf(values)})
               .Build());
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(X(reader), expected);
  const size_t piece = 70'001;
  std::string got;
  for (size_t first = 0; first < transposed.size(); first += piece) {
    const size_t count = std::min(piece, transposed.size() - first);
    std::string part(count * 2, '\0');
    ASSERT_TRUE(
        (*reader)
            ->Read(0, first, count,
                   absl::MakeSpan(reinterpret_cast<uint8_t*>(part.data()),
                                  part.size()))
            .ok());
    got += part;
  }
  EXPECT_TRUE(got == expected);
}

TEST(TorchReaderTest, TiesAndOverlaps) {
  ZipBuilder zip = Archive(
      [](PickleBuilder& p) {
        p.Tensor("ByteStorage", "0", 6, 0, {2, 3}, {3, 1});
        p.Str("same").Tensor("ByteStorage", "0", 6, 0, {2, 3}, {3, 1});
        p.Str("other shape").Tensor("ByteStorage", "0", 6, 0, {6}, {1});
        p.Str("part").Tensor("ByteStorage", "0", 6, 2, {3}, {1});
        p.Str("third").Tensor("ByteStorage", "0", 6, 0, {2, 3}, {3, 1});
        p.Str("separate").Tensor("ByteStorage", "1", 6, 0, {2, 3}, {3, 1});
        p.Str("empty").Tensor("ByteStorage", "1", 6, 0, {0}, {1});
        p.Str("empty2").Tensor("ByteStorage", "1", 6, 0, {0}, {1});
      },
      {"abcdef", "abcdef"});
  const Opened reader = Open(zip.Build());
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::vector<size_t> ties;
  for (const TensorInfo& info : (*reader)->index().tensors) {
    ties.push_back(info.tie);
  }
  EXPECT_THAT(
      ties, ElementsAre(kNoTie, 0, kNoTie, kNoTie, 0, kNoTie, kNoTie, kNoTie));
  EXPECT_THAT((*reader)->index().notes,
              ElementsAre(HasSubstr("copied one by one: 'other shape', "
                                    "'part'")));
}

TEST(TorchReaderTest, BigEndianArchives) {
  ZipBuilder zip = Archive(
      [](PickleBuilder& p) {
        p.Tensor("ShortStorage", "0", 3, 0, {3}, {1});
        p.Str("bytes").Tensor("ByteStorage", "1", 3, 0, {3}, {1});
        p.Str("c").Tensor("ComplexFloatStorage", "2", 1, 0, {1}, {1}, "conj");
      },
      {std::string("\x01\x02\x03\x04\x05\x06", 6), "abc",
       std::string("\x3F\x80\0\0\x40\0\0\0", 8)});
  zip.Add("m/byteorder", "big");
  const Opened reader = Open(zip.Build());
  EXPECT_EQ(X(reader), "\x02\x01\x04\x03\x06\x05");
  EXPECT_EQ(*ReadTensor(**reader, 1), "abc");
  EXPECT_EQ(*ReadTensor(**reader, 2), BytesOf<float>({1, -2}));
  EXPECT_FALSE((*reader)->Locate(0).has_value());
  EXPECT_TRUE((*reader)->Locate(1).has_value());

  zip.members.back().bytes = "middle";
  ExpectError(Open(zip.Build()), kDataLoss,
              "'byteorder' says 'middle', not 'little' or 'big'");
}

TEST(TorchReaderTest, LazyViews) {
  const auto open = [](absl::string_view storage, absl::string_view flag) {
    return Open(Archive(
                    [&](PickleBuilder& p) {
                      p.Tensor(storage, "0", 1, 0, {1}, {1}, flag);
                    },
                    {BytesOf<float>({1, 2})})
                    .Build());
  };
  EXPECT_EQ(X(open("ComplexFloatStorage", "conj")), BytesOf<float>({1, -2}));
  EXPECT_EQ(X(open("ComplexFloatStorage", "neg")), BytesOf<float>({-1, -2}));
  EXPECT_EQ(X(open("FloatStorage", "neg")), BytesOf<float>({-1}));
  EXPECT_FALSE((*open("FloatStorage", "neg"))->Locate(0).has_value());
  EXPECT_TRUE((*open("FloatStorage", "else"))->Locate(0).has_value());
  ExpectError(open("FloatStorage", "conj"), kDataLoss,
              "tensor 'x': a conjugate or negative view of F32");
  ExpectError(open("BoolStorage", "neg"), kDataLoss, "view of BOOL");
}

TEST(TorchReaderTest, PackedTypes) {
  const auto untyped = [](PickleBuilder& p, int64_t offset,
                          const std::vector<int64_t>& size,
                          const std::vector<int64_t>& stride) {
    p.Global("torch._utils", "_rebuild_tensor_v3").Mark();
    p.Mark().Str("storage").Global("torch.storage", "UntypedStorage").Str("0");
    p.Str("cpu").Int(6).Tuple().Op(PickleOp::kBinPersId).Int(offset);
    p.IntTuple(size).IntTuple(stride).Bool(false).OrderedDict();
    p.Global("torch", "float4_e2m1fn_x2").Tuple().Reduce();
  };
  // Two elements a byte; torch counts the bytes.
  Opened f4 =
      Open(Archive([&](PickleBuilder& p) { untyped(p, 0, {2, 3}, {3, 1}); },
                   {"abcdef"})
               .Build());
  ASSERT_TRUE(f4.ok()) << f4.status();
  EXPECT_EQ((*f4)->index().tensors[0].shape, (Shape{2, 6}));
  EXPECT_EQ(X(f4), "abcdef");
  uint8_t byte;
  ASSERT_TRUE((*f4)->Read(0, 4, 2, absl::MakeSpan(&byte, 1)).ok());
  EXPECT_EQ(byte, 'c');
  EXPECT_FALSE((*f4)->Read(0, 3, 2, absl::MakeSpan(&byte, 1)).ok());
  f4 = Open(Archive([&](PickleBuilder& p) { untyped(p, 0, {3, 2}, {1, 3}); },
                    {"abcdef"})
                .Build());
  EXPECT_EQ(X(f4), "adbecf");
}

TEST(TorchReaderTest, StoragesMustBeThereAndLargeEnough) {
  const auto archive = [](int64_t numel, int64_t size) {
    return Archive(
        [&](PickleBuilder& p) {
          p.Tensor("FloatStorage", "0", numel, 0, {size}, {1});
        },
        {"123456789012"});
  };
  ExpectError(Open(archive(12, 12).Build()), kDataLoss,
              "dir/m.pt: tensor 'x': storage 'data/0' has 12 bytes but 48 are "
              "needed; the file is damaged, download or copy it again");
  ExpectError(Open(archive(3, 4).Build()), kDataLoss,
              "dir/m.pt: tensor 'x': size [4], stride [1], offset 0: reaches "
              "to byte 16, but the storage has 12");
  ExpectError(Open(archive(int64_t{1} << 62, 1).Build()), kDataLoss,
              "malformed reference to a storage");
  ExpectError(Open(Archive(
                       [](PickleBuilder& p) {
                         p.Tensor("FloatStorage", "7", 1, 0, {1}, {1});
                       },
                       {"1234"})
                       .Build()),
              kDataLoss, "tensor 'x': storage 'data/7' is not in the archive");
  const Opened longer = Open(archive(2, 2).Build());
  EXPECT_EQ(X(longer), "12345678");
  EXPECT_THAT((*longer)->index().notes,
              ElementsAre("storages have more bytes than the pickle says: "
                          "'x'"));
}

TEST(TorchReaderTest, ArchivesThatWerePackedAgain) {
  ZipBuilder zip = Archive(
      [](PickleBuilder& p) {
        p.Tensor("ByteStorage", "0", 6, 1, {2, 2}, {1, 2});
        p.Str("y").Tensor("ByteStorage", "0", 6, 2, {4}, {1});
      },
      {"abcdef"});
  for (auto& member : zip.members) member.deflate = true;
  const Opened reader = Open(zip.Build());
  EXPECT_EQ(X(reader), "bdce");
  EXPECT_EQ(*ReadTensor(**reader, 1), "cdef");
  EXPECT_FALSE((*reader)->Locate(1).has_value());
  zip.members[1].crc32 = 1;
  ExpectError(ReadTensor(**Open(zip.Build()), 1), kDataLoss,
              "dir/m.pt: tensor 'y': member 'm/data/0' is damaged");
}

TEST(TorchReaderTest, DamageIsFoundWhenItIsRead) {
  ZipBuilder zip = Archive(
      [](PickleBuilder& p) {
        p.Tensor("ByteStorage", "0", 6, 0, {6}, {1});
        p.Str("y").Tensor("ByteStorage", "1", 6, 0, {2, 3}, {1, 2});
      },
      {"abcdef", "ghijkl"});
  zip.members[1].crc32 = 1;
  zip.members[2].crc32 = 2;
  const Opened reader = Open(zip.Build());
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectError(ReadTensor(**reader, 0), kDataLoss,
              "dir/m.pt: tensor 'x': member 'm/data/0' is damaged: its CRC-32");
  ExpectError(ReadTensor(**reader, 1), kDataLoss,
              "dir/m.pt: tensor 'y': member 'm/data/1' is damaged");
}

TEST(TorchReaderTest, PickleErrorsNameTheMember) {
  ZipBuilder zip;
  zip.Add("m/data.pkl", "cposix\nsystem\n(S'id'\ntR.");
  ExpectError(Open(zip.Build()), kDataLoss,
              "dir/m.pt: member 'm/data.pkl': byte 22: calls 'posix.system' "
              "(not executed); refusing");
  zip.members[0].bytes = "}.rest";
  const Opened reader = Open(zip.Build());
  ASSERT_TRUE(reader.ok());
  EXPECT_THAT((*reader)->index().notes,
              ElementsAre("bytes after the end of the pickle: 4"));
  OpenOptions options;
  options.root = "ema";
  ExpectError(Open(zip.Build(), options), absl::StatusCode::kInvalidArgument,
              "dir/m.pt: there is nothing called 'ema' in it");
}

TEST(TorchReaderTest, WhatLiesAroundTheCheckpoint) {
  const ZipBuilder good = Archive(
      [](PickleBuilder& p) { p.Tensor("ByteStorage", "0", 3, 0, {3}, {1}); },
      {"abc"});
  ZipBuilder litter = good;
  litter.Add("m/", "").Add("__MACOSX/m/._data.pkl", "x").Add(".DS_Store", "y");
  Opened reader = Open(litter.Build());
  EXPECT_EQ(X(reader), "abc");
  EXPECT_THAT((*reader)->index().notes,
              ElementsAre(HasSubstr("'__MACOSX/m/._data.pkl', '.DS_Store'")));

  ZipBuilder outside = good;
  outside.Add("other", "x");
  ExpectError(Open(outside.Build()), kDataLoss,
              "member 'other' lies outside of 'm/'");
  ZipBuilder twice = good;
  twice.Add("n/data.pkl", "N.");
  ExpectError(Open(twice.Build()), kDataLoss,
              "it holds two checkpoints, 'm/data.pkl' and 'n/data.pkl'");

  ZipBuilder bare = good;
  for (auto& member : bare.members) member.crc32 = 0;
  reader = Open(bare.Build());
  EXPECT_EQ(X(reader), "abc");
  EXPECT_THAT((*reader)->index().notes,
              ElementsAre(HasSubstr("written without CRC-32")));
  for (auto& member : bare.members) member.crc32 = 7;
  reader = Open(bare.Build());
  EXPECT_EQ(X(reader), "abc");
  EXPECT_THAT((*reader)->index().notes,
              ElementsAre(HasSubstr("written without CRC-32")));
}

TEST(TorchReaderTest, OtherZipArchives) {
  struct Case {
    const char* member;
    const char* message;
  };
  for (const Case& test : {
           Case{"data/aotinductor/model/weights.so", "AOTInductor"},
           Case{"MAR-INF/MANIFEST.json", "TorchServe"},
           Case{"m/.data/extern_modules", "torch.package"},
           Case{"arr_0.npy", "NumPy arrays"},
           Case{"data.pkl", "without its directory"},
           Case{"x/model.safetensors", "archive of checkpoints"},
           Case{"model_weights.ckpt", "archive of checkpoints"},
           Case{"word/document.xml", "a zip archive without data.pkl"},
       }) {
    ExpectError(Open(ZipBuilder().Add(test.member, "x").Build()),
                kUnimplemented, test.message);
  }
  ExpectError(Open(ZipBuilder().Build()), kUnimplemented,
              "a zip archive without data.pkl");
}

TEST(TorchReaderTest, MonoquantsOwnRecord) {
  ZipBuilder zip = Archive(
      [](PickleBuilder& p) { p.Tensor("ByteStorage", "0", 3, 0, {3}, {1}); },
      {"abc"});
  zip.Add("m/monoquant.json", "{\"version\": 7}");
  ExpectError(Open(zip.Build()), kDataLoss,
              "dir/m.pt: member 'm/monoquant.json': ");
  QuantRecord record;
  record.version = "1.2.3";
  zip.members.back().bytes = QuantRecordToJson(record);
  const Opened reader = Open(zip.Build());
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->index().quant.version, "1.2.3");
}

TEST(TorchReaderTest, IsRecognisedByContent) {
  const auto is_zip = [](std::string bytes) {
    return *IsTorchZip(InMemoryFiles("m.bin", {{"m.bin", std::move(bytes)}}));
  };
  EXPECT_TRUE(is_zip("PK\x03\x04"));
  EXPECT_TRUE(is_zip(ZipBuilder().Build()));
  EXPECT_FALSE(is_zip("PK\x03"));
  EXPECT_FALSE(is_zip("PK\x07\x08xxx"));
  EXPECT_FALSE(is_zip(""));
  EXPECT_FALSE(*IsTorchZip(InMemoryFiles("dir", {{"m.pt", "PK\x03\x04"}})));
}

// Two tensors, one of them strided, in an archive as torch writes it.
std::string Checkpoint() {
  ZipBuilder zip = Archive(
      [](PickleBuilder& p) {
        p.Tensor("ShortStorage", "0", 3, 0, {3}, {1});
        p.Str("y").Tensor("ByteStorage", "1", 6, 0, {2, 3}, {1, 2});
      },
      {"abcdef", "ghijkl"});
  for (auto& member : zip.members) member.data_descriptor = true;
  return zip.Build();
}

TEST(TorchReaderTest, TruncatedAnywhere) {
  testing::ForEachTruncation(Checkpoint(), [](std::string bad, size_t) {
    ExpectError(Open(std::move(bad)), kDataLoss, "is truncated");
  });
}

TEST(TorchReaderTest, OneByteChangedAnywhere) {
  const std::string good = Checkpoint();
  int accepted = 0;
  testing::ForEachChangedByte(good, [&](const std::string& bad, size_t i) {
    const Opened reader = Open(bad);
    if (!reader.ok()) {
      EXPECT_THAT(std::string(reader.status().message()), HasSubstr("m.pt"));
      return;
    }
    // What can still be read is what was written.
    const CheckpointIndex& index = (*reader)->index();
    ASSERT_EQ(index.tensors.size(), 2) << i;
    const std::string expected[] = {"abcdef", "gikhjl"};
    for (size_t t = 0; t < 2; ++t) {
      const auto bytes = ReadTensor(**reader, t);
      if (!bytes.ok()) continue;
      EXPECT_EQ(*bytes, expected[t]) << i;
      ++accepted;
    }
  });
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace monoquant
