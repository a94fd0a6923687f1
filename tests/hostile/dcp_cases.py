"""Distributed checkpoints: a pickle that says where pieces of tensors lie."""

import json
import struct

from tests.hostile import zips
from tests.hostile.case import EITHER, ERROR, Case, cuts, directory_case
from tests.hostile.pickles import *
from tests.hostile.safetensors_cases import safetensors

VALUES = struct.pack("<4f", 1, 2, 3, 4)
_MODULE = "torch.distributed.checkpoint.metadata"
FILE = "__0_0.distcp"


def data_of(*size, values=VALUES):
    stride = [1] * len(size)
    for i in range(len(size) - 2, -1, -1):
        stride[i] = stride[i + 1] * size[i + 1]
    numel = len(values) // 4
    return zips.torch_zip(program(tensor(numel=numel, size=size,
                                         stride=stride)), {"0": values})


DATA = data_of(2, 2)


def _size(values):
    return call(global_("torch", "Size"), ints(values))


def _new(name, **fields):
    return new(global_(_MODULE, name), dict_(
        *[(text(key), value) for key, value in fields.items()]))


def _properties(dtype="float32"):
    return new(global_(_MODULE, "TensorProperties"), tuple_(
        global_("torch", dtype), call(
            global_("torch.serialization", "_get_layout"),
            text("torch.strided")), FALSE, call(
            global_(_MODULE, "_MEM_FORMAT_ENCODING"), number(0)), FALSE))


