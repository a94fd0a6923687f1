"""Import this before an engine: no network, no compiler, few words."""

import logging
import os
import warnings

os.environ.update(
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_OFFLINE="1",
    LOGURU_LEVEL="ERROR",
    TOKENIZERS_PARALLELISM="false",
    TQDM_DISABLE="1",
    TRANSFORMERS_VERBOSITY="error",
    # gptqmodel would compile what it runs once, and C++ to pack words.
    GPTQMODEL_DISABLE_GIL_WARNING="1",
    GPTQMODEL_DISABLE_PACK_EXT="1",
    TORCHDYNAMO_DISABLE="1",
    # With two cores its own default is an error.
    GPTQMODEL_CPU_WORKERS="2",
)
warnings.filterwarnings("ignore")
for name in ("bitsandbytes", "optimum", "torch.utils._pytree", "torchao"):
    logging.getLogger(name).setLevel(logging.ERROR)
