"""What is read, what became of it, and files that are sent to be read."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import SITE, Api, add_adapter, embedder_of, events, listening, wait_for
from twin_resources.config.settings import Settings
from twin_resources.database.schema import clean_document, document
from twin_resources.sources.base import Quarantined, RawDocument
from twin_resources.sources.opener import SourceOpener
from twin_resources.storage.clean_store import CleanDocument, CleanStore
from twin_resources.storage.documents import LiveDocument
from twin_resources.storage.inventory.documents import Inventory, Wanted
from twin_resources.storage.inventory.paging import CursorError, Paging, Place
from twin_resources.storage.keys import ApiKeys
from twin_resources.storage.sources import Sources
from twin_resources.storage.warehouse import Warehouse
from twin_resources.text.identity import document_id
from twin_serving.api.app import create_app


@pytest.fixture(scope="module")
def site(new_settings: Callable[..., Settings], seed: Callable[[Settings], sa.Engine]) -> Iterator[Api]:
    """An application without an engine, with Ada's documents, one of them left out; and keys."""
    ada = {"id": "ada", "name": "Ada Berg", "consent": CONSENT, "sources": [{"medium": "@ada"}]}
    settings = new_settings(api_keys="first-key", authors=[ada, {"id": "bo", "name": "Bo Lind", "consent": CONSENT}])
    database = seed(settings)
    with database.begin() as session:
        left_out = clean_document.c.url == f"{SITE}/cargo"
        session.execute(sa.update(clean_document).where(left_out).values(excluded="not_own"))
    app = create_app(settings, None, embed=embedder_of)
    with listening(app) as url:
        found = Api(url, settings, database, app)
        with found.client(headers=ADMIN) as client:
            wait_for(lambda: client.get("/sources").status_code == 200, 40)
        yield found
    database.dispose()


CONSENT = "These accounts are mine. 2026-11-21"
ADMIN = {"Authorization": "Bearer first-key"}


@pytest.fixture
def ada(site: Api) -> Iterator[httpx.Client]:
    """A client with a key of Ada's, for whom she need not be named."""
    keys = ApiKeys(site.database)
    _, secret = keys.create(f"author-{len(keys.list())}", "author", ["ada"])
    with site.client(headers={"Authorization": f"Bearer {secret}"}) as client:
        yield client


def test_documents_say_what_became_of_them_and_are_counted(ada: httpx.Client) -> None:
    found = ada.get("/documents").json()
    states = {each["url"]: (each["state"], each["excluded"]) for each in found["documents"]}
    assert states[f"{SITE}/tides"] == ("searchable", None)
    assert states[f"{SITE}/cargo"] == ("left_out", "not_own")
    assert sum(each["documents"] for each in found["counts"]) == len(states)
    assert [each["documents"] for each in found["counts"] if each["excluded"] == "not_own"] == [1]
    for query, urls in (
        ({"q": "GAUGE"}, ["tides"]),
        ({"q": "%"}, []),
        ({"state": "left_out"}, ["cargo"]),
        ({"category": "posts"}, ["post"]),
        ({"platform": "nowhere"}, []),
        ({"excluded": "not_own"}, ["cargo"]),
    ):
        shown = ada.get("/documents", params=query).json()["documents"]
        assert [each["url"].rpartition("/")[2] for each in shown] == urls, query


