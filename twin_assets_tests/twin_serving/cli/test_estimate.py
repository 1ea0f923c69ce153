"""What a person is told of the memory that a training takes."""

from __future__ import annotations

import json
from collections.abc import Callable

from twin_assets_tests.support.command_line import CONSENT, Twin
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.config.training import PRESETS


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
    shared = json.loads(twin("estimate", "--processes", "2", "--json"))
    assert shared["shards"] == 2
    assert found["shards"] == 1
    assert shared["gib"]["needed"]["activations"] == found["gib"]["needed"]["activations"]
    assert "presets are: laptop" in twin("estimate", "--preset", "8b", code=1)
    assert "config.json" in twin("estimate", "--base", "./nowhere", code=1)


def test_the_table_of_sizes_needs_no_model(twin: Twin) -> None:
    rows = [line.split("|")[1:-1] for line in twin("estimate", "--sizes").splitlines()]
    assert [each.strip() for each in rows[0]] == ["base", *PRESETS]
    shared = twin("estimate", "--sizes", "--processes", "8").splitlines()[4].split("|")
    assert float(shared[2]) < float(rows[4][1])
    seven = {name: float(size) for name, size in zip(PRESETS, rows[4][1:], strict=True)}
    assert rows[4][0].strip() == "7B"
    assert seven["70b"] < seven["laptop"] < seven["7b"], "four bits take least, one sample at a time less than four"
