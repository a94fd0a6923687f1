// Guards: mobile modules from their bytes to the tensors, their names and
// quantizers; constants and cycles; and that no reference in a FlatBuffer is
// followed out of the file.

#include "frontends/mobile/mobile_reader.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/testing/corruption.h"
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
using testing::ReadTensor;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;

CheckpointFiles Files(std::string bytes) {
  return InMemoryFiles("dir/m.ptl", {{"m.ptl", std::move(bytes)}});
}

Opened Open(std::string bytes, const OpenOptions& options = {}) {
  return OpenMobileModule(Files(std::move(bytes)), options);
}

template <typename T>
std::string One(T value) {
  return BytesOf<T>({value});
}

// Room for a reference.
const std::string kReference(4, '\0');

// Writes a FlatBuffer from front to back, whatever refers before what it
// refers to. Without alignment, which the reader does not need.
class FlatWriter {
 public:
  struct Field {
    uint16_t id;
    std::string bytes;
  };

  std::string bytes;

  // Writes a table to which the reference at `place` leads; returns the places
  // of its fields.
  std::vector<size_t> Table(size_t place, const std::vector<Field>& fields) {
    uint16_t count = 0;
    for (const Field& field : fields)
      count = std::max<uint16_t>(count, field.id + 1);
    const auto vtable_size = static_cast<uint16_t>(4 + 2 * count);
    std::vector<uint16_t> vtable(count + 2, 0);
    vtable[0] = vtable_size;
    uint16_t size = 4;
    for (const Field& field : fields) {
      vtable[field.id + 2] = size;
      size = static_cast<uint16_t>(size + field.bytes.size());
    }
    vtable[1] = size;
    bytes += BytesOf(vtable);
    Link(place);
    bytes += One<int32_t>(vtable_size);
    std::vector<size_t> places;
    for (const Field& field : fields) {
      places.push_back(bytes.size());
      bytes += field.bytes;
    }
    return places;
  }

  // Writes a vector or string; returns where its elements begin.
  size_t Vector(size_t place, size_t count, absl::string_view elements) {
    Link(place);
    bytes += One(static_cast<uint32_t>(count));
    const size_t begin = bytes.size();
    bytes.append(elements.data(), elements.size());
    return begin;
  }
  template <typename T>
  void Numbers(size_t place, const std::vector<T>& numbers) {
    Vector(place, numbers.size(), BytesOf(numbers));
  }
  void Text(size_t place, absl::string_view text) {
    Vector(place, text.size(), text);
  }
  // A vector of references; returns the place of the first.
  size_t References(size_t place, size_t count) {
    return Vector(place, count, std::string(4 * count, '\0'));
  }

  // Makes the reference at `place` lead to the end of what is written.
  void Link(size_t place) {
    bytes.replace(place, 4, One(static_cast<uint32_t>(bytes.size() - place)));
  }
};

// A value: its type, and what writes its content.
struct Value {
  uint8_t type;
  std::function<void(FlatWriter&, size_t)> write;
};

Value Int(int64_t value) {
  return {1, [=](FlatWriter& w, size_t place) {
            w.Link(place);
            w.bytes += One(value);
          }};
}

Value String(std::string text) {
  return {6, [=](FlatWriter& w, size_t place) {
            w.Text(w.Table(place, {{0, kReference}})[0], text);
          }};
}

Value List(std::vector<uint32_t> items) {
  return {7, [=](FlatWriter& w, size_t place) {
            w.Numbers(w.Table(place, {{0, kReference}})[0], items);
          }};
}

Value Dict(std::vector<uint32_t> keys, std::vector<uint32_t> values) {
  return {9, [=](FlatWriter& w, size_t place) {
            const auto fields =
                w.Table(place, {{0, kReference}, {1, kReference}});
            w.Numbers(fields[0], keys);
            w.Numbers(fields[1], values);
          }};
}

Value Object(uint32_t type, std::vector<uint32_t> attributes) {
  return {10, [=](FlatWriter& w, size_t place) {
            w.Numbers(w.Table(place, {{0, One(type)}, {2, kReference}})[1],
                      attributes);
          }};
}

