// Guards: NumPy arrays in pickles, as every protocol and both NumPy 1 and 2
// write them: values, byte order, Fortran order, ties; what is no array of
// numbers is named; and that no lie about a size is believed.

#include "frontends/numpy/numpy_reader.h"

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
using ::testing::Contains;
using testing::ExpectError;
using ::testing::HasSubstr;
using testing::PickleBuilder;
using testing::ReadTensor;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;
using Write = std::function<void(PickleBuilder&)>;

CheckpointFiles Files(std::string bytes) {
  return InMemoryFiles("dir/m.pkl", {{"m.pkl", std::move(bytes)}});
}

Opened Open(std::string bytes) {
  return OpenBarePickle(Files(std::move(bytes)), {});
}

// {"x": what `write` writes}.
std::string Dict(const Write& write) {
  PickleBuilder p;
  p.Dict().Mark().Str("x");
  write(p);
  return p.SetItems().Build();
}

std::string Bytes(const Opened& reader, size_t tensor = 0) {
  if (!reader.ok()) return reader.status().ToString();
  const auto bytes = ReadTensor(**reader, tensor);
  return bytes.ok() ? *bytes : bytes.status().ToString();
}

void RawBytes(PickleBuilder& p, absl::string_view bytes) {
  p.Op(PickleOp::kShortBinBytes)
      .Raw(std::string(1, static_cast<char>(bytes.size())))
      .Raw(bytes);
}

// numpy.dtype(type, False, True) with the byte order `order`.
void Type(PickleBuilder& p, absl::string_view type,
          absl::string_view order = "<") {
  p.Global("numpy", "dtype").Mark().Str(type).Bool(false).Bool(true).Tuple();
  p.Reduce().Mark().Int(3).Str(order).None().None().None();
  p.Int(-1).Int(-1).Int(0).Tuple().Op(PickleOp::kBuild);
}

// _reconstruct(ndarray, (0,), b'b') with the state that describes the array.
void Array(PickleBuilder& p, const std::vector<int64_t>& shape,
           const Write& type, bool fortran, const Write& data,
           absl::string_view module = "numpy.core.multiarray") {
  p.Global(module, "_reconstruct").Mark().Global("numpy", "ndarray");
  p.IntTuple({0});
  RawBytes(p, "b");
  p.Tuple().Reduce().Mark().Int(1).IntTuple(shape);
  type(p);
  p.Bool(fortran);
  data(p);
  p.Tuple().Op(PickleOp::kBuild);
}

Write TypeOf(absl::string_view type, absl::string_view order = "<") {
  return [=](PickleBuilder& p) { Type(p, type, order); };
}

Write Raw(absl::string_view bytes) {
  return [=](PickleBuilder& p) { RawBytes(p, bytes); };
}

TEST(NumpyReaderTest, ReadsAnArray) {
  const std::string floats = BytesOf<float>({1, 2, 3, 4, 5, 6});
  for (const char* module :
       {"numpy.core.multiarray", "numpy._core.multiarray"}) {
    const Opened reader = Open(Dict([&](PickleBuilder& p) {
      Array(p, {2, 3}, TypeOf("f4"), false, Raw(floats), module);
    }));
    ASSERT_TRUE(reader.ok()) << reader.status();
    const CheckpointIndex& index = (*reader)->index();
    EXPECT_EQ(index.container, "pickle");
    EXPECT_EQ(index.tensors[0].name, "x");
    EXPECT_EQ(index.tensors[0].shape, (Shape{2, 3}));
    EXPECT_THAT(index.notes, Contains("read from NumPy arrays: 'x'"));
    EXPECT_EQ(Bytes(reader), floats);
  }
}

TEST(NumpyReaderTest, TypesAndByteOrders) {
  struct Case {
    const char* type;
    const char* order;
    DType dtype;
    std::string stored;
    std::string expected;
  };
  const std::vector<Case> cases = {
      {"f4", "<", DType::kF32, "abcd", "abcd"},
      {"f4", "=", DType::kF32, "abcd", "abcd"},
      {"f4", ">", DType::kF32, "abcd", "dcba"},
      {"f8", ">", DType::kF64, "abcdefgh", "hgfedcba"},
      {"f2", ">", DType::kF16, "ab", "ba"},
      {"i8", "<", DType::kI64, "abcdefgh", "abcdefgh"},
      {"u2", ">", DType::kU16, "ab", "ba"},
      {"i1", "|", DType::kI8, "a", "a"},
      {"b1", "|", DType::kBool, "\x01", "\x01"},
      {"c8", ">", DType::kC64, "abcdefgh", "dcbahgfe"},
      {"c16", "<", DType::kC128, "0123456789abcdef", "0123456789abcdef"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.type);
    const Opened reader = Open(Dict([&](PickleBuilder& p) {
      Array(p, {1}, TypeOf(test.type, test.order), false, Raw(test.stored));
    }));
    EXPECT_EQ(Bytes(reader), test.expected);
    if (reader.ok()) {
      EXPECT_EQ((*reader)->index().tensors[0].dtype, test.dtype);
    }
  }
}

