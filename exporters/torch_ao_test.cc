// Guards: what the pickle says of each kind of module, the storages that it
// refers to, and the refusals. That torch loads the files is tested in
// //tests/engines.

#include "exporters/torch_ao.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "exporters/exporter.h"
#include "exporters/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;
using testing::Export;
using ::testing::HasSubstr;
using testing::MakeTensor;
using testing::Payload;

constexpr auto kCannot = absl::StatusCode::kFailedPrecondition;

uint64_t Get(absl::string_view bytes, size_t at, size_t width) {
  uint64_t value = 0;
  for (size_t i = width; i-- > 0;) {
    value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  }
  return value;
}

// Member `name` of a small archive.
std::string Member(const std::string& file, const std::string& name) {
  size_t at = 0;
  while (Get(file, at, 4) == 0x04034b50) {
    const size_t size = Get(file, at + 18, 4);
    const size_t name_size = Get(file, at + 26, 2);
    const size_t data = at + 30 + name_size + Get(file, at + 28, 2);
    if (file.substr(at + 30, name_size) == "archive/" + name) {
      return file.substr(data, size);
    }
    at = data + size;
  }
  return "absent";
}

// A pickle as an expression of Python, in which P(...) is a persistent id,
// C.new(...) an object and x.build(...) one that gets a state.
class PickleText {
 public:
  explicit PickleText(absl::string_view pickle) : pickle_(pickle) {}

  std::string Read() {
    while (true) {
      const char op = Take(1)[0];
      if (op == '.') return stack_.back();
      Step(op);
    }
  }

 private:
  absl::string_view Take(size_t size) {
    const absl::string_view taken = pickle_.substr(0, size);
    pickle_.remove_prefix(size);
    return taken;
  }
  uint64_t TakeInt(size_t size) { return Get(Take(size), 0, size); }
  absl::string_view TakeLine() {
    const absl::string_view line = Take(pickle_.find('\n'));
    Take(1);
    return line;
  }
  std::string Pop() {
    std::string top = std::move(stack_.back());
    stack_.pop_back();
    return top;
  }
  std::vector<std::string> PopMark() {
    const auto begin = stack_.begin() + static_cast<int64_t>(marks_.back());
    marks_.pop_back();
    std::vector<std::string> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    return items;
  }
  void Push(std::string text) { stack_.push_back(std::move(text)); }

  void Step(char op) {
    switch (op) {
      case '\x80':
        Take(1);
        return;
      case 'c': {
        const std::string module(TakeLine());
        return Push(absl::StrCat(module, ".", TakeLine()));
      }
      case 'q':
        memo_.push_back(stack_.back());
        Take(1);
        return;
      case 'h':
        return Push(memo_[TakeInt(1)]);
      case 'X': {
        const uint64_t size = TakeInt(4);
        return Push(absl::StrCat("'", Take(size), "'"));
      }
      case 'K':
        return Push(absl::StrCat(TakeInt(1)));
      case 'M':
        return Push(absl::StrCat(TakeInt(2)));
      case '\x89':
        return Push("False");
      case 'N':
        return Push("None");
      case ')':
        return Push("()");
      case ']':
        return Push("[]");
      case '}':
        return Push("{}");
      case '(':
        marks_.push_back(stack_.size());
        return;
      case 't':
        return Push(absl::StrCat("(", absl::StrJoin(PopMark(), ", "), ")"));
      case 'e': {
        const std::string items = absl::StrJoin(PopMark(), ", ");
        stack_.back() = absl::StrCat("[", items, "]");
        return;
      }
      case 'u': {
        const std::vector<std::string> items = PopMark();
        std::string text;
        for (size_t i = 0; i < items.size(); i += 2) {
          absl::StrAppend(&text, i == 0 ? "" : ", ", items[i], ": ",
                          items[i + 1]);
        }
        const std::string dict = Pop();
        return Push(absl::StrCat(dict == "{}" ? "" : dict, "{", text, "}"));
      }
      case 'R': {
        const std::string args = Pop();
        return Push(absl::StrCat(Pop(), args));
      }
      case '\x81': {
        const std::string args = Pop();
        return Push(absl::StrCat(Pop(), ".new", args));
      }
      case 'b': {
        const std::string state = Pop();
        return Push(absl::StrCat(Pop(), ".build(", state, ")"));
      }
      case 'Q':
        return Push("P" + Pop());
      default:
        FAIL() << "opcode " << static_cast<int>(op);
    }
  }

