#include "frontends/testing/pickle_builder.h"

#include <cstddef>

#include "absl/strings/str_cat.h"

namespace monoquant::testing {
namespace {

std::string LittleEndian(uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) {
    bytes.push_back(static_cast<char>(value >> (8 * i)));
  }
  return bytes;
}

}  // namespace

PickleBuilder& PickleBuilder::Op(PickleOp op) {
  bytes_.push_back(static_cast<char>(op));
  return *this;
}

PickleBuilder& PickleBuilder::Raw(absl::string_view bytes) {
  absl::StrAppend(&bytes_, bytes);
  return *this;
}

PickleBuilder& PickleBuilder::Str(absl::string_view text) {
  return Op(PickleOp::kBinUnicode).Raw(LittleEndian(text.size(), 4)).Raw(text);
}

PickleBuilder& PickleBuilder::Int(int64_t value) {
  if (value >= 0 && value < 256) {
    return Op(PickleOp::kBinInt1)
        .Raw(LittleEndian(static_cast<uint64_t>(value), 1));
  }
  return Op(PickleOp::kLong1)
      .Raw("\x08")
      .Raw(LittleEndian(static_cast<uint64_t>(value), 8));
}

PickleBuilder& PickleBuilder::Bool(bool value) {
  return Op(value ? PickleOp::kNewTrue : PickleOp::kNewFalse);
}

PickleBuilder& PickleBuilder::Global(absl::string_view module,
                                     absl::string_view name) {
  return Op(PickleOp::kGlobal).Raw(absl::StrCat(module, "\n", name, "\n"));
}

PickleBuilder& PickleBuilder::IntTuple(const std::vector<int64_t>& values) {
  Mark();
  for (int64_t value : values) Int(value);
  return Tuple();
}

PickleBuilder& PickleBuilder::Put(uint8_t index) {
  return Op(PickleOp::kBinPut).Raw(LittleEndian(index, 1));
}

PickleBuilder& PickleBuilder::Get(uint8_t index) {
  return Op(PickleOp::kBinGet).Raw(LittleEndian(index, 1));
}

PickleBuilder& PickleBuilder::OrderedDict() {
  return Global("collections", "OrderedDict")
      .Op(PickleOp::kEmptyTuple)
      .Reduce();
}

PickleBuilder& PickleBuilder::Storage(absl::string_view storage_class,
                                      absl::string_view key, int64_t numel) {
  return Mark()
      .Str("storage")
      .Global("torch", storage_class)
      .Str(key)
      .Str("cpu")
      .Int(numel)
      .Tuple()
      .Op(PickleOp::kBinPersId);
}

PickleBuilder& PickleBuilder::Tensor(absl::string_view storage_class,
                                     absl::string_view key, int64_t numel,
                                     int64_t offset,
                                     const std::vector<int64_t>& size,
                                     const std::vector<int64_t>& stride,
                                     absl::string_view metadata) {
  Global("torch._utils", "_rebuild_tensor_v2").Mark();
  Storage(storage_class, key, numel).Int(offset);
  IntTuple(size).IntTuple(stride).Bool(false).OrderedDict();
  if (!metadata.empty()) {
    Dict().Str(metadata).Bool(true).Op(PickleOp::kSetItem);
  }
  return Tuple().Reduce();
}

std::string PickleBuilder::Build() const { return absl::StrCat(bytes_, "."); }

}  // namespace monoquant::testing
