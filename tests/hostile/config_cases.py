"""Directories of quantized weights whose config.json lies, or whose tensors do."""

import json
import struct

from tests.hostile.case import EITHER, ERROR, directory_case
from tests.hostile.safetensors_cases import safetensors

_BYTES = {"I32": 4, "I64": 8, "F16": 2, "BF16": 2, "F32": 4, "I8": 1, "U8": 1,
          "F8_E4M3": 1}


def _file(tensors, metadata=None):
    """A file of (dtype, shape, bytes) by name; zeros where there are no bytes."""
    header, payload = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, (dtype, shape, data) in tensors.items():
        size = _BYTES[dtype]
        for dim in shape:
            size *= dim
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(payload), len(payload) + size]}
        payload += data or bytes(size)
    return safetensors(header, payload)


def _gptq(**changes):
    tensors = {"g_idx": ("I32", [16], None),
               "qweight": ("I32", [2, 8], None),
               "qzeros": ("I32", [2, 1], None),
               "scales": ("F16", [2, 8], None), **changes}
    return {"a." + name: tensor for name, tensor in tensors.items()
            if tensor is not None}


def _packed(shape=(8, 16), **changes):
    tensors = {"weight_packed": ("I32", [8, 2], None),
               "weight_scale": ("BF16", [8, 2], None),
               "weight_shape": ("I64", [2], struct.pack("<2q", *shape)),
               **changes}
    return {"a." + name: tensor for name, tensor in tensors.items()
            if tensor is not None}


# The table of NF4, as float32.
_NF4 = struct.pack("<16f", -1, -0.6961928009986877, -0.5250730514526367,
                   -0.39491748809814453, -0.28444138169288635,
                   -0.18477343022823334, -0.09105003625154495, 0,
                   0.07958029955625534, 0.16093020141124725,
                   0.24611230194568634, 0.33791524171829224,
                   0.44070982933044434, 0.5626170039176941,
                   0.7229568362236023, 1)
_STATE = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16",
          "shape": [8, 64], "nested_blocksize": 256, "nested_dtype": "float32",
          "nested_offset": 0.5}


def _nibbles(state=_STATE, **changes):
    text = state
    if not isinstance(text, bytes):
        text = json.dumps(state).encode()
    tensors = {"": ("U8", [256, 1], None),
               ".absmax": ("U8", [8], None),
               ".quant_map": ("F32", [16], _NF4),
               ".nested_absmax": ("F32", [1], None),
               ".nested_quant_map": ("F32", [256], None),
               ".quant_state.bitsandbytes__nf4": ("U8", [len(text)], text),
               **{"." + name if name else "": tensor
                  for name, tensor in changes.items()}}
    return {"a.weight" + name: tensor for name, tensor in tensors.items()
            if tensor is not None}


def _bytes(**changes):
    tensors = {"qdata": ("I8", [8, 16], None),
               "scale": ("BF16", [8, 2], None),
               "zero_point": ("I8", [8, 2], None), **changes}
    return {"a._weight_" + name: tensor for name, tensor in tensors.items()
            if tensor is not None}


def _case(name, tensors, quantization, outcome=ERROR, metadata=None, **kwargs):
    config = quantization
    if not isinstance(config, bytes):
        config = json.dumps({"quantization_config": quantization}).encode()
    return directory_case("config_" + name, {
        "model.safetensors": _file(tensors, metadata), "config.json": config},
        outcome, **kwargs)


def _gptq_cases():
    good = {"quant_method": "gptq", "bits": 4, "group_size": 8}
    yield _case("gptq_as_it_should_be", _gptq(), good, EITHER)
    for key in ("bits", "group_size"):
        for i, value in enumerate((
                0, -1, -8, 7, 2**31, 2**63 - 1, 2**63, 2**64 - 1, -2**63, 4.0,
                1e300, True, "4", [4], {"4": 4})):
            yield _case("gptq_%s_%d" % (key, i), _gptq(),
                        {**good, key: value})
    for name, key, value in (("sym", "sym", "yes"),
                             ("format", "checkpoint_format", {}),
                             ("long_format", "checkpoint_format", "x" * 10**5)):
        yield _case("gptq_" + name, _gptq(), {**good, key: value})
    for part in ("g_idx", "qweight", "qzeros", "scales"):
        yield _case("gptq_without_" + part, _gptq(**{part: None}), good)
        for shape in ([], [0], [1], [1, 1], [0, 0], [16, 16], [2, 8, 1]):
            dtype = "F16" if part == "scales" else "I32"
            yield _case(
                "gptq_%s_of_%s" % (part, "_".join(map(str, shape))),
                _gptq(**{part: (dtype, shape, None)}), good)
    for group in (-1, 2, 2**31 - 1, -2**31):
        data = struct.pack("<16i", *[0] * 15, group)
        yield _case("gptq_group_%d" % group,
                    _gptq(g_idx=("I32", [16], data)), good, EITHER)