  absl::string_view pickle_;
  std::vector<std::string> stack_;
  std::vector<size_t> marks_;
  std::vector<std::string> memo_;
};

// The pickle of a file, with short words for what is always the same.
std::string Short(const std::string& file) {
  std::string text = PickleText(Member(file, "data.pkl")).Read();
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{
           {"collections.OrderedDict()", "D"},
           {"torch._utils._rebuild_tensor_v2", "T"},
           {"torch._utils._rebuild_qtensor", "Q"},
           {", False, D)", ")"},
           {"P('storage', torch.", "P("},
           {", 'cpu'", ""},
           {"torch.ScriptObject.new()", "S"},
           {"'__torch__.torch.classes.quantized.LinearPackedParamsBase'",
            "LINEAR"},
           {"'__torch__.torch.classes.rnn.CellParamsBase'", "CELL"}}) {
    text = absl::StrReplaceAll(text, {{from, to}});
  }
  return text;
}

// A tensor of one dimension, and a quantized matrix, as Short has them.
std::string T(const char* type, int storage, int size) {
  return absl::StrCat("T(P(", type, "Storage, '", storage, "', ", size,
                      "), 0, (", size, "), (1))");
}
std::string Q(int storage, int rows, int columns) {
  return absl::StrCat("Q(P(QInt8Storage, '", storage, "', ", rows * columns,
                      "), 0, (", rows, ", ", columns, "), (", columns,
                      ", 1), (torch.per_channel_affine, ",
                      T("Double", storage + 1, rows), ", ",
                      T("Long", storage + 2, rows), ", 0))");
}

// What a plan would make of a model.
class Model {
 public:
  Model() { manifest_.record.version = "1.0"; }

  Model& Quantize(const std::string& name, const Shape& shape,
                  NumberFormat format = NumberFormat::kInt8) {
    QuantScheme scheme;
    scheme.format = format;
    const StoredWeight stored =
        StoreWeight(QuantStorage::kTorchAo, name, scheme, shape).value();
    for (const StoredPart& part :
         {stored.codes, *stored.scale, *stored.zero_point}) {
      manifest_.tensors.push_back(
          MakeTensor(part.name, part.dtype, part.shape));
    }
    manifest_.record.tensors.push_back(RecordOf(
        name, scheme, QuantStorage::kTorchAo, stored, DType::kF32, shape));
    return *this;
  }

  Model& Add(const std::string& name, const Shape& shape,
             DType dtype = DType::kF32) {
    manifest_.tensors.push_back(MakeTensor(name, dtype, shape));
    return *this;
  }

  // Both weights of a cell, and their biases.
  Model& Cell(const std::string& module, const std::string& suffix) {
    for (const char* kind : {"_ih", "_hh"}) {
      Quantize(absl::StrCat(module, ".weight", kind, suffix), {4, 1});
      Add(absl::StrCat(module, ".bias", kind, suffix), {4});
    }
    return *this;
  }

  Manifest& manifest() { return manifest_; }
  std::string Write() { return Export(TorchAoExporter(), manifest_).value(); }
  absl::Status Refusal() {
    return TorchAoExporter().Layout(manifest_).status();
  }

 private:
  Manifest manifest_;
};

