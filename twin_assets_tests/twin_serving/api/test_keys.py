"""What a key may do, and for whom: nothing of another author comes out, not even that it exists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import QUESTION, SITE, Api, add_adapter, embedder_of, listening, running, wait_for
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.config.settings import Settings
from twin_resources.database.schema import api_key
from twin_resources.generation.base import EngineState
from twin_resources.storage.keys import ApiKeyError, ApiKeys, Kind
from twin_resources.storage.sources import Sources
from twin_resources.text.identity import document_id
from twin_serving.api.app import create_app

ASK = {"query": QUESTION, "author": "ada", "temperature": 0}


@dataclass(frozen=True)
class Keyed:
    api: Api
    keys: ApiKeys

    def client(self, kind: Kind, *authors: str, **limits: int) -> httpx.Client:
        _, secret = self.keys.create(f"{kind}-{len(self.keys.list())}", kind, authors, **limits)
        return self.api.client(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture(scope="module")
def keyed(
    new_settings: Callable[..., Settings], seed: Callable[[Settings], sa.Engine], tiny: TinyModels
) -> Iterator[Keyed]:
    """An application with a key of TWIN_API_KEYS, Ada's documents and an adapter of hers."""
    settings = new_settings(models={"base": str(tiny.base), "reranker": None}, api_keys="first-key")
    database = seed(settings)
    add_adapter(settings, database, "ada-first", tiny.first)
    with running(settings, database) as found:
        yield Keyed(found, ApiKeys(database))


def test_a_reader_reads_its_author_and_changes_nothing(keyed: Keyed) -> None:
    with keyed.client("reader", "ada") as client:
        assert client.post("/search", json={"query": "gauge", "author": "ada"}).json()["results"]
        assert client.post("/search", json={"query": "gauge"}).json()["results"], "the only author need not be named"
        answer = client.post("/ask", json=ASK)
        assert answer.json()["citations"][0]["url"] == f"{SITE}/tides"
        rating = {"trace_id": answer.json()["trace_id"], "rating": "up"}
        assert client.post("/feedback", json=rating).status_code == 202
        assert client.get(f"/lineage?trace_id={rating['trace_id']}").status_code == 200
        assert client.get(f"/documents/{document_id('ada', f'{SITE}/tides')}").status_code == 200
        assert [each["id"] for each in client.get("/authors").json()["authors"]] == ["ada"]
        changes = [
            client.post("/documents", json={"author": "ada", "documents": [{"url": f"{SITE}/x", "text": "x"}]}),
            client.delete(f"/documents/{document_id('ada', f'{SITE}/tides')}"),
            client.delete("/documents/none"),
            client.post("/releases/ada-first/approve"),
            client.post("/releases/none/approve"),
            client.post("/releases/ada-first/reject", json=WHY),
            client.post("/releases/ada-first/canary", json={}),
            client.post("/sources?name=a.md", content=b"# A"),
            client.delete("/sources/none?way=forget"),
            client.post("/releases/rollback", json={"author": "ada"}),
            client.get("/experiments?author=ada"),
            client.get("/metrics"),
        ]
        assert {(each.status_code, each.json()["type"]) for each in changes} == {
            (403, "urn:llm-twin:problem:not-allowed")
        }


