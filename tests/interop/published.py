"""Published checkpoints, as stock.Checkpoint."""

import os

from tests.interop import stock
from tests.support import real_checkpoints

_SMALL = 10_000_000


def find(small=None):
    """All of them; or those that are small, or those that are not."""
    paths = real_checkpoints.from_folder() + real_checkpoints.from_packages()
    return [_describe(path) for path in paths
            if small is None or small == (os.path.getsize(path) < _SMALL)]


def _describe(path):
    if stock.is_torchscript(path):
        checkpoint = stock.Checkpoint(
            path, lambda: stock.load_torchscript(path), ordered=False)
    else:
        checkpoint = stock.loaded(path)
    return checkpoint._replace(name=os.path.basename(path))
