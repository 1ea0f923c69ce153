"""What a person is told of the memory that a training takes."""

from __future__ import annotations

import json
from collections.abc import Callable

import sqlalchemy as sa

from twin_assets_tests.support.command_line import CONSENT, URL, Twin, add_adapter, add_dataset, document_of
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.config.training import PRESETS
from twin_resources.models.memory import Memory
from twin_resources.storage.training.pace import hardware


def test_estimate_says_what_a_training_takes_and_whether_it_fits(
    twin: Twin, tiny_models: Callable[[str], TinyModels]
) -> None:
    base = tiny_models("llama").base
    twin.write(
        f'authors:\n  - {{id: me, name: Ada Berg, consent: "{CONSENT}"}}\nmodels: {{base: {base}}}\n'
        "training: {rank: 8}\n"
    )
    found = json.loads(twin("estimate", "--json"))
    assert found["fits"]
    assert set(found["gib"]["presets"]) == set(PRESETS)
    assert found["gib"]["needed"]["total"] < found["gib"]["available"]
    assert found["settings"]["rank"] == 8
    told = " ".join(twin("estimate", "--base", str(base), "--preset", "70b").split())
    assert "preset 70b" in told
    assert "it fits" in told
    assert "no training of this base was measured on this machine, so how long one takes is not known" in told
    assert (found["time"], found["cost"], found["tokens"]) == (None, None, 16_000)
    shared = json.loads(twin("estimate", "--processes", "2", "--json"))
    assert shared["shards"] == 2
    assert found["shards"] == 1
    assert shared["gib"]["needed"]["activations"] == found["gib"]["needed"]["activations"]
    assert "presets are: laptop" in twin("estimate", "--preset", "8b", code=1)
    assert "config.json" in twin("estimate", "--base", "./nowhere", code=1)


def test_what_a_training_takes_and_costs_is_told_by_those_before_it(
    ada: Twin, engine: sa.Engine, tiny_models: Callable[[str], TinyModels]
) -> None:
    base, here = str(tiny_models("llama").base), hardware(Memory.here().device)
    add_dataset(engine, "d1", {"s1": (document_of(engine, URL), URL)})
    metrics = {"train_tokens": 8_000, "train_seconds": 600.0, "seconds": 660.0, "resumed": False, "processes": 1}
    add_adapter(engine, "ada-1", "d1", passed=None, base=base, metrics={**metrics, "hardware": "a GPU, elsewhere"})
    assert "on this machine (there are some on a GPU, elsewhere)" in " ".join(ada("estimate", "--base", base).split())
    add_adapter(engine, "ada-2", "d1", passed=None, base=base, metrics={**metrics, "hardware": here})
    told = " ".join(ada("estimate", "--base", base).split())
    by = "by one training of this base on this machine"
    assert f"a training of 16,000 tokens takes about 21 min (17 min to 26 min), {by}" in told
    with (ada.folder / "twin.yaml").open("a") as written:
        written.write("training: {price_per_hour: 3, currency: kr}\n")
    assert "11 min (9 min to 14 min), about 0.55 kr" in ada("estimate", "--base", base, "--tokens", "8000")
    found = ada.json("estimate", "--base", base)
    assert found["time"] == {"seconds": 1260.0, "low": 1020.0, "high": 1560.0}
    assert found["cost"] == {"amount": 1.05, "currency": "kr"}


def test_the_table_of_sizes_needs_no_model(twin: Twin) -> None:
    rows = [line.split("|")[1:-1] for line in twin("estimate", "--sizes").splitlines()]
    assert [each.strip() for each in rows[0]] == ["base", *PRESETS]
    shared = twin("estimate", "--sizes", "--processes", "8").splitlines()[4].split("|")
    assert float(shared[2]) < float(rows[4][1])
    seven = {name: float(size) for name, size in zip(PRESETS, rows[4][1:], strict=True)}
    assert rows[4][0].strip() == "7B"
    assert seven["70b"] < seven["laptop"] < seven["7b"], "four bits take least, one sample at a time less than four"