def metadata(size=(2, 2), chunks=(((0, 0), (2, 2)),), places=None, fqn="w",
             dtype="float32", more=b""):
    """`places`: (path, offset, length) of each chunk."""
    places = places or [(FILE, 0, len(DATA))] * len(chunks)
    info = _new("TensorStorageMetadata", properties=_properties(dtype),
                size=_size(size), chunks=list_(*[
                    _new("ChunkStorageMetadata", offsets=_size(offsets),
                         sizes=_size(sizes)) for offsets, sizes in chunks]))
    storage_data = dict_(*[
        (_new("MetadataIndex", fqn=text(fqn), offset=_size(offsets),
              index=number(i)),
         new(global_("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
             dict_((text("relative_path"), text(path)),
                   (text("offset"), number(offset)),
                   (text("length"), number(length)))))
        for i, ((offsets, _), (path, offset, length)) in enumerate(
            zip(chunks, places))])
    return program(_new(
        "Metadata", state_dict_metadata=dict_((text(fqn), info)),
        planner_data=dict_((text(fqn), tuple_(text(fqn)))),
        storage_data=storage_data, storage_meta=NONE) + more, proto=4)


METADATA = metadata()


def _case(name, outcome=ERROR, files=None, **lies):
    return directory_case("dcp_" + name, {
        ".metadata": metadata(**lies), FILE: DATA, **(files or {})}, outcome)


def _slices():
    for path in ("../secret", "/etc/passwd", "a/b", "", ".", "..", ".metadata",
                 "__9_9.distcp", "x\0y", "\x1b[2J", "C:\\x", "a" * 100_000):
        yield _case("path_%s" % "".join(
            c if c.isalnum() else "_" for c in path[:12]),
            places=[(path, 0, len(DATA))])
    for offset, length in [(0, 0), (0, 1), (1, len(DATA)), (0, len(DATA) - 1),
                           (len(DATA), 10), (2**62, 2**62), (2**63, 2**63),
                           (2**64 - 1, 2), (-1, 10), (0, -1)]:
        yield _case("slice_%d_%d" % (offset, length),
                    places=[(FILE, offset, length)])
    # A slice may lie behind others, and be longer than it needs.
    yield _case("slice_to_a_device", places=[("zero", 0, 100)],
                files={"zero": "/dev/zero"})
    yield _case("slice_to_a_link_out", places=[("x", 0, 100)],
                files={"x": "/etc/passwd"})


def _chunks():
    half = len(DATA)
    for name, chunks in {
            "none": (), "hole": (((0, 0), (1, 2)),),
            "overlap": (((0, 0), (2, 2)), ((1, 0), (1, 2))),
            "twice": (((0, 0), (2, 2)),) * 2,
            "beyond": (((1, 0), (2, 2)),),
            "offset_huge": (((2**62, 0), (2, 2)),),
            "offset_wraps": (((2**64 - 2, 0), (2, 2)),),
            "offset_negative": (((-2, 0), (2, 2)),),
            "size_negative": (((0, 0), (-2, -2)),),
            "size_huge": (((0, 0), (2**40, 2**40)),),
            "rank": (((0,), (4,)),), "rank_0": (((), ()),),
            "rank_65": (((0,) * 65, (1,) * 65),)}.items():
        yield _case("chunks_" + name, chunks=chunks)
    for size in [(3, 2), (-2, -2), (2**32, 2**32), (2**62, 4), (1,) * 65, (4,)]:
        yield _case("size_%s" % "x".join(map(str, size[:4])), size=size)
    yield _case("size_0", EITHER, size=(0, 2), chunks=(((0, 0), (0, 2)),))
    yield _case("dtype_other", dtype="float64")
    yield _case("dtype_unknown", dtype="evil")
    yield _case("bytes_in_place_of_a_tensor", files={FILE: program(NONE)})
    yield _case("another_size_in_the_slice", files={FILE: data_of(
        1, 2, values=VALUES[:8])}, places=[(FILE, 0, len(data_of(
            1, 2, values=VALUES[:8])))])
    evil = zips.torch_zip(program(call(global_("os", "system"),
                                       text("echo > CANARY"))), {"0": VALUES})
    yield _case("payload_in_the_slice", files={FILE: evil},
                places=[(FILE, 0, len(evil))])
    yield _case("escape_in_the_name", EITHER, fqn="\x1b[2J\n\x07")
    many = tuple(((i, 0), (1, 2)) for i in range(20_000))
    yield _case("many_chunks_of_one_slice", size=(20_000, 2), chunks=many)
    grid = tuple(((i, 0), (2**40, 1)) for i in range(2_000))
    yield _case("many_overlapping_chunks", size=(2**41, 1), chunks=grid)


def _metadata():
    for name, data in {
            "empty": b"", "none": program(NONE), "list": program(EMPTY_LIST),
            "text": b"hello", "zip": DATA, "object": program(
                new(global_("m", "Metadata"), EMPTY_DICT)),
            "without_fields": program(_new("Metadata")),
            "fields_none": program(_new(
                "Metadata", state_dict_metadata=NONE, storage_data=NONE,
                planner_data=NONE)),
            "circle": program(global_(_MODULE, "Metadata") + EMPTY_TUPLE +
                              NEWOBJ + put(0) + dict_(
                                  (text("state_dict_metadata"), get(0)),
                                  (text("storage_data"), get(0))) + BUILD),
            }.items():
        yield directory_case("dcp_metadata_" + name, {".metadata": data,
                                                      FILE: DATA})
    yield directory_case("dcp_metadata_is_a_device", {
        ".metadata": "/dev/zero", FILE: DATA})
    yield directory_case("dcp_metadata_to_itself", {".metadata": ".metadata"})


def _hf():
    def case(name, info, outcome=ERROR):
        header = {"__metadata__": {"DCP_VERSION": "1.0", "format": "pt",
                                   "DCP_SHARDING_INFO": info},
                  "w": {"dtype": "F32", "shape": [2, 2],
                        "data_offsets": [0, 16]}}
        return directory_case("dcp_hf_" + name, {
            "shard-00001-model-00001-of-00001.safetensors": safetensors(
                header)}, outcome)

    yield case("as_it_should_be", json.dumps({"w": {"saved_offsets": [0, 0]}}),
               EITHER)
    for name, info in {
            "broken": "{", "list": "[]", "deep": "[" * 100_000,
            "absent": "{}", "offsets_negative": {"w": {
                "saved_offsets": [-1, 0]}},
            "offsets_huge": {"w": {"saved_offsets": [2**63 - 1, 0]}},
            "offsets_rank": {"w": {"saved_offsets": [0]}},
            "offsets_text": {"w": {"saved_offsets": "00"}},
            "hole": {"w": {"saved_offsets": [5, 0]}},
            "another": {"x": {"saved_offsets": [0, 0]}}}.items():
        yield case(name, info if isinstance(info, str) else json.dumps(info),
                   EITHER)


def cases():
    yield directory_case("dcp_as_it_should_be", {".metadata": METADATA,
                                                 FILE: DATA}, EITHER)
    parts = [("byte_%d" % n, METADATA[n:n + 64])
             for n in range(0, len(METADATA), 64)]
    position = 0
    for label, part in parts:
        yield directory_case("dcp_metadata_cut_before_" + label, {
            ".metadata": METADATA[:position], FILE: DATA})
        position += len(part)
    for size in (0, 1, 4, 100, len(DATA) // 2, len(DATA) - 22, len(DATA) - 1):
        yield _case("data_cut_at_%d" % size, files={FILE: DATA[:size]})
    yield directory_case("dcp_without_data", {".metadata": METADATA})
    for family in (_slices, _chunks, _metadata, _hf):
        yield from family()
