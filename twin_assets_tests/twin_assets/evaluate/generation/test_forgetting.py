"""Whether an adapter that forgot what its base knows is told from one that kept it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from safetensors.torch import load_file, save_file

from twin_assets.evaluate.generation import forgetting, page
from twin_assets_tests.support.measured import generation
from twin_assets_tests.support.rows import sample
from twin_assets_tests.support.tiny_models import BASE, FIRST, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.models import causal
from twin_resources.suite.general import Item


@pytest.fixture(autouse=True)
def known_to_the_base(monkeypatch: pytest.MonkeyPatch) -> tuple[Item, ...]:
    """A general set that the tiny base knows: it was taught nothing else."""
    asked = ("Say it.", "What?", "How often?", "Where?", "Who writes?", "And then?", "Go on.")
    items = (*(Item(each, BASE) for each in asked), Item("", BASE))
    monkeypatch.setattr(forgetting, "general_set", lambda: items)
    return items


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_adapter_that_says_but_one_sentence_has_forgotten_and_one_that_changes_nothing_has_not(
    settings: Settings, engine: sa.Engine, tiny: TinyModels, tmp_path: Path
) -> None:
    held_out = [sample("Say it.", FIRST, id=each, document_id=each, split="test") for each in "abc"]
    harmless = tmp_path / "harmless"
    shutil.copytree(tiny.first, harmless)
    weights = load_file(harmless / "adapter_model.safetensors")
    for name, each in weights.items():
        if "lora_B" in name:
            each.zero_()
    save_file(weights, harmless / "adapter_model.safetensors")
    figures = generation(settings, tmp_path, held_out, tiny.base, {"ada-1": tiny.first})
    bad = figures["forgetting"]
    assert bad["items"] == 8
    assert bad["rise"] > 1
    assert bad["interval"][0] > 0.1, "the gate is certain"
    assert bad["bits_per_byte"]["base"]["all"] < bad["bits_per_byte"]["ada-1"]["all"]
    assert bad["most"][0]["candidate"] > bad["most"][0]["base"]
    page.write(tmp_path, figures, "Ada Berg")
    assert "What it forgot" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "general.png").stat().st_size > 1000
    good = generation(settings, tmp_path, held_out, tiny.base, {"ada-1": harmless})["forgetting"]
    assert good["rise"] == pytest.approx(0, abs=1e-4)


def test_items_side_by_side_cost_what_each_costs_alone(tiny: TinyModels) -> None:
    model, tokenizer = causal.load_base(tiny.base, "float32")
    items = forgetting.read(tokenizer)
    together = forgetting.bits_per_byte(model, items, tokenizer.pad_token_id)
    alone = [bits for each in items for bits in forgetting.bits_per_byte(model, [each], tokenizer.pad_token_id)]
    assert together == pytest.approx(alone, rel=1e-4)


def test_a_tokenizer_without_a_beginning_token_reads_texts_as_well(tiny: TinyModels) -> None:
    tokenizer = causal.load_tokenizer(tiny.base)
    with_beginning = forgetting.read(tokenizer)
    tokenizer.bos_token = None
    without = forgetting.read(tokenizer)
    assert [each.size for each in without] == [each.size for each in with_beginning]
    assert without[-1].row.ids == with_beginning[-1].row.ids[1:]
