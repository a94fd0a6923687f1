#include "exporters/program_limits.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/siblings.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

// ---------------------------------------------------------------- storages --

constexpr QuantStorage kPlain[] = {QuantStorage::kPlain};
constexpr QuantStorage kPacked[] = {QuantStorage::kPackQuantized};
constexpr QuantStorage kInt[] = {QuantStorage::kIntQuantized};
// FP8 and the schemes of NamedSchemes.
constexpr QuantStorage kFloats[] = {QuantStorage::kCompressedTensors};
constexpr QuantStorage kCompressed[] = {QuantStorage::kPackQuantized,
                                        QuantStorage::kIntQuantized,
                                        QuantStorage::kCompressedTensors};
constexpr QuantStorage kGptq[] = {QuantStorage::kGptq, QuantStorage::kGptqV2};
constexpr QuantStorage kAwq[] = {QuantStorage::kAwq};
constexpr QuantStorage kWords[] = {QuantStorage::kGptq, QuantStorage::kGptqV2,
                                   QuantStorage::kAwq};
constexpr QuantStorage kFp8[] = {QuantStorage::kFp8};
constexpr QuantStorage kFp8Blocks[] = {QuantStorage::kFp8,
                                       QuantStorage::kCompressedTensors};
constexpr QuantStorage kBitsandbytes[] = {QuantStorage::kBitsandbytes,
                                          QuantStorage::kBitsandbytesNested};

// ------------------------------------------------------------------ limits --

std::string OwnStorage(const QuantizedTensor& weight) {
  if (!HasScales(weight.scheme.format)) return "";
  return "is stored as codes and scales that only monoquant knows";
}

// The Marlin kernels, which vLLM and SGLang have for integer weights and 16-bit
// activations (marlin_utils.py of either). Rows are those of the weight itself,
// without others that they lay beside it.
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