TEST(TorchAoTest, Linear) {
  Model model;
  model.Add("norm", {3}).Quantize("a.fc.weight", {3, 2}).Add("a.fc.bias", {3});
  const std::string file = model.Quantize("b.weight", {2, 5}).Write();
  EXPECT_EQ(
      Short(file),
      absl::StrCat(
          "D{'norm': ", T("Float", 0, 3),
          ", 'a.fc.scale': ", "T(P(FloatStorage, '1', 1), 0, (), ()), ",
          "'a.fc.zero_point': T(P(LongStorage, '2', 1), 0, (), ()), ",
          "'a.fc._packed_params.dtype': torch.qint8, ",
          "'a.fc._packed_params._packed_params': (", Q(3, 3, 2), ", ",
          T("Float", 6, 3), "), ",
          // The same one and zero; no bias.
          "'b.scale': T(P(FloatStorage, '1', 1), 0, (), ()), ",
          "'b.zero_point': T(P(LongStorage, '2', 1), 0, (), ()), ",
          "'b._packed_params.dtype': torch.qint8, ",
          "'b._packed_params._packed_params': (", Q(7, 2, 5), ", None)}",
          ".build({'_metadata': D{'': {'version': 1}, 'a.fc': {'version': 4}, ",
          "'a.fc._packed_params': {'version': 3}, 'b': {'version': 4}, ",
          "'b._packed_params': {'version': 3}}})"));
  EXPECT_EQ(Member(file, "data/0"), Payload(0, 12));
  EXPECT_EQ(Member(file, "data/1"), std::string("\0\0\x80\x3f", 4));
  EXPECT_EQ(Member(file, "data/2"), std::string(8, '\0'));
  EXPECT_EQ(Member(file, "data/3"), Payload(1, 6));
  EXPECT_EQ(Member(file, "data/4"), Payload(2, 24));
  EXPECT_EQ(Member(file, "data/6"), Payload(4, 12));
  EXPECT_EQ(Member(file, "data/10"), "absent");
}

TEST(TorchAoTest, Recurrent) {
  // In two directions, and not in torch's order.
  Model model;
  model.Cell("m", "_l0_reverse").Cell("m", "_l0");
  const auto cell = [](int first) {
    // Biases come before the weights, and are not written again.
    const std::string ih = T("Float", first, 4);
    const std::string hh = T("Float", first + 1, 4);
    return absl::StrCat("S.build((('quantized_dynamic', [", ih, ", ", hh,
                        "], [], [1], [S.build(((", Q(first + 2, 4, 1), ", ", ih,
                        "), LINEAR)), S.build(((", Q(first + 5, 4, 1), ", ", hh,
                        "), LINEAR))]), CELL))");
  };
  EXPECT_EQ(Short(model.Write()),
            absl::StrCat("D{'m._all_weight_values.0.param': ", cell(0),
                         ", 'm._all_weight_values.1.param': ", cell(8),
                         "}.build({'_metadata': D{'': {'version': 1}, ",
                         "'m': {'version': 2}, ",
                         "'m._all_weight_values': {'version': 1}, ",
                         "'m._all_weight_values.0': {'version': 1}, ",
                         "'m._all_weight_values.1': {'version': 1}}})"));
}

TEST(TorchAoTest, Cells) {
  Model model;
  const auto packed = [](int first) {
    return absl::StrCat("S.build(((", Q(first, 4, 1), ", ",
                        T("Float", first + 3, 4), "), LINEAR))");
  };
  EXPECT_EQ(Short(model.Cell("c", "").Write()),
            absl::StrCat("D{'c._packed_weight_ih': ", packed(0),
                         ", 'c._packed_weight_hh': ", packed(4),
                         "}.build({'_metadata': D{'': {'version': 1}, ",
                         "'c': {'version': 1}}})"));
}

TEST(TorchAoTest, Convolutions) {
  Model model;
  model.Quantize("a.conv.weight", {4, 3, 2}).Add("a.conv.bias", {4});
  const std::string file = model.Quantize("b.weight", {2, 1, 5, 3}).Write();
  const auto output = [](const char* module) {
    return absl::StrCat("'", module, ".scale': T(P(FloatStorage, '4', 1), 0, ",
                        "(), ()), '", module,
                        ".zero_point': T(P(LongStorage, '5', 1), 0, (), ())");
  };
  EXPECT_EQ(
      Short(file),
      absl::StrCat(
          "D{'a.conv.weight': Q(P(QInt8Storage, '0', 24), 0, (4, 3, 2), ",
          "(6, 2, 1), (torch.per_channel_affine, ", T("Double", 1, 4), ", ",
          T("Long", 2, 4), ", 0)), 'a.conv.bias': ", T("Float", 3, 4), ", ",
          output("a.conv"),
          // No bias, which torch asks for all the same.
          ", 'b.weight': Q(P(QInt8Storage, '6', 30), 0, (2, 1, 5, 3), ",
          "(15, 15, 3, 1), (torch.per_channel_affine, ", T("Double", 7, 2),
          ", ", T("Long", 8, 2), ", 0)), 'b.bias': None, ", output("b"),
          "}.build({'_metadata': D{'': {'version': 1}, ",
          "'a.conv': {'version': 1}, 'b': {'version': 1}}})"));
  EXPECT_EQ(Member(file, "data/4"), std::string("\0\0\x80\x3f", 4));
  EXPECT_EQ(Member(file, "data/5"), std::string(8, '\0'));
}

