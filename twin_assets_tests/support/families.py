"""Configurations of every family of models that adapters are trained over, a few thousand weights each."""

from __future__ import annotations

from typing import Any

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "phi", "phi3", "gpt2", "gpt_oss", "mixtral")


def configuration(family: str, **changes: Any) -> Any:
    """The transformers configuration of a tiny model of a family."""
    import transformers

    shape: dict[str, Any] = {
        "vocab_size": 1000,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 512,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        **changes,
    }
    experts = {"num_local_experts": 4, "num_experts_per_tok": 2}
    match family:
        case "llama":
            return transformers.LlamaConfig(**shape)
        case "mistral":
            return transformers.MistralConfig(**shape)
        case "qwen2":
            return transformers.Qwen2Config(**shape)
        case "qwen3":
            return transformers.Qwen3Config(**shape, head_dim=shape["hidden_size"] // 2)
        case "gemma2":
            return transformers.Gemma2Config(**shape, head_dim=32, sliding_window=64)
        case "gemma3":
            return transformers.Gemma3TextConfig(**shape, head_dim=shape["hidden_size"] // 2, sliding_window=64)
        case "phi":
            return transformers.PhiConfig(**shape)
        case "phi3":
            return transformers.Phi3Config(**shape)
        case "gpt2":
            names = {"n_embd": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads"}
            sizes = {name: shape[key] for name, key in names.items()}
            tokens = {name: shape[name] for name in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")}
            return transformers.GPT2Config(n_positions=512, **sizes, **tokens)
        case "gpt_oss":
            rope = {"rope_theta": 10_000.0, "rope_type": "default"}
            return transformers.GptOssConfig(**shape, **experts, head_dim=32, sliding_window=64, rope_parameters=rope)
        case "mixtral":
            return transformers.MixtralConfig(**shape, **experts)
        case _:
            raise ValueError(family)
