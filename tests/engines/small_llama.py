"""A Llama of random weights, small enough to load a dozen times."""

import torch
import transformers


def make(folder, dtype=torch.bfloat16, **changes):
    """Saves one, as Transformers does, and returns it."""
    torch.manual_seed(1)
    options = dict(vocab_size=128, hidden_size=128, intermediate_size=192,
                   num_hidden_layers=2, num_attention_heads=4,
                   num_key_value_heads=2, max_position_embeddings=64,
                   tie_word_embeddings=False)
    config = transformers.LlamaConfig(**{**options, **changes})
    model = transformers.LlamaForCausalLM(config).to(dtype).eval()
    # As initialized, all weights are alike; trained rows differ.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter *= torch.rand(parameter.shape[0], 1) * 8 + 1
    model.save_pretrained(folder)
    return model


def logits(model):
    """What it makes of a fixed text."""
    tokens = torch.arange(40).reshape(2, 20) * 7 % 128
    with torch.no_grad():
        return model(tokens).logits.float()