TEST(NumpyReaderTest, FortranOrder) {
  const auto open = [](std::vector<int64_t> shape, absl::string_view data) {
    return Open(Dict([&](PickleBuilder& p) {
      Array(p, shape, TypeOf("u1", "|"), true, Raw(data));
    }));
  };
  EXPECT_EQ(Bytes(open({2, 3}, "adbecf")), "abcdef");
  EXPECT_EQ(Bytes(open({4}, "abcd")), "abcd");
  EXPECT_EQ(Bytes(open({}, "a")), "a");
  EXPECT_EQ(Bytes(open({0, 3}, "")), "");
}

TEST(NumpyReaderTest, BytesAsEveryProtocolWritesThem) {
  const std::string data = "\x80\xFF\x07z";
  const auto encoded = [](absl::string_view text, absl::string_view codec) {
    return [=](PickleBuilder& p) {
      p.Global("_codecs", "encode").Mark().Str(text).Str(codec).Tuple();
      p.Reduce();
    };
  };
  const auto bytes = [&](const Write& write) {
    return Bytes(Open(Dict([&](PickleBuilder& p) {
      Array(p, {4}, TypeOf("u1", "|"), false, write);
    })));
  };
  const std::string utf8 = "\xC2\x80\xC3\xBF\x07z";
  EXPECT_EQ(bytes(Raw(data)), data);
  EXPECT_EQ(bytes(encoded(utf8, "latin1")), data);
  EXPECT_EQ(bytes(encoded(utf8, "latin-1")), data);
  // Python 2: a string, binary or as a literal.
  EXPECT_EQ(bytes([&](PickleBuilder& p) {
              p.Op(PickleOp::kShortBinString).Raw("\x04").Raw(data);
            }),
            data);
  EXPECT_EQ(bytes([&](PickleBuilder& p) {
              p.Op(PickleOp::kString).Raw("'\\x80\\xff\\x07z'\n");
            }),
            data);
  // Protocol 0: escapes.
  EXPECT_EQ(bytes([&](PickleBuilder& p) {
              p.Global("_codecs", "encode").Mark().Op(PickleOp::kUnicode);
              p.Raw("\\u0080\\u00ff\\u0007z\n").Str("latin1").Tuple().Reduce();
            }),
            data);
  EXPECT_THAT(bytes(encoded("\xC4\x80zzz", "latin1")),
              HasSubstr("characters that are no bytes"));
  EXPECT_THAT(bytes(encoded(utf8, "utf8")), HasSubstr("malformed bytes"));
  EXPECT_THAT(bytes([](PickleBuilder& p) { p.Int(4); }),
              HasSubstr("malformed bytes"));
}

TEST(NumpyReaderTest, OneTextOfSeveralArrays) {
  // The text is decoded once, however many arrays it is in.
  const auto both = [](PickleBuilder& p, bool encoded) {
    Array(p, {2}, TypeOf("u1", "|"), false, [](PickleBuilder& q) {
      q.Global("_codecs", "encode").Mark().Str("\xC2\x80z").Put(7);
      q.Str("latin1").Tuple().Reduce();
    });
    p.Str("y");
    Array(p, {2}, TypeOf("u1", "|"), false, [&](PickleBuilder& q) {
      if (!encoded) {
        q.Get(7);
        return;
      }
      q.Global("_codecs", "encode").Mark().Get(7).Str("latin1").Tuple();
      q.Reduce();
    });
  };
  const Opened reader = Open(Dict([&](PickleBuilder& p) { both(p, true); }));
  EXPECT_EQ(Bytes(reader, 0), "\x80z");
  EXPECT_EQ(Bytes(reader, 1), "\x80z");
  ExpectError(Open(Dict([&](PickleBuilder& p) { both(p, false); })), kDataLoss,
              "tensor 'y': the NumPy array is bytes here and text elsewhere");
}

TEST(NumpyReaderTest, TiesAreArraysNotBytes) {
  const Opened reader = Open(Dict([](PickleBuilder& p) {
    Array(p, {1}, TypeOf("u1", "|"), false, [](PickleBuilder& q) {
      RawBytes(q, "a");
      q.Put(1);
    });
    p.Put(2).Str("same").Get(2).Str("equal");
    Array(p, {1}, TypeOf("u1", "|"), false, [](PickleBuilder& q) { q.Get(1); });
  }));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->index().tensors[1].tie, 0);
  EXPECT_EQ((*reader)->index().tensors[2].tie, kNoTie);
  EXPECT_EQ(Bytes(reader, 2), "a");
}