Value WithState(uint32_t type, uint32_t state) {
  return {10, [=](FlatWriter& w, size_t place) {
            w.Table(place, {{0, One(type)}, {1, One(state)}});
          }};
}

struct Tensor {
  uint32_t storage = 0;
  int8_t type = 6;  // float
  int32_t offset = 0;
  std::vector<int32_t> size = {2};
  std::vector<int32_t> stride = {1};
  std::function<void(FlatWriter&, size_t)> quantizer;

  void Write(FlatWriter& w, size_t place) const {
    std::vector<FlatWriter::Field> fields = {{0, One(storage)},
                                             {1, One(type)},
                                             {2, One(offset)},
                                             {3, kReference},
                                             {4, kReference}};
    if (quantizer != nullptr) fields.push_back({6, kReference});
    const auto places = w.Table(place, fields);
    w.Numbers(places[3], size);
    w.Numbers(places[4], stride);
    if (quantizer != nullptr) quantizer(w, places[5]);
  }
  Value AsValue() const {
    return {5, [tensor = *this](FlatWriter& w, size_t place) {
              tensor.Write(w, place);
            }};
  }
};

struct Type {
  std::string name;
  uint8_t kind = 1;
  std::vector<std::string> attributes;
};

struct Module {
  std::vector<Value> values;
  uint32_t root = 0;
  std::vector<std::string> storages;
  std::vector<Type> types;

  std::string Build() const {
    FlatWriter w;
    w.bytes = kReference + "PTMF";
    const auto fields = w.Table(0, {{0, One<uint32_t>(9)},
                                    {3, One(root)},
                                    {4, kReference},
                                    {6, kReference},
                                    {7, kReference}});
    size_t place = w.References(fields[2], values.size());
    for (const Value& value : values) {
      const auto content =
          w.Table(place, {{0, One(value.type)}, {1, kReference}});
      value.write(w, content[1]);
      place += 4;
    }
    place = w.References(fields[4], types.size());
    for (const Type& type : types) {
      const auto parts = w.Table(
          place, {{0, kReference}, {1, One(type.kind)}, {2, kReference}});
      w.Text(parts[0], type.name);
      size_t name = w.References(parts[2], type.attributes.size());
      for (const std::string& attribute : type.attributes) {
        w.Text(name, attribute);
        name += 4;
      }
      place += 4;
    }
    place = w.References(fields[3], storages.size());
    for (const std::string& storage : storages) {
      w.Vector(w.Table(place, {{0, kReference}})[0], storage.size(), storage);
      place += 4;
    }
    return w.bytes;
  }
};

// A linear layer, a list, a dict and a number in a network.
Module Network() {
  Module module;
  const std::string data = BytesOf<float>({0, 1, 2, 3, 4, 5});
  module.storages = {data, BytesOf<int64_t>({7})};
  Tensor transposed;
  transposed.size = {3, 2};
  transposed.stride = {1, 3};
  Tensor counter;
  counter.storage = 1;
  counter.type = 4;
  counter.size = {};
  counter.stride = {};
  Tensor part;
  part.offset = 4;
  module.types = {
      {"__torch__.my.Net", 1, {"linear", "n", "list", "by", "tie"}},
      {"__torch__.torch.nn.modules.linear.Linear", 1, {"weight", "steps"}}};
  module.values = {
      Object(0, {1, 2, 3, 4, 5}),
      Object(1, {5, 6}),
      Int(3),
      List({7, 7}),
      Dict({8, 2}, {7, 6}),
      transposed.AsValue(),
      counter.AsValue(),
      part.AsValue(),
      String("key"),
      part.AsValue(),  // of no attribute
  };
  return module;
}

std::string Names(const Opened& reader) {
  if (!reader.ok()) return reader.status().ToString();
  std::string names;
  for (const TensorInfo& info : (*reader)->index().tensors) {
    absl::StrAppend(&names, names.empty() ? "" : " ", info.name);
  }
  return names;
}

