#include "core/repacking_reader.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/column_groups.h"
#include "core/described_tensors.h"
#include "core/repacked_weight.h"
#include "core/stored_tensor.h"
#include "core/torch_ao_modules.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/marks.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// ----------------------------------------------------------------- schemes --

// The format with the same values whose levels are signed, or are not.
NumberFormat OtherSign(NumberFormat format) {
  switch (format) {
    case NumberFormat::kInt8:
      return NumberFormat::kUInt8;
    case NumberFormat::kUInt8:
      return NumberFormat::kInt8;
    case NumberFormat::kInt4:
      return NumberFormat::kUInt4;
    case NumberFormat::kUInt4:
      return NumberFormat::kInt4;
    default:
      return format;
  }
}

bool IsSigned(NumberFormat format) {
  return ZeroPointDType(format) == DType::kI8;
}

// How a weight is stored, and by which scheme.
struct Stored {
  QuantScheme scheme;
  StoredWeight weight;
};

absl::StatusOr<Stored> StoreAs(QuantStorage storage, absl::string_view name,
                               const QuantScheme& scheme, const Shape& shape) {
  Stored stored;
  stored.scheme = scheme;
  MQ_ASSIGN_OR_RETURN(stored.weight, StoreWeight(storage, name, scheme, shape));
  MQ_RETURN_IF_ERROR(CheckWritable(storage, scheme, shape));
  return stored;
}

// With scales of their type, or else of that which the storage has.
absl::StatusOr<Stored> StoreWithScales(QuantStorage storage,
                                       const QuantizedTensor& tensor,
                                       QuantScheme scheme) {
  absl::StatusOr<Stored> stored =
      StoreAs(storage, tensor.name, scheme, tensor.shape);
  if (stored.ok() || !HasScales(scheme.format)) return stored;
  scheme.scale_dtype = DefaultScaleDType(
      storage, IsScaleDType(tensor.dtype) ? tensor.dtype : DType::kF32);
  return StoreAs(storage, tensor.name, scheme, tensor.shape);
}

absl::StatusOr<Stored> StoreAnew(QuantStorage storage,
                                 const QuantizedTensor& tensor) {
  absl::StatusOr<Stored> stored =
      StoreWithScales(storage, tensor, tensor.scheme);
  if (stored.ok() || !HasZeroPoints(tensor.scheme.format)) return stored;
  QuantScheme other = tensor.scheme;
  other.format = OtherSign(other.format);
  absl::StatusOr<Stored> stored_other = StoreWithScales(storage, tensor, other);
  // Storages that tell the two apart have signed ones.
  if (stored_other.ok() || !IsSigned(tensor.scheme.format)) {
    return stored_other;
  }
  return stored;
}

// Whether nothing has to be done to a weight: casts are the same everywhere.
bool IsStoredIn(QuantStorage storage, const QuantizedTensor& tensor) {
  return tensor.storage == storage || !HasScales(tensor.scheme.format);
}

// ------------------------------------------------------------------- index --

// One tensor of the result.
struct Source {
  enum class Kind : uint8_t { kCopy, kCodes, kScale, kZeroPoint, kConstant };
  Kind kind = Kind::kCopy;
  size_t base = 0;    // kCopy: the tensor of the base
  size_t weight = 0;  // the others: of which weight they are a part
  ConstantKind constant = ConstantKind::kDimensions;
};

// A weight that is stored anew.
struct Weight {
  RepackedWeight repacked;
  // Of which its constants are made.
  QuantScheme scheme;
  Shape shape;
  DType dtype;
};

// Makes the index of the result and where each of its tensors comes from.
class Builder {
 public:
  Builder(const CheckpointReader& base, QuantStorage storage)
      : reader_(base), base_(base.index()), storage_(storage) {}

  absl::Status Build();
  // Whether all weights lie in the storage already.
  bool nothing_changes() const { return nothing_changes_; }

  CheckpointIndex index;
  std::vector<Source> sources;
  std::vector<Weight> weights;

