"""Published checkpoints, as torch_checkpoints.Checkpoint."""

import os
import zipfile

from tests.interop import torch_checkpoints
from tests.support import real_checkpoints

_SMALL = 10_000_000


def find(small=None):
    """All of them; or those that are small, or those that are not."""
    paths = real_checkpoints.from_folder() + real_checkpoints.from_packages()
    return [_describe(path) for path in paths
            if small is None or small == (os.path.getsize(path) < _SMALL)]


def _describe(path):
    torchscript = False
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            torchscript = any(name.endswith("/constants.pkl")
                              for name in archive.namelist())
    load = (torch_checkpoints.load_torchscript if torchscript
            else torch_checkpoints.load_flat)
    return torch_checkpoints.Checkpoint(
        os.path.basename(path), path, lambda: load(path), torchscript)