std::string Bytes(const Opened& reader, size_t tensor) {
  if (!reader.ok()) return reader.status().ToString();
  const auto bytes = ReadTensor(**reader, tensor);
  return bytes.ok() ? *bytes : bytes.status().ToString();
}

TEST(MobileReaderTest, ReadsTheAttributesOfModules) {
  const std::string bytes = Network().Build();
  ASSERT_TRUE(*IsMobileModule(Files(bytes)));
  const Opened reader = Open(bytes);
  EXPECT_EQ(Names(reader),
            "linear.weight linear.steps list.0 list.1 by.key by.3 tie");
  ASSERT_TRUE(reader.ok());
  const CheckpointIndex& index = (*reader)->index();
  EXPECT_EQ(index.container, "torch-mobile");
  EXPECT_EQ(index.tensors[0].module_kind, "Linear");
  EXPECT_EQ(index.tensors[0].shape, (Shape{3, 2}));
  EXPECT_EQ(Bytes(reader, 0), BytesOf<float>({0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(Bytes(reader, 1), BytesOf<int64_t>({7}));
  EXPECT_EQ(Bytes(reader, 2), BytesOf<float>({4, 5}));
  EXPECT_EQ(index.tensors[3].tie, 2);
  EXPECT_EQ(index.tensors[6].tie, 0);
  EXPECT_THAT(index.notes, Contains(HasSubstr("constants in its code are left "
                                              "out: 1")));
  const auto extent = (*reader)->Locate(2);
  ASSERT_TRUE(extent.has_value());
  EXPECT_EQ(bytes.substr(extent->offset, extent->size), Bytes(reader, 2));
}

// An object without attributes stands for its state.
TEST(MobileReaderTest, StatesAndQuantizedTensors) {
  Module module;
  module.storages = {"\x01\x02\x03\x04", BytesOf<double>({0.5, 2}),
                     BytesOf<int64_t>({1, 0})};
  Tensor scales;
  scales.storage = 1;
  scales.type = 7;
  Tensor zeros;
  zeros.storage = 2;
  zeros.type = 4;
  Tensor per_tensor;
  per_tensor.type = 12;
  per_tensor.quantizer = [](FlatWriter& w, size_t place) {
    w.Table(place,
            {{0, One<int8_t>(0)}, {1, One<double>(0.5)}, {2, One<int32_t>(1)}});
  };
  Tensor per_channel = per_tensor;
  per_channel.size = {2, 2};
  per_channel.stride = {2, 1};
  per_channel.quantizer = [=](FlatWriter& w, size_t place) {
    const auto fields = w.Table(place, {{0, One<int8_t>(1)},
                                        {3, kReference},
                                        {4, kReference},
                                        {5, One<int32_t>(0)}});
    scales.Write(w, fields[1]);
    zeros.Write(w, fields[2]);
  };
  module.types = {{"__torch__.Net", 1, {"packed"}},
                  {"__torch__.Packed", 2, {}}};
  module.values = {Object(0, {1}), WithState(1, 2), List({3, 4}),
                   per_tensor.AsValue(), per_channel.AsValue()};
  const Opened reader = Open(module.Build());
  EXPECT_EQ(Names(reader), "packed.0 packed.1");
  EXPECT_EQ(Bytes(reader, 0), BytesOf<float>({0, 0.5}));
  EXPECT_EQ(Bytes(reader, 1), BytesOf<float>({0, 0.5, 6, 8}));
  OpenOptions as_stored;
  as_stored.as_stored = true;
  EXPECT_EQ(Bytes(Open(module.Build(), as_stored), 0), "\x01\x02");
}

TEST(MobileReaderTest, ThingsThatDoNotExist) {
  const auto open = [](const std::function<void(Module&)>& change) {
    Module module = Network();
    change(module);
    return Open(module.Build());
  };
  const auto with_tensor = [&](const std::function<void(Tensor&)>& change) {
    Tensor tensor;
    change(tensor);
    return open([&](Module& m) { m.values[5] = tensor.AsValue(); });
  };
  ExpectError(open([](Module& m) { m.root = 99; }), kDataLoss,
              "dir/m.ptl: value 99 does not exist among 10");
  ExpectError(open([](Module& m) { m.values[3] = List({99}); }), kDataLoss,
              "dir/m.ptl: 'list.0': value 99 does not exist");
  ExpectError(open([](Module& m) { m.values[1] = Object(9, {}); }), kDataLoss,
              "'linear': class 9 does not exist among 2");
  ExpectError(open([](Module& m) { m.values[1] = Object(1, {5}); }), kDataLoss,
              "has 1 attributes but the class 2");
  ExpectError(open([](Module& m) { m.values[4] = Dict({8}, {}); }), kDataLoss,
              "'by': a dict has 1 keys but 0 values");
  ExpectError(with_tensor([](Tensor& t) { t.storage = 5; }), kDataLoss,
              "'linear.weight': storage 5 does not exist among 2");
  ExpectError(with_tensor([](Tensor& t) { t.type = 44; }), kUnimplemented,
              "'linear.weight': element type 44 is not known");
  ExpectError(with_tensor([](Tensor& t) { t.type = -1; }), kUnimplemented,
              "element type -1");
  ExpectError(with_tensor([](Tensor& t) { t.offset = -1; }), kDataLoss,
              "its offset is negative");
  ExpectError(with_tensor([](Tensor& t) { t.size = {-2}; }), kDataLoss,
              "dir/m.ptl: tensor 'linear.weight': ");
  ExpectError(with_tensor([](Tensor& t) { t.offset = 5; }), kDataLoss,
              "dir/m.ptl: tensor 'linear.weight': size [2]");
  ExpectError(with_tensor([](Tensor& t) {
                t.size.assign(65, 1);
                t.stride.assign(65, 1);
              }),
              kDataLoss, "it has 65 dimensions");
}

TEST(MobileReaderTest, CyclesDepthAndSharing) {
  Module module = Network();
  module.values[3] = List({7, 3});
  const Opened reader = Open(module.Build());
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_THAT((*reader)->index().notes,
              Contains("contain themselves: 'list.1'"));

  Module deep;
  for (uint32_t i = 0; i < 1500; ++i) deep.values.push_back(List({i + 1}));
  deep.values.push_back(Int(0));
  ExpectError(Open(deep.Build()), kDataLoss,
              "nested deeper than the limit of 1000");

  // Ten lists of the next list each time.
  Module laughs;
  for (uint32_t i = 0; i < 20; ++i) {
    laughs.values.push_back(List(std::vector<uint32_t>(10, i + 1)));
  }
  laughs.values.push_back(Int(0));
  ExpectError(Open(laughs.Build()), kDataLoss,
              "more values than the limit of 2000000");
}

TEST(MobileReaderTest, NoDictsToChooseFrom) {
  OpenOptions options;
  options.root = "model";
  ExpectError(Open(Network().Build(), options),
              absl::StatusCode::kInvalidArgument, "leave out --root");
  options.root = ".";
  EXPECT_TRUE(Open(Network().Build(), options).ok());
  EXPECT_FALSE(*IsMobileModule(Files("PTMF")));
}

TEST(MobileReaderTest, CutAnywhere) {
  const std::string good = Network().Build();
  testing::ForEachTruncation(good, [&](std::string bytes, size_t size) {
    SCOPED_TRACE(size);
    if (!*IsMobileModule(Files(bytes))) return;
    ExpectError(Open(std::move(bytes)), kDataLoss, "dir/m.ptl: ");
  });
}

TEST(MobileReaderTest, DamagedAnywhere) {
  const std::string good = Network().Build();
  testing::ForEachChangedByte(good, [&](std::string bytes, size_t position) {
    SCOPED_TRACE(position);
    const Opened reader = Open(std::move(bytes));
    if (reader.ok()) {
      for (size_t i = 0; i < (*reader)->index().tensors.size(); ++i) {
        EXPECT_TRUE(ReadTensor(**reader, i).ok());
      }
    } else {
      EXPECT_THAT(std::string(reader.status().message()),
                  HasSubstr("dir/m.ptl: "));
    }
  });
}

}  // namespace
}  // namespace monoquant
