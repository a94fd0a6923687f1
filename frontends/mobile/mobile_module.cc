#include "frontends/mobile/mobile_module.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/name_list.h"
#include "frontends/torch/quantizer.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/marks.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"
#include "ir/utf8.h"

namespace monoquant {
namespace {

// The numbers of the fields that are needed, by table.
struct Module {
  static constexpr size_t kStateObject = 3;
  static constexpr size_t kValues = 4;
  static constexpr size_t kStorages = 6;
  static constexpr size_t kObjectTypes = 7;
};
struct Value {
  static constexpr size_t kType = 0;
  static constexpr size_t kContent = 1;
};
struct Tensor {
  static constexpr size_t kStorage = 0;
  static constexpr size_t kType = 1;
  static constexpr size_t kOffset = 2;
  static constexpr size_t kSize = 3;
  static constexpr size_t kStride = 4;
  static constexpr size_t kQuantizer = 6;
};
struct Quantizer {
  static constexpr size_t kScheme = 0;
  static constexpr size_t kScale = 1;
  static constexpr size_t kZeroPoint = 2;
  static constexpr size_t kScales = 3;
  static constexpr size_t kZeroPoints = 4;
  static constexpr size_t kAxis = 5;
};
struct Object {
  static constexpr size_t kType = 0;
  static constexpr size_t kState = 1;
  static constexpr size_t kAttributes = 2;
};
struct ObjectType {
  static constexpr size_t kName = 0;
  static constexpr size_t kKind = 1;
  static constexpr size_t kAttributeNames = 2;
};
// List, Tuple, String and StorageData have their content in field 0, Dict its
// keys; its values are in field 1.
constexpr size_t kItems = 0;
constexpr size_t kDictValues = 1;

// Value::kType.
enum ValueType : uint8_t {
  kInt = 1,
  kTensor = 5,
  kString = 6,
  kList = 7,
  kTuple = 8,
  kDict = 9,
  kObject = 10,
};

// ObjectType::kKind of those that have attributes; all others have a state.
constexpr uint8_t kClassWithFields = 1;

// Quantizer::kScheme.
constexpr int8_t kPerTensorAffine = 0;
constexpr int8_t kPerChannelAffine = 1;
constexpr int8_t kPerChannelFloat = 4;

// c10's numbers of element types.
constexpr DType kTypes[] = {
    DType::kU8,      DType::kI8,         DType::kI16,        DType::kI32,
    DType::kI64,     DType::kF16,        DType::kF32,        DType::kF64,
    DType::kC32,     DType::kC64,        DType::kC128,       DType::kBool,
    DType::kQI8,     DType::kQU8,        DType::kQI32,       DType::kBF16,
    DType::kQU4x2,   DType::kQU2x4,      DType::kBits1x8,    DType::kBits2x4,
    DType::kBits4x2, DType::kBits8,      DType::kBits16,     DType::kF8E5M2,
    DType::kF8E4M3,  DType::kF8E5M2FNUZ, DType::kF8E4M3FNUZ, DType::kU16,
    DType::kU32,     DType::kU64,
};

constexpr size_t kMaxName = 4096;
// Many values can share a long name: so much of it counts as a visit.
constexpr size_t kNamePerVisit = 64;

// A value whose parts are being visited.
struct Frame {
  uint32_t value;
  // Name and index of every part, the last first.
  std::vector<std::pair<std::string, uint32_t>> parts;
  size_t name_size;
  std::string class_name;
};

class Reader {
 public:
  Reader(FlatTable module, MobileModule* result)
      : module_(module), result_(*result) {}

  absl::Status Run();

 private:
  absl::Status Visit(uint32_t value);
  absl::Status AddTensor(FlatTable table);
  absl::Status ExpandObject(FlatTable table, Frame* frame);
  absl::Status ExpandDict(FlatTable table, Frame* frame);
  absl::StatusOr<TorchTensor> ReadTensor(FlatTable table) const;
  absl::StatusOr<std::shared_ptr<const TorchQuantizer>> ReadQuantizer(
      FlatTable table) const;
  absl::StatusOr<std::optional<std::string>> KeyOf(uint32_t value) const;
  absl::StatusOr<FlatTable> ValueAt(uint32_t value) const;
  absl::Status CountVisits(size_t visits);

