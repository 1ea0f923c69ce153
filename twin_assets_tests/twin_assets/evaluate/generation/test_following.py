"""Whether an adapter that no longer does what it is told is told from one that does."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from twin_assets.evaluate.generation import following, page
from twin_assets.evaluate.generation.following import Reply, chosen, figures, replies
from twin_assets_tests.support.measured import generation
from twin_assets_tests.support.rows import sample
from twin_assets_tests.support.tiny_models import BASE, FIRST, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.models import causal
from twin_resources.suite.instructions import Instruction, instructions


def test_as_many_are_put_as_are_asked_for_and_short_and_long_ones_among_them() -> None:
    assert chosen(0) == []
    assert chosen(24) == chosen(99) == instructions()
    few = chosen(6)
    assert len({each.asked for each in few}) == 6
    assert few[0].tokens < 12
    assert few[-1].tokens > 24


@pytest.fixture
def as_the_base_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve instructions that the tiny base follows with the one sentence it knows, and its adapters do not."""
    found = tuple(Instruction(f"Tell {place}.", 40, {"contains": ["gauge"], "sentences": 1}) for place in range(12))
    monkeypatch.setattr(following, "instructions", lambda: found)


@pytest.mark.usefixtures("as_the_base_says")
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_the_job_tells_an_adapter_that_says_what_it_likes(
    settings: Settings, engine: sa.Engine, tiny: TinyModels, tmp_path: Path
) -> None:
    held_out = [sample("Say it.", FIRST, id=each, document_id=each, split="test") for each in "abc"]
    found = generation(settings, tmp_path, held_out, tiny.base, {"ada-1": tiny.first})
    bad = found["following"]
    assert (bad["instructions"], bad["models"]) == (12, {"base": 12, "ada-1": 0})
    assert bad["difference"] == -1
    assert bad["interval"][1] < -0.1, "the gate is certain"
    assert bad["shown"][0] == {"instruction": "Tell 0.", "base": BASE, "twin": FIRST}
    page.write(tmp_path, found, "Ada Berg")
    assert "Whether it does what it is told" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("as_the_base_says")
def test_a_model_that_does_what_its_base_does_loses_nothing(tiny: TinyModels) -> None:
    model, tokenizer = causal.load_base(tiny.base, "float32")
    asked = chosen(24)
    given = replies(model, tokenizer, asked, "Ada Berg")
    assert given == [Reply(BASE, followed=True)] * 12
    good = figures(asked, {"base": given, "ada-1": given}, "ada-1")
    assert good
    assert good["difference"] == 0
    assert good["interval"][1] > 0
    assert good["shown"] == []
    assert figures([], {"base": [], "ada-1": []}, "ada-1") is None


@pytest.mark.usefixtures("as_the_base_says")
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_who_never_ends_says_no_one_sentence(tiny: TinyModels) -> None:
    import peft

    model, tokenizer = causal.load_base(tiny.base, "float32")
    endless = peft.PeftModel.from_pretrained(model, tiny.endless).eval()
    assert not any(each.followed for each in replies(endless, tokenizer, chosen(3), "Ada Berg"))