TEST(NumpyReaderTest, ScalarsAndBuffers) {
  const Opened scalar = Open(Dict([](PickleBuilder& p) {
    p.Global("numpy.core.multiarray", "scalar").Mark();
    Type(p, "f8", ">");
    RawBytes(p, "abcdefgh");
    p.Tuple().Reduce();
  }));
  EXPECT_EQ(Bytes(scalar), "hgfedcba");
  EXPECT_EQ((*scalar)->index().tensors[0].shape, Shape{});
  const auto buffer = [](absl::string_view order) {
    return Bytes(Open(Dict([&](PickleBuilder& p) {
      p.Global("numpy._core.numeric", "_frombuffer").Mark();
      p.Op(PickleOp::kByteArray8).Raw(BytesOf<int64_t>({4})).Raw("abcd");
      Type(p, "i1", "|");
      p.IntTuple({2, 2}).Str(order).Tuple().Reduce();
    })));
  };
  EXPECT_EQ(buffer("C"), "abcd");
  EXPECT_EQ(buffer("F"), "acbd");
}

TEST(NumpyReaderTest, OtherTypesAreNamedNotRead) {
  for (const char* type : {"O8", "U12", "S3", "V8", "M8", "m8", "f16"}) {
    SCOPED_TRACE(type);
    const Opened reader = Open(Dict([&](PickleBuilder& p) {
      Array(p, {1}, TypeOf(type), false, Raw("xxxx"));
      p.Str("y");
      Array(p, {1}, TypeOf("u1", "|"), false, Raw("a"));
    }));
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ((*reader)->index().tensors.size(), 1);
    EXPECT_THAT((*reader)->index().notes,
                Contains(absl::StrCat("no tensors, left out: 'x' (numpy array "
                                      "of dtype '",
                                      type, "', not read)")));
  }
}

TEST(NumpyReaderTest, SizesThatLie) {
  const auto open = [](std::vector<int64_t> shape, absl::string_view data,
                       bool fortran = false) {
    return Open(Dict([&](PickleBuilder& p) {
      Array(p, shape, TypeOf("f4"), fortran, Raw(data));
    }));
  };
  ExpectError(open({2}, "abcd"), kDataLoss,
              "dir/m.pkl: tensor 'x': the NumPy array has 4 bytes but its "
              "shape 8");
  ExpectError(open({0}, "abcd"), kDataLoss, "has 4 bytes but its shape 0");
  ExpectError(open({-1}, "abcd"), kDataLoss, "malformed NumPy array");
  ExpectError(open({int64_t{1} << 62, 2}, "abcd"), kDataLoss, "malformed");
  ExpectError(open({int64_t{1} << 62, 4, 0}, "", true), kDataLoss, "malformed");
}

TEST(NumpyReaderTest, PicklesOfSomethingElse) {
  ExpectError(Open(PickleBuilder().Dict().Build()), kUnimplemented,
              "dir/m.pkl: this file is a bare pickle without NumPy arrays");
  ExpectError(Open(Dict([](PickleBuilder& p) {
                p.Tensor("FloatStorage", "0", 1, 0, {1}, {1});
              })),
              kUnimplemented,
              "the pickle of a container without the container");
  ExpectError(Open(Dict([](PickleBuilder& p) {
                p.Global("joblib.numpy_pickle", "NumpyArrayWrapper");
              })),
              kUnimplemented, "written by joblib, which is not read; ");
  ExpectError(Open("\x80\x02\xFFzzzz"), kDataLoss, "dir/m.pkl: the object");
}

TEST(NumpyReaderTest, RecognisesPicklesOnly) {
  const auto is_pickle = [](std::string bytes) {
    return *IsBarePickle(Files(std::move(bytes)));
  };
  EXPECT_TRUE(is_pickle("\x80\x04N."));
  EXPECT_TRUE(is_pickle("(dp0\nVa\np1\nI1\ns."));  // protocol 0
  EXPECT_TRUE(is_pickle("}q\x01."));               // protocol 1
  std::string longer = "(lp0\n";
  for (int i = 0; i < 10'000; ++i) longer += "I1\na";
  EXPECT_TRUE(is_pickle(longer + "."));
  for (const char* text :
       {"", ".", "(", "(1)", "checkpoint of\nyesterday\n", "{\"a\": 1}",
        "[1, 2]", "some notes", "(a) first\n(b) second\n", "PK", "\x80\x07."}) {
    EXPECT_FALSE(is_pickle(text)) << text;
  }
}

TEST(NumpyReaderTest, CutOrDamagedAnywhere) {
  const std::string good = Dict([](PickleBuilder& p) {
    Array(p, {2}, TypeOf("u2", ">"), true, Raw("abcd"));
  });
  testing::ForEachTruncation(good, [&](std::string bytes, size_t size) {
    SCOPED_TRACE(size);
    ExpectError(Open(std::move(bytes)), kDataLoss, "dir/m.pkl is truncated: ");
  });
  testing::ForEachChangedByte(good, [&](std::string bytes, size_t position) {
    SCOPED_TRACE(position);
    const Opened reader = Open(std::move(bytes));
    if (reader.ok()) {
      for (size_t i = 0; i < (*reader)->index().tensors.size(); ++i) {
        EXPECT_TRUE(ReadTensor(**reader, i).ok());
      }
    } else {
      EXPECT_THAT(std::string(reader.status().message()),
                  HasSubstr("dir/m.pkl"));
    }
  });
}

}  // namespace
}  // namespace monoquant