def test_pages_follow_one_another_without_a_gap_while_documents_come(ada: httpx.Client) -> None:
    seen: list[str] = []
    query: dict[str, str] = {"limit": "1"}
    while True:
        found = ada.get("/documents", params=query).json()
        seen += [each["url"] for each in found["documents"]]
        if len(seen) == 2:
            ada.post("/documents", json={"documents": [{"url": f"{SITE}/newer", "text": "Newer than all."}]})
        if found["next"] is None:
            break
        query["cursor"] = found["next"]
    assert sorted(seen) == sorted(f"{SITE}/{name}" for name in ("tides", "log", "cargo", "post"))
    waiting = ada.get("/documents", params={"q": "/newer"}).json()["documents"]
    assert [each["state"] for each in waiting] == ["waiting"]
    for wrong in ({"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"cursor": "here"}):
        assert ada.get("/documents", params=wrong).status_code == 422, wrong


def test_a_cursor_keeps_its_place_to_the_microsecond(site: Api) -> None:
    part = Inventory(site.database).documents("ada", Wanted(), Paging(1))
    place = Place(part.items[0].at, part.items[0].document_id)
    assert Place.of(place.cursor) == place
    with pytest.raises(CursorError, match="send the `next`"):
        Place.of("99999999999999999999~x")


def test_quarantine_names_the_remedy(ada: httpx.Client, site: Api) -> None:
    [source] = [each for each in ada.get("/sources").json()["sources"] if each["location"] == "the tests"]
    items = [Quarantined(f"line {number}", "not JSON", "correct this line") for number in range(3)]
    with site.database.begin() as session:
        Sources(site.database).set_quarantine(session, "ada", source["id"], items)
    first = ada.get("/quarantine", params={"limit": 2}).json()
    second = ada.get("/quarantine", params={"limit": 2, "cursor": first["next"]}).json()
    assert (first["total"], second["next"]) == (3, None)
    told = sorted((each["item"], each["reason"], each["remedy"]) for each in (*first["items"], *second["items"]))
    assert told == [(f"line {number}", "not JSON", "correct this line") for number in range(3)]


def test_a_file_is_read_at_once_and_goes_again(ada: httpx.Client, site: Api) -> None:
    text = b"---\ncanonical_url: https://ada.example.com/buoys\n---\n# Buoys\n\nA buoy is painted every spring.\n"
    done = ada.post("/sources", params={"name": "../buoys.md"}, content=text)
    assert done.status_code == 200, done.text
    report = done.json()
    assert (report["kind"], report["name"], report["new"], report["unchanged"]) == ("folder", "buoys.md", 1, 0)
    assert ada.post("/sources", params={"name": "buoys.md"}, content=text).json()["unchanged"] == 1
    [shown] = ada.get("/documents", params={"q": "buoys"}).json()["documents"]
    assert (shown["title"], shown["source_id"]) == ("Buoys", report["source_id"])
    [source] = [each for each in ada.get("/sources").json()["sources"] if each["id"] == report["source_id"]]
    assert (source["imported"], source["counts"]["unchanged"]) == (True, 1)
    assert list((site.settings.home / "imports" / "ada").iterdir()) == [], "its text lies in the warehouse alone"


def test_an_import_says_how_far_it_is_and_what_it_could_not_read(ada: httpx.Client) -> None:
    lines = [json.dumps({"url": f"{SITE}/n{number}", "text": f"Note {number}."}) for number in range(30)]
    body = "\n".join([*lines, "{"]).encode()
    headers = {"Accept": "text/event-stream"}
    with ada.stream("POST", "/sources", params={"name": "notes.jsonl"}, content=body, headers=headers) as response:
        told = events(response)
    name, report = told[-1]
    assert (name, report["new"], report["kind"]) == ("done", 30, "jsonl")
    assert [each["remedy"] for each in report["quarantined"]] == ["correct this line and import the file again"]
    with ada.stream("POST", "/sources", params={"name": "x.bin"}, content=b"\x00\x01", headers=headers) as response:
        [(name, problem)] = events(response)
    assert (name, problem["status"]) == ("error", 415)


def _sent(ada: httpx.Client, name: str, *urls: str) -> str:
    """Sends documents in a file, and returns the id of the source that it is."""
    lines = [json.dumps({"url": url, "text": f"What {url} says of the sluice."}) for url in urls]
    return ada.post("/sources", params={"name": name}, content="\n".join(lines).encode()).json()["source_id"]


def test_a_source_is_told_with_what_goes_and_is_forgotten_once(ada: httpx.Client, site: Api, tmp_path: Path) -> None:
    [whole] = [each for each in ada.get("/sources").json()["sources"] if each["location"] == "the tests"]
    add_adapter(site.settings, site.database, "ada-1", tmp_path)
    held = ada.get(f"/sources/{whole['id']}").json()
    assert (held["documents"], held["copies"], held["configured"]) == (4, 0, False)
    assert held["passages"] >= 4
    assert (held["samples"], held["datasets"]) == (1, 1)
    assert [each["version"] for each in held["adapters"]] == ["ada-1"]

    source = _sent(ada, "sluice.jsonl", f"{SITE}/sluice-1", f"{SITE}/sluice-2")
    there = {"q": "/sluice-"}
    assert ada.get(f"/sources/{source}").json()["documents"] == 2
    once = {"Idempotency-Key": "forget-the-sluice"}
    for wrong in ({}, {"way": "burn"}):
        assert ada.delete(f"/sources/{source}", params=wrong, headers=once).status_code == 422
    done = ada.delete(f"/sources/{source}", params={"way": "forget"}, headers=once)
    assert done.status_code == 200, done.text
    assert (done.json()["documents"], done.json()["configured"]) == (2, False)
    assert "back-ups" in done.json()["out_of_reach"]
    assert SITE not in done.text
    assert "sluice.jsonl" not in done.text
    assert ada.get("/documents", params=there).json()["documents"] == []
    assert source not in ada.get("/sources").text
    assert ada.get(f"/sources/{source}").status_code == 404
    again = ada.delete(f"/sources/{source}", params={"way": "forget"}, headers=once)
    assert (again.json(), again.headers["idempotency-replayed"]) == (done.json(), "true")
    assert ada.delete(f"/sources/{source}", params={"way": "forget"}).status_code == 404
    _sent(ada, "sluice.jsonl", f"{SITE}/sluice-1")
    assert ada.get("/documents", params=there).json()["documents"] == [], "it is never read again"


def _cleaned(live: LiveDocument) -> CleanDocument:
    return CleanDocument(
        id=f"clean-{live.document_id}", version_id=live.version_id, document_id=live.document_id, author="ada",
        category="articles", platform=live.platform, url=live.url, title="The lock", published_at=None, text=live.body,
        cleaner="test", content_hash="h", words=5, kept_share=1.0, byline=None, removed={}, attributes={},
    )  # fmt: skip


def test_a_copy_in_another_source_is_told_and_goes_too(ada: httpx.Client, site: Api) -> None:
    source = _sent(ada, "lock.jsonl", f"{SITE}/lock")
    _sent(ada, "mirror.jsonl", f"{SITE}/lock-mirror")
    stored, original = CleanStore(site.database), document_id("ada", f"{SITE}/lock")
    for live in Warehouse(site.database).documents.live("ada", "articles"):
        if "/lock" in live.url:
            stored.add([_cleaned(live)])
    here = sa.update(clean_document).where(clean_document.c.url.contains("/lock"))
    with site.database.begin() as session:
        session.execute(here.values(current=True))
        mirror = here.where(clean_document.c.document_id != original)
        session.execute(mirror.values(duplicate_of=original, excluded="exact_duplicate"))
    assert ada.get(f"/sources/{source}").json()["copies"] == 1
    ada.delete(f"/sources/{source}", params={"way": "forget"})
    assert ada.get("/documents", params={"q": "/lock"}).json()["documents"] == []


def test_a_source_may_only_be_read_no_longer(ada: httpx.Client, site: Api) -> None:
    source = _sent(ada, "weir.jsonl", f"{SITE}/weir")
    done = ada.delete(f"/sources/{source}", params={"way": "stop"}).json()
    assert (done["way"], done["documents"], done["out_of_reach"]) == ("stop", 1, None)
    assert ada.get("/documents", params={"q": "/weir"}).json()["documents"] == []
    with site.database.connect() as session:
        assert session.scalar(sa.select(document.c.gone_at).where(document.c.url == f"{SITE}/weir"))
    _sent(ada, "weir.jsonl", f"{SITE}/weir")
    assert len(ada.get("/documents", params={"q": "/weir"}).json()["documents"]) == 1, "sent again, it is read again"


def test_a_source_of_twin_yaml_is_forgotten_and_named_as_one_that_comes_back(ada: httpx.Client, site: Api) -> None:
    warehouse = Warehouse(site.database)
    author = site.settings.author("ada")
    opened = SourceOpener.of(site.settings).entry(author.author, author.sources[0])
    source = warehouse.remember_source("ada", opened, {}, remembered=False)
    raw = RawDocument(f"{SITE}/quay", "medium", "articles", "text/plain", "The quay is long.")
    warehouse.collect("ada", source, [raw], origin="medium", name="tests")
    assert ada.get(f"/sources/{source}").json()["configured"] is True
    refused = ada.delete(f"/sources/{source}", params={"way": "stop"})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:llm-twin:problem:source-configured")
    assert "twin.yaml" in refused.json()["detail"]
    done = ada.delete(f"/sources/{source}", params={"way": "forget"}).json()
    assert (done["documents"], done["configured"]) == (1, True)
    assert ada.get(f"/sources/{source}").json()["documents"] == 0
    assert warehouse.collect("ada", source, [raw], origin="medium", name="tests").skipped == {"forgotten": 1}


def test_what_is_no_source_is_refused_by_its_name(ada: httpx.Client, site: Api) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("posts/a.md", b"0" * 50_000_000)
    for name, content in (("a.bin", b"\x00"), ("empty.zip", b""), ("bomb.zip", bomb.getvalue())):
        refused = ada.post("/sources", params={"name": name}, content=content)
        assert (refused.status_code, refused.json()["type"]) == (415, "urn:llm-twin:problem:not-recognised"), name
        assert name in refused.json()["detail"]
        assert str(site.settings.home) not in refused.text, "where the server keeps files is nobody's business"
    assert list((site.settings.home / "imports" / "ada").iterdir()) == []


def test_another_author_sees_nothing_and_a_reader_may_not(site: Api) -> None:
    keys = ApiKeys(site.database)
    _, other = keys.create("bo", "author", ["bo"])
    _, reader = keys.create("reader", "reader", ["ada"])
    with site.client(headers={"Authorization": f"Bearer {other}"}) as client:
        for path in ("/sources", "/documents", "/quarantine"):
            assert client.get(path, params={"author": "ada"}).status_code == 404, path
            assert SITE not in client.get(path).text
        assert client.get("/sources").json() == {"sources": []}
        assert client.post("/sources", params={"author": "ada", "name": "a.md"}, content=b"# A\n\nb").status_code == 404
    with site.client(headers={"Authorization": f"Bearer {reader}"}) as client:
        for path in ("/sources", "/documents", "/quarantine"):
            assert client.get(path).status_code == 403, path
        assert client.post("/sources", params={"name": "a.md"}, content=b"# A\n\nb").status_code == 403
        assert client.delete("/sources/none", params={"way": "forget"}).status_code == 403


def test_a_browser_gets_the_page_and_programs_the_answer(site: Api) -> None:
    with site.client() as stranger:
        for path in ("/sources", "/releases", "/experiments"):
            page = stranger.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
            assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert page.headers["vary"] == "Accept"
            for accept in ("*/*", "application/json"):
                assert stranger.get(path, headers={"Accept": accept}).status_code == 401, "no data without a key"