 private:
  // A weight of the base with the tensors that it has become.
  struct Done {
    const QuantizedTensor* tensor;
    StoredTensorPlace place;
    QuantScheme scheme;
    std::vector<size_t> parts;
  };

  // The tensor whose elements `tensor` of the base shares, or itself.
  size_t Owner(size_t tensor) const {
    return base_.tensors[tensor].tie == kNoTie ? tensor
                                               : base_.tensors[tensor].tie;
  }
  // The error that a weight has no place.
  absl::Status Refuse(const QuantizedTensor& tensor,
                      absl::string_view problem) const;
  absl::Status CheckColumns(const QuantizedTensor& tensor,
                            const StoredTensorPlace& place) const;
  absl::Status CheckNames() const;
  absl::Status CheckModules() const;
  void FindModuleFormats();
  size_t AddCopy(size_t tensor);
  absl::StatusOr<size_t> AddPart(const StoredPart& part, Source source,
                                 size_t tie);
  const Done* FindTie(const Done& weight) const;
  absl::Status AddWeight(size_t codes, const QuantizedTensor& tensor);

  const CheckpointReader& reader_;
  const CheckpointIndex& base_;
  const QuantStorage storage_;
  bool nothing_changes_ = true;
  IndexByName by_name_;
  // By the owner of what they are copied from, or of their codes.
  absl::flat_hash_map<size_t, size_t> copies_;
  absl::flat_hash_map<size_t, std::vector<Done>> done_;
  // In kTorchAo: of weights of int8 and uint8 that lie elsewhere, the one of
  // the two that their modules have.
  absl::flat_hash_map<absl::string_view, NumberFormat> module_formats_;
};

absl::Status Builder::Refuse(const QuantizedTensor& tensor,
                             absl::string_view problem) const {
  return FailedPreconditionError(absl::StrCat(
      base_.path, ": tensor ", QuotedName(tensor.name), ", ",
      SchemeToString(tensor.scheme), ": ", problem, "; ", kRepackRemedy));
}

// FailedPrecondition if columns that share a scale do not lie side by side.
absl::Status Builder::CheckColumns(const QuantizedTensor& tensor,
                                   const StoredTensorPlace& place) const {
  if (place.group_index == kNoTie) return absl::OkStatus();
  MQ_ASSIGN_OR_RETURN(const std::optional<ColumnGroups> columns,
                      ReadColumnGroups(reader_, place, 0, place.layout.row));
  if (!columns.has_value()) return absl::OkStatus();
  return Refuse(tensor,
                "columns that share a scale lie apart (act order), for which "
                "no output has a place");
}

size_t Builder::AddCopy(size_t tensor) {
  TensorInfo info = base_.tensors[tensor];
  const auto [owner, is_new] =
      copies_.try_emplace(Owner(tensor), sources.size());
  info.tie = is_new ? kNoTie : owner->second;
  index.tensors.push_back(std::move(info));
  Source source;
  source.base = tensor;
  sources.push_back(source);
  return sources.size() - 1;
}

absl::StatusOr<size_t> Builder::AddPart(const StoredPart& part, Source source,
                                        size_t tie) {
  TensorInfo info;
  info.name = part.name;
  info.dtype = part.dtype;
  info.shape = part.shape;
  MQ_ASSIGN_OR_RETURN(info.byte_size, ByteSize(info.dtype, info.shape));
  info.tie = tie;
  index.tensors.push_back(std::move(info));
  sources.push_back(source);
  return sources.size() - 1;
}

