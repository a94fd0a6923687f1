"""Loads what `monoquant quantize MODEL -o OUT --to bitsandbytes` wrote.

usage: python3 load_bitsandbytes.py OUT

Needs transformers and bitsandbytes. vLLM takes the directory as it is:
`vllm serve OUT`.
"""

import sys

import torch
import transformers

model = transformers.AutoModelForCausalLM.from_pretrained(
    sys.argv[1], dtype="auto").eval()
with torch.no_grad():
    logits = model(torch.tensor([[1, 2, 3]])).logits
print("%s of %d parameters; logits %s" % (
    type(model).__name__, model.num_parameters(), tuple(logits.shape)))