def test_another_author_is_as_good_as_none(keyed: Keyed) -> None:
    """Each call about Ada answers a key of Bo's as it answers about an author, a text or a trace that never was."""
    with keyed.client("reader", "ada") as hers:
        answer = hers.post("/ask", json=ASK).json()
    trace, talk = answer["trace_id"], answer["conversation_id"]

    def told(response: httpx.Response) -> tuple[int, str]:
        text = response.text
        for name in ("ada-first", "ada", "cy-first", "cy", trace, "0" * 32, SITE, "https://cy.example.com"):
            text = text.replace(name, "_")
        body = httpx.Response(200, text=text).json()
        for each in (body, body.get("error", {})):
            each.pop("trace_id", None)
        return response.status_code, str(body)

    tides = document_id("ada", f"{SITE}/tides")
    hers = next(each.id for each in Sources(keyed.api.database).readings() if each.author == "ada")
    pairs: list[tuple[tuple[str, str, Any], tuple[str, str, Any]]] = [
        (("POST", "/search", {"query": "x", "author": "ada"}), ("POST", "/search", {"query": "x", "author": "cy"})),
        (("POST", "/ask", ASK), ("POST", "/ask", {**ASK, "author": "cy"})),
        *(
            (
                ("POST", "/v1/chat/completions", {"model": f"twin/{name}", "messages": MESSAGES}),
                ("POST", "/v1/chat/completions", {"model": f"twin/{other}", "messages": MESSAGES}),
            )
            for name, other in (("ada", "cy"), ("ada@ada-first", "cy@cy-first"))
        ),
        (("GET", "/releases?author=ada", None), ("GET", "/releases?author=cy", None)),
        (("POST", "/releases/ada-first/approve", {}), ("POST", "/releases/cy-first/approve", {})),
        (("POST", "/releases/ada-first/reject", WHY), ("POST", "/releases/cy-first/reject", WHY)),
        (("POST", "/releases/ada-first/canary", SHARE), ("POST", "/releases/cy-first/canary", SHARE)),
        (("GET", "/releases/ada-first/report", None), ("GET", "/releases/cy-first/report", None)),
        (("GET", f"/blind-tests?author=ada&{READER}", None), ("GET", f"/blind-tests?author=cy&{READER}", None)),
        (
            ("GET", f"/blind-tests?version=ada-first&{READER}", None),
            ("GET", f"/blind-tests?version=cy-first&{READER}", None),
        ),
        (("GET", "/experiments?author=ada", None), ("GET", "/experiments?author=cy", None)),
        (("GET", "/experiments?versions=ada-first", None), ("GET", "/experiments?versions=cy-first", None)),
        (
            ("GET", "/experiments?author=bo&versions=ada-first", None),
            ("GET", "/experiments?author=bo&versions=cy-first", None),
        ),
        (("GET", "/blind-tests/results?author=ada", None), ("GET", "/blind-tests/results?author=cy", None)),
        (("POST", "/blind-tests", {"author": "ada", **TAKEN}), ("POST", "/blind-tests", {"author": "cy", **TAKEN})),
        (
            ("GET", "/releases/ada-first/plots/generation/p.png", None),
            ("GET", "/releases/cy-first/plots/generation/p.png", None),
        ),
        *(
            (("GET", f"/{listing}?author=ada", None), ("GET", f"/{listing}?author=cy", None))
            for listing in ("sources", "documents", "quarantine")
        ),
        *(
            ((method, f"/sources/{hers}{query}", None), (method, f"/sources/{'0' * len(hers)}{query}", None))
            for method, query in (("GET", ""), ("DELETE", "?way=forget"), ("DELETE", "?way=stop"))
        ),
        (("POST", "/sources?author=ada&name=a.md", {}), ("POST", "/sources?author=cy&name=a.md", {})),
        (("POST", "/releases/rollback", {"author": "ada"}), ("POST", "/releases/rollback", {"author": "cy"})),
        (("POST", "/documents", {"author": "ada", **NOTHING}), ("POST", "/documents", {"author": "cy", **NOTHING})),
        (("DELETE", f"/documents/{tides}", None), ("DELETE", f"/documents/{'0' * len(tides)}", None)),
        (("GET", f"/documents/{tides}", None), ("GET", f"/documents/{'0' * len(tides)}", None)),
        (("GET", f"/documents/{tides}?author=ada", None), ("GET", f"/documents/{'0' * len(tides)}?author=cy", None)),
        (("GET", f"/lineage?url={SITE}/tides", None), ("GET", "/lineage?url=https://cy.example.com/tides", None)),
        (("GET", f"/lineage?trace_id={trace}", None), ("GET", f"/lineage?trace_id={'0' * 32}", None)),
        (("GET", f"/answers/{trace}", None), ("GET", f"/answers/{'0' * 32}", None)),
        *(
            ((method, f"/conversations/{talk}", None), (method, "/conversations/none", None))
            for method in ("GET", "DELETE")
        ),
        (
            ("POST", "/ask", {**ASK, "author": "bo", "conversation_id": talk}),
            ("POST", "/ask", {**ASK, "author": "bo", "conversation_id": "none"}),
        ),
        (("POST", "/feedback", {"trace_id": trace, **UP}), ("POST", "/feedback", {"trace_id": "0" * 32, **UP})),
    ]  # fmt: skip
    with keyed.client("author", "bo") as client:
        for hers_, nobodys in pairs:
            found, none = (told(client.request(method, url, json=body)) for method, url, body in (hers_, nobodys))
            found = (found[0], found[1].replace(tides, "0" * len(tides)).replace(hers, "0" * len(hers)))
            assert found == none, hers_
            assert found[0] == 404, hers_
        listed = [client.get(path).text for path in ("/authors", "/releases", "/v1/models", "/readyz", "/openapi.json")]
        assert [text for text in listed if re.search(r"\bada\b", text, re.IGNORECASE)] == []
    with keyed.client("author", "ada") as client:
        assert client.get(f"/lineage?url={SITE}/tides").status_code == 200
        assert client.get(f"/conversations/{talk}").json()["turns"][0]["trace_id"] == trace