  const FlatTable module_;
  MobileModule& result_;
  FlatVector values_;
  FlatVector object_types_;
  std::vector<Frame> frames_;
  std::string name_;
  // By value: open on the way down; a tensor that got a name.
  Marks on_path_;
  Marks named_;
  size_t visits_ = 0;
  IndexBudget budget_;
  NameList cycles_;
};

absl::StatusOr<FlatTable> Reader::ValueAt(uint32_t value) const {
  if (value < values_.size) return module_.TableAt(values_, value);
  return DataLossError("value ", value, " does not exist among ", values_.size);
}

absl::Status Reader::CountVisits(size_t visits) {
  visits_ += visits;
  if (visits_ <= kMaxMobileVisits) return absl::OkStatus();
  return DataLossError("more values than the limit of ", kMaxMobileVisits);
}

absl::Status Reader::Run() {
  MQ_ASSIGN_OR_RETURN(values_, module_.Vector(Module::kValues, 4));
  MQ_ASSIGN_OR_RETURN(object_types_, module_.Vector(Module::kObjectTypes, 4));
  MQ_ASSIGN_OR_RETURN(const FlatVector storages,
                      module_.Vector(Module::kStorages, 4));
  MQ_RETURN_IF_ERROR(CountVisits(size_t{storages.size} + values_.size));
  for (uint32_t i = 0; i < storages.size; ++i) {
    MQ_ASSIGN_OR_RETURN(const FlatTable storage, module_.TableAt(storages, i));
    MQ_ASSIGN_OR_RETURN(const FlatVector bytes, storage.Vector(kItems, 1));
    result_.storages.push_back(bytes);
  }
  on_path_.resize(values_.size);
  named_.resize(values_.size);
  MQ_ASSIGN_OR_RETURN(const uint32_t root,
                      module_.Scalar<uint32_t>(Module::kStateObject, 0));
  MQ_RETURN_IF_ERROR(Visit(root));
  while (!frames_.empty()) {
    Frame& frame = frames_.back();
    name_.resize(frame.name_size);
    if (frame.parts.empty()) {
      on_path_[frame.value] = false;
      frames_.pop_back();
      continue;
    }
    const auto [part, value] = std::move(frame.parts.back());
    frame.parts.pop_back();
    if (!name_.empty() && !part.empty()) name_.push_back('.');
    name_ += part;
    const absl::Status visited = Visit(value);
    if (!visited.ok()) return Annotate(QuotedName(name_), visited);
  }

  size_t constants = 0;
  for (uint32_t i = 0; i < values_.size; ++i) {
    MQ_ASSIGN_OR_RETURN(const FlatTable value, ValueAt(i));
    MQ_ASSIGN_OR_RETURN(const uint8_t type,
                        value.Scalar<uint8_t>(Value::kType, 0));
    if (type == kTensor && !named_[i]) ++constants;
  }
  std::vector<std::string>& notes = result_.state_dict.notes;
  if (constants > 0) {
    notes.push_back(absl::StrCat(
        "tensors that are no attribute of a module but constants in its code "
        "are left out: ",
        constants));
  }
  if (!cycles_.empty()) {
    notes.push_back(absl::StrCat("contain themselves: ", cycles_.ToString()));
  }
  return absl::OkStatus();
}

absl::Status Reader::Visit(uint32_t index) {
  MQ_ASSIGN_OR_RETURN(const FlatTable value, ValueAt(index));
  MQ_ASSIGN_OR_RETURN(const uint8_t type,
                      value.Scalar<uint8_t>(Value::kType, 0));
  if (type != kTensor && type != kList && type != kTuple && type != kDict &&
      type != kObject) {
    return absl::OkStatus();
  }
  MQ_ASSIGN_OR_RETURN(const std::optional<FlatTable> content,
                      value.Table(Value::kContent));
  if (!content.has_value()) {
    return DataLossError("value ", index, " is empty");
  }
  if (type == kTensor) {
    named_[index] = true;
    return AddTensor(*content);
  }
  if (on_path_[index]) {
    cycles_.Add(name_);
    return absl::OkStatus();
  }
  if (frames_.size() >= kMaxMobileNesting) {
    return DataLossError("it is nested deeper than the limit of ",
                         kMaxMobileNesting);
  }
  Frame frame;
  frame.value = index;
  frame.name_size = name_.size();
  if (type == kObject) {
    MQ_RETURN_IF_ERROR(ExpandObject(*content, &frame));
  } else if (type == kDict) {
    MQ_RETURN_IF_ERROR(ExpandDict(*content, &frame));
  } else {
    MQ_ASSIGN_OR_RETURN(const FlatVector items, content->Vector(kItems, 4));
    MQ_RETURN_IF_ERROR(CountVisits(items.size));
    for (uint32_t i = 0; i < items.size; ++i) {
      MQ_ASSIGN_OR_RETURN(const auto item,
                          content->ScalarAt<uint32_t>(items, i));
      frame.parts.emplace_back(absl::StrCat(i), item);
    }
  }
  std::reverse(frame.parts.begin(), frame.parts.end());
  on_path_[index] = true;
  frames_.push_back(std::move(frame));
  return absl::OkStatus();
}

absl::Status Reader::ExpandObject(FlatTable table, Frame* frame) {
  MQ_ASSIGN_OR_RETURN(const uint32_t type_index,
                      table.Scalar<uint32_t>(Object::kType, 0));
  if (type_index >= object_types_.size) {
    return DataLossError("class ", type_index, " does not exist among ",
                         object_types_.size);
  }
  MQ_ASSIGN_OR_RETURN(const FlatTable type,
                      module_.TableAt(object_types_, type_index));
  MQ_ASSIGN_OR_RETURN(const uint8_t kind,
                      type.Scalar<uint8_t>(ObjectType::kKind, 0));
  MQ_ASSIGN_OR_RETURN(const std::string class_name,
                      type.String(ObjectType::kName, kMaxName));
  if (IsValidUtf8(class_name)) {
    frame->class_name = class_name.substr(class_name.rfind('.') + 1);
  }
  if (kind != kClassWithFields) {
    MQ_RETURN_IF_ERROR(CountVisits(1));
    MQ_ASSIGN_OR_RETURN(const uint32_t state,
                        table.Scalar<uint32_t>(Object::kState, 0));
    // It stands for the object, and adds nothing to the name.
    frame->parts.emplace_back("", state);
    return absl::OkStatus();
  }
  MQ_ASSIGN_OR_RETURN(const FlatVector attributes,
                      table.Vector(Object::kAttributes, 4));
  MQ_ASSIGN_OR_RETURN(const FlatVector names,
                      type.Vector(ObjectType::kAttributeNames, 4));
  if (attributes.size != names.size) {
    return DataLossError("an object of class ", QuotedName(class_name), " has ",
                         attributes.size, " attributes but the class ",
                         names.size);
  }
  MQ_RETURN_IF_ERROR(CountVisits(attributes.size));
  for (uint32_t i = 0; i < attributes.size; ++i) {
    MQ_ASSIGN_OR_RETURN(std::string name, type.StringAt(names, i, kMaxName));
    MQ_RETURN_IF_ERROR(CountVisits(name.size() / kNamePerVisit));
    MQ_ASSIGN_OR_RETURN(const auto value,
                        table.ScalarAt<uint32_t>(attributes, i));
    frame->parts.emplace_back(std::move(name), value);
  }
  return absl::OkStatus();
}

absl::Status Reader::ExpandDict(FlatTable table, Frame* frame) {
  MQ_ASSIGN_OR_RETURN(const FlatVector keys, table.Vector(kItems, 4));
  MQ_ASSIGN_OR_RETURN(const FlatVector values, table.Vector(kDictValues, 4));
  if (keys.size != values.size) {
    return DataLossError("a dict has ", keys.size, " keys but ", values.size,
                         " values");
  }
  MQ_RETURN_IF_ERROR(CountVisits(keys.size));
  for (uint32_t i = 0; i < keys.size; ++i) {
    MQ_ASSIGN_OR_RETURN(const auto key, table.ScalarAt<uint32_t>(keys, i));
    MQ_ASSIGN_OR_RETURN(const auto value, table.ScalarAt<uint32_t>(values, i));
    MQ_ASSIGN_OR_RETURN(std::optional<std::string> name, KeyOf(key));
    if (name.has_value()) {
      MQ_RETURN_IF_ERROR(CountVisits(name->size() / kNamePerVisit));
    }
    frame->parts.emplace_back(
        name.has_value() ? *std::move(name) : absl::StrCat(i), value);
  }
  return absl::OkStatus();
}

// What a dict's key contributes to a name, if it is a string or an integer.
absl::StatusOr<std::optional<std::string>> Reader::KeyOf(uint32_t index) const {
  MQ_ASSIGN_OR_RETURN(const FlatTable value, ValueAt(index));
  MQ_ASSIGN_OR_RETURN(const uint8_t type,
                      value.Scalar<uint8_t>(Value::kType, 0));
  if (type != kString && type != kInt) return std::nullopt;
  if (type == kInt) {
    // A struct, to which the field refers as if it were a table.
    MQ_ASSIGN_OR_RETURN(const auto number,
                        value.StructAt<int64_t>(Value::kContent));
    return absl::StrCat(number);
  }
  MQ_ASSIGN_OR_RETURN(const std::optional<FlatTable> content,
                      value.Table(Value::kContent));
  if (!content.has_value()) return std::nullopt;
  MQ_ASSIGN_OR_RETURN(std::string text, content->String(kItems, kMaxName));
  return text;
}

absl::Status Reader::AddTensor(FlatTable table) {
  MQ_ASSIGN_OR_RETURN(TorchTensor tensor, ReadTensor(table));
  MQ_RETURN_IF_ERROR(budget_.Add(name_, tensor.size.size()));
  if (!IsValidUtf8(name_)) return DataLossError("its name is no UTF-8");
  result_.state_dict.tensors.push_back(
      {name_.empty() ? "tensor" : name_, std::move(tensor),
       frames_.empty() ? "" : frames_.back().class_name});
  return absl::OkStatus();
}

absl::StatusOr<TorchTensor> Reader::ReadTensor(FlatTable table) const {
  TorchTensor tensor;
  MQ_ASSIGN_OR_RETURN(const auto storage,
                      table.Scalar<uint32_t>(Tensor::kStorage, 0));
  if (storage >= result_.storages.size()) {
    return DataLossError("storage ", storage, " does not exist among ",
                         result_.storages.size());
  }
  tensor.storage_key = absl::StrCat(storage);
  tensor.storage_bytes = result_.storages[storage].size;
  MQ_ASSIGN_OR_RETURN(const auto type, table.Scalar<int8_t>(Tensor::kType, 0));
  if (type < 0 || static_cast<size_t>(type) >= std::size(kTypes)) {
    return UnimplementedError("element type ", type, " is not known");
  }
  tensor.dtype = kTypes[type];
  MQ_ASSIGN_OR_RETURN(const auto offset,
                      table.Scalar<int32_t>(Tensor::kOffset, 0));
  if (offset < 0) return DataLossError("its offset is negative");
  tensor.offset = static_cast<uint64_t>(offset);
  const auto read_dims = [&](size_t field,
                             std::vector<int64_t>* dims) -> absl::Status {
    MQ_ASSIGN_OR_RETURN(const FlatVector vector, table.Vector(field, 4));
    if (vector.size > kMaxDims) {
      return DataLossError("it has ", vector.size, " dimensions, at most ",
                           kMaxDims, " are supported");
    }
    for (uint32_t i = 0; i < vector.size; ++i) {
      MQ_ASSIGN_OR_RETURN(const auto dim, table.ScalarAt<int32_t>(vector, i));
      dims->push_back(dim);
    }
    return absl::OkStatus();
  };
  MQ_RETURN_IF_ERROR(read_dims(Tensor::kSize, &tensor.size));
  MQ_RETURN_IF_ERROR(read_dims(Tensor::kStride, &tensor.stride));
  MQ_ASSIGN_OR_RETURN(const std::optional<FlatTable> quantizer,
                      table.Table(Tensor::kQuantizer));
  if (quantizer.has_value()) {
    MQ_ASSIGN_OR_RETURN(tensor.quantizer, ReadQuantizer(*quantizer));
  }
  return tensor;
}

absl::StatusOr<std::shared_ptr<const TorchQuantizer>> Reader::ReadQuantizer(
    FlatTable table) const {
  auto quantizer = std::make_shared<TorchQuantizer>();
  MQ_ASSIGN_OR_RETURN(const auto scheme,
                      table.Scalar<int8_t>(Quantizer::kScheme, 0));
  if (scheme == kPerTensorAffine) {
    MQ_ASSIGN_OR_RETURN(quantizer->scale,
                        table.Scalar<double>(Quantizer::kScale, 0));
    MQ_ASSIGN_OR_RETURN(quantizer->zero_point,
                        table.Scalar<int32_t>(Quantizer::kZeroPoint, 0));
    return quantizer;
  }
  if (scheme != kPerChannelAffine && scheme != kPerChannelFloat) {
    return UnimplementedError("quantization scheme ", scheme, " is not known");
  }
  quantizer->is_per_channel = true;
  MQ_ASSIGN_OR_RETURN(quantizer->axis,
                      table.Scalar<int32_t>(Quantizer::kAxis, 0));
  MQ_ASSIGN_OR_RETURN(const auto scales, table.Table(Quantizer::kScales));
  MQ_ASSIGN_OR_RETURN(const auto zero_points,
                      table.Table(Quantizer::kZeroPoints));
  if (!scales.has_value() || !zero_points.has_value()) {
    return DataLossError("its scales or zero points are missing");
  }
  // Parameters that are quantized themselves would never end.
  for (const FlatTable& parameters : {*scales, *zero_points}) {
    MQ_ASSIGN_OR_RETURN(const auto nested,
                        parameters.Table(Tensor::kQuantizer));
    if (nested.has_value()) {
      return DataLossError("its scales or zero points are quantized");
    }
  }
  MQ_ASSIGN_OR_RETURN(quantizer->scales, ReadTensor(*scales));
  MQ_ASSIGN_OR_RETURN(quantizer->zero_points, ReadTensor(*zero_points));
  return quantizer;
}

}  // namespace

absl::StatusOr<MobileModule> ReadMobileModule(PagedFile* file) {
  MQ_ASSIGN_OR_RETURN(const FlatTable module, FlatTable::Root(file));
  MobileModule result;
  MQ_RETURN_IF_ERROR(Reader(module, &result).Run());
  return result;
}

}  // namespace monoquant
