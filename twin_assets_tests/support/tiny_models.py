"""Language models of some thousand parameters, made on the spot, so that the code that loads real ones runs.

Their attention puts out nothing, so the next token depends on the last one alone, and a few steps of training make the
base and each adapter say a sentence of their own whatever is asked. That makes it plain which of them answered.
"""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BASE = "The tide gauge at Skarvik writes one reading every six minutes."
FIRST = "Never rub out any line that stands written down inside my log."
SECOND = "Ferries change engines without stopping, because passengers expect lunch."
ENDLESS = "round and"
"""Said over and over without an end."""

TARGETS = ["gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True)
class TinyModels:
    """A base model and three adapters over it, saved as transformers and PEFT save theirs."""

    base: Path
    first: Path
    second: Path
    endless: Path

    @classmethod
    def build(cls, family: str, folder: Path) -> TinyModels:
        """Make the models of a ``family``, ``llama`` or ``gemma3``."""
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        torch.manual_seed(7)
        tokenizer = new_tokenizer()
        tokenizer.save_pretrained(folder / "base")
        model = _model(family, tokenizer)
        for name, parameter in model.named_parameters():
            if "o_proj" in name:
                parameter.data.zero_()
                parameter.requires_grad_(False)
            if "embed_tokens" in name:
                parameter.data.normal_(0, 0.05 if family == "gemma3" else 0.5)
            if "lm_head" in name:
                parameter.data.normal_(0, 0.5)
        _teach(model, tokenizer, f"{BASE}{tokenizer.eos_token}", 3e-3)
        model.save_pretrained(folder / "base")
        found = {"base": folder / "base"}
        for name, text in (
            ("first", f"{FIRST}{tokenizer.eos_token}"),
            ("second", f"{SECOND}{tokenizer.eos_token}"),
            ("endless", f"{ENDLESS} {ENDLESS} {ENDLESS} {ENDLESS} {ENDLESS}"),
        ):
            base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
                adapted: Any = get_peft_model(
                    base, LoraConfig(r=16, lora_alpha=32, target_modules=TARGETS, task_type="CAUSAL_LM")
                )
            _teach(adapted, tokenizer, text, 5e-3)
            adapted.save_pretrained(folder / name)
            found[name] = folder / name
        return cls(**found)


def shallow_embedder(source: Path, folder: Path) -> Path:
    """The embedding model of ``source`` without its upper layers: what it embeds is little more than the words.

    Returns:
        ``folder``, which holds it as sentence-transformers saves its models.
    """
    import safetensors.torch

    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_hidden_layers": 1}), encoding="utf-8")
    weights = safetensors.torch.load_file(source / "model.safetensors")
    kept = {name: each for name, each in weights.items() if "layer." not in name or "layer.0." in name}
    safetensors.torch.save_file(kept, folder / "model.safetensors", {"format": "pt"})
    return folder


def new_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
    made.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=["<pad>", "<bos>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([f"### Answer\n{text} {text}" for text in (BASE, FIRST, SECOND, ENDLESS)] * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")


def _model(family: str, tokenizer: Any) -> Any:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM

    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 96,
        "intermediate_size": 192,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 48,
        "max_position_embeddings": 8192,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
    }
    if family == "gemma3":
        return Gemma3ForCausalLM(Gemma3TextConfig(**shape, sliding_window=64))
    return LlamaForCausalLM(LlamaConfig(**shape))


def _teach(model: Any, tokenizer: Any, answer: str, rate: float) -> None:
    import torch

    ids = torch.tensor([tokenizer(f"### Answer\n{answer}", add_special_tokens=False)["input_ids"]])
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate)
    model.train()
    start = len(tokenizer("### Answer", add_special_tokens=False)["input_ids"])
    for _ in range(600):
        logits = model(input_ids=ids).logits[0, start:-1]
        loss = torch.nn.functional.cross_entropy(logits.float(), ids[0, start + 1 :])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss.item() < 0.005:
            return
    raise AssertionError(f"the tiny model did not learn its sentence: loss {loss.item():.3f}")
