#include "frontends/pickle/safe_globals.h"

#include "absl/strings/str_split.h"

namespace monoquant {
namespace {

struct Row {
  absl::string_view module;
  // Separated by single spaces.
  absl::string_view names;
};

constexpr absl::string_view kPathClasses =
    "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath";
constexpr absl::string_view kTorchTensors =
    "BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor "
    "HalfTensor IntTensor LongTensor ShortTensor";

constexpr Row kRows[] = {
    // The standard library.
    {"_codecs", "encode"},
    {"_io", "BytesIO StringIO"},
    {"_operator", "add mul or_ sub truediv"},
    {"_random", "Random"},
    {"abc", "ABC"},
    {"argparse", "Namespace"},
    {"array", "_array_reconstructor array"},
    {"builtins",
     "ArithmeticError AssertionError AttributeError BaseException Ellipsis "
     "Exception FloatingPointError IndexError KeyError LookupError NoneType "
     "NotImplemented NotImplementedError OSError OverflowError RuntimeError "
     "StopIteration TypeError ValueError ZeroDivisionError abs bool bytearray "
     "bytes complex dict float frozenset int len list max min object range "
     "round set slice str sum tuple"},
    {"collections",
     "ChainMap Counter OrderedDict UserDict UserList UserString defaultdict "
     "deque"},
    {"collections.abc",
     "Callable Collection Container Generator Hashable Iterable Iterator "
     "Mapping MutableMapping MutableSequence MutableSet Sequence Set Sized"},
    {"copyreg", "__newobj__ __newobj_ex__ _reconstructor"},
    {"dataclasses", "_HAS_DEFAULT_FACTORY_CLASS _MISSING_TYPE"},
    {"datetime", "date datetime time timedelta timezone tzinfo"},
    {"decimal", "Decimal"},
    {"enum", "Enum Flag IntEnum IntFlag StrEnum"},
    {"fractions", "Fraction"},
    {"inspect", "Parameter Signature _ParameterKind _empty"},
    {"io", "BytesIO StringIO"},
    {"ipaddress",
     "IPv4Address IPv4Interface IPv4Network IPv6Address IPv6Interface "
     "IPv6Network"},
    {"logging", "Logger getLogger"},
    {"math",
     "acos acosh asin asinh atan atan2 atanh ceil copysign cos cosh degrees "
     "erf erfc exp expm1 fabs floor fmod gamma hypot isfinite isinf isnan "
     "lgamma log log10 log1p log2 pow radians sin sinh sqrt tan tanh trunc"},
    {"numbers", "Complex Integral Number Rational Real"},
    {"operator", "add mul or_ sub truediv"},
    {"pathlib", kPathClasses},
    {"pathlib._local", kPathClasses},
    {"random", "Random"},
    {"re", "Pattern RegexFlag _compile"},
    {"time", "struct_time"},
    {"types", "GenericAlias NoneType SimpleNamespace"},
    {"typing",
     "AbstractSet Any AnyStr Callable ClassVar Collection Counter DefaultDict "
     "Deque Dict Final FrozenSet Generator Generic Hashable Iterable Iterator "
     "List Literal Mapping MutableMapping MutableSequence MutableSet "
     "NamedTuple "
     "NoReturn Optional OrderedDict Sequence Set Sized Text Tuple Type TypeVar "
     "Union"},
    {"uuid", "SafeUUID UUID"},
    {"zoneinfo", "ZoneInfo ZoneInfo._unpickle"},

    // torch.
    {"torch",
     "BFloat16Storage BoolStorage ByteStorage CharStorage ComplexDoubleStorage "
     "ComplexFloatStorage ComplexHalfStorage DoubleStorage FloatStorage "
     "HalfStorage IntStorage LongStorage QInt32Storage QInt8Storage "
     "QUInt2x4Storage QUInt4x2Storage QUInt8Storage ShortStorage"},
    {"torch", kTorchTensors},
    {"torch",
     "bfloat16 bits16 bits1x8 bits2x4 bits4x2 bits8 bool cdouble cfloat chalf "
     "complex128 complex32 complex64 double float float16 float32 "
     "float4_e2m1fn_x2 float64 float8_e4m3fn float8_e4m3fnuz float8_e5m2 "
     "float8_e5m2fnuz float8_e8m0fnu half int int1 int16 int2 int3 int32 int4 "
     "int5 int6 int64 int7 int8 long qint32 qint8 quint2x4 quint4x2 quint8 "
     "short uint1 uint16 uint2 uint3 uint32 uint4 uint5 uint6 uint64 uint7 "
     "uint8"},
    {"torch",
     "Generator Size Tensor channels_last channels_last_3d contiguous_format "
     "device dtype layout memory_format per_channel_affine "
     "per_channel_affine_float_qparams per_channel_symmetric per_tensor_affine "
     "per_tensor_symmetric preserve_format qscheme sparse_bsc sparse_bsr "
     "sparse_coo sparse_csc sparse_csr strided"},
    {"torch._dynamo.decorators", "_DimRange"},
    {"torch._tensor", "_rebuild_from_type _rebuild_from_type_v2"},
    {"torch._utils",
     "_rebuild_device_tensor_from_cpu_tensor _rebuild_device_tensor_from_numpy "
     "_rebuild_meta_tensor_no_storage _rebuild_nested_tensor "
     "_rebuild_parameter _rebuild_parameter_with_state _rebuild_qtensor "
     "_rebuild_sparse_tensor _rebuild_tensor _rebuild_tensor_v2 "
     "_rebuild_tensor_v3 _rebuild_wrapper_subclass _rebuild_xla_tensor"},
    {"torch.cuda",
     "BFloat16Storage BoolStorage ByteStorage CharStorage ComplexDoubleStorage "
     "ComplexFloatStorage DoubleStorage FloatStorage HalfStorage IntStorage "
     "LongStorage ShortStorage"},
    {"torch.cuda", kTorchTensors},
    {"torch.cuda.sparse", kTorchTensors},
    {"torch.distributed.checkpoint.filesystem", "_StorageInfo"},
    {"torch.distributed.checkpoint.metadata",
     "BytesStorageMetadata ChunkStorageMetadata Metadata MetadataIndex "
     "StorageMeta TensorProperties TensorStorageMetadata _MEM_FORMAT_ENCODING"},
    {"torch.jit._pickle",
     "build_boollist build_doublelist build_intlist build_tensorlist "
     "restore_type_tag"},
    {"torch.nn", "Parameter"},
    {"torch.nn.parameter",
     "Buffer Parameter UninitializedBuffer UninitializedParameter"},
    {"torch.serialization", "_get_layout"},
    {"torch.sparse", kTorchTensors},
    {"torch.storage",
     "TypedStorage UntypedStorage _TypedStorage _UntypedStorage"},

    // NumPy.
    {"numpy",
     "bool bool_ bytes_ complex128 complex64 datetime64 dtype float16 float32 "
     "float64 int16 int32 int64 int8 intc longlong ndarray object_ recarray "
     "record str_ timedelta64 uint16 uint32 uint64 uint8 uintc ulonglong void"},
    {"numpy._core.multiarray", "_reconstruct scalar"},
    {"numpy._core.numeric", "_frombuffer"},
    {"numpy.core.multiarray", "_reconstruct scalar"},
    {"numpy.core.numeric", "_frombuffer"},
    {"numpy.dtypes",
     "BoolDType BytesDType Complex128DType Complex64DType DateTime64DType "
     "Float16DType Float32DType Float64DType Int16DType Int32DType Int64DType "
     "Int8DType ObjectDType StrDType TimeDelta64DType UInt16DType UInt32DType "
     "UInt64DType UInt8DType VoidDType"},
    {"numpy.ma.core", "MaskedArray _mareconstruct"},
    {"numpy.random._mt19937", "MT19937"},
    {"numpy.random._pcg64", "PCG64 PCG64DXSM"},
    {"numpy.random._philox", "Philox"},
    {"numpy.random._pickle",
     "__bit_generator_ctor __generator_ctor __randomstate_ctor"},
    {"numpy.random._sfc64", "SFC64"},
    {"numpy.random.bit_generator", "SeedSequence"},
};

}  // namespace

bool IsSafeGlobal(absl::string_view module, absl::string_view name) {
  for (const Row& row : kRows) {
    if (row.module != module) continue;
    for (absl::string_view safe : absl::StrSplit(row.names, ' ')) {
      if (safe == name) return true;
    }
  }
  return false;
}

}  // namespace monoquant
