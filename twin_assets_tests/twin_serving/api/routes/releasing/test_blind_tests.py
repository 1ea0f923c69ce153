"""Blind tests over HTTP: nothing tells whose a text is before the answer is in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.blind import OWN, add_pairs, pairs_of
from twin_assets_tests.support.site import Api, add_adapter, embedder_of, listening, wait_for
from twin_resources.config.settings import Settings
from twin_resources.database.schema import blind_test
from twin_resources.storage.releases import Releases
from twin_serving.api.app import create_app

VERSIONS = ("ada-old", "ada-new", "ada-plain")


@pytest.fixture(scope="module")
def site(
    new_settings: Callable[..., Settings],
    seed: Callable[[Settings], sa.Engine],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Api]:
    """An application with a key and without an engine; of Ada's versions one speaks, one is new, one has no pairs."""
    settings = new_settings(api_keys="first-key")
    database = seed(settings)
    weights = tmp_path_factory.mktemp("weights")
    for version in VERSIONS:
        (weights / "adapter.txt").write_text(version)
        add_adapter(settings, database, version, weights)
    for version in VERSIONS[:2]:
        add_pairs(database, version)
    Releases(database).approve("ada-old", by="Ada")
    Releases(database).propose("ada", "ada-new")
    app = create_app(settings, None, embed=embedder_of)
    with listening(app) as url:
        api = Api(url, settings, database, app)
        wait_for(lambda: httpx.get(f"{url}/releases", headers=KEY).status_code == 200, 40)
        yield api
    database.dispose()


KEY = {"Authorization": "Bearer first-key"}


@pytest.fixture
def client(site: Api, key_of: Callable[..., httpx.Client]) -> Iterator[httpx.Client]:
    """A reader's client, over no answers."""
    with site.database.begin() as session:
        session.execute(sa.delete(blind_test))
    with key_of("reader", "ada") as found:
        yield found


def turn(client: httpx.Client, reader: str = "reader-number-one", **query: str) -> dict[str, Any]:
    found = client.get("/blind-tests", params={"reader": reader, **query})
    assert found.status_code == 200, found.text
    return found.json()


def answer(client: httpx.Client, shown: str, choice: str, reader: str = "reader-number-one") -> dict[str, Any]:
    told = client.post("/blind-tests", json={"reader": reader, "shown": shown, "choice": choice})
    assert told.status_code == 200, told.text
    return told.json()


def test_a_reader_is_shown_pairs_and_told_after_each_answer(client: httpx.Client) -> None:
    pairs = {each.instruction: {each.own, each.written} for each in pairs_of("ada-new")}
    for number in range(4):
        asked = turn(client)
        assert (asked["author"], asked["version"], asked["answered"], asked["total"]) == ("ada", "ada-new", number, 4)
        shown = asked["shown"]
        assert set(shown) == {"id", "instruction", "a", "b"}
        assert {shown["a"], shown["b"]} == pairs.pop(shown["instruction"])
        assert turn(client) == asked
        own = "a" if OWN in shown["a"] else "b"
        told = answer(client, shown["id"], own if number < 3 else {"a": "b", "b": "a"}[own])
        assert (told["own"], told["right"], told["shown"]) == (own, number < 3, shown["id"])
        assert (told["result"]["right"], told["result"]["answers"]) == (min(number + 1, 3), number + 1)
    assert pairs == {}
    end = turn(client)
    assert end["shown"] is None
    assert "every text of the author" in end["because"]
    assert turn(client, version="champion")["shown"] is None, "the reader knows these texts as Ada's by now"
    assert turn(client, "reader-number-two", version="champion")["version"] == "ada-old"


def test_an_answer_counts_once_however_often_it_is_sent(client: httpx.Client) -> None:
    shown = turn(client)["shown"]
    body = {"reader": "reader-number-one", "shown": shown["id"], "choice": "a"}
    key = {"Idempotency-Key": "an-answer"}
    first = client.post("/blind-tests", json=body, headers=key)
    again = client.post("/blind-tests", json=body, headers=key)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    other = answer(client, shown["id"], "b")
    assert (other["choice"], other["right"], other["result"]["answers"]) == ("a", first.json()["right"], 1)


def test_what_answers_show_is_told_by_version_and_in_its_report(
    client: httpx.Client, key_of: Callable[..., httpx.Client]
) -> None:
    for number in range(9):
        reader = f"reader-number-{number:03}"
        shown = turn(client, reader)["shown"]
        answer(client, shown["id"], "a" if OWN in shown["a"] else "b", reader)
    found = client.get("/blind-tests/results").json()
    assert (found["author"], found["level"]) == ("ada", 0.95)
    new, old = found["results"]
    assert (new["version"], new["aliases"], new["pairs"]) == ("ada-new", ["candidate"], 4)
    assert (new["right"], new["answers"], new["share"], new["high"]) == (9, 9, 1.0, 1.0)
    assert 0.5 < new["low"] < 0.6
    assert new["e_value"] == pytest.approx(2**9 / 10)
    assert new["p_value"] == pytest.approx(10 / 2**9)
    assert [each["answers"] for each in new["path"]] == list(range(1, 10))
    assert (old["version"], old["answers"], old["share"], old["low"], old["high"]) == ("ada-old", 0, None, 0.0, 1.0)
    with key_of("author", "ada") as author:
        report = author.get("/releases/ada-new/report").json()
    assert report["blind_test"] == new
    assert [each["kind"] for each in report["reports"]] == ["style"]
    assert OWN not in str(report), "whose a text is stands in no report that a browser gets"


def test_what_cannot_be_answered_is_said(client: httpx.Client) -> None:
    def problem(method: str, **sent: Any) -> tuple[int, str]:
        response = client.request(method, "/blind-tests", **sent)
        assert response.headers["content-type"] == "application/problem+json"
        return response.status_code, response.json()["type"].rpartition(":")[2]

    reader = {"reader": "reader-number-one"}
    assert problem("GET") == (422, "wrong-input")
    assert problem("GET", params={"reader": "Ada"}) == (422, "wrong-input"), "a name is no token"
    assert problem("GET", params={**reader, "version": "ada-none"}) == (404, "unknown-version")
    assert problem("GET", params={**reader, "author": "bo"}) == (404, "unknown-author")
    assert problem("POST", json={**reader, "shown": "none", "choice": "a"}) == (404, "not-found")
    assert problem("POST", json={**reader, "shown": "none", "choice": "c"}) == (422, "wrong-input")
    shown = turn(client)["shown"]["id"]
    assert problem("POST", json={"reader": "somebody-else-here", "shown": shown, "choice": "a"}) == (404, "not-found")
    assert "reports/style" in turn(client, version="ada-plain")["because"]


def test_an_author_without_versions_has_no_blind_test(site: Api, key_of: Callable[..., httpx.Client]) -> None:
    with key_of("reader", "bo") as client:
        found = client.get("/blind-tests", params={"reader": "reader-number-one"})
        assert (found.status_code, found.json()["type"]) == (404, "urn:llm-twin:problem:unknown-version")
        assert client.get("/blind-tests/results").json()["results"] == []


def test_the_page_is_open_and_what_it_asks_for_is_not(site: Api) -> None:
    with site.client() as stranger:
        assert 'src="/page/blind-test/blind-test.js"' in stranger.get("/blind-test").text
        assert stranger.get("/blind-tests", params={"reader": "reader-number-one"}).status_code == 401
        assert stranger.get("/blind-tests/results").status_code == 401
