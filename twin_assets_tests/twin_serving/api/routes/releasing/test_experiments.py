"""Trainings of an author side by side, for programs; whose they are is held in ``test_keys.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import SITE, without_engine
from twin_assets_tests.support.trainings import QUESTION, add_trainings
from twin_resources.config.settings import Settings
from twin_resources.text.identity import document_id


@pytest.fixture
def client(new_settings: Callable[..., Settings], seed: Callable[[Settings], sa.Engine]) -> Iterator[httpx.Client]:
    settings = new_settings()
    database = seed(settings)
    add_trainings(database, document_id("ada", f"{SITE}/tides"))
    with without_engine(settings, database, "/experiments?author=ada") as api, api.client() as made:
        yield made


def test_trainings_are_listed_page_by_page_with_what_was_measured(client: httpx.Client) -> None:
    first = client.get("/experiments", params={"author": "ada", "limit": 2}).json()
    assert [each["version"] for each in first["experiments"]] == ["ada-wide", "ada-narrow"]
    second = client.get("/experiments", params={"author": "ada", "limit": 2, "cursor": first["next"]}).json()
    assert [each["version"] for each in second["experiments"]] == ["ada-old"]
    assert second["next"] is None
    wide, old = first["experiments"][0], second["experiments"][0]
    assert wide["held_out_loss"] == pytest.approx(2.76)
    assert wide["gain"] == {"value": 0.18, "low": 0.12, "high": 0.24}
    assert wide["style"] == {"value": 0.71, "low": 0.55, "high": 0.86}
    assert wide["support"] == {"value": 0.8, "low": 0.69, "high": 0.88}
    assert wide["memorised"] == {"value": 0.5, "low": -0.2, "high": 1.2}
    assert wide["curve"][-1] == {"step": 8, "loss": pytest.approx(1.84), "validation_loss": pytest.approx(2.16)}
    assert wide["texts"] == [{"question": QUESTION, "text": "Of rank 16, I say.", "own": "A reading."}]
    assert (wide["passed"], first["experiments"][1]["passed"], first["experiments"][1]["failed"]) == (
        True,
        False,
        ["loss"],
    )
    unknown = ("held_out_loss", "gain", "style", "support", "memorised", "seconds", "hardware", "passed", "backend")
    assert {old[name] for name in unknown} == {None}
    assert (old["curve"], old["texts"]) == ([], [])


def test_named_ones_are_compared_in_what_differs_alone(client: httpx.Client) -> None:
    def compared(versions: str) -> httpx.Response:
        return client.get("/experiments", params={"author": "ada", "versions": versions})

    found = compared("ada-narrow,ada-wide").json()
    assert [each["version"] for each in found["experiments"]] == ["ada-narrow", "ada-wide"]
    assert found["differences"] == [{"name": "rank", "values": [4, 16]}]
    among = {each["name"]: each["values"] for each in compared("ada-wide,ada-old").json()["differences"]}
    assert among["rank"] == [16, None]
    assert among["dpo.beta"] == [0.1, None]
    assert among["library"] == ["peft", None]
    assert "dataset" not in among
    assert compared("ada-wide,ada-none").status_code == 404
    assert compared(",".join(f"v{number}" for number in range(21))).status_code == 422
    assert client.get("/experiments", params={"author": "bo", "versions": "ada-wide"}).status_code == 404
    assert "texts" not in client.get("/releases", params={"author": "ada"}).json()["releases"][0]["metrics"]