MESSAGES = [{"role": "user", "content": QUESTION}]
NOTHING = {"documents": [1]}
UP = {"rating": "up"}
WHY = {"comment": "answers in lists"}
SHARE = {"share": 0.2}
READER = "reader=somebody-who-reads"
TAKEN = {"reader": "somebody-who-reads", "shown": "0", "choice": "a"}


def test_an_author_key_adds_approves_and_forgets_for_its_author(keyed: Keyed) -> None:
    with keyed.client("author", "bo") as client:
        document = {"url": "https://bo.example.com/k", "text": "Bo writes about kettles."}
        added = client.post("/documents", json={"documents": [document]}).json()
        assert added["accepted"] == 1
        assert client.delete(f"/documents/{added['documents'][0]['id']}").status_code == 200
    with keyed.client("author", "ada") as client:
        approved = client.post("/releases/ada-first/approve", json={"by": "ada"})
        assert approved.json()["aliases"] == ["champion"]
        assert client.post("/releases/rollback", json={}).status_code == 409
        streamed = client.post("/ask", json={**ASK, "stream": True}).text
        assert "event: done" in streamed


def test_an_admin_does_all_and_an_old_key_still_works(keyed: Keyed) -> None:
    old = keyed.api.client(headers={"Authorization": "Bearer first-key"})
    for client in (keyed.client("admin"), old):
        with client:
            assert client.get("/metrics").status_code == 200
            assert {each["id"] for each in client.get("/authors").json()["authors"]} == {"ada", "bo"}


def test_where_the_engines_are_is_for_administrators(keyed: Keyed, monkeypatch: pytest.MonkeyPatch) -> None:
    state = EngineState("http://10.0.0.4:30000", "base", ("ada-first",))
    monkeypatch.setattr(keyed.api.app.state.services.engine, "engines", lambda: [state])
    with keyed.client("admin") as admin, keyed.client("author", "ada") as author:
        [found] = admin.get("/readyz").json()["engines"]
        assert (found["address"], found["adapters"]) == ("http://10.0.0.4:30000", ["ada-first"])
        assert author.get("/readyz").json()["engines"] == []


