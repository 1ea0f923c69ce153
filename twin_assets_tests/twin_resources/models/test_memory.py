"""What a training is estimated to take, against what is really kept for the way back, and what a container leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twin_assets_tests.support.families import FAMILIES, configuration
from twin_resources.config.training import PRESETS, TrainingSettings
from twin_resources.models import causal, lora
from twin_resources.models.causal import Encoded
from twin_resources.models.memory import GIB, Shape, _container, estimate, of_presets

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
TOKENS = 96


def _kept(model: Any, batch: list[Encoded]) -> int:
    """Bytes of the tensors that one pass keeps for the way back, besides weights."""
    import torch

    weights = {each.untyped_storage().data_ptr() for each in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def note(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss, _ = causal.answer_loss(model, causal.collate(batch, 0))
    assert loss.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3", "phi3"])
def test_activations_are_those_that_a_pass_keeps(family: str) -> None:
    import peft
    import torch
    from transformers import AutoModelForCausalLM

    config = configuration(family, hidden_size=128, intermediate_size=320, num_hidden_layers=4)
    parameters = TrainingSettings(rank=4, batch_size=2)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    adapted = peft.get_peft_model(model, lora.lora_config(model, parameters))
    kept = _kept(adapted, [Encoded((5,) * TOKENS, TOKENS - 4)] * 2)
    assert estimate(Shape.of_config(config), parameters, tokens=TOKENS).activations == pytest.approx(kept, rel=0.15)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_and_adapter_are_counted_without_loading_any(family: str) -> None:
    import peft
    from transformers import AutoModelForCausalLM

    config = configuration(family)
    shape = Shape.of_config(config)
    model = AutoModelForCausalLM.from_config(config)
    assert shape.parameters == sum(each.numel() for each in model.parameters())
    adapted = peft.get_peft_model(model, lora.lora_config(model, TrainingSettings(rank=4)))
    assert shape.adapter * 4 == sum(each.numel() for each in adapted.parameters() if each.requires_grad)


def test_checkpointing_and_four_bits_take_less_and_longer_samples_more() -> None:
    from transformers import LlamaConfig

    shape = Shape.of_config(
        LlamaConfig(hidden_size=4096, intermediate_size=14_336, num_hidden_layers=32, vocab_size=32_768)
    )
    whole = estimate(shape, TrainingSettings())
    assert whole.weights == pytest.approx(2 * shape.parameters)
    assert estimate(shape, TrainingSettings(gradient_checkpointing=True)).activations < whole.activations / 8
    four_bits = estimate(shape, TrainingSettings(quantization="nf4")).weights
    assert 0.25 < four_bits / whole.weights < 0.3, "embeddings and output layer stay in 16 bits"
    assert estimate(shape, TrainingSettings(), tokens=2048).total > whole.total
    assert [each.preset for each in of_presets(shape)] == list(PRESETS)
    shared = estimate(shape, TrainingSettings(), shards=8)
    assert shared.weights == pytest.approx(2 * (shape.parameters / 8 + 3 * shape.block + shape.ends))
    assert shape.block * 32 + shape.ends == shape.parameters
    assert shared.activations == whole.activations
    assert sum(whole.gib()[name] for name in ("weights", "adapter", "activations", "logits", "process")) == (
        pytest.approx(whole.total / GIB, abs=0.05)
    )


def _group(folder: Path, limit: str, used: int, files: int, version: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current", "inactive_file") if version == 2 else (
        "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")  # fmt: skip
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {files}\n")


@pytest.mark.parametrize("version", [1, 2])
def test_the_tightest_control_group_decides_and_cached_files_are_free(tmp_path: Path, version: int) -> None:
    top = tmp_path if version == 2 else tmp_path / "memory"
    _group(top, "max" if version == 2 else str(1 << 62), 900, 0, version)
    _group(top / "box", "1000", 700, 50, version)
    _group(top / "box" / "task", "800", 100, 0, version)
    membership = tmp_path / "cgroup"
    membership.write_text("0::/box/task\n" if version == 2 else "4:memory:/box/task\n1:cpu:/\n0::/\n")
    assert _container(tmp_path, membership) == 1000 - 700 + 50
    assert _container(tmp_path, tmp_path / "nowhere") is None
