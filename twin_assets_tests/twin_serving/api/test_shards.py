"""The API over two databases on two servers: each author's calls go where they live, also while they move."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.engine import URL

from twin_assets_tests.support.processes import within
from twin_assets_tests.support.servers import emptied
from twin_assets_tests.support.site import SITE, Api, without_engine
from twin_resources.config.settings import Settings
from twin_resources.database import postgres, schema
from twin_resources.database.postgres import Address
from twin_resources.moving.move import move
from twin_resources.storage.keys import ApiKeys
from twin_resources.text.identity import document_id

ASKED = {"query": "Who changed the engine of the ferry?", "author": "ada", "mode": "quote"}


@pytest.fixture
def api(settings: Settings, second: URL, seed: Callable[[Settings], sa.Engine]) -> Iterator[Api]:
    """Ada lives in the main database, Bo in the second."""
    emptied(second)
    bo = settings.author("bo").model_copy(update={"database": "two"})
    shards = {"two": SecretStr(second.render_as_string(hide_password=False))}
    changes = {"shards": shards, "authors": (settings.author("ada"), bo), "models": settings.models}
    changed = settings.model_copy(update=changes)
    changed = changed.model_copy(update={"models": changed.models.model_copy(update={"reranker": None})})
    with without_engine(changed, seed(changed), "/healthz/ready") as running:
        yield running
    for url in (second, postgres.databases(settings.postgres).twin):
        found = postgres.databases(Address(settings.home, url.render_as_string(hide_password=False)))
        for engine in (postgres.engine(found), postgres.scoped_engine(found)):
            engine.dispose()
        postgres.engine(found, statement_seconds=60).dispose()


def rows(api: Api, name: str, table: sa.Table, author: str) -> int:
    """How many rows of an author a table of one database has."""
    found = postgres.databases(api.settings.addresses[name])
    with postgres.engine(found).connect() as session:
        return session.execute(sa.select(sa.func.count()).where(table.c.author == author)).scalar_one()


def test_what_is_written_lies_where_its_author_lives_and_is_found_by_its_id(api: Api) -> None:
    note = {
        "title": "A note",
        "text": "Bo keeps the key of the harbour shed under a stone.",
        "url": "https://bo.example/n",
    }
    with api.client() as client:
        for _ in range(2):  # the second is answered from what the main database kept
            body = {"author": "bo", "documents": [note]}
            sent = client.post(
                "/documents", json=body, headers={"Idempotency-Key": "00000000-0000-4000-8000-000000000001"}
            )
            assert sent.status_code == 200, sent.text
        assert "idempotency-replayed" in sent.headers
        assert (rows(api, "two", schema.document, "bo"), rows(api, "main", schema.document, "bo")) == (1, 0)
        assert [each["url"] for each in client.get("/documents", params={"author": "bo"}).json()["documents"]]
        asked = client.post("/ask", json={**ASKED, "author": "bo"}).json()
        assert asked["abstained"], "Bo's passages were not made yet, and Ada's are not theirs"
        given = client.get(f"/answers/{asked['trace_id']}")
        assert given.status_code == 200, given.text
        assert given.json()["question"] == ASKED["query"]
        assert client.post("/feedback", json={"trace_id": asked["trace_id"], "rating": "up"}).status_code == 202
        assert "event: done" in client.post("/ask", json={**ASKED, "author": "bo", "stream": True}).text
        begun = asked["conversation_id"]
        goes_on = {**ASKED, "author": "bo", "query": "And why?", "conversation_id": begun}
        assert client.post("/ask", json=goes_on).status_code == 200
        assert len(client.get(f"/conversations/{begun}").json()["turns"]) == 2
        assert within(20, lambda: rows(api, "two", schema.interaction, "bo") == 3)
        assert rows(api, "main", schema.interaction, "bo") == 0
        assert client.get(f"/documents/{document_id('ada', f'{SITE}/post')}").json()["title"] == "On ferries"
        assert client.get(f"/answers/{uuid.uuid4()}").status_code == 404


def test_a_listing_that_names_no_author_has_those_of_every_database(api: Api) -> None:
    note = {"title": "A note", "text": "Bo keeps the key of the shed under a stone.", "url": "https://bo.example/n"}
    with api.client() as client:
        assert client.post("/documents", json={"author": "bo", "documents": [note]}).status_code == 200
    places = {"ada": "main", "bo": "two"}
    for number, author in enumerate(("ada", "bo", "ada", "bo", "bo")):
        common = {"author": author, "created_at": datetime(2026, 3, 1 + number, tzinfo=UTC)}
        version = {**common, "id": f"d{number}", "kind": "instruct", "artifact": "datasets/none", "manifest": {}}
        adapter = {**common, "id": f"a{number}", "version": f"{author}-{number}", "kind": "sft", "base": "b"}
        adapter |= {"artifact": "adapters/none", "dataset_id": f"d{number}", "parameters": {}, "metrics": {}}
        found = postgres.databases(api.settings.addresses[places[author]])
        with postgres.engine(found).begin() as session:
            session.execute(sa.insert(schema.dataset_version).values(version))
            session.execute(sa.insert(schema.adapter).values(adapter))
    with api.client() as client:
        assert paged(client, "/datasets", "datasets", "id") == ["d4", "d3", "d2", "d1", "d0"]
        assert paged(client, "/datasets", "datasets", "id", author="bo") == ["d4", "d3", "d1"]
        assert paged(client, "/releases", "releases", "version") == ["bo-4", "bo-3", "ada-2", "bo-1", "ada-0"]
        assert {each["author"] for each in client.get("/sources").json()["sources"]} == {"ada", "bo"}
        assert {"twin/ada@ada-2", "twin/bo@bo-4"} <= {each["id"] for each in client.get("/v1/models").json()["data"]}
        move(api.settings, "ada", "two", settle=0)
        assert within(10, lambda: paged(client, "/datasets", "datasets", "id") == ["d4", "d3", "d2", "d1", "d0"])


def paged(client: httpx.Client, path: str, rows: str, name: str, **asked: str) -> list[str]:
    """One value of each row of a listing, read two at a time."""
    found: list[str] = []
    while True:
        page = client.get(path, params={"limit": 2, **asked}).json()
        found += [each[name] for each in page[rows]]
        if page["next"] is None:
            return found
        asked["cursor"] = page["next"]


def test_an_author_moves_and_no_reader_notices(api: Api) -> None:
    ended, failed = threading.Event(), list[str]()
    given: list[str] = []

    def ask() -> None:
        with api.client() as client:
            while not ended.is_set():
                response = client.post("/ask", json=ASKED)
                told = response.json()
                if response.status_code != 200 or told["abstained"] or "ferry engine" not in told["answer"]:
                    failed.append(response.text)
                given.append(told.get("trace_id", ""))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert within(30, lambda: len(given) > 4)
        move(api.settings, "ada", "two")
        counted = len(given)
        assert within(30, lambda: len(given) > counted + 4)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert within(20, lambda: rows(api, "two", schema.interaction, "ada") == len(given)), "every answer was kept"
    assert rows(api, "main", schema.interaction, "ada") == 0
    with api.client() as client:
        assert client.get(f"/answers/{given[0]}").status_code == 200
        document = f"/documents/{document_id('ada', f'{SITE}/post')}"
        assert client.get(document).json()["title"] == "On ferries"
        assert client.delete(document).status_code == 200
        assert client.get(document).status_code == 404


def test_a_key_reaches_its_author_wherever_they_live_and_nobody_else(api: Api) -> None:
    move(api.settings, "ada", "two", settle=0)
    _, key = ApiKeys(api.database).create("ada's", "reader", ["ada"])
    with httpx.Client(base_url=api.url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        assert within(10, lambda: client.post("/search", json={"query": "ferry", "author": "ada"}).status_code == 200)
        assert client.post("/search", json={"query": "ferry", "author": "bo"}).status_code == 404
