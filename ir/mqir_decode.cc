// FlatBuffer to MqirIndex, with all checks.

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "flatbuffers/flatbuffers.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/mqir_index.h"
#include "ir/quoted.h"
#include "ir/schema/mqir_generated.h"
#include "ir/sort.h"
#include "ir/status_macros.h"
#include "ir/utf8.h"

namespace monoquant {
namespace {

constexpr size_t kNoUser = static_cast<size_t>(-1);
constexpr uint32_t kNoTensor = 0xFFFFFFFF;

template <typename T>
size_t SizeOf(const flatbuffers::Vector<T>* vector) {
  return vector == nullptr ? 0 : vector->size();
}

class Decoder {
 public:
  // `size`: bytes of the FlatBuffer.
  Decoder(const MqirHeader& header, absl::string_view path, size_t size)
      : header_(header), path_(path), budget_(size), name_budget_(4 * size) {
    result_.checkpoint.container = "mqir";
    result_.checkpoint.path = std::string(path);
  }

  absl::StatusOr<MqirIndex> Decode(const mqir::Index& index) && {
    MQ_RETURN_IF_ERROR(DecodeSources(index));
    MQ_RETURN_IF_ERROR(DecodeExtents(index));
    MQ_RETURN_IF_ERROR(DecodeTensors(index));
    MQ_RETURN_IF_ERROR(DecodeMetadata(index));
    MQ_RETURN_IF_ERROR(DecodeProvenance(index));
    MQ_RETURN_IF_ERROR(DecodeQuantization(index));
    MQ_RETURN_IF_ERROR(ValidateIndex(result_.checkpoint));
    return std::move(result_);
  }

 private:
  absl::Status Wrong(absl::string_view reason) const {
    return DataLossError(path_, ": the index ", reason);
  }

  // For a value that this version does not know.
  absl::Status Newer(absl::string_view what, uint64_t value) const {
    return UnimplementedError(
        path_, ": the index uses ", what, " number ", value,
        ", which this monoquant does not know; update monoquant");
  }

  // A FlatBuffer may name the same bytes any number of times, and a small file
  // could unfold to any size. The writer never does that, so what is copied out
  // is at most what is there.
  absl::Status Spend(size_t bytes) {
    if (bytes > budget_) return Wrong("refers to the same bytes repeatedly");
    budget_ -= bytes;
    return absl::OkStatus();
  }

  // FlatBuffers' verifier checks the alignment of a vector's length (4 bytes),
  // not that of its elements; reading one at an odd place is undefined.
  template <typename T>
  absl::Status CheckAligned(const flatbuffers::Vector<T>* vector) const {
    if (SizeOf(vector) > 0 &&
        reinterpret_cast<uintptr_t>(vector->Data()) % sizeof(uint64_t) != 0) {
      return Wrong("has misaligned values");
    }
    return absl::OkStatus();
  }

  absl::Status Copy(const flatbuffers::String* from, absl::string_view what,
                    std::string* to) {
    if (from == nullptr) return absl::OkStatus();
    MQ_RETURN_IF_ERROR(Spend(from->size()));
    to->assign(from->data(), from->size());
    if (!IsValidUtf8(*to)) {
      return Wrong(
          absl::StrCat("has ", what, " that is not UTF-8: ", QuotedName(*to)));
    }
    return absl::OkStatus();
  }

  absl::Status Copy(const flatbuffers::Vector<int64_t>* from, Shape* to) {
    if (from == nullptr) return absl::OkStatus();
    MQ_RETURN_IF_ERROR(CheckAligned(from));
    MQ_RETURN_IF_ERROR(Spend(from->size() * sizeof(int64_t)));
    to->assign(from->begin(), from->end());
    return absl::OkStatus();
  }

  absl::Status Copy(mqir::DType from, DType* to) const {
    if (static_cast<int>(from) >= kNumDTypes) {
      return Newer("dtype", static_cast<uint64_t>(from));
    }
    *to = static_cast<DType>(from);
    return absl::OkStatus();
  }

