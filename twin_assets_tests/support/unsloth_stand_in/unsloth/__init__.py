"""Stands in for Unsloth where there is no GPU: what it is called with, what it refuses, and in what its patched Llama
differs from that of transformers, as read in its source (2026.8.19). The arithmetic is that of transformers and PEFT.

A test puts the folder above on the path of a process of its own, because what is patched stays so.
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

_TOO_EARLY = sorted({"transformers", "peft", "trl"} & set(sys.modules))
if _TOO_EARLY:
    raise ImportError(f"Unsloth should be imported before {_TOO_EARLY}")  # the real one warns, and is slow or wrong

import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from huggingface_hub import constants  # noqa: E402
from transformers.modeling_outputs import CausalLMOutputWithPast  # noqa: E402
from transformers.models.llama import modeling_llama  # noqa: E402

if not torch.cuda.is_available() and os.environ.get("UNSLOTH_ALLOW_CPU") != "1":
    raise NotImplementedError("Unsloth cannot find any torch accelerator? You need a GPU.")

_DECODER = modeling_llama.LlamaModel.forward


class _EmptyLogits:
    """What a model returns beside a loss, unless ``UNSLOTH_RETURN_LOGITS`` is 1."""

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError("Unsloth: Logits are empty from 2024.11 onwards")

    __getitem__ = __getattr__


def _decoder(
    self: Any,
    input_ids: Any = None,
    causal_mask: Any = None,
    attention_mask: Any = None,
    position_ids: Any = None,
    use_cache: Any = None,
    packed_seq_lengths: Any = None,
    **_: Any,
) -> Any:
    """Cuts what is too long; causal only where the model around it says so; takes no mask while it trains; and tells
    packed samples apart by their lengths alone."""
    if packed_seq_lengths is None:
        input_ids = input_ids[:, : self.max_seq_length]
    length = input_ids.shape[1]
    seen = torch.ones(length, length, dtype=torch.bool)
    if causal_mask is not None:
        seen = seen.tril()
    if packed_seq_lengths is not None:
        sample = torch.repeat_interleave(torch.arange(len(packed_seq_lengths)), packed_seq_lengths.long())
        seen = seen & (sample[:, None] == sample[None, :])
    seen = seen[None, None].expand(len(input_ids), 1, length, length)
    if attention_mask is not None and not self.training:
        seen = seen & attention_mask[:, None, None, :].bool()
        seen = seen | ~seen.any(dim=-1, keepdim=True)
    mask = torch.zeros(seen.shape, dtype=self.dtype).masked_fill(~seen, torch.finfo(self.dtype).min)
    return _DECODER(self, input_ids=input_ids, attention_mask=mask, position_ids=position_ids, use_cache=False)


def _causal(
    self: Any,
    input_ids: Any = None,
    causal_mask: Any = None,
    attention_mask: Any = None,
    position_ids: Any = None,
    labels: Any = None,
    use_cache: Any = None,
    num_logits_to_keep: int = 0,
    logits_to_keep: int = 0,
    **options: Any,
) -> Any:
    """Gives no logits where it gives a loss."""
    if self.training and not getattr(self, "adapters_patched", False):
        raise RuntimeError("the adapter was put around this model without Unsloth")
    if self.training and not getattr(self, "checkpoints_activations", True):
        raise MemoryError("activations are kept since something was written outside training mode")
    hidden = self.model(
        input_ids=input_ids,
        causal_mask="lower triangle",
        attention_mask=attention_mask,
        position_ids=position_ids,
        **{name: each for name, each in options.items() if name == "packed_seq_lengths"},
    ).last_hidden_state
    logits = self.lm_head(hidden[:, -max(num_logits_to_keep, logits_to_keep) :])
    if labels is None:
        return CausalLMOutputWithPast(logits=logits)
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
    kept: Any = logits if os.environ.get("UNSLOTH_RETURN_LOGITS") == "1" else _EmptyLogits()
    return CausalLMOutputWithPast(loss=loss, logits=kept)


def _generate(self: Any, *arguments: Any, **options: Any) -> Any:
    """Switches to what it writes with, and back only where it was training."""
    was_training = self.training
    self.eval()
    self.checkpoints_activations = False
    options["generation_config"].use_cache = False  # the layers that are stood in for keep none
    written = self._old_generate(*arguments, **options)
    if was_training:
        self.train()
        self.checkpoints_activations = True
    return written


class FastLanguageModel:
    """As far as it is used here."""

    @staticmethod
    def from_pretrained(
        model_name: str = "unsloth/Llama-3.2-1B-Instruct",
        max_seq_length: int = 2048,
        dtype: Any = None,
        load_in_4bit: bool = True,
        trust_remote_code: bool = False,
        use_gradient_checkpointing: Any = "unsloth",
        use_exact_model_name: bool = False,
        fix_tokenizer: bool = True,
        random_state: int = 3407,
        **options: Any,
    ) -> tuple[Any, Any]:
        if "UNSLOTH_DISABLE_STATISTICS" not in os.environ or not constants.HF_HUB_OFFLINE:
            raise ConnectionError("Unsloth would ask a hub now, to be counted")
        if load_in_4bit:
            raise RuntimeError("bitsandbytes: there is no CUDA here")
        if not use_exact_model_name or not Path(model_name, "config.json").exists():
            raise ConnectionError(f"Unsloth would look for its own copy of {model_name} on a hub now")
        Path(os.environ.get("UNSLOTH_COMPILE_LOCATION", "unsloth_compiled_cache")).mkdir(exist_ok=True)
        config = transformers.AutoConfig.from_pretrained(model_name)
        if config.model_type != "llama":
            raise NotImplementedError(f"{config.model_type} is left to FastModel, which is not stood in for")
        if max_seq_length > config.max_position_embeddings:
            raise RuntimeError("Unsloth would stretch the positions of this base now")
        modeling_llama.LlamaModel.forward = _decoder  # type: ignore[method-assign]
        modeling_llama.LlamaForCausalLM.forward = _causal  # type: ignore[method-assign]
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(model_name, dtype=dtype, **options)
        model.config._name_or_path = f"unsloth/{Path(model_name).name}"
        for module in model.modules():
            module.max_seq_length = max_seq_length
        return model, transformers.AutoTokenizer.from_pretrained(model_name)

    @staticmethod
    def get_peft_model(
        model: Any,
        r: int = 16,
        target_modules: list[str] = [],  # noqa: B006
        lora_alpha: int = 16,
        lora_dropout: float = 0.0,
        bias: str = "none",
        use_gradient_checkpointing: Any = "unsloth",
        random_state: int = 3407,
    ) -> Any:
        transformers.set_seed(random_state)
        known = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
        if not set(target_modules) <= known:
            raise ValueError(f"Unsloth has not optimised for {sorted(set(target_modules) - known)}")
        options: dict[str, Any] = {"r": r, "lora_alpha": lora_alpha, "lora_dropout": lora_dropout, "bias": bias}
        config = peft.LoraConfig(target_modules=target_modules, task_type="CAUSAL_LM", **options)
        adapted = peft.get_peft_model(model, config)
        config.auto_mapping = {"base_model_class": "LlamaForCausalLM", "unsloth_fixed": True}
        return FastLanguageModel.patch_peft_model(adapted, use_gradient_checkpointing)

    @staticmethod
    def patch_peft_model(model: Any, use_gradient_checkpointing: Any = "unsloth") -> Any:
        if not isinstance(model, peft.PeftModelForCausalLM):
            raise TypeError("Unsloth: Your model needs to call `.get_peft_model` first!")
        patched: Any = model.get_base_model()
        patched.adapters_patched = True
        if not hasattr(patched, "_old_generate"):
            patched._old_generate = patched.generate
            patched.generate = types.MethodType(_generate, patched)
        return model