// The weight with the same codes and parameters; null if there is none.
const Builder::Done* Builder::FindTie(const Done& weight) const {
  const auto found = done_.find(Owner(weight.place.codes));
  if (found == done_.end()) return nullptr;
  const auto same = [this](size_t part, size_t other) {
    if (part == kNoTie || other == kNoTie) return part == other;
    return Owner(part) == Owner(other);
  };
  for (const Done& other : found->second) {
    const StoredTensorPlace& a = weight.place;
    const StoredTensorPlace& b = other.place;
    if (a.scheme == b.scheme && a.packing == b.packing &&
        weight.scheme == other.scheme &&
        weight.tensor->dtype == other.tensor->dtype &&
        weight.tensor->shape == other.tensor->shape && same(a.scale, b.scale) &&
        same(a.zero_point, b.zero_point) &&
        same(a.global_scale, b.global_scale) &&
        same(a.nested.scales, b.nested.scales) &&
        same(a.nested.codebook, b.nested.codebook) &&
        same(a.nested.quant_state, b.nested.quant_state)) {
      return &other;
    }
  }
  return nullptr;
}

absl::Status Builder::AddWeight(size_t codes, const QuantizedTensor& tensor) {
  if (!IsStoredIn(QuantStorage::kBitsandbytesNested, tensor) &&
      storage_ == QuantStorage::kBitsandbytesNested) {
    return Refuse(tensor,
                  absl::StrCat(StorageName(storage_),
                               " has scales that are quantized themselves"));
  }
  const auto format = module_formats_.find(tensor.name);
  QuantizedTensor wanted = tensor;
  if (format != module_formats_.end()) wanted.scheme.format = format->second;
  absl::StatusOr<Stored> stored = StoreAnew(storage_, wanted);
  if (!stored.ok()) return Refuse(tensor, stored.status().message());
  const StoredWeight& to = stored->weight;
  nothing_changes_ &=
      tensor.storage == storage_ && stored->scheme == tensor.scheme;
  index.quant.tensors.push_back(RecordOf(tensor.name, stored->scheme, storage_,
                                         to, tensor.dtype, tensor.shape));
  if (!HasScales(tensor.scheme.format)) {
    AddCopy(codes);
    return absl::OkStatus();
  }
  Done done;
  done.tensor = &tensor;
  done.scheme = stored->scheme;
  MQ_ASSIGN_OR_RETURN(done.place, PlaceOf(tensor, by_name_));
  MQ_RETURN_IF_ERROR(CheckColumns(tensor, done.place));
  const Done* const tie = FindTie(done);

  Source source;
  source.weight = weights.size();
  const auto add = [&](const StoredPart& part, Source::Kind kind) {
    source.kind = kind;
    const size_t shared =
        tie == nullptr ? kNoTie : tie->parts[done.parts.size()];
    MQ_ASSIGN_OR_RETURN(const size_t added, AddPart(part, source, shared));
    done.parts.push_back(added);
    return absl::OkStatus();
  };
  MQ_RETURN_IF_ERROR(add(to.codes, Source::Kind::kCodes));
  index.tensors.back().module_kind = base_.tensors[codes].module_kind;
  if (to.scale.has_value()) {
    MQ_RETURN_IF_ERROR(add(*to.scale, Source::Kind::kScale));
  }
  if (to.zero_point.has_value()) {
    MQ_RETURN_IF_ERROR(add(*to.zero_point, Source::Kind::kZeroPoint));
  }
  if (to.global_scale.has_value()) {
    source.base = done.place.global_scale;
    MQ_RETURN_IF_ERROR(add(*to.global_scale, Source::Kind::kCopy));
  }
  for (const StoredConstant& constant : to.constants) {
    source.constant = constant.kind;
    MQ_RETURN_IF_ERROR(add(constant.part, Source::Kind::kConstant));
  }
  weights.push_back(
      {RepackedWeight(tensor.name, done.place, storage_, stored->scheme, to),
       stored->scheme, tensor.shape, tensor.dtype});
  if (tie == nullptr) {
    done_[Owner(done.place.codes)].push_back(std::move(done));
  }
  return absl::OkStatus();
}

