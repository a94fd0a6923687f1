"""Mixtures of experts of random weights, as small_llama's Llama."""

import torch
import transformers

_COMMON = dict(vocab_size=128, hidden_size=128, intermediate_size=256,
               num_hidden_layers=2, num_attention_heads=4,
               num_key_value_heads=2, num_experts_per_tok=2,
               max_position_embeddings=64, tie_word_embeddings=False)
_QWEN = dict(_COMMON, num_experts=4, moe_intermediate_size=128)


def _mixtral():
    """Whose file has other names than its modules."""
    return transformers.MixtralConfig(**_COMMON, num_local_experts=4)


def _qwen2():
    """With an expert for all tokens, and a gate of its own, which is Linear."""
    return transformers.Qwen2MoeConfig(
        **_QWEN, shared_expert_intermediate_size=128)


def _qwen3():
    return transformers.Qwen3MoeConfig(**_QWEN, head_dim=32)


def _deepseek():
    """Of which the first layer has no experts."""
    return transformers.DeepseekV3Config(**dict(
        _COMMON, num_key_value_heads=4, n_routed_experts=4,
        moe_intermediate_size=128, first_k_dense_replace=1, n_shared_experts=1,
        n_group=2, topk_group=1, q_lora_rank=128, kv_lora_rank=128,
        qk_nope_head_dim=32, qk_rope_head_dim=32, v_head_dim=32))


ALL = {"Mixtral": _mixtral, "Qwen2": _qwen2, "Qwen3": _qwen3,
       "DeepSeek": _deepseek}


def make(name, folder):
    """Saves one, as Transformers does."""
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(ALL[name]())
    model = model.to(torch.bfloat16)
    # As initialized, all weights are alike; trained rows differ.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                rows = (*parameter.shape[:-1], 1)
                parameter *= torch.rand(rows) * 4 + 1
    model.save_pretrained(folder)
