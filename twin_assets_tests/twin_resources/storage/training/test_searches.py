"""Which search's parameters trainings use."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.config.training import TrainingSettings
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.training.searches import Searches, Trial
from twin_resources.storage.warehouse import Warehouse


def trial(number: int, rate: float, loss: float) -> Trial:
    return Trial(number, {"learning_rate": rate}, "complete", [(0, 3.0), (4, loss)], "", None)


@pytest.fixture
def searches(settings: Settings, engine: sa.Engine) -> Searches:
    for author in ("ada", "bo"):
        Warehouse(engine).record_author(settings.author(author))
        Datasets(engine).add(f"of-{author}", author, "instruct", f"datasets/{author}", {}, ())
    return Searches(engine)


def end(searches: Searches, name: str, loss: float, *, on: str = "these", author: str = "ada", base: str = "b") -> None:
    searches.begin(name, author, base=base, dataset_id=f"of-{author}", measured_on=on)
    searches.end(name, trial(0, loss / 1000, loss), 1)


def test_the_lowest_loss_on_the_newest_samples_is_used(searches: Searches) -> None:
    def used(author: str = "ada", base: str = "b") -> str | None:
        found = searches.best(author, base)
        return found and found.search

    assert used() is None
    end(searches, "first", 2.0)
    end(searches, "worse", 2.5)
    assert used() == "first", "a worse search replaces nothing"
    end(searches, "better", 1.5)
    assert used() == "better"
    end(searches, "of other samples", 2.8, on="others")
    assert used() == "of other samples", "losses on other samples say nothing of each other"
    searches.begin("going on", "ada", base="b", dataset_id="of-ada", measured_on="new ones")
    searches.keep("going on", trial(0, 0.1, 0.5))
    assert used() == "of other samples", "what has not ended is not used"
    end(searches, "elsewhere", 0.5, base="another")
    end(searches, "bo's", 0.5, author="bo")
    assert (used(), used(base="another"), used("bo")) == ("of other samples", "elsewhere", "bo's")


def test_searches_go_with_their_author(searches: Searches) -> None:
    end(searches, "mine", 2.0)
    searches.keep("mine", trial(0, 0.1, 2.0))
    with searches.engine.begin() as session:
        session.execute(sa.text("DELETE FROM author WHERE id = 'ada'"))
    assert searches.trials("mine") == []
    assert searches.best("ada", "b") is None


def test_alpha_keeps_to_a_rank_that_somebody_sets() -> None:
    found = {"learning_rate": 0.005, "rank": 4, "alpha": 16, "epochs": 2, "dropout": 0.1}
    given = TrainingSettings.model_validate
    assert given({}).with_found(found).searched == found
    assert given({"rank": 8}).with_found(found).searched == {**found, "rank": 8, "alpha": 32}
    assert given({"alpha": 8, "epochs": 1}).with_found(found).searched == {**found, "alpha": 8, "epochs": 1}
    of_preset = given({"preset": "laptop"})
    assert of_preset.open == ("learning_rate", "epochs", "dropout"), "a preset sets what memory depends on"
    assert of_preset.with_found(found).rank == 8


def test_ranges_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValueError, match=r"learning_rate: 0\.01 is above 0\.001"):
        TrainingSettings.model_validate({"search": {"learning_rate": [0.01, 0.001]}})