// Parts have names that may already be taken.
absl::Status Builder::CheckNames() const {
  absl::flat_hash_set<absl::string_view> names;
  for (const TensorInfo& tensor : index.tensors) {
    if (names.insert(tensor.name).second) continue;
    return FailedPreconditionError(
        base_.path, ": tensor ", QuotedName(tensor.name),
        " has the name that a part of a quantized tensor would get in ",
        StorageName(storage_), "; rename this one");
  }
  return absl::OkStatus();
}

// A matrix that may be a Linear's or an embedding's is taken for a Linear's.
void Builder::FindModuleFormats() {
  if (storage_ != QuantStorage::kTorchAo) return;
  // The model as it would be in float, as far as modules are told from it.
  CheckpointIndex floats;
  floats.tensors = base_.tensors;
  absl::flat_hash_set<absl::string_view> elsewhere;
  for (const QuantizedTensor& tensor : base_.quant.tensors) {
    TensorInfo& info = floats.tensors[by_name_.at(tensor.codes_name())];
    info.name = tensor.name;
    info.shape = tensor.shape;
    info.dtype = tensor.dtype;
    if (IsStoredIn(storage_, tensor)) continue;
    if (tensor.scheme.format != NumberFormat::kInt8 &&
        tensor.scheme.format != NumberFormat::kUInt8) {
      continue;
    }
    elsewhere.insert(tensor.name);
  }
  for (const TorchAoModuleParts& module : FindTorchAoModules(floats)) {
    for (const size_t weight : module.weights) {
      const auto found = elsewhere.find(floats.tensors[weight].name);
      if (found != elsewhere.end()) module_formats_[*found] = module.format();
    }
  }
}

// torch has whole modules.
absl::Status Builder::CheckModules() const {
  if (storage_ != QuantStorage::kTorchAo) return absl::OkStatus();
  absl::flat_hash_set<absl::string_view> quantized;
  for (const QuantizedTensor& tensor : index.quant.tensors) {
    if (HasScales(tensor.scheme.format)) quantized.insert(tensor.name);
  }
  // Codes have name and shape of their weight.
  for (const TorchAoModuleParts& module : FindTorchAoModules(index)) {
    if (module.problem.empty()) continue;
    for (const size_t weight : module.weights) {
      if (!quantized.contains(index.tensors[weight].name)) continue;
      return FailedPreconditionError(absl::StrCat(
          base_.path, ": tensor ", QuotedName(index.tensors[weight].name), ": ",
          StorageName(storage_), " has no place for module ",
          QuotedName(module.name), ", which ", module.problem,
          "; dequantize it, and quantize it anew without this module"));
    }
  }
  return absl::OkStatus();
}

absl::Status Builder::Build() {
  index.container = base_.container;
  index.path = base_.path;
  index.root = base_.root;
  index.globals = base_.globals;
  index.notes = base_.notes;
  index.quant = base_.quant;
  index.quant.tensors.clear();
  index.metadata = MetadataWithoutClasses(base_);

  by_name_.reserve(base_.tensors.size());
  for (size_t i = 0; i < base_.tensors.size(); ++i) {
    by_name_[base_.tensors[i].name] = i;
  }
  FindModuleFormats();
  absl::flat_hash_map<size_t, const QuantizedTensor*> codes;
  Marks is_part(base_.tensors.size(), false);
  for (const QuantizedTensor& tensor : base_.quant.tensors) {
    codes[by_name_.at(tensor.codes_name())] = &tensor;
    for (const absl::string_view part : tensor.part_names()) {
      is_part[by_name_.at(part)] = true;
    }
  }
  for (size_t i = 0; i < base_.tensors.size(); ++i) {
    if (const auto it = codes.find(i); it != codes.end()) {
      MQ_RETURN_IF_ERROR(AddWeight(i, *it->second));
    } else if (!is_part[i]) {
      AddCopy(i);
    }
  }
  MQ_RETURN_IF_ERROR(CheckNames());
  MQ_RETURN_IF_ERROR(CheckModules());
  return ValidateIndex(index);
}

// ------------------------------------------------------------------ reader --

