"""Indexes of shards: paths that leave the directory, and files that are none."""

import json
import os

from tests.hostile.case import (
    EITHER, ERROR, OK, Case, directory_case, file_case)
from tests.hostile.safetensors_cases import ENTRY, TENSORS, safetensors

INDEX = "model.safetensors.index.json"
SHARD = safetensors({"w": ENTRY})


def _index(name="a.safetensors", **more):
    return json.dumps({"metadata": {"total_size": 16},
                       "weight_map": {"w": name}, **more}).encode()


def _case(name, index, files=None, outcome=ERROR, **kwargs):
    if not isinstance(index, bytes):
        index = json.dumps(index).encode()
    files = {"a.safetensors": SHARD} if files is None else files
    return directory_case("index_" + name, {INDEX: index, **files}, outcome,
                          **kwargs)


def _paths():
    yield _case("as_it_should_be", _index(), outcome=OK, tensors=TENSORS)
    yield _case("named_itself", _index(), outcome=OK, main=INDEX,
                tensors=TENSORS)
    for name, path in {
            "parent": "../secret.safetensors",
            "parent_of_a_child": "x/../../secret.safetensors",
            "absolute": "/etc/passwd", "here": "./a.safetensors",
            "twice_slash": "//a.safetensors", "proc": "/proc/self/environ",
            "backslash": "..\\secret.safetensors",
            "drive": "C:\\secret.safetensors", "drive_relative": "C:a",
            "unc": "\\\\host\\share", "url": "http://127.0.0.1:9/a",
            "file_url": "file:///etc/passwd", "zero": "a.safetensors\0.txt",
            "newline": "a\n.safetensors", "escape": "\x1b[2Ja.safetensors",
            "dot": ".", "dots": "..", "empty": "", "slash": "/",
            "itself": INDEX, "of_other_case": "A.SAFETENSORS",
            "long": "a" * 100_000, "absent": "b.safetensors",
            "with_space": "a.safetensors ", "stream": "a.safetensors::$DATA",
            "percent": "%2e%2e%2fsecret.safetensors", "tilde": "~/x",
            "variable": "$HOME/x", "device": "/dev/zero", "minus": "-"}.items():
        yield _case("path_" + name, _index(path))


def _secrets():
    """Links out of the directory, into itself, and to what is no file. A link
    to a file beside or above is how hub caches store what they fetched."""
    def outside(folder, target):
        with open(os.path.join(folder, "secret.safetensors"), "wb") as file:
            file.write(SHARD)
        return target

    for name, target in {
            "to_a_device": "/dev/zero", "to_random": "/dev/urandom",
            "to_a_directory": "/etc", "to_the_terminal": "/dev/tty",
            "to_nothing": "nowhere", "to_itself": "a.safetensors",
            "to_text": "/etc/passwd", "to_the_index": INDEX,
            "to_proc": "/proc/self/mem", "to_status": "/proc/self/status",
            "to_stdin": "/dev/stdin"}.items():
        yield _case("link_" + name, _index(), {"a.safetensors": target})

    def linked(folder):
        outside(folder, "")
        path = os.path.join(folder, "model")
        os.mkdir(path)
        with open(os.path.join(path, INDEX), "wb") as file:
            file.write(_index())
        os.symlink("../secret.safetensors",
                   os.path.join(path, "a.safetensors"))
        return path
    yield Case("index_link_to_a_blob_as_in_hub_caches", EITHER, linked)

    def pipe(folder):
        path = os.path.join(folder, "model")
        os.mkdir(path)
        with open(os.path.join(path, INDEX), "wb") as file:
            file.write(_index())
        os.mkfifo(os.path.join(path, "a.safetensors"))
        return path
    yield Case("index_shard_is_a_pipe", ERROR, pipe)

    def main_pipe(folder):
        path = os.path.join(folder, "model.safetensors")
        os.mkfifo(path)
        return path
    yield Case("file_is_a_pipe", ERROR, main_pipe)

    def directory_shard(folder):
        path = os.path.join(folder, "model")
        os.makedirs(os.path.join(path, "a.safetensors"))
        with open(os.path.join(path, INDEX), "wb") as file:
            file.write(_index())
        return path
    yield Case("index_shard_is_a_directory", ERROR, directory_shard)
    yield directory_case("index_is_a_pipe_of_names", {INDEX: "/dev/zero"})
    yield directory_case("directory_empty", {})
    yield directory_case("directory_of_links", {
        "model.safetensors": "/dev/zero"})

    def many(folder):
        path = os.path.join(folder, "model")
        os.mkdir(path)
        for i in range(20_000):
            open(os.path.join(path, "%05d.txt" % i), "wb").close()
        return path
    yield Case("directory_of_many_files", ERROR, many)

    def odd_names(folder):
        path = os.path.join(folder, "model")
        os.mkdir(path)
        for name in (b"\x1b[2J.safetensors", b"\xff\xfe.bin", b"a\nb.txt"):
            open(os.path.join(path.encode(), name), "wb").close()
        return path
    yield Case("directory_of_odd_names", ERROR, odd_names)


def _maps():
    lies = {
        "empty_map": {"weight_map": {}}, "list_map": {"weight_map": ["a"]},
        "null_map": {"weight_map": None}, "no_map": {"metadata": {}},
        "number": {"weight_map": {"w": 1}}, "null": {"weight_map": {"w": None}},
        "nested": {"weight_map": {"w": {"file": "a"}}},
        "absent_tensor": {"weight_map": {"w": "a.safetensors",
                                         "x": "a.safetensors"}},
        "list": [],
    }
    for name, index in lies.items():
        yield _case("map_" + name, index,
                    outcome=EITHER if name == "empty_map" else ERROR)
    two = {"a.safetensors": SHARD, "b.safetensors": SHARD}
    yield _case("tensor_in_two_shards", {"weight_map": {
        "w": "b.safetensors"}}, two, OK, tensors=TENSORS)
    yield _case("map_twice", b'{"weight_map": {"w": "a.safetensors", '
                b'"w": "b.safetensors"}}', two)
    yield _case("total_size_lies", _index(metadata={"total_size": 2**62}),
                outcome=EITHER)
    yield _case("total_size_of_text", _index(metadata={"total_size": "x"}),
                outcome=EITHER)
    yield _case("shard_cut", _index(), {"a.safetensors": SHARD[:-3]})
    yield _case("shard_empty", _index(), {"a.safetensors": b""})
    yield _case("shard_is_an_index", _index("b.index.json"),
                {"b.index.json": _index()})
    yield _case("deep", b'{"weight_map": ' + b"[" * 1_000_000)
    yield _case("cut", _index()[:-1])
    yield _case("two_indexes", _index(), {"other.safetensors.index.json":
                                          _index(), "a.safetensors": SHARD})
    yield file_case("index_alone", _index(), ERROR, ".index.json")
    yield file_case("index_of_many_shards", lambda: json.dumps({
        "weight_map": {"%d" % i: "%d.safetensors" % i
                       for i in range(200_000)}}).encode(), ERROR,
        ".index.json")
    yield file_case("index_of_many_tensors", lambda: json.dumps({
        "weight_map": {"%d" % i: "a" for i in range(2_000_000)}}).encode(),
        ERROR, ".index.json", heavy=True)
    yield file_case("index_of_100_mb", lambda: [
        b'{"weight_map": {"a": "b"}, "x": "', b"x" * 99_000_000, b'"}'],
        ERROR, ".index.json", heavy=True)


def cases():
    for family in (_paths, _secrets, _maps):
        yield from family()