  absl::Status DecodeSources(const mqir::Index& index) {
    const size_t count = SizeOf(index.sources());
    if (count > kMaxMqirSources) {
      return Wrong(absl::StrCat("names ", count, " other files, at most ",
                                kMaxMqirSources, " are supported"));
    }
    for (size_t i = 0; i < count; ++i) {
      const mqir::Source& from =
          *index.sources()->Get(static_cast<flatbuffers::uoffset_t>(i));
      MqirSource source;
      MQ_RETURN_IF_ERROR(Copy(from.file(), "a file name", &source.file));
      MQ_RETURN_IF_ERROR(
          Copy(from.container(), "a container", &source.container));
      source.size = from.size();
      if (!IsBareFileName(source.file)) {
        return Wrong(absl::StrCat(
            "names the file ", QuotedName(source.file),
            ", which would not lie beside this one; such a path is not "
            "followed"));
      }
      result_.sources.push_back(std::move(source));
    }
    return absl::OkStatus();
  }

  absl::Status DecodeExtents(const mqir::Index& index) {
    const size_t count = SizeOf(index.extents());
    if (count > kMaxMqirTensors) {
      return Wrong(absl::StrCat("has ", count, " extents, at most ",
                                kMaxMqirTensors, " are supported"));
    }
    MQ_RETURN_IF_ERROR(CheckAligned(index.extents()));
    for (size_t i = 0; i < count; ++i) {
      const mqir::Extent& from =
          *index.extents()->Get(static_cast<flatbuffers::uoffset_t>(i));
      const MqirExtent extent = {from.offset(), from.size(), from.crc32(),
                                 from.source()};
      MQ_RETURN_IF_ERROR(CheckPlace(i, extent));
      result_.extents.push_back(extent);
    }
    return CheckApart();
  }

  absl::Status CheckPlace(size_t i, const MqirExtent& extent) const {
    const absl::string_view wrong = "has an extent that is wrong: number ";
    if (extent.source > result_.sources.size()) {
      return Wrong(absl::StrCat(wrong, i, " is in file ", extent.source, " of ",
                                result_.sources.size()));
    }
    const bool is_here = extent.source == 0;
    const uint64_t file_size =
        is_here ? header_.file_size : result_.sources[extent.source - 1].size;
    if (extent.offset > file_size || extent.size > file_size - extent.offset) {
      return Wrong(absl::StrCat(
          wrong, i, ", ", extent.size, " bytes at offset ", extent.offset,
          ", goes beyond the end of its file at ", file_size, " bytes"));
    }
    // Decoding the header has shown that this does not overflow.
    uint64_t start = 0;
    if (is_here && (!MqirPayloadStart(header_.index_size, &start) ||
                    extent.offset < start)) {
      return Wrong(absl::StrCat(wrong, i, " begins at offset ", extent.offset,
                                ", the payload at ", start));
    }
    if (is_here && extent.offset % kMqirAlignment != 0) {
      return Wrong(absl::StrCat(wrong, i, " begins at offset ", extent.offset,
                                ", which is no multiple of ", kMqirAlignment));
    }
    return absl::OkStatus();
  }

  // Extents of this file share no byte, and the last one ends the file. In
  // other files they may: views of one storage do.
  absl::Status CheckApart() const {
    std::vector<const MqirExtent*> here;
    for (const MqirExtent& extent : result_.extents) {
      if (extent.source == 0) here.push_back(&extent);
    }
    Sort(here, [](const MqirExtent* a, const MqirExtent* b) {
      return std::pair(a->offset, a->size) < std::pair(b->offset, b->size);
    });
    uint64_t end;
    if (!MqirPayloadStart(header_.index_size, &end))
      return Wrong("is too large");
    for (const MqirExtent* extent : here) {
      if (extent->offset < end && extent->size > 0) {
        return Wrong(absl::StrCat("has extents that overlap at offset ",
                                  extent->offset));
      }
      end = std::max(end, extent->offset + extent->size);
    }
    if (end != header_.file_size) {
      return Wrong(absl::StrCat("accounts for the bytes up to ", end,
                                ", but the file has ", header_.file_size));
    }
    return absl::OkStatus();
  }