def test_a_key_that_calls_too_often_is_told_when_to_come_back(keyed: Keyed) -> None:
    with keyed.client("reader", "ada", calls_a_minute=3) as often, keyed.client("reader", "ada") as another:
        assert [often.get("/authors").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        refused = often.post("/search", json={"query": "gauge", "author": "ada"})
        assert refused.json()["type"] == "urn:llm-twin:problem:too-often"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert often.post("/v1/chat/completions", json={}).json()["error"]["type"] == "rate_limit_error"
        assert another.get("/authors").status_code == 200


def test_a_key_that_spent_its_tokens_is_answered_in_quotations_until_the_next_day(keyed: Keyed) -> None:
    written = {**ASK, "mode": "write"}
    with keyed.client("reader", "ada", tokens_a_day=20) as client, keyed.client("reader", "ada") as another:
        first = client.post("/ask", json=written).json()
        assert first["usage"]["total_tokens"] >= 20
        (mine,) = wait_for(lambda: [each for each in keyed.keys.list() if each.tokens_a_day == 20 and each.spent])
        assert (mine.spent, mine.tokens_left) == (first["usage"]["total_tokens"], 0)
        wait_for(lambda: client.post("/ask", json=written).status_code == 429)
        refused = client.post("/ask", json=written)
        assert refused.json()["type"] == "urn:llm-twin:problem:budget-spent"
        assert 1 <= int(refused.headers["retry-after"]) <= 86_400
        quoted = client.post("/ask", json={**ASK, "query": f"Write a post: {QUESTION}"}).json()
        assert (quoted["mode"], quoted["usage"]["total_tokens"]) == ("quote", 0)
        assert "tokens that this key may spend" in quoted["because"]
        assert another.post("/ask", json=written).status_code == 200
        with keyed.api.database.begin() as session:
            yesterday = sa.func.current_date() - 1
            session.execute(sa.update(api_key).where(api_key.c.id == mine.id).values(spent_on=yesterday))
        wait_for(lambda: client.post("/ask", json=written).status_code == 200)


def test_a_reader_who_leaves_pays_for_what_was_written(keyed: Keyed) -> None:
    with keyed.client("reader", "ada", tokens_a_day=10_000) as client:
        (mine,) = (each for each in keyed.keys.list() if each.tokens_a_day == 10_000)
        with client.stream("POST", "/ask", json={**ASK, "mode": "write", "stream": True}) as stream:
            next(stream.iter_lines())
        wait_for(lambda: next(each for each in keyed.keys.list() if each.id == mine.id).spent)


def test_a_revoked_key_ends_within_seconds_and_uses_are_noted(keyed: Keyed) -> None:
    made, secret = keyed.keys.create("short", "reader", ["ada"])
    headers = {"Authorization": f"Bearer {secret}"}
    with keyed.api.client(headers=headers) as client:
        assert wait_for(lambda: client.get("/authors").status_code == 200)
        wait_for(lambda: client.get("/authors") and next(k for k in keyed.keys.list() if k.id == made.id).last_used_at)
        keyed.keys.revoke("short")
        wait_for(lambda: client.get("/authors").status_code == 401, 5)
    with pytest.raises(ApiKeyError, match="no key in use"):
        keyed.keys.revoke("short")


def test_only_the_hash_of_a_key_is_stored(keyed: Keyed) -> None:
    _, secret = keyed.keys.create("hashed", "admin")
    with keyed.api.database.connect() as session:
        assert secret[5:] not in str(session.execute(sa.select(api_key)).all())
    for name, kind, authors in (("x", "admin", ["ada"]), ("x", "reader", []), ("hashed", "admin", [])):
        with pytest.raises(ApiKeyError):
            keyed.keys.create(name, kind, authors)  # pyright: ignore[reportArgumentType]


def test_the_first_key_closes_an_api_that_was_open(new_settings: Callable[..., Settings]) -> None:
    app = create_app(new_settings(), None, embed=embedder_of)
    with listening(app) as url:
        wait_for(lambda: httpx.get(f"{url}/authors").status_code == 200)
        keys = app.state.services.keys
        made, secret = keys.create("first", "reader", ["ada"])
        wait_for(lambda: httpx.get(f"{url}/authors").status_code == 401, 5)
        assert httpx.get(f"{url}/authors", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
        keys.revoke(made.id)
        wait_for(
            lambda: httpx.get(f"{url}/authors", headers={"Authorization": f"Bearer {secret}"}).status_code == 401, 5
        )
        assert httpx.get(f"{url}/authors").status_code == 401, "revoking the last key opens nothing"
