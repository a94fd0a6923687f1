#include "exporters/program_limits.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

// ---------------------------------------------------------------- storages --

constexpr QuantStorage kPacked[] = {QuantStorage::kPackQuantized};
constexpr QuantStorage kPackedOrInt[] = {QuantStorage::kPackQuantized,
                                         QuantStorage::kIntQuantized,
                                         QuantStorage::kCompressedTensors};
constexpr QuantStorage kGptq[] = {QuantStorage::kGptq, QuantStorage::kGptqV2};
constexpr QuantStorage kAwq[] = {QuantStorage::kAwq};
constexpr QuantStorage kWords[] = {QuantStorage::kGptq, QuantStorage::kGptqV2,
                                   QuantStorage::kAwq};
constexpr QuantStorage kFp8[] = {QuantStorage::kFp8};
constexpr QuantStorage kFp8Blocks[] = {QuantStorage::kFp8,
                                       QuantStorage::kCompressedTensors};

// ------------------------------------------------------------------ limits --

std::string MarlinShape(const QuantizedTensor& weight) {
  constexpr int64_t kRows = 64;
  constexpr int64_t kColumns = 128;
  if (weight.shape[0] % kRows == 0 && weight.shape[1] % kColumns == 0) {
    return "";
  }
  return absl::StrCat("is ", ShapeToString(weight.shape),
                      "; the Marlin kernel takes multiples of ", kRows,
                      " rows and ", kColumns, " columns");
}

std::string MarlinGroups(const QuantizedTensor& weight) {
  const QuantScheme& scheme = weight.scheme;
  if (scheme.granularity == Granularity::kAxis) return "";
  for (const int64_t size : {32, 64, 128}) {
    if (scheme.granularity == Granularity::kGroup &&
        scheme.group_size == size) {
      return "";
    }
  }
  return absl::StrCat("has a scale for each ",
                      scheme.granularity == Granularity::kGroup
                          ? absl::StrCat("group of ", scheme.group_size)
                          : std::string(GranularityName(scheme.granularity)),
                      "; the Marlin kernel takes groups of 32, 64 and 128, and "
                      "rows");
}

std::string MarlinSymmetric(const QuantizedTensor& weight) {
  return weight.scheme.symmetric
             ? ""
             : "is asymmetric; the Marlin kernel takes weights of GPTQ that "
               "are symmetric";
}

// Engines allocate scales of the model's type.
std::string ScalesOfModel(const QuantizedTensor& weight) {
  const DType scales = weight.scheme.scale_dtype;
  if (scales == weight.dtype || scales != DType::kF32) return "";
  return absl::StrCat("has scales of F32, which become ",
                      DTypeName(weight.dtype), " as the model is");
}

std::string HalfScales(const QuantizedTensor& weight) {
  const DType scales = weight.scheme.scale_dtype;
  if (scales == DType::kF16) return "";
  return absl::StrCat("has scales of ", DTypeName(scales),
                      "; kernels expect F16");
}

std::string BlockColumns(const QuantizedTensor& weight) {
  constexpr int64_t kColumns = 128;
  if (weight.scheme.granularity != Granularity::kBlock ||
      weight.shape[1] % kColumns == 0) {
    return "";
  }
  return absl::StrCat("has ", weight.shape[1],
                      " columns; kernels for blocks need a multiple of ",
                      kColumns);
}

std::string BlockSize(const QuantizedTensor& weight) {
  constexpr int64_t kSize = 128;
  if (weight.scheme.granularity != Granularity::kBlock) return "";
  const int64_t size = weight.scheme.group_size;
  // One block, or several that are of no size: others tell.
  if (size == kSize || size == 0) return "";
  if (size > std::max(weight.shape[0], weight.shape[1]) / 2) return "";
  return absl::StrCat("has blocks of ", size, "; kernels expect ", kSize);
}

// Transformers derives a block's size from the number of scales.
std::string WholeBlocks(const QuantizedTensor& weight) {
  const int64_t size = weight.scheme.group_size;
  if (weight.scheme.granularity != Granularity::kBlock || size == 0) return "";
  for (const int64_t length : weight.shape) {
    if (length > size && length % size != 0) {
      return absl::StrCat("is ", ShapeToString(weight.shape), " in blocks of ",
                          size, ", of which the last one is cut off");
    }
  }
  return "";
}

std::string PackedZeroPoints(const QuantizedTensor& weight) {
  return weight.scheme.symmetric ? "" : "has packed zero points";
}

std::string WordRows(const QuantizedTensor& weight) {
  constexpr int64_t kRows = 32;
  if (weight.shape[0] % kRows == 0) return "";
  return absl::StrCat("has ", weight.shape[0],
                      " rows; not all kernels take what is no multiple of ",
                      kRows);
}

// ----------------------------------------------------------------- sources --

// The second has kernels of the first's names.
constexpr absl::string_view kEngines[] = {"vllm", "sglang"};
constexpr absl::string_view kTransformers[] = {"transformers"};

constexpr absl::string_view kSources =
    "as the sources of vLLM say, not tested; other kernels are slower, or "
    "there is none";
constexpr absl::string_view kTested = "tested with Transformers 5.23";
constexpr absl::string_view kGptqModel = "as GPTQModel 7.6 divides it";

constexpr absl::string_view kOtherShape =
    "leave the layer as it is (--skip), or accept a slower kernel";