def _compressed_cases():
    weights = {"num_bits": 4, "group_size": 8}

    def config(weights, **more):
        return {"quant_method": "compressed-tensors",
                "config_groups": {"g": {"weights": weights}}, **more}

    yield _case("packed_as_it_should_be", _packed(), config(weights), EITHER)
    for shape in ((8, 15), (8, 17), (8, 0), (8, -16), (-8, 16), (0, 16),
                  (8, 2**63 - 1), (2**62, 4), (-2**63, -2**63)):
        yield _case("packed_shape_%d_%d" % shape, _packed(shape),
                    config(weights))
    for part in ("weight_packed", "weight_scale", "weight_shape"):
        yield _case("packed_without_" + part, _packed(**{part: None}),
                    config(weights))
    for i, value in enumerate((0, -1, 2**63, 1e9, "8", [])):
        yield _case("packed_group_%d" % i, _packed(),
                    config({"num_bits": 4, "group_size": value}))
    for i, value in enumerate((3, -4, 2**63, 4.5, "4", {})):
        yield _case("packed_bits_%d" % i, _packed(),
                    config({"num_bits": value, "group_size": 8}))
    for i, groups in enumerate((None, [], 5, {"g": {"weights": 5}},
                                {"g": {"weights": {"type": 1}}})):
        yield _case("groups_%d" % i, _packed(),
                    {"quant_method": "compressed-tensors",
                     "config_groups": groups})
    many = {str(i): {"weights": {"num_bits": 4, "group_size": 9 + i}}
            for i in range(200_000)}
    yield _case("many_groups", _packed(),
                {"quant_method": "compressed-tensors", "config_groups": many},
                heavy=True)


def _bitsandbytes_cases():
    good = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    yield _case("nibbles_as_they_should_be", _nibbles(), good, EITHER)
    yield _case("nibbles_of_no_bits", _nibbles(),
                {**good, "load_in_4bit": False})
    yield _case("nibbles_of_odd_bits", _nibbles(),
                {**good, "load_in_4bit": 4})
    for key, values in {
            "quant_type": ("fp4", "", 4, None),
            "blocksize": (0, -64, 1, 63, 2**31, 2**63 - 1, 2**64, 64.0, 1e300),
            "dtype": ("int4", "", "\x1b[2J", 16),
            "shape": ([], [8], [64, 8, 1], [8, -64], [0, 64], [2**62, 2**62],
                      [2**63 - 1], [8.0, 64], 512, {"8": 64}),
            "nested_blocksize": (0, -1, 255, 2**63 - 1, "256"),
            "nested_dtype": ("float16", 32),
            "nested_offset": ("0.5", None, [], True)}.items():
        for i, value in enumerate(values):
            yield _case("nibbles_%s_%d" % (key, i),
                        _nibbles({**_STATE, key: value}), good)
    for i, text in enumerate((
            b" ", b"{", b"[]", b"\xff", b"[" * 10_000, b'{"a":' * 10_000,
            b" " * (1 << 17), json.dumps({**_STATE, "nested_offset": 1})
            .replace("1}", "1e999}").encode())):
        yield _case("nibbles_state_%d" % i, _nibbles(text), good)
    for name in (".absmax", ".quant_map", ".nested_absmax",
                 ".nested_quant_map"):
        part = name[1:]
        yield _case("nibbles_without_" + part, _nibbles(**{part: None}), good)
        for shape in ([], [0], [2], [8, 1], [1, 1], [1 << 20]):
            yield _case("nibbles_%s_of_%s" % (part, "_".join(map(str, shape))),
                        _nibbles(**{part: ("F16", shape, None)}), good)
    for shape in ([], [0], [255, 1], [1, 256], [256, 1, 1]):
        yield _case("nibbles_of_" + "_".join(map(str, shape)),
                    _nibbles(**{"": ("U8", shape, None)}), good)
    bytes_of = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    rows = {"a.weight": ("I8", [8, 16], None), "a.SCB": ("F32", [8], None),
            "a.weight_format": ("U8", [], None)}
    yield _case("bytes_as_they_should_be", rows, bytes_of, EITHER)
    yield _case("bytes_of_no_bits", rows, {**bytes_of, "load_in_8bit": False})
    for name in ("a.weight", "a.SCB"):
        part = name[2:]
        yield _case("bytes_without_" + part, {
            n: tensor for n, tensor in rows.items() if n != name}, bytes_of)
        for shape in ([], [0], [1], [16, 8], [9, 1], [8, 2, 8]):
            yield _case("bytes_%s_of_%s" % (part, "_".join(map(str, shape))),
                        {**rows, name: (rows[name][0], shape, None)}, bytes_of)
    for order in range(1, 256, 50):
        yield _case("bytes_in_order_%d" % order, {
            **rows, "a.weight_format": ("U8", [], bytes([order]))}, bytes_of)
    yield _case("bytes_of_an_infinite_scale", {
        **rows, "a.SCB": ("F32", [8], struct.pack("<8f", *[float("inf")] * 8))},
        bytes_of, EITHER)
    yield _case("nibbles_of_nan", _nibbles(
        quant_map=("F32", [16], b"\xff" * 64)), good)


