"""How a twin does, for whoever holds a key of kind author."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import Api, running
from twin_assets_tests.support.tiny_models import TinyModels
from twin_assets_tests.support.traffic import GAPS, write_traffic
from twin_resources.config.settings import Settings
from twin_resources.storage.alerts import Alerts
from twin_resources.storage.keys import Kind


@pytest.fixture(scope="module")
def site(
    new_settings: Callable[..., Settings], seed: Callable[[Settings], sa.Engine], tiny: TinyModels
) -> Iterator[Api]:
    """Two authors with two weeks of readers' calls each, and an alert of each and of all."""
    settings = new_settings(models={"base": str(tiny.base), "reranker": None}, api_keys="first-key")
    database = seed(settings)
    for author in ("ada", "bo"):
        write_traffic(database, author, now=datetime.now(UTC))
    for author in ("ada", "bo", None):
        Alerts(database).observe("failures", author, "bad", f"of {author}")
    with running(settings, database) as found:
        yield found


def test_an_author_sees_figures_gaps_and_alerts_of_its_own(key_of: Callable[[Kind, str], httpx.Client]) -> None:
    with key_of("author", "ada") as ada:
        found = ada.get("/monitoring").json()
        assert (found["author"], found["days"], len(found["by_day"])) == ("ada", 7, 7)
        assert found["totals"]["questions"] == sum(
            each["answered"] + each["silent"] + each["failed"] for each in found["by_day"]
        )
        assert found["totals"]["silence"] == pytest.approx(found["totals"]["silent"] / found["totals"]["judged"], 1e-3)
        assert {each["mode"] for each in found["latency"]} <= {"quote", "generate", "write", "search"}
        assert {each["version"] for each in found["speakers"]} <= {"quote", "ada-3f2c"}
        first = found["gaps"][0]
        assert {first["question"], *first["wordings"]} <= set(GAPS[0])
        assert first["wordings"]
        assert sum(each["times"] for each in found["gaps"]) == found["totals"]["silent"]
        assert [each["text"] for each in found["alerts"]] == ["of ada"]
        assert found["drift"]["questions"] > 0
        longer = ada.get("/monitoring", params={"days": 14}).json()
        assert longer["totals"]["calls"] > found["totals"]["calls"]


def test_nothing_of_another_author_comes_out(key_of: Callable[[Kind, str], httpx.Client], site: Api) -> None:
    with key_of("author", "ada") as ada, key_of("author", "bo") as bo, key_of("reader", "bo") as reader:
        assert ada.get("/monitoring", params={"author": "bo"}).status_code == 404
        assert reader.get("/monitoring").status_code == 403
        (alert,) = bo.get("/monitoring").json()["alerts"]
        taken = f"/monitoring/alerts/{alert['id']}/acknowledge"
        assert ada.post(taken).status_code == 404
        assert reader.post(taken).status_code == 403
        known = bo.post(taken).json()
        assert known["acknowledged_at"]
        assert bo.post(taken).json() == known, "to repeat it changes nothing"
    with site.client(headers={"Authorization": "Bearer first-key"}) as admin:
        alerts = admin.get("/monitoring", params={"author": "bo"}).json()["alerts"]
        assert sorted(each["text"] for each in alerts) == ["of None", "of bo"]
        for unknown in ("0", "x", "9" * 30):
            assert admin.post(f"/monitoring/alerts/{unknown}/acknowledge").status_code == 404


@pytest.mark.parametrize("days", ["0", "366", "week", "-1", "1.5", ""])
def test_days_that_are_none_are_refused(key_of: Callable[[Kind, str], httpx.Client], days: str) -> None:
    with key_of("author", "ada") as ada:
        refused = ada.get("/monitoring", params={"days": days})
        assert (refused.status_code, refused.json()["detail"]) == (422, "days: takes a number from 1 to 365.")


def test_what_is_asked_now_shows_at_once(key_of: Callable[[Kind, str], httpx.Client]) -> None:
    with key_of("author", "ada") as ada:
        before = ada.get("/monitoring", params={"days": 2}).json()["totals"]
        question = "Which wine goes with roast lamb at Easter?"
        answer = ada.post("/ask", json={"query": question, "mode": "quote"}).json()
        assert answer["abstained"]
        ada.post("/search", json={"query": "gauge", "filters": {"url": ["https://nowhere.example"]}})
        found = ada.get("/monitoring", params={"days": 2}).json()
        after = found["totals"]
        assert (after["silent"], after["empty"]) == (before["silent"] + 1, before["empty"] + 1)
        assert after["retrievals"] == before["retrievals"] + 2
        assert question in [each["question"] for each in found["gaps"]]
