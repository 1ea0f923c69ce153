"""Writes that are repeated: what a client that got no answer may safely do."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import QUESTION, SITE, Api, ask
from twin_resources.database import postgres
from twin_resources.database.authors import allow
from twin_resources.database.schema import feedback, idempotency
from twin_resources.forgetting.forget import Forgetting
from twin_resources.forgetting.garbage import collect_garbage
from twin_resources.storage.calls.idempotency import KEPT, LEASE, Answered, Idempotency, KeyReused, StillRunning


def keyed(key: str | None = None) -> dict[str, str]:
    return {"Idempotency-Key": key or uuid.uuid4().hex}


def document(name: str) -> dict[str, Any]:
    return {"author": "bo", "documents": [{"url": f"https://bo.example.com/{name}", "text": f"Bo writes of {name}."}]}


def test_a_repeated_write_gets_the_first_answer_and_is_done_once(client: httpx.Client, api: Api) -> None:
    trace = ask(client)["trace_id"]
    rating, headers = {"trace_id": trace, "rating": "down", "comment": "once"}, keyed()
    first, second = (client.post("/feedback", json=rating, headers=headers) for _ in range(2))
    assert (second.status_code, second.json()) == (first.status_code, first.json()) == (202, first.json())
    assert "idempotency-replayed" not in first.headers
    assert (second.headers["idempotency-replayed"], second.headers["content-type"]) == ("true", "application/json")
    assert first.headers["x-trace-id"] != second.headers["x-trace-id"]
    with api.database.connect() as session:
        count = sa.select(sa.func.count()).where(feedback.c.trace_id == trace)
        assert session.scalar(count) == 1
        assert client.post("/feedback", json=rating, headers=keyed()).status_code == 202
        assert session.scalar(count) == 2, "another key is another write"
    added = [client.post("/documents", json=document("k"), headers=headers | keyed("doc")).json() for _ in range(2)]
    assert [each["accepted"] for each in added] == [1, 1], "without the key the second would say unchanged"


def test_a_key_is_for_one_request_alone(client: httpx.Client) -> None:
    headers = keyed()
    assert client.post("/documents", json=document("a"), headers=headers).status_code == 200
    for path, body in (("/documents", document("b")), ("/feedback", {"trace_id": "0" * 32, "rating": "up"})):
        refused = client.post(path, json=body, headers=headers)
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:llm-twin:problem:key-reused")
    for wrong in ("", "a b", "x" * 256):
        refused = client.post("/documents", json=document("a"), headers=keyed() | {"Idempotency-Key": wrong})
        assert (refused.status_code, refused.json()["type"]) == (400, "urn:llm-twin:problem:wrong-key")


def test_a_write_that_failed_may_be_tried_again_with_its_key(client: httpx.Client) -> None:
    headers = keyed()
    for _ in range(2):
        refused = client.post("/feedback", json={"trace_id": "0" * 32, "rating": "up"}, headers=headers)
        assert (refused.status_code, "idempotency-replayed" in refused.headers) == (404, False)
    trace = ask(client)["trace_id"]
    assert client.post("/feedback", json={"trace_id": trace, "rating": "up"}, headers=headers).status_code == 202


def test_of_many_at_once_one_writes_and_the_others_wait_or_repeat_it(client: httpx.Client, api: Api) -> None:
    trace, headers = ask(client)["trace_id"], keyed()
    rating = {"trace_id": trace, "rating": "up"}
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: client.post("/feedback", json=rating, headers=headers), range(8)))
    assert {each.status_code for each in answers} <= {202, 409}
    for each in answers:
        if each.status_code == 409:
            assert (each.json()["type"], each.headers["retry-after"]) == ("urn:llm-twin:problem:in-progress", "1")
    with api.database.connect() as session:
        assert session.scalar(sa.select(sa.func.count()).where(feedback.c.trace_id == trace)) == 1


def test_a_write_whose_process_died_is_free_after_minutes_and_an_answer_goes_after_a_day(engine: sa.Engine) -> None:
    store = Idempotency(engine)

    def age(key: str, by: timedelta) -> None:
        with engine.begin() as session:
            session.execute(sa.update(idempotency).where(idempotency.c.id == key).values(at=sa.func.now() - by))

    assert store.begin("k", "first") is None
    with pytest.raises(StillRunning):
        store.begin("k", "first")
    age("k", LEASE + timedelta(seconds=1))
    assert store.begin("k", "first") is None
    store.release("k")
    with engine.begin() as session:
        session.execute(sa.text("INSERT INTO author (id, name, consent) VALUES ('ada', 'Ada', 'yes')"))
    assert store.begin("k", "first") is None
    answer = Answered(202, "application/json", "{}", "ada")
    store.keep("k", answer)
    age("k", KEPT - timedelta(minutes=1))
    assert (store.begin("k", "first"), store.purge()) == (answer, 0)
    with pytest.raises(KeyReused):
        store.begin("k", "second")
    age("k", KEPT + timedelta(seconds=1))
    assert store.purge() == 1


def test_answers_are_kept_from_other_authors_and_go_with_what_they_name(client: httpx.Client, api: Api) -> None:
    headers = keyed()
    added = client.post("/documents", json=document("kettles"), headers=headers).json()
    scoped = postgres.scoped_engine(postgres.databases(api.settings.postgres))
    query = sa.select(idempotency.c.body).where(idempotency.c.body.contains("kettles"))
    with allow(["ada"]), scoped.connect() as session:
        assert session.scalars(query).all() == []
    with allow(["bo"]), scoped.connect() as session:
        assert len(session.scalars(query).all()) == 1
    Forgetting(api.settings, api.database).documents("bo", [added["documents"][0]["id"]], "the tests")
    with api.database.connect() as session:
        assert session.scalars(query).all() == []


def test_the_daily_cleaning_takes_old_answers(api: Api, client: httpx.Client) -> None:
    client.post("/documents", json=document("old"), headers=keyed())
    with api.database.begin() as session:
        old = idempotency.c.body.contains("/old")
        session.execute(sa.update(idempotency).where(old).values(at=sa.func.now() - KEPT - timedelta(hours=1)))
    assert collect_garbage(api.settings, api.database).answers == 1


def test_reading_takes_no_key_and_the_document_says_what_does(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    taking = {
        path
        for path, methods in paths.items()
        for operation in methods.values()
        if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ()))
    }
    assert {"/documents", "/feedback", "/releases/{version}/approve", "/review/{sample_id}"} <= taking
    assert not {"/search", "/ask", "/documents/{id}"} & taking
    asked = {"query": QUESTION, "author": "ada"}
    answers = [client.post("/ask", json=asked, headers=keyed("q")) for _ in range(2)]
    assert SITE in answers[0].text
    assert "idempotency-replayed" not in answers[1].headers
