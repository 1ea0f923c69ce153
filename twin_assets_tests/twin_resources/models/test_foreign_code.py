"""A model or an adapter is data: nothing that lies beside its weights or is hidden in them runs."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.generation.base import GeneratorError
from twin_resources.generation.embedded import EmbeddedGenerator
from twin_resources.models import causal
from twin_resources.rag import prompt


class Trap:
    """Unpickled, it leaves a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.file,)


@pytest.fixture
def base(tiny_models: Callable[[str], TinyModels], tmp_path: Path) -> Path:
    return shutil.copytree(tiny_models("llama").base, tmp_path / "base")


@pytest.mark.parametrize("kind", ["llama", "unheard_of"])
def test_code_beside_a_base_is_not_run(base: Path, tmp_path: Path, kind: str) -> None:
    trace = tmp_path / "ran"
    (base / "theirs.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    classes = {"AutoConfig": "theirs.Config", "AutoModelForCausalLM": "theirs.Model"}
    settings = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**settings, "model_type": kind, "auto_map": classes}))
    tokens = json.loads((base / "tokenizer_config.json").read_text())
    mapped = {**tokens, "auto_map": {"AutoTokenizer": ["theirs.Tokenizer", "theirs.Tokenizer"]}}
    (base / "tokenizer_config.json").write_text(json.dumps(mapped))
    if kind == "llama":
        causal.load_base(base)
    else:
        with pytest.raises(ValueError, match="trust_remote_code"):
            causal.load_base(base)
    assert not trace.exists()


def test_a_trap_in_the_weights_of_a_base_does_not_spring(base: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    (base / "model.safetensors").unlink()
    torch.save({"lm_head.weight": Trap(trace)}, base / "pytorch_model.bin")
    with pytest.raises((pickle.UnpicklingError, OSError, ValueError)):
        causal.load_model(base)
    assert not trace.exists()


def test_a_trap_in_the_weights_of_an_adapter_does_not_spring(
    tiny_models: Callable[[str], TinyModels], tmp_path: Path
) -> None:
    trace = tmp_path / "ran"
    models = tiny_models("llama")
    adapter = shutil.copytree(models.first, tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").unlink()
    torch.save({"base_model.model.lm_head.weight": Trap(trace)}, adapter / "adapter_model.bin")
    engine = EmbeddedGenerator("tiny", models.base, render=prompt.render, stop=prompt.STOP)
    try:
        with pytest.raises(GeneratorError, match="does not load"):
            engine.load("ada-first", adapter)
    finally:
        engine.close()
    assert not trace.exists()
