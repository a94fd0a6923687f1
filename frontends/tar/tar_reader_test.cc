// Guards: checkpoints of the tar era from their bytes to the tensors, views of
// storages included; archives of the ustar, pax, GNU and old kinds; and that
// the tables fill their members exactly and refer to what is there.

#include "frontends/tar/tar_reader.h"

#include <cstdint>
#include <cstdio>
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
using ::testing::Contains;
using testing::ExpectError;
using ::testing::HasSubstr;
using testing::PickleBuilder;
using testing::ReadTensor;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;

CheckpointFiles Files(std::string bytes) {
  return InMemoryFiles("dir/m.tar", {{"m.tar", std::move(bytes)}});
}

Opened Open(std::string bytes) {
  return OpenTorchTar(Files(std::move(bytes)), {});
}

std::string Octal(uint64_t value, int digits) {
  std::string text;
  for (int i = 0; i < digits; ++i) {
    text.insert(text.begin(), static_cast<char>('0' + (value >> (3 * i)) % 8));
  }
  return text;
}

enum class Flavour { kV7, kUstar };

// A header, and behind it `bytes` in whole blocks.
std::string Member(absl::string_view name, absl::string_view bytes,
                   char type = '0', Flavour flavour = Flavour::kUstar,
                   uint64_t stated_size = static_cast<uint64_t>(-1)) {
  if (stated_size == static_cast<uint64_t>(-1)) stated_size = bytes.size();
  std::string header(512, '\0');
  header.replace(0, name.size(), name.data(), name.size());
  header.replace(100, 8, Octal(0644, 7) + std::string(1, '\0'));
  header.replace(124, 11, Octal(stated_size, 11));
  header.replace(148, 8, "        ");
  header[156] = type;
  if (flavour == Flavour::kUstar) header.replace(257, 5, "ustar");
  uint64_t sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  header.replace(148, 7, Octal(sum, 6) + std::string(1, '\0'));
  std::string body(bytes);
  body.resize((body.size() + 511) / 512 * 512);
  return header + body;
}

const std::string kEnd(1024, '\0');

std::string Pickle(const std::function<void(PickleBuilder&)>& write) {
  PickleBuilder p;
  write(p);
  return p.Build();
}

std::string Count(int64_t count) { return PickleBuilder().Int(count).Build(); }

std::string Storage(int64_t key, absl::string_view type, int64_t numel,
                    absl::string_view bytes) {
  return absl::StrCat(
      Pickle([&](PickleBuilder& p) {
        p.Mark().Int(key).Str("cpu").Global("torch", type).Tuple();
      }),
      BytesOf<int64_t>({numel}), bytes);
}

std::string Views(const std::vector<std::vector<int64_t>>& views) {
  return Pickle([&](PickleBuilder& p) {
    p.Op(PickleOp::kEmptyList).Mark();
    for (const auto& view : views) p.IntTuple(view);
    p.Op(PickleOp::kAppends);
  });
}

std::string Tensor(int64_t key, int64_t storage,
                   const std::vector<int64_t>& size,
                   const std::vector<int64_t>& stride, int64_t offset) {
  return absl::StrCat(
      Pickle([&](PickleBuilder& p) {
        p.Mark().Int(key).Int(storage).Global("torch", "FloatTensor").Tuple();
      }),
      // The upper half of the first number is arbitrary.
      BytesOf<uint32_t>({static_cast<uint32_t>(size.size()), 0xABCD}),
      BytesOf(size), BytesOf(stride), BytesOf<int64_t>({offset}));
}

// {"name": tensor key, ...}
std::string Object(const std::vector<std::pair<std::string, int64_t>>& names) {
  return Pickle([&](PickleBuilder& p) {
    p.Dict().Mark();
    for (const auto& [name, key] : names) {
      p.Str(name).Int(key).Op(PickleOp::kBinPersId);
    }
    p.SetItems();
  });
}

// Two storages, a view of one of them, four tensors.
struct Archive {
  std::string storages = absl::StrCat(
      Count(2), Storage(101, "FloatStorage", 4, BytesOf<float>({0, 1, 2, 3})),
      Storage(102, "LongStorage", 1, BytesOf<int64_t>({7})),
      Views({{103, 101, 1, 3}}));
  std::string tensors = absl::StrCat(
      Count(4), Tensor(1, 101, {2, 2}, {1, 2}, 0), Tensor(2, 102, {}, {}, 0),
      Tensor(3, 103, {2}, {1}, 1), Tensor(4, 101, {2}, {1}, 2));
  std::string object = Object({{"w", 1}, {"n", 2}, {"view", 3}, {"tie", 4}});
  std::string sys_info = PickleBuilder().Dict().Build();

  std::string Build(Flavour flavour = Flavour::kUstar, char type = '0') const {
    return absl::StrCat(Member("sys_info", sys_info, type, flavour),
                        Member("pickle", object, type, flavour),
                        Member("tensors", tensors, type, flavour),
                        Member("storages", storages, type, flavour), kEnd);
  }
};

