"""How long a training takes by those before it, and what it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from twin_resources.config.price import Price
from twin_resources.config.settings import Settings
from twin_resources.config.training import TrainingSettings
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.releases import Adapter, Releases
from twin_resources.storage.sources import Authors
from twin_resources.storage.training.pace import Forecast, Past, forecast, pasts

HERE = "CPU, x86_64, 2 cores, Linux"
PAST = Past("ada", 16_000, 160.0, 200.0, HERE, 1, None)


def test_it_is_as_long_as_trainings_of_its_base_on_this_machine_were() -> None:
    others = [
        replace(PAST, learning=1.0, hardware="H200"),
        replace(PAST, learning=1.0, processes=2),
        replace(PAST, learning=1.0, quantization="nf4"),
    ]
    found = forecast([PAST, *others], 32_000, here=HERE)
    assert found == Forecast(360.0, 296.0, 440.0, "one training of this base on this machine")
    several = [replace(PAST, learning=learning) for learning in (150.0, 160.0, 170.0)]
    known = forecast(several, 32_000, here=HERE)
    assert known
    assert (known.seconds, known.basis) == (360.0, "3 trainings of this base on this machine")
    assert found.low < known.low < 340.0
    assert 380.0 < known.high < found.high
    assert forecast(others, 32_000, here=HERE) is None


def test_it_is_told_in_plain_words_with_its_cost() -> None:
    found = Forecast(360.0, 296.0, 440.0, "one training of this base on this machine")
    assert found.told() == "about 6 min (5 min to 7 min), by one training of this base on this machine"
    assert found.told(Price(2.5, "EUR")) == (
        "about 6 min (5 min to 7 min), about 0.25 EUR, by one training of this base on this machine"
    )
    assert Forecast(2.0, 2.0, 2.2).told(Price(2.5, "EUR")) == "about 2 s, about under 0.01 EUR"
    assert Forecast(9_000.0, 9_000.0, 9_000.0).told(Price(0.0, "hours of ours")) == (
        "about 2.5 h, about 0.00 hours of ours"
    )


def test_a_price_is_validated() -> None:
    assert TrainingSettings().price is None
    assert TrainingSettings(price_per_hour=2, currency="EUR").price == Price(2.0, "EUR")
    with pytest.raises(ValueError, match="price_per_hour"):
        TrainingSettings(price_per_hour=-1)
    with pytest.raises(ValueError, match="currency"):
        TrainingSettings(price_per_hour=1, currency="")


def test_only_whole_trainings_of_the_base_that_were_timed_count(engine: sa.Engine, settings: Settings) -> None:
    for each in settings.authors:
        Authors(engine).record(each)
    Datasets(engine).add("data", "ada", "instruct", "datasets/data", {}, ())
    metrics = {"train_tokens": 16_000, "train_seconds": 160.0, "resumed": False}
    timed = {**metrics, "seconds": 200.0, "hardware": HERE, "processes": 1}
    rows = {
        "timed": ("tiny", timed),
        "untimed": ("tiny", metrics),
        "resumed": ("tiny", {**timed, "resumed": True}),
        "stopped": ("tiny", {**timed, "stopped": "it recites"}),
        "other": ("other", timed),
    }
    for name, (base, figures) in rows.items():
        Releases(engine).add_adapter(
            Adapter(name, "ada", name, "sft", base, "adapters/x", "data", {"quantization": None}, figures, None)
        )
    assert pasts(engine, "tiny") == [PAST]
