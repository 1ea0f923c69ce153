"""Which held-out documents are predicted worst, and whether newer ones are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from twin_assets.dataset.samples import InstructSample
from twin_assets.evaluate.generation import page
from twin_assets.evaluate.generation.documents import Predicted, over_time, predicted
from twin_assets_tests.support.measured import generation
from twin_assets_tests.support.rows import clean_entry, sample
from twin_assets_tests.support.site import SITE, store_documents
from twin_assets_tests.support.tiny_models import BASE, FIRST, SECOND, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.storage.warehouse import Warehouse
from twin_resources.text.identity import document_id


def test_the_worst_document_stands_first_with_its_title_and_day() -> None:
    losses = {"base": [(30.0, 10), (30.0, 10), (30.0, 10)], "ada-1": [(10.0, 10), (29.0, 10), (20.0, 10)]}
    known = {"b": clean_entry("b", 9, title="Weirs", published_at=datetime(2024, 5, 6, 23, tzinfo=UTC))}
    told = predicted(losses, ["a", "b", "a"], known, {"a": "https://ada.example/a"}, "ada-1")
    worst, best = told
    loss = {"base": 3.0, "ada-1": 2.9}
    assert worst == Predicted("b", "Weirs", "https://ada.example/b", "2024-05-06", 1, 10, loss)
    assert (best.title, best.published) == ("https://ada.example/a", None), "it is no longer among the documents"
    assert (best.answers, best.tokens, best.loss) == (2, 20, {"base": 3.0, "ada-1": 1.5})


def years(first: int, losses: Sequence[float], base: Sequence[float]) -> list[Predicted]:
    """A document of each year, with its loss by an adapter and by the base."""
    return [
        Predicted(f"{first + place}", "t", "u", f"{first + place}-01-01", 1, 50, {"base": theirs, "ada-1": mine})
        for place, (mine, theirs) in enumerate(zip(losses, base, strict=True))
    ]


def test_a_twin_that_stands_still_predicts_newer_texts_worse_and_one_that_keeps_up_does_not() -> None:
    flat = [3.0, 3.1, 2.9, 3.0, 3.1, 2.9]
    found = over_time(years(2018, [2.0, 2.1, 1.9, 2.8, 2.9, 2.7], flat))
    assert found
    assert (found.since, found.older, found.newer, found.undated) == ("2021-01-01", 3, 3, 0)
    left_behind, base = found.models["ada-1"], found.models["base"]
    assert (left_behind.older, left_behind.newer, left_behind.difference) == (2.0, 2.8, 0.8)
    assert left_behind.low == pytest.approx(0.5733, abs=0.001), "Welch's interval, worked out by hand"
    assert base.low < 0 < base.high
    kept_up = over_time(years(2018, [2.0, 2.1, 1.9, 2.0, 2.1, 1.9], flat))
    assert kept_up
    assert kept_up.models["ada-1"].difference == 0.0


def test_without_days_enough_nothing_is_said_of_newer_texts(tmp_path: Path) -> None:
    told = years(2018, [2.0] * 6, [3.0] * 6)
    assert over_time(told)
    assert over_time([]) is None
    assert over_time(told[:5]) is None
    assert over_time([replace(each, published="2020-01-01") for each in told]) is None, "all of one day"
    found = over_time([*told, replace(told[0], published=None)])
    assert found
    assert (found.older, found.newer, found.undated) == (3, 3, 1)
    figures = {"candidate": "ada-1", "by_document": [asdict(each) for each in told[:5]], "over_time": None}
    assert page.newer_told(figures).startswith("Not known")


def held_out(name: str, answer: str) -> InstructSample:
    url = f"{SITE}/{name}"
    return sample(f"Write about {name}.", answer, id=name, split="test", document_id=document_id("ada", url), url=url)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_the_job_tells_which_text_the_twin_predicts_worst(
    settings: Settings, engine: sa.Engine, tiny: TinyModels, tmp_path: Path
) -> None:
    """Of the author's own sentence, of one by somebody else and of one in disorder, two models learned one each."""
    warehouse = Warehouse(engine)
    for author in settings.authors:
        warehouse.record_author(author)
    store_documents(warehouse, settings)
    shuffled = " ".join(sorted(BASE.split()))
    held = [held_out("log", FIRST), held_out("tides", shuffled), held_out("post", SECOND)]
    figures = generation(settings, tmp_path, held, tiny.base, {"ada-2": tiny.first, "ada-1": tiny.second})
    told = {each["title"]: each for each in figures["by_document"]}
    assert list(told)[-1] == "The log", "the author's own sentence is predicted best"
    assert told["The log"]["loss"]["ada-2"] < 1 < told["The log"]["loss"]["ada-1"]
    assert told["On ferries"]["loss"]["ada-1"] < 1 < told["On ferries"]["loss"]["ada-2"]
    assert told["Reading the gauge"]["loss"]["ada-2"] > 2 * told["The log"]["loss"]["ada-2"]
    assert {each["published"] for each in told.values()} == {"2026-03-01"}
    assert figures["over_time"] is None, "all are of one day"
    assert figures["memorisation"] is None, "the adapter does not say what it learned from"
    page.write(tmp_path, figures, "Ada Berg")
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    worst = written.split("Texts that it predicts worst")[1]
    assert worst.index("Reading the gauge") < worst.index("The log")
    assert (tmp_path / "over_time.png").stat().st_size > 1000