std::string Bytes(const Opened& reader, size_t tensor) {
  if (!reader.ok()) return reader.status().ToString();
  const auto bytes = ReadTensor(**reader, tensor);
  return bytes.ok() ? *bytes : bytes.status().ToString();
}

TEST(TarReaderTest, ReadsTensorsAndViews) {
  const std::string bytes = Archive().Build();
  ASSERT_TRUE(*IsTorchTar(Files(bytes)));
  const Opened reader = Open(bytes);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const CheckpointIndex& index = (*reader)->index();
  EXPECT_EQ(index.container, "torch-tar");
  ASSERT_EQ(index.tensors.size(), 4);
  EXPECT_EQ(index.tensors[0].name, "w");
  EXPECT_EQ(index.tensors[0].shape, (Shape{2, 2}));
  EXPECT_EQ(index.tensors[1].dtype, DType::kI64);
  EXPECT_EQ(Bytes(reader, 0), BytesOf<float>({0, 2, 1, 3}));
  EXPECT_EQ(Bytes(reader, 1), BytesOf<int64_t>({7}));
  EXPECT_EQ(Bytes(reader, 2), BytesOf<float>({2, 3}));
  // The same elements, once through the view and once through the storage.
  EXPECT_EQ(index.tensors[3].tie, 2);
  const auto extent = (*reader)->Locate(2);
  ASSERT_TRUE(extent.has_value());
  EXPECT_EQ(bytes.substr(extent->offset, extent->size), Bytes(reader, 2));
}

TEST(TarReaderTest, EveryKindOfArchive) {
  const Archive archive;
  const std::string expected = BytesOf<float>({2, 3});
  EXPECT_EQ(Bytes(Open(archive.Build(Flavour::kV7, '\0')), 2), expected);
  // A pax header that gives name and size, and a global one.
  const auto line = [](absl::string_view text) {
    return absl::StrCat(text.size() + 3, " ", text);
  };
  const std::string pax = absl::StrCat(
      Member("global", line("comment=x1\n"), 'g'),
      Member("sys_info", archive.sys_info), Member("pickle", archive.object),
      Member("tensors", archive.tensors),
      Member("header",
             absl::StrCat(
                 line("path=storages\n"),
                 line(absl::StrCat("size=", archive.storages.size(), "\n"))),
             'x'),
      Member("other", archive.storages, '0'), kEnd);
  ASSERT_TRUE(*IsTorchTar(Files(pax)));
  EXPECT_EQ(Bytes(Open(pax), 2), expected);
  // A GNU name, a directory, names in the directory ".".
  const std::string gnu = absl::StrCat(
      Member("./", "", '5'), Member("./sys_info", archive.sys_info),
      Member("./pickle", archive.object), Member("tensors", archive.tensors),
      Member("././@LongLink", std::string("storages\0", 9), 'L'),
      Member("stor", archive.storages));
  ASSERT_TRUE(*IsTorchTar(Files(gnu)));
  EXPECT_EQ(Bytes(Open(gnu), 2), expected);
}

TEST(TarReaderTest, ParametersAndKeysOfProtocol0) {
  Archive archive;
  archive.object = Pickle([](PickleBuilder& p) {
    p.Dict().Mark().Str("w");
    p.Global("torch.nn.parameter", "Parameter");
    p.Op(PickleOp::kPersId).Raw("1\n").Op(PickleOp::kTuple1).Reduce();
    p.SetItems();
  });
  EXPECT_EQ(Bytes(Open(archive.Build()), 0), BytesOf<float>({0, 2, 1, 3}));
}

TEST(TarReaderTest, KeysOfStoragesAndOfNothing) {
  Archive archive;
  archive.object = Object({{"w", 1}, {"bare", 101}});
  const Opened reader = Open(archive.Build());
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->index().tensors.size(), 1);
  EXPECT_THAT((*reader)->index().notes,
              Contains("storages without a tensor, left out: 'bare'"));
  archive.object = Object({{"w", 1}, {"lost", 55}});
  ExpectError(Open(archive.Build()), kDataLoss,
              "dir/m.tar: tensor 'lost': member 'tensors' has no tensor '55'");
}

