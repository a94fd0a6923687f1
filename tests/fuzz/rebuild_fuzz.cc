// Archives that torch could have written but for a few decisions of the input:
// which rebuild functions, nested how, over which storages, with which numbers.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/testing/zip_builder.h"
#include "tests/fuzz/fuzz_target.h"

namespace monoquant::fuzz {
namespace {

using testing::PickleBuilder;
using testing::ZipBuilder;

constexpr absl::string_view kStorages[] = {
    "FloatStorage",    "DoubleStorage",       "HalfStorage",
    "BFloat16Storage", "LongStorage",         "IntStorage",
    "ShortStorage",    "CharStorage",         "ByteStorage",
    "BoolStorage",     "ComplexFloatStorage", "ComplexDoubleStorage",
    "QInt8Storage",    "QUInt8Storage",       "QInt32Storage",
    "QUInt4x2Storage", "UntypedStorage",      "EvilStorage"};

constexpr absl::string_view kDTypes[] = {
    "float32",     "float16",        "bfloat16",
    "float64",     "int8",           "uint8",
    "int64",       "bool",           "complex64",
    "complex128",  "complex32",      "float8_e4m3fn",
    "float8_e5m2", "float8_e8m0fnu", "float4_e2m1fn_x2",
    "uint16",      "uint64",         "int4",
    "bits8",       "qint8",          "nothing"};

constexpr absl::string_view kNames[] = {"w",
                                        "weight",
                                        "state_dict",
                                        "model",
                                        "_parameters",
                                        "_buffers",
                                        "_modules",
                                        "optimizer",
                                        "bias",
                                        "weight_scale_inv",
                                        "weight_scale",
                                        "_packed_params",
                                        "scale",
                                        "zero_point",
                                        "0",
                                        "a.b"};

// Bytes of data/0, data/1 and data/2.
constexpr size_t kStorageBytes[] = {16, 256, 4096};

class Builder {
 public:
  explicit Builder(Decisions* decisions) : decisions_(*decisions) {}

  std::string Build() {
    pickle_.Dict().Mark();
    while (!decisions_.empty() && values_ < kMaxValues) {
      Name();
      Value(0);
    }
    return pickle_.SetItems().Build();
  }

 private:
  static constexpr int kMaxValues = 200;
  static constexpr int kMaxDepth = 6;

  template <typename Table>
  absl::string_view Pick(const Table& table) {
    return table[decisions_.Below(std::size(table))];
  }

  void Name() {
    if (decisions_.Byte() < 0xF0) {
      pickle_.Str(Pick(kNames));
    } else {
      pickle_.Str(decisions_.Text(20));
    }
  }

  void Ints() {
    std::vector<int64_t> values(decisions_.Below(6));
    for (int64_t& value : values) value = decisions_.Number();
    pickle_.IntTuple(values);
  }

  // A size and a stride: those of a contiguous tensor mostly.
  void View() {
    if (decisions_.Byte() < 0x40) {
      pickle_.Int(decisions_.Number());
      Ints();
      Ints();
      return;
    }
    std::vector<int64_t> size(decisions_.Below(4));
    std::vector<int64_t> stride(size.size());
    int64_t step = 1;
    for (size_t i = size.size(); i-- > 0;) {
      size[i] = static_cast<int64_t>(decisions_.Below(8));
      stride[i] = step;
      step *= size[i] == 0 ? 1 : size[i];
    }
    if (size.size() >= 2 && decisions_.Bool()) {
      std::swap(size[0], size[1]);
      std::swap(stride[0], stride[1]);
    }
    pickle_.Int(static_cast<int64_t>(decisions_.Below(4)));
    pickle_.IntTuple(size).IntTuple(stride);
  }

  void Storage() {
    const size_t key = decisions_.Below(std::size(kStorageBytes) + 1);
    int64_t numel = decisions_.Number();
    const absl::string_view cls = Pick(kStorages);
    if (key < std::size(kStorageBytes) && decisions_.Byte() < 0xC0) {
      numel = static_cast<int64_t>(kStorageBytes[key]) /
              (cls == "FloatStorage" ? 4 : 1);
    }
    pickle_.Storage(cls, absl::StrCat(key), numel);
  }

  void Scheme(int depth) {
    pickle_.Mark();
    if (decisions_.Bool()) {
      pickle_.Global("torch", "per_tensor_affine")
          .Int(1)
          .Int(decisions_.Number());
    } else {
      pickle_.Global("torch", "per_channel_affine");
      Tensor(depth + 1);
      Tensor(depth + 1);
      pickle_.Int(decisions_.Number());
    }
    pickle_.Tuple();
  }