// Whole blocks, where several weights are laid side by side.
std::string BlockRows(const QuantizedTensor& weight) {
  const int64_t size = weight.scheme.group_size;
  if (weight.scheme.granularity != Granularity::kBlock || size == 0 ||
      weight.shape[0] % size == 0) {
    return "";
  }
  return absl::StrCat("has ", weight.shape[0],
                      " rows; weights that are laid side by side in blocks of ",
                      size, ", or spread over GPUs, need a multiple of it");
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

// "mxfp8" of what has such a name, or "".
std::string NameOf(const QuantScheme& scheme) {
  for (const NamedScheme& named : NamedSchemes()) {
    if (named.scheme.format == scheme.format &&
        named.scheme.scale_dtype == scheme.scale_dtype) {
      return std::string(named.name);
    }
  }
  return "";
}

std::string WithoutKernel(const QuantizedTensor& weight) {
  const std::string name = NameOf(weight.scheme);
  if (name != "mxfp8") return "";
  return absl::StrCat("is ", name, ", which no kernel is known for");
}

std::string WithoutScheme(const QuantizedTensor& weight) {
  const std::string name = NameOf(weight.scheme);
  if (name.empty()) return "";
  return absl::StrCat("is ", name, ", which is not known to be loaded");
}

bool IsExpert(const QuantizedTensor& weight) {
  return !ExpertsOf(weight.name).empty();
}

// Transformers has the weights of all experts of a layer as one tensor, and
// fills that from quantized ones in some storages only.
std::string RandomExpert(const QuantizedTensor& weight) {
  if (!IsExpert(weight)) return "";
  return "is an expert's; all experts get random numbers, with a warning only";
}

std::string QuantizedExpert(const QuantizedTensor& weight) {
  return IsExpert(weight) ? "is an expert's, which are loaded as floats" : "";
}

std::string IntegerExpert(const QuantizedTensor& weight) {
  if (!IsExpert(weight)) return "";
  return "is an expert's, of which integers are loaded in packed words only";
}

std::string FloatExpert(const QuantizedTensor& weight) {
  if (!IsExpert(weight)) return "";
  const QuantScheme& scheme = weight.scheme;
  if (HasGlobalScale(scheme)) {
    return "is an expert's, of which the global scales are left out";
  }
  if (scheme.format == NumberFormat::kFp8E4M3 &&
      scheme.granularity == Granularity::kGroup) {
    return "is an expert's, of which FP8 is loaded without groups only";
  }
  // One block is one scale.
  const int64_t size = scheme.group_size;
  if (scheme.granularity == Granularity::kBlock &&
      (weight.shape[0] > size || weight.shape[1] > size)) {
    return "is an expert's, of which FP8 is loaded without blocks only";
  }
  return "";
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
constexpr absl::string_view kVllm[] = {"vllm"};
constexpr absl::string_view kSglang[] = {"sglang"};
constexpr absl::string_view kTransformers[] = {"transformers"};
// Those that load models of Hugging Face's.
constexpr absl::string_view kModels[] = {"vllm", "sglang", "transformers"};

constexpr absl::string_view kNoLayers =
    "there are layers for the storages of engines";
constexpr absl::string_view kSources =
    "as the sources of vLLM say, not tested; other kernels are slower, or "
    "there is none";
constexpr absl::string_view kNotTested = "not tested";
constexpr absl::string_view kTested = "tested with Transformers 5.23";
constexpr absl::string_view kGptqModel = "as GPTQModel 7.6 divides it";

constexpr absl::string_view kSkip = "leave it as it is (--skip)";
constexpr absl::string_view kOtherGroups =
    "quantize in groups of 32, 64 or 128, or by rows (-g, --granularity axis)";
constexpr absl::string_view kModelScales =
    "quantize with --scale-dtype as the model is, or accept the rounding";
constexpr absl::string_view kSkipExperts =
    "leave experts as they are (--skip '*.experts.*')";
constexpr absl::string_view kOtherExperts =
    "give experts groups of integers (--rule '*.experts.*=int4,group=128'), or "
    "quantize with --type fp8_e4m3 or --to fp8";

}  // namespace

absl::Span<const ProgramLimit> AllProgramLimits() {
  constexpr auto kFails = Consequence::kFails;
  constexpr auto kSlower = Consequence::kSlower;
  constexpr auto kRounded = Consequence::kRounded;
  static constexpr ProgramLimit kLimits[] = {
      {kModels, kPlain, kFails, OwnStorage, kNoLayers,
       "use --to compressed-tensors, or a cast such as --type bf16"},

      {kEngines, kPacked, kSlower, MarlinShape, kSources, kSkip},
      {kEngines, kPacked, kSlower, MarlinGroups, kSources, kOtherGroups},
      {kEngines, kCompressed, kRounded, ScalesOfModel, kSources, kModelScales},
      {kEngines, kGptq, kSlower, MarlinSymmetric, kSources,
       "quantize symmetrically, or use --to awq"},
      {kEngines, kGptq, kSlower, MarlinShape, kSources, kSkip},
      {kEngines, kGptq, kSlower, MarlinGroups, kSources, kOtherGroups},
      {kEngines, kAwq, kSlower, MarlinShape, kSources, kSkip},
      {kEngines, kAwq, kSlower, MarlinGroups, kSources, kOtherGroups},
      {kEngines, kWords, kRounded, HalfScales, kSources,
       "quantize with --scale-dtype f16"},
      {kEngines, kFp8Blocks, kSlower, BlockSize, kSources,
       "quantize in blocks of 128"},
      {kEngines, kFp8Blocks, kSlower, BlockRows, kSources, kSkip},
      {kEngines, kFp8Blocks, kSlower, BlockColumns, kSources,
       "leave it as it is (--skip), or quantize it by rows"},
      {kVllm, kFloats, kSlower, WithoutKernel, kSources,
       "use nvfp4, mxfp4 or fp8_e4m3"},
      {kSglang, kFloats, kSlower, WithoutScheme, kNotTested,
       "use int4 or fp8_e4m3"},

      {kTransformers, kPacked, kFails, PackedZeroPoints, kTested,
       "load it with CompressedTensorsConfig(dequantize=True), or quantize "
       "symmetrically"},
      {kTransformers, kFp8, kFails, WholeBlocks, kTested,
       "leave it as it is (--skip), or choose another size of blocks"},
      {kTransformers, kGptq, kSlower, WordRows, kGptqModel, kSkip},
      {kTransformers, kWords, kFails, RandomExpert, kTested, kSkipExperts},
      {kTransformers, kBitsandbytes, kFails, QuantizedExpert, kTested,
       kSkipExperts},
      {kTransformers, kInt, kFails, IntegerExpert, kTested, kOtherExperts},
      {kTransformers, kFloats, kFails, FloatExpert, kTested, kOtherExperts},
  };
  return kLimits;
}

QuantStorage StorageRead(QuantStorage storage, const QuantScheme& scheme) {
  if (storage != QuantStorage::kCompressedTensors ||
      !HasZeroPoints(scheme.format)) {
    return storage;
  }
  return BitsOfCode(scheme.format) == 8 &&
                 scheme.granularity != Granularity::kGroup
             ? QuantStorage::kIntQuantized
             : QuantStorage::kPackQuantized;
}

std::vector<ExceededLimit> LimitsExceeded(const Program& program,
                                          const QuantizedTensor& weight) {
  std::vector<ExceededLimit> exceeded;
  const QuantStorage storage = StorageRead(weight.storage, weight.scheme);
  if (weight.shape.size() != 2 && storage != QuantStorage::kPlain) {
    return exceeded;
  }
  for (const ProgramLimit& limit : AllProgramLimits()) {
    if (!absl::c_linear_search(limit.programs, program.name) ||
        !absl::c_linear_search(limit.storages, storage)) {
      continue;
    }
    std::string what = limit.exceeds(weight);
    if (!what.empty()) exceeded.push_back({&limit, std::move(what)});
  }
  return exceeded;
}

const FloatExpertLimit* FindFloatExpertLimit(const Program& program,
                                             QuantStorage storage,
                                             bool as_fp8) {
  // Transformers decodes all experts as one group of the configuration says,
  // and passes on what has no scales where that is FP8.
  static constexpr FloatExpertLimit kLimit = {
      kTransformers, kCompressed,
      "is an expert's and not quantized, but all experts are loaded as "
      "quantized like other weights",
      kTested, kOtherExperts};
  const bool has = !as_fp8 &&
                   absl::c_linear_search(kLimit.programs, program.name) &&
                   absl::c_linear_search(kLimit.storages, storage);
  return has ? &kLimit : nullptr;
}

bool LoadsFloatsAmongExperts(const Program& program, QuantStorage storage,
                             bool as_fp8) {
  // Tested with Transformers 5.23, which has a tensor for each name and decodes
  // FP8 of compressed-tensors as it fills that. Of the method fp8 it has
  // modules with scales for all of them.
  return as_fp8 && absl::c_linear_search(kTransformers, program.name) &&
         storage == QuantStorage::kCompressedTensors;
}

bool NeedsActivationScales(absl::string_view model_type) {
  // AWQ_SCALES_MAPPINGS of Transformers 5.23.
  static constexpr absl::string_view kTypes[] = {
      "RefinedWebModel", "bloom", "falcon", "gpt_bigcode",
      "gpt_neox",        "gptj",  "mpt",    "starcoder2",
  };
  return absl::c_linear_search(kTypes, model_type);
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