// torch tells them by the type of zero points.
TEST(TorchAoTest, Embeddings) {
  Model model;
  EXPECT_EQ(
      Short(model.Quantize("e.weight", {3, 4}, NumberFormat::kUInt8).Write()),
      absl::StrCat(
          "D{'e._packed_params.dtype': torch.quint8, ",
          "'e._packed_params._packed_weight': Q(P(QUInt8Storage, '0', 12), 0, ",
          "(3, 4), (4, 1), (torch.per_channel_affine, ", T("Float", 1, 3), ", ",
          T("Float", 2, 3), ", 0))}.build({'_metadata': D{'': {'version': 1}, ",
          "'e': {'version': 1}, 'e._packed_params': {'version': 1}}})"));
}

TEST(TorchAoTest, TiedWeightsShareStorages) {
  Model model;
  model.Quantize("a.weight", {3, 2}).Quantize("b.weight", {3, 2});
  for (size_t i = 3; i < 6; ++i) model.manifest().tensors[i].tie = i - 3;
  const std::string file = model.Write();
  EXPECT_THAT(Short(file),
              HasSubstr(absl::StrCat("'b._packed_params._packed_params': (",
                                     Q(2, 3, 2), ", None)")));
  EXPECT_EQ(Member(file, "data/5"), "absent");
}

// Nothing quantized: as --to torch.
TEST(TorchAoTest, NothingQuantized) {
  Model model;
  EXPECT_EQ(Short(model.Add("w", {3}).Write()),
            absl::StrCat("D{'w': ", T("Float", 0, 3), "}"));
}

TEST(TorchAoTest, OrderDoesNotMatter) {
  Model model;
  model.Cell("m", "_l0").Quantize("fc.weight", {3, 2});
  const std::string file = model.Write();
  const auto backwards =
      Export(TorchAoExporter(), model.manifest(), 1, /*backwards=*/true);
  EXPECT_EQ(backwards.value(), file);
}

TEST(TorchAoTest, Refusals) {
  ExpectError(Model().Quantize("m.weight_ih_l0", {4, 1}).Refusal(), kCannot,
              "tensor 'm.weight_ih_l0': its module has no biases;");
  ExpectError(Model()
                  .Quantize("m.weight_ih_l0", {4, 1})
                  .Add("m.bias_ih_l0", {4})
                  .Refusal(),
              kCannot,
              "tensor 'm': not all weights of the module are quantized; "
              "quantize the original with --to torch-ao");
  ExpectError(Model().Cell("m", "_l999").Refusal(), kCannot,
              "not all weights of the module");
  ExpectError(Model()
                  .Quantize("m.weight", {4, 1})
                  .Add("m.bias", {4}, DType::kF16)
                  .Refusal(),
              kCannot,
              "tensor 'm.bias': torch packs biases of F32 and shape [4], and "
              "it is F16 [4];");
  ExpectError(
      Model().Quantize("m.weight", {4, 1}).Add("m.bias", {4, 1}).Refusal(),
      kCannot, "and it is F32 [4, 1];");
  ExpectError(Model()
                  .Quantize("m.weight", {4, 1, 3})
                  .Add("m.bias", {4}, DType::kF16)
                  .Refusal(),
              kCannot, "torch packs biases of F32 and shape [4]");
  ExpectError(Model().Quantize("m.weight", {4, 1}).Add("m.scale", {}).Refusal(),
              kCannot,
              "tensor 'm.scale': has a name that torch gives to a part of a "
              "quantized module; leave that module as it is (--skip)");
  Model plain;
  plain.Quantize("m.weight", {4, 1});
  plain.manifest().record.tensors[0].storage = QuantStorage::kPlain;
  ExpectError(plain.Refusal(), kCannot,
              "tensor 'm.weight': is quantized already, and stored in another "
              "way than torch-ao does;");
  ExpectError(Model().Add("w", {4}, DType::kF6E2M3).Refusal(), kCannot,
              "torch has no dtype F6_E2M3");
}

}  // namespace
}  // namespace monoquant
