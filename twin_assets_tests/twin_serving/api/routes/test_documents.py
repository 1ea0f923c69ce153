"""Adding and forgetting documents over HTTP."""

from __future__ import annotations

import httpx
import sqlalchemy as sa

from twin_assets_tests.support.site import SITE, Api
from twin_resources.database import schema
from twin_resources.text.identity import document_id


def test_documents_are_judged_one_by_one(client: httpx.Client) -> None:
    good = {
        "url": "https://bo.example.com/a?utm_source=x",
        "title": "A",
        "markdown": "# A\n\nText.",
        "category": "posts",
    }
    documents = [
        good,
        {"url": "not a url", "text": "x"},
        {"url": "https://bo.example.com/b"},
        {"url": "https://bo.example.com/c", "text": "x", "html": "<p>x"},
        {"url": "https://bo.example.com/d", "text": "x", "published_at": "yesterday"},
        {**good, "text": None},
        "no object",
        {"url": "https://bo.example.com/e", "text": "nul \x00"},
    ]
    found = client.post("/documents", json={"author": "bo", "documents": documents}).json()
    assert (found["accepted"], found["unchanged"]) == (1, 0)
    assert [each["index"] for each in found["rejected"]] == [1, 2, 3, 4, 5, 6, 7]
    assert "exactly one of text, markdown, html" in found["rejected"][1]["error"]
    assert "same URL as document 0" in found["rejected"][4]["error"]
    assert found["documents"][0]["id"] == document_id("bo", "https://bo.example.com/a")
    again = client.post("/documents", json={"author": "bo", "documents": [good]}).json()
    assert (again["accepted"], again["unchanged"]) == (0, 1)


def test_another_sources_document_is_not_taken_over(client: httpx.Client) -> None:
    body = {"author": "ada", "documents": [{"url": f"{SITE}/tides", "text": "mine now"}]}
    found = client.post("/documents", json=body).json()
    assert (found["accepted"], found["unchanged"]) == (0, 0)
    assert "medium provides this URL" in found["rejected"][0]["error"]


def test_a_forgotten_document_is_gone_at_once_and_stays_out(client: httpx.Client) -> None:
    url = f"{SITE}/log"
    query = {"query": "rub out a line", "author": "ada", "filters": {"url": [url]}}
    assert client.post("/search", json=query).json()["results"]
    forgotten = client.delete(f"/documents/{document_id('ada', url)}")
    assert (forgotten.status_code, forgotten.json()["url"]) == (200, url)
    assert client.post("/search", json=query).json()["results"] == []
    assert client.delete(f"/documents/{document_id('ada', url)}").status_code == 404
    body = {"author": "ada", "documents": [{"url": url, "text": "again"}]}
    assert "forgotten" in client.post("/documents", json=body).json()["rejected"][0]["error"]


def test_forgetting_names_the_adapters_that_learned_from_it(client: httpx.Client, api: Api) -> None:
    body = {"author": "bo", "documents": [{"url": "https://bo.example.com/learned", "text": "Text."}]}
    identity = client.post("/documents", json=body).json()["documents"][0]["id"]
    members = (
        sa.update(schema.dataset_member)
        .where(schema.dataset_member.c.dataset_id == schema.adapter.c.dataset_id)
        .where(schema.adapter.c.version == "ada-failed")
    )
    with api.database.begin() as session:
        session.execute(members.values(document_id=identity))
    try:
        forgotten = client.delete(f"/documents/{identity}").json()
    finally:
        with api.database.begin() as session:
            session.execute(members.values(document_id=document_id("ada", f"{SITE}/tides")))
    assert [each["version"] for each in forgotten["adapters"]] == ["ada-failed"]


def test_a_document_is_read_as_it_was_cleaned(client: httpx.Client) -> None:
    """What a citation opens: the text that its words stand in."""
    key = document_id("ada", f"{SITE}/tides")
    found = client.get(f"/documents/{key}?author=ada")
    assert found.status_code == 200
    document = found.json()
    assert (document["document_id"], document["url"], document["title"]) == (key, f"{SITE}/tides", "Reading the gauge")
    assert (document["platform"], document["category"]) == ("medium", "articles")
    assert document["published_at"].startswith("2026-03-01")
    query = {"query": "tide gauge", "author": "ada", "filters": {"url": [f"{SITE}/tides"]}}
    assert client.post("/search", json=query).json()["results"][0]["text"] in document["text"]
    assert client.get(f"/documents/{key}").json() == document, "an id names one document, whoever wrote it"


def test_a_document_that_is_not_there_is_a_problem(client: httpx.Client) -> None:
    tides = document_id("ada", f"{SITE}/tides")
    for path in (f"/documents/{'0' * 24}", f"/documents/{tides}?author=bo", "/documents/%00", "/documents/%ED%A0%80"):
        found = client.get(path)
        assert (found.status_code, found.json()["type"]) == (404, "urn:llm-twin:problem:not-found"), path
    assert client.get(f"/documents/{tides}?author=nobody").json()["type"] == "urn:llm-twin:problem:unknown-author"


def test_a_document_that_was_forgotten_or_is_gone_is_no_longer_read(client: httpx.Client, api: Api) -> None:
    key = document_id("ada", f"{SITE}/post")
    assert client.get(f"/documents/{key}").status_code == 200
    gone = sa.update(schema.document).where(schema.document.c.id == key)
    with api.database.begin() as session:
        session.execute(gone.values(gone_at=sa.func.now()))
    try:
        assert client.get(f"/documents/{key}").status_code == 404
    finally:
        with api.database.begin() as session:
            session.execute(gone.values(gone_at=None))


def test_a_method_that_a_document_does_not_take_is_told_those_it_does(client: httpx.Client) -> None:
    refused = client.put(f"/documents/{document_id('ada', f'{SITE}/tides')}", json={})
    assert refused.status_code == 405
    assert set(refused.headers["Allow"].split(", ")) == {"GET", "HEAD", "DELETE"}
