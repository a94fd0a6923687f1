#include "frontends/torchscript/model_json.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/name_list.h"
#include "frontends/torch/listed_tensors.h"
#include "frontends/torch/pickled_archive.h"
#include "frontends/torch/python_values.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/marks.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

struct DataTypeRow {
  absl::string_view name;
  DType dtype;
};

// Those of caffe2's data types that tensors of torch have.
constexpr DataTypeRow kDataTypes[] = {
    {"FLOAT", DType::kF32},   {"DOUBLE", DType::kF64},
    {"FLOAT16", DType::kF16}, {"BFLOAT16", DType::kBF16},
    {"INT64", DType::kI64},   {"INT32", DType::kI32},
    {"INT16", DType::kI16},   {"INT8", DType::kI8},
    {"UINT8", DType::kU8},    {"BYTE", DType::kU8},
    {"UINT16", DType::kU16},  {"BOOL", DType::kBool},
};

absl::Status Malformed(absl::string_view what) {
  return DataLossError("malformed model.json: ", what);
}

std::optional<int64_t> AsInteger(const Json& json) {
  if (const int64_t* value = json.AsInt()) return *value;
  int64_t value = 0;
  const std::string* text = json.AsString();
  if (text == nullptr || !absl::SimpleAtoi(*text, &value)) return std::nullopt;
  return value;
}

// A field that is 0 if it is missing; nullopt if it is no integer.
std::optional<int64_t> IntegerField(const Json& object, absl::string_view key) {
  const Json* field = object.Find(key);
  return field == nullptr ? 0 : AsInteger(*field);
}

// A field that is empty if it is missing.
absl::string_view TextField(const Json& object, absl::string_view key) {
  const Json* field = object.Find(key);
  const std::string* text = field == nullptr ? nullptr : field->AsString();
  return text == nullptr ? absl::string_view() : *text;
}

// A list that is empty if it is missing; nullptr if it is something else.
const Json::Array* ListField(const Json& object, absl::string_view key) {
  static const Json::Array* const kEmpty = new Json::Array();
  const Json* field = object.Find(key);
  return field == nullptr ? kEmpty : field->AsArray();
}

bool IsTrue(const Json& object, absl::string_view key) {
  const Json* field = object.Find(key);
  const bool* value = field == nullptr ? nullptr : field->AsBool();
  return value != nullptr && *value;
}

absl::Status ReadIntegers(const Json& object, absl::string_view key,
                          std::vector<int64_t>* integers) {
  const Json::Array* list = ListField(object, key);
  if (list == nullptr || list->size() > kMaxDims) {
    return Malformed(absl::StrCat(QuotedName(key), " is no list of at most ",
                                  kMaxDims, " integers"));
  }
  for (const Json& item : *list) {
    const auto integer = AsInteger(item);
    if (!integer.has_value()) {
      return Malformed(
          absl::StrCat(QuotedName(key), " holds ", JsonExcerpt(item)));
    }
    integers->push_back(*integer);
  }
  return absl::OkStatus();
}

// An entry of "tensors"; `*member` gets the name of its storage.
absl::StatusOr<StridedTensor> ReadTensor(const Json& json,
                                         std::string* member) {
  StridedTensor tensor;
  MQ_RETURN_IF_ERROR(ReadIntegers(json, "dims", &tensor.size));
  MQ_RETURN_IF_ERROR(ReadIntegers(json, "strides", &tensor.stride));
  const auto offset = IntegerField(json, "offset");
  if (!offset.has_value() || *offset < 0) {
    return Malformed("'offset' is no size");
  }
  tensor.offset = static_cast<uint64_t>(*offset);
  const absl::string_view data_type = TextField(json, "dataType");
  const DataTypeRow* found = nullptr;
  for (const DataTypeRow& row : kDataTypes) {
    if (row.name == data_type) found = &row;
  }
  if (found == nullptr || IsTrue(json, "isQuantized")) {
    return UnimplementedError(found == nullptr ? "" : "quantized ",
                              "data type ", QuotedName(data_type),
                              " is not read; load it once with torch.jit.load "
                              "and save its state_dict()");
  }
  tensor.dtype = found->dtype;
  const Json* data = json.Find("data");
  *member = data == nullptr ? "" : std::string(TextField(*data, "key"));
  if (member->empty()) return Malformed("'data' has no 'key'");
  return tensor;
}

// Walks the modules, depth first, without recursion.
class ModuleWalker {
 public:
  // `file` is for messages.
  ModuleWalker(absl::string_view file, const Json::Array& table,
               ListedTensors* tensors)
      : file_(file),
        table_(table),
        tensors_(tensors),
        used_(table.size(), false) {}

  absl::Status Walk(const Json& main_module);

  // Number `id` of the table.
  absl::Status Add(absl::string_view name, size_t id);

  bool IsUsed(size_t id) const { return used_[id]; }
  const NameList& attributes() const { return attributes_; }

 private:
  // A module whose submodules are being visited.
  struct Frame {
    const Json::Array* submodules;
    size_t next;
    size_t name_size;  // of name_, up to here
  };

  absl::Status Visit(const Json& module);
  absl::Status AddParameters(const Json::Array& parameters, bool buffers);
  // Appends a part to the dotted name.
  absl::Status Enter(absl::string_view part);
  absl::Status Refuse(absl::string_view what) const {
    return Annotate(file_, Malformed(what));
  }

  const std::string file_;
  const Json::Array& table_;
  ListedTensors* const tensors_;
  Marks used_;
  std::vector<Frame> frames_;
  std::string name_;
  NameList attributes_;
};

