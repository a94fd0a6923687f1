#include "exporters/torch_ao.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "exporters/packed_modules.h"
#include "exporters/torch_archive.h"
#include "exporters/torch_pickler.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/marks.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr size_t kNoModule = static_cast<size_t>(-1);

constexpr absl::string_view kLinearClass =
    "__torch__.torch.classes.quantized.LinearPackedParamsBase";
constexpr absl::string_view kCellClass =
    "__torch__.torch.classes.rnn.CellParamsBase";

// Little-endian.
constexpr absl::string_view kOne("\0\0\x80\x3f", 4);       // F32
constexpr absl::string_view kZero("\0\0\0\0\0\0\0\0", 8);  // I64

// What torch reads before it reads a module.
struct ModuleVersion {
  std::string path;
  uint64_t version;
};

class StateDictPickler {
 public:
  explicit StateDictPickler(const Manifest& manifest)
      : manifest_(manifest), tensors_(manifest), out_(tensors_.writer()) {}

  absl::StatusOr<TorchPickle> Pickle() &&;

 private:
  absl::Status Key(std::string name);
  absl::Status Module(const PackedModule& module);
  absl::Status Linear(const PackedModule& module);
  absl::Status Recurrent(const PackedModule& module);
  absl::Status Cell(const PackedModule& module);
  absl::Status Convolution(const PackedModule& module);
  absl::Status Embedding(const PackedModule& module);

  absl::Status ScaleAndZeroPoint(const PackedModule& module);
  absl::Status Weight(const PackedWeight& weight);
  absl::Status Bias(const PackedWeight& weight);
  absl::Status WeightAndBias(const PackedWeight& weight);
  absl::Status LinearObject(const PackedWeight& weight);
  absl::Status CellObject(const std::array<PackedWeight, 2>& cell);
  void BeginObject();
  void EndObject(absl::string_view class_name);
  void Metadata();

  const Manifest& manifest_;
  TorchPickler tensors_;
  PickleWriter& out_;
  std::vector<ModuleVersion> versions_ = {{"", 1}};
  absl::flat_hash_set<std::string> keys_;
};

// Pushes a key of the dict.
absl::Status StateDictPickler::Key(std::string name) {
  out_.String(name);
  if (keys_.insert(name).second) return absl::OkStatus();
  return FailedPreconditionError(
      "tensor ", QuotedName(name),
      ": has a name that torch gives to a part of a quantized module; leave "
      "that module as it is (--skip), or choose another format");
}

absl::Status StateDictPickler::Weight(const PackedWeight& weight) {
  return tensors_.QuantizedTensor(weight.codes, weight.scale,
                                  weight.zero_point);
}

absl::Status StateDictPickler::Bias(const PackedWeight& weight) {
  if (weight.bias != kNoTie) return tensors_.Tensor(weight.bias);
  out_.None();
  return absl::OkStatus();
}

// (weight, bias)
absl::Status StateDictPickler::WeightAndBias(const PackedWeight& weight) {
  out_.Mark();
  MQ_RETURN_IF_ERROR(Weight(weight));
  MQ_RETURN_IF_ERROR(Bias(weight));
  out_.Tuple();
  return absl::OkStatus();
}

// Between these comes the state of a C++ object.
void StateDictPickler::BeginObject() {
  out_.Global("torch", "ScriptObject");
  out_.EmptyTuple();
  out_.NewObject();
  out_.Mark();
}

void StateDictPickler::EndObject(absl::string_view class_name) {
  out_.SharedString(class_name);
  out_.Tuple();
  out_.Build();
}

absl::Status StateDictPickler::LinearObject(const PackedWeight& weight) {
  BeginObject();
  MQ_RETURN_IF_ERROR(WeightAndBias(weight));
  EndObject(kLinearClass);
  return absl::OkStatus();
}

absl::Status StateDictPickler::CellObject(
    const std::array<PackedWeight, 2>& cell) {
  BeginObject();
  out_.Mark();
  out_.SharedString("quantized_dynamic");
  out_.EmptyList();
  out_.Mark();
  for (const PackedWeight& weight : cell) {
    MQ_RETURN_IF_ERROR(tensors_.Tensor(weight.bias));
  }
  out_.Appends();
  out_.EmptyList();
  out_.EmptyList();
  out_.Mark();
  out_.Int(1);  // reduce_range
  out_.Appends();
  out_.EmptyList();
  out_.Mark();
  for (const PackedWeight& weight : cell) {
    MQ_RETURN_IF_ERROR(LinearObject(weight));
  }
  out_.Appends();
  out_.Tuple();
  EndObject(kCellClass);
  return absl::OkStatus();
}

// Of the output, as float modules have it.
absl::Status StateDictPickler::ScaleAndZeroPoint(const PackedModule& module) {
  MQ_RETURN_IF_ERROR(Key(absl::StrCat(module.name, ".scale")));
  tensors_.Scalar(DType::kF32, kOne);
  MQ_RETURN_IF_ERROR(Key(absl::StrCat(module.name, ".zero_point")));
  tensors_.Scalar(DType::kI64, kZero);
  return absl::OkStatus();
}