  void State(int depth) {
    pickle_.Dict().Mark();
    for (size_t i = decisions_.Below(3); i > 0; --i) {
      Name();
      Value(depth + 1);
    }
    pickle_.SetItems();
  }

  void Tensor(int depth) {
    if (depth > kMaxDepth || ++values_ > kMaxValues) {
      pickle_.None();
      return;
    }
    const uint8_t kind = decisions_.Byte();
    switch (kind % 10) {
      case 0:
        pickle_.Global("torch._utils", "_rebuild_tensor_v3").Mark();
        Storage();
        View();
        pickle_.Bool(false).OrderedDict().Global("torch", Pick(kDTypes));
        break;
      case 1:
        pickle_.Global("torch._utils", "_rebuild_qtensor").Mark();
        Storage();
        View();
        Scheme(depth);
        pickle_.Bool(false).OrderedDict();
        break;
      case 2:
        pickle_.Global("torch._utils", "_rebuild_parameter").Mark();
        Tensor(depth + 1);
        pickle_.Bool(true).OrderedDict();
        break;
      case 3:
        pickle_.Global("torch._utils", "_rebuild_parameter_with_state").Mark();
        Tensor(depth + 1);
        pickle_.Bool(true).OrderedDict();
        State(depth);
        break;
      case 4:
        pickle_.Global("torch._tensor", "_rebuild_from_type_v2")
            .Mark()
            .Global("torch._utils", "_rebuild_tensor_v2")
            .Global("mine", "Tensor")
            .Mark();
        Storage();
        View();
        pickle_.Bool(false).OrderedDict().Tuple();
        State(depth);
        break;
      case 5:
        pickle_.Global("torch._utils", "_rebuild_sparse_tensor")
            .Mark()
            .Global("torch.serialization", "_get_layout")
            .Mark()
            .Str("torch.sparse_coo")
            .Tuple()
            .Reduce()
            .Mark();
        Tensor(depth + 1);
        Tensor(depth + 1);
        Ints();
        pickle_.Tuple();
        break;
      default:
        pickle_.Global("torch._utils", "_rebuild_tensor_v2").Mark();
        Storage();
        View();
        pickle_.Bool(false).OrderedDict();
        if (kind > 0xE0) {
          pickle_.Dict()
              .Str(decisions_.Bool() ? "conj" : "neg")
              .Bool(true)
              .Op(PickleOp::kSetItem);
        }
        break;
    }
    pickle_.Tuple().Reduce();
  }

  void Value(int depth) {
    if (depth > kMaxDepth || ++values_ > kMaxValues) {
      pickle_.None();
      return;
    }
    switch (decisions_.Byte() % 12) {
      case 0:
        pickle_.Int(decisions_.Number());
        break;
      case 1:
        State(depth);
        break;
      case 2:
        // A module: state_dict() is read from these three.
        pickle_.Global("mine", "Net")
            .Op(PickleOp::kEmptyTuple)
            .Op(PickleOp::kNewObj)
            .Dict()
            .Mark();
        for (const char* name : {"_parameters", "_buffers", "_modules"}) {
          pickle_.Str(name);
          State(depth);
        }
        pickle_.SetItems().Op(PickleOp::kBuild);
        break;
      case 3:
        pickle_.Op(PickleOp::kEmptyList).Mark();
        Value(depth + 1);
        Value(depth + 1);
        pickle_.Op(PickleOp::kAppends);
        break;
      case 4:
        pickle_.Raw(decisions_.Text(8));
        break;
      case 5:
        Tensor(depth);
        pickle_.Put(decisions_.Byte() % 4);
        break;
      case 6:
        pickle_.Get(decisions_.Byte() % 4);
        break;
      default:
        Tensor(depth);
        break;
    }
  }

  Decisions& decisions_;
  PickleBuilder pickle_;
  int values_ = 0;
};

}  // namespace
}  // namespace monoquant::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace monoquant::fuzz;
  Decisions decisions(data, size);
  const bool big_endian = decisions.Byte() == 0xBE;
  const std::string pickle = Builder(&decisions).Build();
  ZipBuilder zip;
  zip.Add("m/data.pkl", pickle)
      .Add("m/byteorder", big_endian ? "big" : "little");
  for (size_t i = 0; i < std::size(kStorageBytes); ++i) {
    std::string bytes(kStorageBytes[i], '\0');
    for (size_t k = 0; k < bytes.size(); ++k) {
      bytes[k] = static_cast<char>(k * 37 + i);
    }
    zip.Add(absl::StrCat("m/data/", i), bytes);
  }
  OpenAndRead(OneFile("model.pt", zip.Build()));
  return 0;
}
