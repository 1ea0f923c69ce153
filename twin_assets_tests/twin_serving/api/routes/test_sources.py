"""What is read, what became of it, and files that are sent to be read."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator

import httpx
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import SITE, Api, events, listening, wait_for
from twin_resources.config.settings import Settings
from twin_resources.database.schema import clean_document
from twin_resources.sources.base import Quarantined
from twin_resources.storage.inventory.documents import Inventory, Wanted
from twin_resources.storage.inventory.paging import CursorError, Paging, Place
from twin_resources.storage.keys import ApiKeys
from twin_resources.storage.sources import Sources
from twin_serving.api.app import create_app


@pytest.fixture(scope="module")
def site(new_settings: Callable[..., Settings], seed: Callable[[Settings], sa.Engine]) -> Iterator[Api]:
    """An application without an engine, with Ada's documents, one of them left out; and keys."""
    settings = new_settings(api_keys="first-key")
    database = seed(settings)
    with database.begin() as session:
        left_out = clean_document.c.url == f"{SITE}/cargo"
        session.execute(sa.update(clean_document).where(left_out).values(excluded="not_own"))
    app = create_app(settings, None)
    with listening(app) as url:
        found = Api(url, settings, database, app)
        with found.client(headers=ADMIN) as client:
            wait_for(lambda: client.get("/sources").status_code == 200, 40)
        yield found
    database.dispose()


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


def test_a_browser_gets_the_page_and_programs_the_answer(site: Api) -> None:
    with site.client() as stranger:
        for path in ("/sources", "/releases"):
            page = stranger.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
            assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert page.headers["vary"] == "Accept"
            for accept in ("*/*", "application/json"):
                assert stranger.get(path, headers={"Accept": accept}).status_code == 401, "no data without a key"