absl::Status StateDictPickler::Linear(const PackedModule& module) {
  const std::string packed = absl::StrCat(module.name, "._packed_params");
  MQ_RETURN_IF_ERROR(ScaleAndZeroPoint(module));
  MQ_RETURN_IF_ERROR(Key(absl::StrCat(packed, ".dtype")));
  out_.Global("torch", "qint8");
  MQ_RETURN_IF_ERROR(Key(absl::StrCat(packed, "._packed_params")));
  MQ_RETURN_IF_ERROR(WeightAndBias(module.cells[0][0]));
  versions_.push_back({module.name, 4});
  versions_.push_back({packed, 3});
  return absl::OkStatus();
}

absl::Status StateDictPickler::Recurrent(const PackedModule& module) {
  const std::string values = absl::StrCat(module.name, "._all_weight_values");
  versions_.push_back({module.name, 2});
  versions_.push_back({values, 1});
  for (size_t i = 0; i < module.cells.size(); ++i) {
    const std::string cell = absl::StrCat(values, ".", i);
    versions_.push_back({cell, 1});
    MQ_RETURN_IF_ERROR(Key(absl::StrCat(cell, ".param")));
    MQ_RETURN_IF_ERROR(CellObject(module.cells[i]));
  }
  return absl::OkStatus();
}

absl::Status StateDictPickler::Cell(const PackedModule& module) {
  versions_.push_back({module.name, 1});
  const std::string packed = absl::StrCat(module.name, "._packed_weight_");
  MQ_RETURN_IF_ERROR(Key(absl::StrCat(packed, "ih")));
  MQ_RETURN_IF_ERROR(LinearObject(module.cells[0][0]));
  MQ_RETURN_IF_ERROR(Key(absl::StrCat(packed, "hh")));
  return LinearObject(module.cells[0][1]);
}

absl::Status StateDictPickler::Convolution(const PackedModule& module) {
  const PackedWeight& weight = module.cells[0][0];
  versions_.push_back({module.name, 1});
  MQ_RETURN_IF_ERROR(Key(absl::StrCat(module.name, ".weight")));
  MQ_RETURN_IF_ERROR(Weight(weight));
  MQ_RETURN_IF_ERROR(Key(absl::StrCat(module.name, ".bias")));
  MQ_RETURN_IF_ERROR(Bias(weight));
  return ScaleAndZeroPoint(module);
}

absl::Status StateDictPickler::Embedding(const PackedModule& module) {
  const std::string packed = absl::StrCat(module.name, "._packed_params");
  versions_.push_back({module.name, 1});
  versions_.push_back({packed, 1});
  MQ_RETURN_IF_ERROR(Key(absl::StrCat(packed, ".dtype")));
  out_.Global("torch", "quint8");
  MQ_RETURN_IF_ERROR(Key(absl::StrCat(packed, "._packed_weight")));
  return Weight(module.cells[0][0]);
}

absl::Status StateDictPickler::Module(const PackedModule& module) {
  switch (module.kind) {
    case TorchAoModule::kLinear:
      return Linear(module);
    case TorchAoModule::kRecurrent:
      return Recurrent(module);
    case TorchAoModule::kCell:
      return Cell(module);
    case TorchAoModule::kConvolution:
      return Convolution(module);
    case TorchAoModule::kEmbedding:
      return Embedding(module);
  }
  return InternalError("a module of no kind");
}

// Gives the dict its attributes.
void StateDictPickler::Metadata() {
  out_.EmptyDict();
  out_.Mark();
  out_.String("_metadata");
  tensors_.OrderedDict();
  out_.Mark();
  for (const ModuleVersion& module : versions_) {
    out_.String(module.path);
    out_.EmptyDict();
    out_.Mark();
    out_.SharedString("version");
    out_.Int(module.version);
    out_.SetItems();
  }
  out_.SetItems();
  out_.SetItems();
  out_.Build();
}

absl::StatusOr<TorchPickle> StateDictPickler::Pickle() && {
  MQ_ASSIGN_OR_RETURN(const std::vector<PackedModule> modules,
                      FindPackedModules(manifest_));
  // Each module comes in place of the first tensor that is a part of it.
  std::vector<size_t> module_of(manifest_.tensors.size(), kNoModule);
  for (size_t m = 0; m < modules.size(); ++m) {
    for (const size_t part : modules[m].Parts()) module_of[part] = m;
  }
  Marks done(modules.size(), false);
  tensors_.OrderedDict();
  out_.Mark();
  for (size_t i = 0; i < manifest_.tensors.size(); ++i) {
    const size_t m = module_of[i];
    if (m == kNoModule) {
      MQ_RETURN_IF_ERROR(Key(manifest_.tensors[i].name));
      MQ_RETURN_IF_ERROR(tensors_.Tensor(i));
    } else if (!done[m]) {
      done[m] = true;
      MQ_RETURN_IF_ERROR(Module(modules[m]));
    }
  }
  out_.SetItems();
  if (!modules.empty()) Metadata();
  return std::move(tensors_).Finish();
}

absl::StatusOr<TorchPickle> PickleQuantizedStateDict(const Manifest& manifest) {
  return StateDictPickler(manifest).Pickle();
}

}  // namespace

const Exporter& TorchAoExporter() {
  static const Exporter* const exporter =
      new TorchArchiveExporter("torch-ao", PickleQuantizedStateDict);
  return *exporter;
}

}  // namespace monoquant