absl::Status ModuleWalker::Walk(const Json& main_module) {
  MQ_RETURN_IF_ERROR(Visit(main_module));
  while (!frames_.empty()) {
    Frame& frame = frames_.back();
    name_.resize(frame.name_size);
    if (frame.next == frame.submodules->size()) {
      frames_.pop_back();
      continue;
    }
    const Json& module = (*frame.submodules)[frame.next++];
    MQ_RETURN_IF_ERROR(Enter(TextField(module, "name")));
    MQ_RETURN_IF_ERROR(Visit(module));
  }
  return absl::OkStatus();
}

absl::Status ModuleWalker::Visit(const Json& module) {
  const Json::Array* parameters = ListField(module, "parameters");
  const Json::Array* submodules = ListField(module, "submodules");
  const Json::Array* attributes = ListField(module, "attributes");
  if (!module.is_object() || parameters == nullptr || submodules == nullptr ||
      attributes == nullptr) {
    return Refuse(absl::StrCat("module ", QuotedName(name_)));
  }
  const size_t name_size = name_.size();
  // The order of state_dict().
  for (const bool buffers : {false, true}) {
    MQ_RETURN_IF_ERROR(AddParameters(*parameters, buffers));
  }
  for (const Json& attribute : *attributes) {
    if (!absl::StrContains(TextField(attribute, "type"), "Tensor")) continue;
    attributes_.Add(attributes_.IsFull()
                        ? ""
                        : absl::StrCat(name_, name_.empty() ? "" : ".",
                                       TextField(attribute, "name")));
  }
  frames_.push_back({submodules, 0, name_size});
  return absl::OkStatus();
}

absl::Status ModuleWalker::AddParameters(const Json::Array& parameters,
                                         bool buffers) {
  const size_t name_size = name_.size();
  for (const Json& parameter : parameters) {
    if (IsTrue(parameter, "isBuffer") != buffers) continue;
    MQ_RETURN_IF_ERROR(Enter(TextField(parameter, "name")));
    const auto id = IntegerField(parameter, "tensorId");
    if (!id.has_value() || *id < 0 ||
        static_cast<uint64_t>(*id) >= table_.size()) {
      return Refuse(absl::StrCat("tensor ", QuotedName(name_),
                                 " has a 'tensorId' beyond the ", table_.size(),
                                 " tensors in it"));
    }
    MQ_RETURN_IF_ERROR(Add(name_, static_cast<size_t>(*id)));
    name_.resize(name_size);
  }
  return absl::OkStatus();
}

absl::Status ModuleWalker::Enter(absl::string_view part) {
  if (part.empty() || part.size() > kMaxNamePart) {
    return Refuse(absl::StrCat("a part of ", QuotedName(name_),
                               " has no name of 1 to ", kMaxNamePart,
                               " bytes"));
  }
  if (!name_.empty()) name_.push_back('.');
  name_.append(part.data(), part.size());
  return absl::OkStatus();
}

absl::Status ModuleWalker::Add(absl::string_view name, size_t id) {
  used_[id] = true;
  std::string member;
  absl::StatusOr<StridedTensor> tensor = ReadTensor(table_[id], &member);
  if (!tensor.ok()) {
    return Annotate(absl::StrCat(file_, ": tensor ", QuotedName(name)),
                    tensor.status());
  }
  return tensors_->Add(name, member, *std::move(tensor));
}

}  // namespace

absl::Status ReadModelJson(const TorchArchive& archive,
                           const OpenOptions& options, CheckpointIndex* index,
                           std::vector<PlacedTensor>* placed) {
  const std::string& file = archive.zip->name();
  MQ_ASSIGN_OR_RETURN(const Json model, archive.ReadJson("model.json"));
  const Json* main_module = model.Find("mainModule");
  const Json::Array* table = ListField(model, "tensors");
  if (main_module == nullptr || table == nullptr) {
    return Annotate(file, Malformed("it has no 'mainModule' or no 'tensors'"));
  }
  const bool only_constants = options.root == kConstantsRoot;
  const bool everything = options.root == ".";
  ListedTensors tensors(archive, index, placed);
  ModuleWalker walker(file, *table, &tensors);
  MQ_RETURN_IF_ERROR(walker.Walk(*main_module));
  if (only_constants) {
    index->tensors.clear();
    placed->clear();
    index->root = std::string(kConstantsRoot);
  } else {
    MQ_RETURN_IF_ERROR(KeepBelowRoot(file, options.root, 0, index, placed));
  }

  NameList left_out;
  for (size_t id = 0; id < table->size(); ++id) {
    if (walker.IsUsed(id)) continue;
    if (only_constants) {
      MQ_RETURN_IF_ERROR(walker.Add(absl::StrCat(id), id));
    } else if (everything) {
      MQ_RETURN_IF_ERROR(walker.Add(absl::StrCat(kConstantsRoot, ".", id), id));
    } else {
      left_out.Add(absl::StrCat(id));
    }
  }
  if (!left_out.empty()) {
    index->notes.push_back(absl::StrCat(
        "tensors that are no parameters or buffers are left out: ",
        left_out.ToString(), "; choose them with --root ", kConstantsRoot));
  }
  if (!walker.attributes().empty()) {
    index->notes.push_back(absl::StrCat(
        "attributes that state_dict() does not give are left out: ",
        walker.attributes().ToString()));
  }
  return absl::OkStatus();
}

}  // namespace monoquant