def _torchao_cases():
    config = {"quant_method": "torchao"}
    number = {"_type": "torch.dtype", "_data": "bfloat16"}
    data = {"target_dtype": {"_type": "torch.dtype", "_data": "int4"},
            "block_size": [1, 8], "dtype": number}
    good = {"_type": "IntxUnpackedToInt8Tensor", "_data": data,
            "_tensor_data_names": ["qdata", "scale", "zero_point"]}

    def case(name, description, outcome=ERROR, tensors=_bytes(), **kwargs):
        text = description
        if not isinstance(text, str):
            text = json.dumps(description)
        return _case("torchao_" + name, tensors, config, outcome,
                     {"a.weight": text, "tensor_names": '["a.weight"]'},
                     **kwargs)

    yield case("as_it_should_be", good, EITHER)
    for i, text in enumerate(("", " ", "{", "[]", "5", "null", "\x1b[2J",
                              "[" * 10_000, '{"_type":' * 10_000,
                              '{"_type": 5}', '{"_type": "Tensor"}',
                              '{"_type": "Int8Tensor"}')):
        yield case("text_%d" % i, text)
    for key, values in {
            "_type": ("", "\x1b[2J", "x" * 10**5, "Int4Tensor"),
            "_data": (None, [], 5, {}),
            "_tensor_data_names": (None, [], {}, [5], ["qdata"], ["scale"],
                                   ["qdata", "scale", "act_pre_scale"])
    }.items():
        for i, value in enumerate(values):
            yield case("%s_%d" % (key, i), {**good, key: value})
    for key, values in {
            "target_dtype": (None, "int4", {"_data": "int9"}, {"_data": 4},
                             {"_data": "int4" * 10**4}),
            "dtype": (None, "bfloat16", {"_data": "int8"}, {"_data": []}),
            "block_size": (8, [8], [1, 16], [1, 0], [1, -8], [-1, 8], [1, 8.0],
                           [1, 2**63 - 1], [1, 2**64], [1, 8, 1], ["1", "8"])
    }.items():
        for i, value in enumerate(values):
            yield case("%s_%d" % (key, i),
                       {**good, "_data": {**data, key: value}})
    for part in ("qdata", "scale", "zero_point"):
        yield case("without_" + part, good, tensors=_bytes(**{part: None}))
        for shape in ([], [0], [8], [2, 8], [8, 0], [0, 0], [8, 3], [8, 2, 1]):
            dtype = "BF16" if part == "scale" else "I8"
            yield case("%s_of_%s" % (part, "_".join(map(str, shape))), good,
                       tensors=_bytes(**{part: (dtype, shape, None)}))
    yield case("beyond_four_bits", good, EITHER,
               _bytes(qdata=("I8", [8, 16], b"\x7f" * 128)))
    yield case("many_parts", {**good, "_tensor_data_names": [
        "p%d" % i for i in range(300_000)] + ["qdata"]}, heavy=True)
    yield _case("torchao_undescribed", _bytes(), config, metadata={})


def _texts():
    yield _case("of_nothing", _gptq(), b"")
    yield _case("cut", _gptq(), b'{"quantization_config": {"quant_method": "gp')
    yield _case("deep", _gptq(), b'{"quantization_config":' * 100_000)
    yield _case("deep_list", _gptq(), b"[" * 1_000_000)
    yield _case("twice", _gptq(), b'{"quantization_config": {}, '
                                  b'"quantization_config": {}}')
    yield _case("not_utf_8", _gptq(), b'{"\xff": 1}')
    yield _case("large", _gptq(), b" " * (17 << 20) + b"{}", heavy=True)
    yield _case("of_another_method", _gptq(), {"quant_method": "\x1b[2J"},
                EITHER)
    yield _case("of_no_method", _gptq(), {"quant_method": [[[]]]}, EITHER)


def cases():
    yield from _gptq_cases()
    yield from _compressed_cases()
    yield from _bitsandbytes_cases()
    yield from _torchao_cases()
    yield from _texts()
