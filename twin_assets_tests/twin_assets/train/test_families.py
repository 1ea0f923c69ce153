"""Adapters over a model of every family: trained, saved, loaded again and asked, by configuration alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twin_assets.train.backends.base import TrainingTask
from twin_assets.train.backends.peft import PeftBackend
from twin_assets_tests.support.families import FAMILIES, configuration
from twin_assets_tests.support.tiny_models import FIRST, new_tokenizer
from twin_resources.config.training import TrainingSettings
from twin_resources.generation.embedded import EmbeddedGenerator
from twin_resources.models import causal
from twin_resources.models.lora import NotAdaptable, lora_config
from twin_resources.rag import prompt

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
FUSED_EXPERTS = ("gpt_oss", "mixtral")


class Quiet:
    """Hears a training and keeps what it says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str) -> None:
        self.lines.append(message)

    def metric(self, name: str, value: float, step: int) -> None:
        pass


def _base(family: str, folder: Path, **changes: Any) -> Path:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(7)
    made = new_tokenizer()
    made.save_pretrained(folder)
    AutoModelForCausalLM.from_config(configuration(family, vocab_size=len(made), **changes)).save_pretrained(folder)
    return folder


def _task(base: Path, checkpoints: Path, **parameters: Any) -> TrainingTask:
    made = causal.load_tokenizer(base)
    turns = prompt.render(made, prompt.messages("What is the rule of the log?", (), author="Ada"))
    sample = causal.encode(made, turns, FIRST, 400)
    other = causal.encode(made, turns, f"{FIRST} {FIRST}", 400)
    assert sample
    assert other
    chosen = {"batch_size": 2, "gradient_accumulation": 1, "learning_rate": 0.01, "rank": 4, "alpha": 8}
    return TrainingTask(
        base=base,
        dtype="float32",
        train=[sample, other] * 6,
        validation=[sample],
        parameters=TrainingSettings.model_validate({**chosen, **parameters}),
        checkpoints=checkpoints,
        pad_id=made.pad_token_id,
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_trained_saved_loaded_and_asked(family: str, tmp_path: Path) -> None:
    base, heard = _base(family, tmp_path / "base"), Quiet()
    task = _task(base, tmp_path / "checkpoints", packing=True, gradient_checkpointing=family not in FUSED_EXPERTS)
    trained = PeftBackend().train(task, heard)
    before, after = (each["eval_loss"] for each in trained.history if "eval_loss" in each and each["step"] in (0, 6))
    assert after < before, "it learned"
    learned = {name: each for name, each in trained.model.named_parameters() if "lora_B" in name}
    assert learned
    assert all(each.abs().sum() > 0 for each in learned.values()), "every part of the adapter"
    experts = [name for name in learned if "expert" in name]
    assert bool(experts) == (family in FUSED_EXPERTS)
    refused = any("keep packed samples apart" in line for line in heard.lines)
    assert refused == (family == "gpt_oss")

    trained.model.save_pretrained(tmp_path / "adapter")
    mine = next(causal.losses(trained.model.eval(), task.validation, task.pad_id))[0]
    generator = EmbeddedGenerator("tiny", base, render=prompt.render, stop=prompt.STOP, dtype="float32")
    generator.load("me-1", tmp_path / "adapter")
    turns = prompt.messages("What is the rule of the log?", (), author="Ada")
    answer = generator.stream(turns, version="me-1", max_tokens=8, temperature=0, seed=0).finish()
    generator.close()
    assert answer.completion_tokens > 0
    import peft

    again = peft.PeftModel.from_pretrained(causal.load_model(base, "float32"), tmp_path / "adapter")
    assert next(causal.losses(again.eval(), task.validation, task.pad_id))[0] == pytest.approx(mine, rel=1e-4)


def test_a_base_in_four_bits_learns(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="needs the extra `qlora`")
    base = _base("llama", tmp_path / "base")
    trained = PeftBackend().train(_task(base, tmp_path / "checkpoints", quantization="nf4"), Quiet())
    layer = trained.model.get_base_model().get_decoder().layers[0].mlp.up_proj.get_base_layer()
    assert type(layer).__name__ == "Linear4bit"
    before, after = (each["eval_loss"] for each in trained.history if "eval_loss" in each and each["step"] in (0, 6))
    assert after < before


def test_four_bits_without_their_library_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causal.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(causal.NoQuantization, match=r"bitsandbytes is not installed.*llm-twin\[qlora\]"):
        causal.four_bits(None)


def test_experts_and_dropout_do_not_go_together() -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(configuration("gpt_oss"))
    with pytest.raises(NotAdaptable, match=r"experts.*training.dropout to 0"):
        lora_config(model, TrainingSettings(dropout=0.1))
