"""What a hostile case is, and the ways to make many from one good file."""

import os
from typing import Callable, NamedTuple, Optional

ERROR = "error"  # It must be refused, with a message.
OK = "ok"  # It looks strange and is sound: it must be read.
EITHER = "either"  # Refused or read, both are right.


class Case(NamedTuple):
    name: str
    # One of the above.
    outcome: str
    # make(folder) writes the case's files; returns the path to open.
    make: Callable[[str], str]
    # Of an OK case: {tensor name: (dtype, shape, bytes)}, or None if what it
    # holds is told by another test.
    tensors: Optional[dict] = None
    # A part of the message of an ERROR case.
    mentions: str = ""
    # The case is a recipe: path is quantized by it.
    recipe: str = ""
    # Takes long, since it goes up to a limit: once is enough.
    heavy: bool = False
    # What `scan` may say of it; any of them if empty.
    verdicts: tuple = ()


def file_case(name, data, outcome=ERROR, extension=".pt", **kwargs):
    """A case of one file. `data` is bytes, an iterable of pieces to be written
    one after the other, or a function that returns either."""

    def make(folder):
        path = os.path.join(folder, "model" + extension)
        content = data() if callable(data) else data
        with open(path, "wb") as file:
            for piece in [content] if isinstance(content, bytes) else content:
                if isinstance(piece, int):
                    # So many zeros, as a hole.
                    file.seek(piece, os.SEEK_CUR)
                    file.truncate()
                else:
                    file.write(piece)
        return path

    return Case(name, outcome, make, **kwargs)


def directory_case(name, files, outcome=ERROR, main="", **kwargs):
    """A case of a directory. A value that is a str is a symbolic link."""

    def make(folder):
        path = os.path.join(folder, "model")
        os.mkdir(path)
        for file_name, content in files.items():
            target = os.path.join(path, file_name)
            if isinstance(content, str):
                os.symlink(content, target)
                continue
            with open(target, "wb") as file:
                file.write(content)
        return os.path.join(path, main) if main else path

    return Case(name, outcome, make, **kwargs)


def cuts(name, parts, **kwargs):
    """`parts` is a file as [(label, bytes)]: cases that end before each part,
    and inside each."""
    position = 0
    data = b"".join(part for _, part in parts)
    for label, part in parts:
        for where, size in (("before", position),
                            ("inside", position + len(part) // 2)):
            if where == "before" or len(part) > 1:
                yield file_case("%s_cut_%s_%s" % (name, where, label),
                                data[:size], **kwargs)
        position += len(part)


def flips(name, data, positions, outcome=EITHER, fix=lambda data: data,
          **kwargs):
    """`data` with one bit changed at each position; `fix` mends checksums."""
    for position in positions:
        for bit in (0x01, 0x80):
            bad = bytearray(data)
            bad[position] ^= bit
            yield file_case("%s_flip_%d_%02x" % (name, position, bit),
                            fix(bytes(bad)), outcome, **kwargs)