class RepackingReader : public CheckpointReader {
 public:
  RepackingReader(std::shared_ptr<const CheckpointReader> base,
                  CheckpointIndex index, std::vector<Source> sources,
                  std::vector<Weight> weights)
      : base_(std::move(base)),
        index_(std::move(index)),
        sources_(std::move(sources)),
        weights_(std::move(weights)) {}

  const CheckpointIndex& index() const override { return index_; }

  absl::Status Read(size_t tensor, uint64_t first, uint64_t count,
                    absl::Span<uint8_t> dst) const override;

  std::optional<FileExtent> Locate(size_t tensor) const override {
    if (tensor >= sources_.size() ||
        sources_[tensor].kind != Source::Kind::kCopy) {
      return std::nullopt;
    }
    return base_->Locate(sources_[tensor].base);
  }

 private:
  absl::Status ReadPart(const Source& source, const ByteRange& range,
                        uint8_t* dst) const;

  const std::shared_ptr<const CheckpointReader> base_;
  const CheckpointIndex index_;
  const std::vector<Source> sources_;
  const std::vector<Weight> weights_;
};

absl::Status RepackingReader::ReadPart(const Source& source,
                                       const ByteRange& range,
                                       uint8_t* dst) const {
  const Weight& weight = weights_[source.weight];
  switch (source.kind) {
    case Source::Kind::kCodes:
      return weight.repacked.ReadCodes(*base_, range, dst);
    case Source::Kind::kScale:
      return weight.repacked.ReadScales(*base_, range, dst);
    case Source::Kind::kZeroPoint:
      return weight.repacked.ReadZeroPoints(*base_, range, dst);
    case Source::Kind::kConstant:
    case Source::Kind::kCopy:
      break;
  }
  const std::vector<uint8_t> bytes =
      ConstantBytes(source.constant, weight.scheme, weight.shape, weight.dtype);
  std::copy_n(bytes.begin() + static_cast<int64_t>(range.offset), range.size,
              dst);
  return absl::OkStatus();
}

absl::Status RepackingReader::Read(size_t tensor, uint64_t first,
                                   uint64_t count,
                                   absl::Span<uint8_t> dst) const {
  if (tensor >= sources_.size()) {
    return InvalidArgumentError(index_.path, ": there is no tensor ", tensor);
  }
  const Source& source = sources_[tensor];
  if (source.kind == Source::Kind::kCopy) {
    return base_->Read(source.base, first, count, dst);
  }
  const TensorInfo& info = index_.tensors[tensor];
  MQ_ASSIGN_OR_RETURN(const ByteRange range, ElementBytes(info, first, count));
  if (dst.size() != range.size) {
    return InvalidArgumentError("tensor ", QuotedName(info.name), ": ", count,
                                " elements take ", range.size, " bytes, not ",
                                dst.size());
  }
  if (range.size == 0) return absl::OkStatus();
  return ReadPart(source, range, dst.data());
}

}  // namespace

absl::StatusOr<std::shared_ptr<const CheckpointReader>> MakeRepackingReader(
    std::shared_ptr<const CheckpointReader> base, QuantStorage storage) {
  if (base->index().quant.tensors.empty()) return base;
  // Readers promise this; finding the parts relies on it.
  MQ_RETURN_IF_ERROR(ValidateIndex(base->index()));
  const std::vector<QuantizedTensor>& tensors = base->index().quant.tensors;
  if (storage == QuantStorage::kBitsandbytesNested &&
      std::all_of(tensors.begin(), tensors.end(),
                  [storage](const QuantizedTensor& tensor) {
                    return IsStoredIn(storage, tensor);
                  })) {
    return base;
  }
  Builder builder(*base, storage);
  MQ_RETURN_IF_ERROR(builder.Build());
  if (builder.nothing_changes()) return base;
  return std::make_shared<RepackingReader>(
      std::move(base), std::move(builder.index), std::move(builder.sources),
      std::move(builder.weights));
}

}  // namespace monoquant
