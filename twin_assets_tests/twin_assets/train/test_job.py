"""What the training sees, and where it goes on after it was killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twin_assets.dataset.encode import encode_rows
from twin_assets.train.job import newest_whole_checkpoint, within_budget
from twin_assets_tests.support.rows import sample
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.config.settings import TrainingSettings
from twin_resources.models import causal
from twin_resources.models.causal import Encoded


def samples(*lengths: int) -> list[Encoded]:
    return [Encoded(tuple(range(length)), length // 2) for length in lengths]


def parameters(**changes: Any) -> TrainingSettings:
    return TrainingSettings(**{"batch_size": 2, "token_budget": None, **changes})


def test_every_sample_is_seen_once_an_epoch_in_an_order_that_repeats() -> None:
    given = samples(*range(10, 50))
    order = within_budget(given, parameters(epochs=2))
    assert sorted(len(sample.ids) for sample in order) == sorted([*range(10, 50), *range(10, 50)])
    assert order == within_budget(given, parameters(epochs=2))
    assert order != within_budget(given, parameters(epochs=2, seed=7))


def test_the_token_budget_is_kept_and_batches_hold_similar_lengths() -> None:
    order = within_budget(samples(*([10] * 50 + [100] * 50)), parameters(token_budget=1500))
    assert 1300 < sum(len(sample.ids) for sample in order) <= 1500
    mixed = sum(len(order[i].ids) != len(order[i + 1].ids) for i in range(0, len(order) - 1, 2))
    assert mixed <= 3, "shuffled alone, about half of the batches would be mixed"


def test_half_a_checkpoint_is_passed_over_and_removed(tmp_path: Path) -> None:
    for name, files in {
        "checkpoint-4": ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth"),
        "checkpoint-8": ("trainer_state.json", "optimizer.pt"),
        "checkpoint-12": (),
    }.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("{}")
    assert newest_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-4"]
    assert newest_whole_checkpoint(tmp_path / "none") is None


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_loss_counts_the_answer_alone_whatever_the_padding(tiny_models, family: str) -> None:
    import torch

    models: TinyModels = tiny_models(family)
    model, tokenizer = causal.load_base(models.base, "float32")
    rows = [sample("Short?", "The tide gauge."), sample("Why " * 40, "Because it writes one reading.")]
    short, long = encode_rows(tokenizer, rows, "Ada Berg", 256)
    assert tokenizer.decode(short.ids[short.prompt_length :]) == "The tide gauge.<eos>"
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([short.ids])).logits[0, short.prompt_length - 1 : -1]
        expected = torch.nn.functional.cross_entropy(
            logits.float(), torch.tensor(short.ids[short.prompt_length :]), reduction="sum"
        )
        alone, count = causal.answer_loss(model, causal.collate([short], 0))
        both, total = causal.answer_loss(model, causal.collate([short, long], 0))
    assert int(count) == short.answer_length
    assert int(total) == short.answer_length + long.answer_length
    assert float(alone) == pytest.approx(float(expected), rel=1e-4)
    (first, _), (second, _) = causal.losses(model, [short, long], 0)
    assert float(both) == pytest.approx(first + second, rel=1e-4)
    model.config.final_logit_softcapping = 0.5 if family == "gemma3" else None
    model.config.logit_scale = 2.0
    with torch.no_grad():
        own = model(input_ids=torch.tensor([short.ids])).logits[0, short.prompt_length - 1 : -1]
        capped, _ = causal.answer_loss(model, causal.collate([short, long], 0))
        alone, _ = causal.answer_loss(model, causal.collate([short], 0))
    expected = torch.nn.functional.cross_entropy(
        own.float(), torch.tensor(short.ids[short.prompt_length :]), reduction="sum"
    )
    assert float(alone) == pytest.approx(float(expected), rel=1e-4), (
        "a model that caps its logits keeps its own forward"
    )
    assert float(capped) > float(alone)


def test_a_long_sample_keeps_room_for_its_answer(tiny_models) -> None:
    _, tokenizer = causal.load_base(tiny_models("llama").base, "float32")
    encoded = causal.encode(tokenizer, "question " * 300, "answer " * 300, 64)
    assert len(encoded.ids) == 64
    assert encoded.answer_length == 32
    whole = causal.encode(tokenizer, "question", "answer", 64)
    assert whole.ids[-1] == tokenizer.eos_token_id
