"""Every family of generated checkpoints."""

from tests.interop import torch_checkpoints
from tests.interop.corpus import (
    archives, distributed, exported, large_files, legacy_streams, numpy_pickles,
    own_files, quantized, sharded, tar_era, tensor_kinds, torchscript,
    whole_modules)

# Each has a stock.Family named builder.
FAMILIES = (
    torch_checkpoints, archives, tensor_kinds, whole_modules, quantized,
    legacy_streams, tar_era, numpy_pickles, torchscript, exported, sharded,
    distributed, large_files, own_files)
