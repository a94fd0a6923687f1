"""Directories of quantized weights whose config.json lies, or whose tensors do."""

import json
import struct

from tests.hostile.case import EITHER, ERROR, directory_case
from tests.hostile.safetensors_cases import safetensors

_BYTES = {"I32": 4, "I64": 8, "F16": 2, "BF16": 2, "I8": 1, "F8_E4M3": 1}


def _file(tensors):
    """A file of (dtype, shape, bytes) by name; zeros where there are no bytes."""
    header, payload = {}, b""
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


def _case(name, tensors, quantization, outcome=ERROR, **kwargs):
    config = quantization
    if not isinstance(config, bytes):
        config = json.dumps({"quantization_config": quantization}).encode()
    return directory_case("config_" + name, {
        "model.safetensors": _file(tensors), "config.json": config}, outcome,
        **kwargs)


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
    yield from _texts()