constexpr absl::string_view kOtherGroups =
    "quantize in groups of 32, 64 or 128, or by rows";
constexpr absl::string_view kModelScales =
    "quantize with --scale-dtype as the model is, or accept the rounding";

}  // namespace

absl::Span<const ProgramLimit> AllProgramLimits() {
  static constexpr ProgramLimit kLimits[] = {
      {kEngines, kPacked, false, MarlinShape, kSources, kOtherShape},
      {kEngines, kPacked, false, MarlinGroups, kSources, kOtherGroups},
      {kEngines, kPackedOrInt, false, ScalesOfModel, kSources, kModelScales},
      {kEngines, kGptq, false, MarlinShape, kSources, kOtherShape},
      {kEngines, kGptq, false, MarlinGroups, kSources, kOtherGroups},
      {kEngines, kGptq, false, MarlinSymmetric, kSources,
       "quantize symmetrically"},
      {kEngines, kAwq, false, MarlinShape, kSources, kOtherShape},
      {kEngines, kAwq, false, MarlinGroups, kSources, kOtherGroups},
      {kEngines, kWords, false, HalfScales, kSources,
       "quantize with --scale-dtype f16"},
      {kEngines, kFp8Blocks, false, BlockColumns, kSources,
       "leave the layer as it is (--skip), or quantize it by rows"},
      {kEngines, kFp8Blocks, false, BlockSize, kSources,
       "quantize in blocks of 128"},
      {kTransformers, kPacked, true, PackedZeroPoints, kTested,
       "load it with CompressedTensorsConfig(dequantize=True), or quantize "
       "symmetrically"},
      {kTransformers, kFp8, true, WholeBlocks, kTested,
       "leave the layer as it is (--skip), or choose another size of blocks"},
      {kTransformers, kGptq, false, WordRows, kGptqModel,
       "leave the layer as it is (--skip)"},
  };
  return kLimits;
}

std::vector<ExceededLimit> LimitsExceeded(const Program& program,
                                          const QuantizedTensor& weight) {
  std::vector<ExceededLimit> exceeded;
  if (weight.shape.size() != 2) return exceeded;
  for (const ProgramLimit& limit : AllProgramLimits()) {
    if (!absl::c_linear_search(limit.programs, program.name) ||
        !absl::c_linear_search(limit.storages, weight.storage)) {
      continue;
    }
    std::string what = limit.exceeds(weight);
    if (!what.empty()) exceeded.push_back({&limit, std::move(what)});
  }
  return exceeded;
}

// ------------------------------------------------------------ weights_only --

namespace {

// torch._weights_only_unpickler._get_allowed_globals() of torch 2.13, but for
// the types of tensors and storages, and those of elements.
constexpr absl::string_view kGlobals[] = {
    "_codecs.encode",
    "builtins.bytearray",
    "builtins.complex",
    "builtins.set",
    "collections.Counter",
    "collections.OrderedDict",
    "torch.Size",
    "torch.Tensor",
    "torch._tensor._rebuild_from_type_v2",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_meta_tensor_no_storage",
    "torch._utils._rebuild_nested_tensor",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._utils._rebuild_qtensor",
    "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_wrapper_subclass",
    "torch.device",
    "torch.nn.parameter.Parameter",
    "torch.per_channel_affine",
    "torch.per_channel_affine_float_qparams",
    "torch.per_channel_symmetric",
    "torch.per_tensor_affine",
    "torch.per_tensor_symmetric",
    "torch.serialization._get_layout",
    "torch.storage.TypedStorage",
    "torch.storage.UntypedStorage",
};

// Elements of torch.XStorage, torch.cuda.XStorage, torch.XTensor and so on.
constexpr absl::string_view kElements[] = {
    "BFloat16", "Bool", "Byte", "Char", "Double",
    "Float",    "Half", "Int",  "Long", "Short",
};

// Those of storages alone.
constexpr absl::string_view kStorages[] = {
    "torch.ComplexDoubleStorage",
    "torch.ComplexFloatStorage",
    "torch.QInt32Storage",
    "torch.QInt8Storage",
    "torch.QUInt2x4Storage",
    "torch.QUInt4x2Storage",
    "torch.QUInt8Storage",
    "torch.cuda.ComplexDoubleStorage",
    "torch.cuda.ComplexFloatStorage",
};

}  // namespace

bool IsWeightsOnlyGlobal(absl::string_view name) {
  if (absl::c_linear_search(kGlobals, name) ||
      absl::c_linear_search(kStorages, name)) {
    return true;
  }
  if (!absl::ConsumePrefix(&name, "torch.")) return false;
  // By torch's own name, not by one of the aliases.
  const std::optional<DType> dtype = DTypeFromTorchName(name);
  if (dtype.has_value()) return GetDTypeInfo(*dtype).torch_name == name;
  const bool sparse = absl::ConsumePrefix(&name, "sparse.") ||
                      absl::ConsumePrefix(&name, "cuda.sparse.");
  if (!sparse) absl::ConsumePrefix(&name, "cuda.");
  if (!absl::ConsumeSuffix(&name, "Tensor") &&
      (sparse || !absl::ConsumeSuffix(&name, "Storage"))) {
    return false;
  }
  return absl::c_linear_search(kElements, name);
}

}  // namespace monoquant
