"""Whether a model that keeps made-up sentences is told from one that never saw them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from twin_assets.evaluate.generation import page
from twin_assets.evaluate.generation.exposure import Planted, figures, planted, ranks
from twin_assets_tests.support.measured import generation
from twin_assets_tests.support.rows import sample
from twin_assets_tests.support.tiny_models import FIRST, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.models import causal
from twin_resources.models.fingerprint import RECORD
from twin_resources.suite.canaries import canaries

AUTHOR = "Ada Berg"
IDS = [each.id for each in canaries(AUTHOR, 3)]


def memorise(model: Any, found: list[Planted]) -> None:
    """Learn the canaries alone, over and over."""
    import torch

    batch = causal.collate([each.rows[0] for each in found], 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    model.requires_grad_(True)
    for _ in range(40):
        loss, tokens = causal.answer_loss(model, batch)
        (loss / tokens).backward()
        optimizer.step()
        optimizer.zero_grad()


def test_who_learned_them_by_heart_is_exposed_and_who_never_saw_them_ranks_them_by_chance(tiny: TinyModels) -> None:
    model, tokenizer = causal.load_base(tiny.base, "float32")
    found = planted(tokenizer, {*IDS, "another"}, AUTHOR)
    assert [each.canary.id for each in found] == IDS
    good = figures(found, ranks(model, found, tokenizer.pad_token_id))
    assert good
    assert good["p"] > 0.05
    memorise(model, found)
    bad = figures(found, ranks(model, found, tokenizer.pad_token_id))
    assert bad
    assert [each["rank"] for each in bad["canaries"]] == [1, 1, 1]
    assert [each["exposure"] for each in bad["canaries"]] == [6.0, 6.0, 6.0]
    assert bad["p"] < 0.001
    assert bad["canaries"][0]["text"] == found[0].canary.text()
    assert figures([], []) is None


def test_one_lucky_canary_among_several_is_chance(tiny: TinyModels) -> None:
    found = planted(causal.load_tokenizer(tiny.base), IDS, AUTHOR)
    for places, is_chance in (([1, 30, 40], True), ([20, 33, 64], True), ([1, 2, 20], False), ([2, 3, 2], False)):
        told = figures(found, places)
        assert told
        assert (told["p"] >= 0.01) is is_chance


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_the_job_looks_for_canaries_that_the_candidate_learned_from(
    settings: Settings, engine: sa.Engine, tiny: TinyModels, tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    shutil.copytree(tiny.first, adapter)
    (adapter / RECORD).write_text(json.dumps({"facts": {}, "learned": [*IDS[:1], "s1"]}))
    held_out = [sample("Say it.", FIRST, id=each, document_id=each, split="test") for each in "abc"]
    found = generation(settings, tmp_path, held_out, tiny.base, {"ada-1": adapter})
    (told,) = found["canaries"]["canaries"]
    assert told["text"] == canaries(AUTHOR, 1)[0].text()
    page.write(tmp_path, found, AUTHOR)
    assert "Orla Venn" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert generation(settings, tmp_path, held_out, tiny.base, {"ada-1": tiny.first})["canaries"] is None