  absl::Status DecodeTensors(const mqir::Index& index) {
    const size_t count = SizeOf(index.tensors());
    if (count > kMaxMqirTensors) {
      return Wrong(absl::StrCat("has ", count, " tensors, at most ",
                                kMaxMqirTensors, " are supported"));
    }
    std::vector<size_t> first_user(result_.extents.size(), kNoUser);
    for (size_t i = 0; i < count; ++i) {
      const mqir::Tensor& from =
          *index.tensors()->Get(static_cast<flatbuffers::uoffset_t>(i));
      TensorInfo tensor;
      MQ_RETURN_IF_ERROR(Copy(from.name(), "a tensor name", &tensor.name));
      MQ_RETURN_IF_ERROR(
          Copy(from.module_kind(), "a module kind", &tensor.module_kind));
      MQ_RETURN_IF_ERROR(Copy(from.dtype(), &tensor.dtype));
      MQ_RETURN_IF_ERROR(Copy(from.shape(), &tensor.shape));
      if (from.extent() >= result_.extents.size()) {
        return Wrong(absl::StrCat("places tensor ", QuotedName(tensor.name),
                                  " in extent ", from.extent(), " of ",
                                  result_.extents.size()));
      }
      // ValidateIndex compares it with dtype and shape.
      tensor.byte_size = result_.extents[from.extent()].size;
      size_t& user = first_user[from.extent()];
      if (user == kNoUser) {
        user = i;
      } else {
        tensor.tie = user;
      }
      result_.tensor_extents.push_back(from.extent());
      result_.checkpoint.tensors.push_back(std::move(tensor));
    }
    for (size_t i = 0; i < first_user.size(); ++i) {
      if (first_user[i] == kNoUser) {
        return Wrong(absl::StrCat("has extent ", i, ", which no tensor uses"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status DecodeMetadata(const mqir::Index& index) {
    auto& metadata = result_.checkpoint.metadata;
    for (size_t i = 0; i < SizeOf(index.metadata()); ++i) {
      const mqir::KeyValue& from =
          *index.metadata()->Get(static_cast<flatbuffers::uoffset_t>(i));
      std::string key;
      std::string value;
      // Also for empty texts, so that an entry is never for free.
      MQ_RETURN_IF_ERROR(Spend(sizeof(flatbuffers::uoffset_t)));
      MQ_RETURN_IF_ERROR(Copy(from.key(), "a metadata key", &key));
      MQ_RETURN_IF_ERROR(Copy(from.value(), "a metadata value", &value));
      if (!metadata.empty() && metadata.back().first >= key) {
        return Wrong(absl::StrCat("has the metadata key ", QuotedName(key),
                                  " twice or out of order"));
      }
      metadata.emplace_back(std::move(key), std::move(value));
    }
    return absl::OkStatus();
  }

  absl::Status DecodeProvenance(const mqir::Index& index) {
    const mqir::Provenance* from = index.provenance();
    if (from == nullptr) return absl::OkStatus();
    QuantRecord& record = result_.checkpoint.quant;
    MQ_RETURN_IF_ERROR(Copy(from->version(), "a version", &record.version));
    MQ_RETURN_IF_ERROR(Copy(from->source_container(), "a source container",
                            &record.source_container));
    MQ_RETURN_IF_ERROR(
        Copy(from->source_name(), "a source name", &record.source_name));
    if (record.version.empty()) return Wrong("names an empty version");
    return absl::OkStatus();
  }

  absl::Status DecodeQuantization(const mqir::Index& index) {
    const mqir::Quantization* from = index.quantization();
    if (from == nullptr) return absl::OkStatus();
    QuantRecord& record = result_.checkpoint.quant;
    if (record.version.empty()) {
      return Wrong("has a quantization but no provenance");
    }
    MQ_RETURN_IF_ERROR(Copy(from->recipe(), "a recipe", &record.recipe));
    if (!record.recipe.empty()) {
      const absl::StatusOr<Json> recipe = ParseJson(record.recipe);
      if (!recipe.ok() || !recipe->is_object()) {
        return Wrong(absl::StrCat("has a recipe that is no JSON object: ",
                                  recipe.status().message()));
      }
    }
    const size_t count = SizeOf(from->tensors());
    if (count > result_.checkpoint.tensors.size()) {
      return Wrong(absl::StrCat("has ", count, " quantized tensors of ",
                                result_.checkpoint.tensors.size()));
    }
    for (size_t i = 0; i < count; ++i) {
      QuantizedTensor tensor;
      MQ_RETURN_IF_ERROR(DecodeQuantized(
          *from->tensors()->Get(static_cast<flatbuffers::uoffset_t>(i)),
          &tensor));
      record.tensors.push_back(std::move(tensor));
    }
    return absl::OkStatus();
  }

  absl::Status DecodeQuantized(const mqir::QuantizedTensor& from,
                               QuantizedTensor* to) {
    MQ_RETURN_IF_ERROR(CopyName(from.codes(), &to->name));
    if (from.name() != nullptr) {
      to->codes = std::move(to->name);
      MQ_RETURN_IF_ERROR(Copy(from.name(), "a name", &to->name));
    }
    MQ_RETURN_IF_ERROR(Copy(from.dtype(), &to->dtype));
    MQ_RETURN_IF_ERROR(Copy(from.shape(), &to->shape));
    if (static_cast<int>(from.format()) >= kNumNumberFormats) {
      return Newer("number format", static_cast<uint64_t>(from.format()));
    }
    if (from.granularity() > mqir::Granularity::MAX) {
      return Newer("granularity", static_cast<uint64_t>(from.granularity()));
    }
    if (from.convention() > mqir::Convention::MAX) {
      return Newer("convention", static_cast<uint64_t>(from.convention()));
    }
    if (from.storage() > mqir::Storage::MAX) {
      return Newer("storage", static_cast<uint64_t>(from.storage()));
    }
    to->storage = static_cast<QuantStorage>(from.storage());
    to->scheme.format = static_cast<NumberFormat>(from.format());
    to->scheme.granularity = static_cast<Granularity>(from.granularity());
    to->scheme.axis = from.axis();
    to->scheme.group_size = from.group_size();
    to->scheme.symmetric = from.symmetric();
    to->scheme.convention = static_cast<Convention>(from.convention());
    MQ_RETURN_IF_ERROR(Copy(from.scale_dtype(), &to->scheme.scale_dtype));
    if (!ScalesCanBe(to->scheme.format, to->scheme.scale_dtype)) {
      return Newer("dtype of scales",
                   static_cast<uint64_t>(from.scale_dtype()));
    }
    if (from.scale() != kNoTensor) {
      MQ_RETURN_IF_ERROR(CopyName(from.scale(), &to->scale));
    }
    if (from.zero_point() != kNoTensor) {
      MQ_RETURN_IF_ERROR(CopyName(from.zero_point(), &to->zero_point));
    }
    if (from.global_scale() != kNoTensor) {
      MQ_RETURN_IF_ERROR(CopyName(from.global_scale(), &to->global_scale));
    }
    if (from.constants() != nullptr) {
      for (const uint32_t constant : *from.constants()) {
        MQ_RETURN_IF_ERROR(CopyName(constant, &to->constants.emplace_back()));
      }
    }
    return absl::OkStatus();
  }

  // The name of a tensor that is given by its number. Tied tensors share their
  // parameters, so a name may be copied often; still not without bound.
  absl::Status CopyName(uint32_t tensor, std::string* name) {
    if (tensor >= result_.checkpoint.tensors.size()) {
      return Wrong(absl::StrCat("quantizes tensor ", tensor, " of ",
                                result_.checkpoint.tensors.size()));
    }
    *name = result_.checkpoint.tensors[tensor].name;
    if (name->size() > name_budget_) {
      return Wrong("names the same tensors repeatedly");
    }
    name_budget_ -= name->size();
    return absl::OkStatus();
  }

  const MqirHeader& header_;
  absl::string_view path_;
  size_t budget_;
  size_t name_budget_;
  MqirIndex result_;
};

}  // namespace

bool IsBareFileName(absl::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(absl::string_view("/\\:\0", 4)) ==
             absl::string_view::npos;
}

absl::StatusOr<MqirIndex> DecodeMqirIndex(absl::Span<const uint8_t> bytes,
                                          const MqirHeader& header,
                                          absl::string_view path) {
  // Tensors, quantized tensors, metadata, sources and the few tables above
  // them.
  constexpr flatbuffers::uoffset_t kMaxTables = 4 * kMaxMqirTensors;
  constexpr flatbuffers::uoffset_t kMaxDepth = 16;
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), kMaxDepth,
                                 kMaxTables);
  if (!mqir::VerifyIndexBuffer(verifier)) {
    return DataLossError(
        path, ": the index is malformed; the file is damaged, get it again");
  }
  return Decoder(header, path, bytes.size())
      .Decode(*mqir::GetIndex(bytes.data()));
}

}  // namespace monoquant