TEST(TarReaderTest, TablesThatAreWrong) {
  const auto open = [](const std::function<void(Archive&)>& change) {
    Archive archive;
    change(archive);
    return Open(archive.Build());
  };
  const std::string storage = Storage(1, "FloatStorage", 1, "abcd");
  ExpectError(open([&](Archive& a) {
                a.storages =
                    absl::StrCat(Count(2), storage, storage, Views({}));
              }),
              kDataLoss, "member 'storages': storage '1' occurs twice");
  ExpectError(open([&](Archive& a) {
                a.storages = absl::StrCat(Count(1), storage, Views({}), "x");
              }),
              kDataLoss, "1 bytes are left over at its end");
  ExpectError(open([&](Archive& a) {
                a.storages = absl::StrCat(
                    Count(1), Storage(1, "FloatStorage", 9, "abcd"));
              }),
              kDataLoss, "member 'storages' is truncated: 36 bytes are needed");
  ExpectError(open([&](Archive& a) {
                a.storages =
                    absl::StrCat(Count(1), Storage(1, "FloatStorage", -1, ""));
              }),
              kDataLoss, "storage '1' has -1 elements");
  ExpectError(open([&](Archive& a) {
                a.storages =
                    absl::StrCat(Count(1), Storage(1, "Nonsense", 1, "abcd"));
              }),
              kDataLoss, "unknown class 'torch.Nonsense'");
  ExpectError(open([&](Archive& a) {
                a.storages = absl::StrCat(Count(int64_t{1} << 40), storage);
              }),
              kDataLoss, "more rows than the limit of 250000");
  ExpectError(open([&](Archive& a) {
                a.storages =
                    absl::StrCat(Count(1), storage, Views({{2, 1, 1, 1}}));
              }),
              kDataLoss, "view '2' of 1 elements from 1 on goes beyond");
  ExpectError(open([&](Archive& a) {
                a.storages =
                    absl::StrCat(Count(1), storage, Views({{2, 3, 0, 1}}));
              }),
              kDataLoss, "view '2' is of storage '3', which is not there");

  const auto tensors = [&](const std::string& rows) {
    return open([&](Archive& a) { a.tensors = rows; });
  };
  ExpectError(tensors(absl::StrCat(Count(1), Tensor(1, 99, {}, {}, 0))),
              kDataLoss,
              "member 'tensors': tensor '1': its storage '99' is "
              "not there");
  ExpectError(tensors(absl::StrCat(Count(2), Tensor(1, 101, {}, {}, 0))),
              kDataLoss, "member 'tensors' is truncated: a tensor");
  ExpectError(tensors(absl::StrCat(Count(1), Tensor(1, 101, {}, {}, -1))),
              kDataLoss, "its offset is negative");
  ExpectError(
      tensors(absl::StrCat(Count(1), Tensor(1, 101, std::vector<int64_t>(65, 1),
                                            std::vector<int64_t>(65, 1), 0))),
      kDataLoss, "has 65 dimensions, not 0 to 64");
  // Beyond the view, though not beyond its storage.
  ExpectError(open([](Archive& a) {
                a.tensors = absl::StrCat(Count(1), Tensor(3, 103, {4}, {1}, 0));
                a.object = Object({{"view", 3}});
              }),
              kDataLoss, "dir/m.tar: tensor 'view': size [4]");
}

TEST(TarReaderTest, OtherArchivesAreNotTorchs) {
  const std::string weights = Member("model_weights.ckpt", "x");
  EXPECT_FALSE(*IsTorchTar(Files(weights + kEnd)));
  EXPECT_FALSE(*IsTorchTar(Files(kEnd)));
  EXPECT_FALSE(*IsTorchTar(Files("")));
  EXPECT_FALSE(*IsTorchTar(Files(std::string(600, 'x'))));
  std::string many;
  for (int i = 0; i < 100; ++i) many += Member(absl::StrCat("f", i), "x");
  EXPECT_FALSE(*IsTorchTar(Files(many + Archive().Build())));
  // A size that leads nowhere.
  EXPECT_FALSE(*IsTorchTar(Files(
      Member("sys_info", "", '0', Flavour::kUstar, (uint64_t{1} << 33) - 1) +
      Archive().Build())));
}

TEST(TarReaderTest, MembersAreThereOnce) {
  const Archive archive;
  ExpectError(Open(Member("pickle", archive.object) + archive.Build()),
              kDataLoss, "dir/m.tar: it has two members 'pickle'");
}

TEST(TarReaderTest, CutAnywhere) {
  std::string good = Archive().Build();
  good.resize(good.size() - kEnd.size());
  // The last block is filled up with zeros.
  const size_t end = good.find_last_not_of('\0') + 1;
  testing::ForEachTruncation(good, [&](std::string bytes, size_t size) {
    SCOPED_TRACE(size);
    if (size >= end || !*IsTorchTar(Files(bytes))) return;
    ExpectError(Open(std::move(bytes)), kDataLoss, "dir/m.tar is truncated: ");
  });
}

TEST(TarReaderTest, DamagedAnywhere) {
  const std::string good = Archive().Build();
  testing::ForEachChangedByte(good, [&](std::string bytes, size_t position) {
    SCOPED_TRACE(position);
    if (!*IsTorchTar(Files(bytes))) return;
    const Opened reader = Open(std::move(bytes));
    if (reader.ok()) {
      for (size_t i = 0; i < (*reader)->index().tensors.size(); ++i) {
        EXPECT_TRUE(ReadTensor(**reader, i).ok());
      }
    } else {
      EXPECT_THAT(std::string(reader.status().message()),
                  HasSubstr("dir/m.tar"));
    }
  });
}

}  // namespace
}  // namespace monoquant
