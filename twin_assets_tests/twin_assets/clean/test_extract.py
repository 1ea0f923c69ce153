"""A better extractor reads what is stored: nothing is fetched again, and only what reads differently moves."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.responses import HTMLResponse, Response

from twin_assets.chunk.passages import chunker_id, cut_new
from twin_assets.clean.snapshot import Snapshot, take_snapshot
from twin_assets.embed.job import embed
from twin_assets_tests.support.crawler import Crawler
from twin_resources.database.schema import clean_document, document, document_version, extraction, raw_page, visit
from twin_resources.readers import extraction as reading
from twin_resources.readers.page import Page, PageError, read_page
from twin_resources.retrieval.embedder import Embedder, TokenCounter
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.storage.documents import StoredPage

WEBSITE = {"website": "https://ada.example"}
ESSAY = "https://ada.example/essay-3"

Reader = Callable[[str, str], Page]


@dataclass(frozen=True)
class Built:
    """The graph up to the passages."""

    snapshot: Snapshot
    hashes: tuple[str, str]
    clean_ids: dict[str, str]
    texts: dict[str, str]


def build(crawl: Crawler) -> Built:
    warehouse, author = crawl.warehouse, crawl.settings.author("ada")
    made = take_snapshot(warehouse, author.author, "articles")
    counter = TokenCounter.of(crawl.settings)
    cut_new(warehouse.chunks, "ada", "articles", counter, chunker_id("m", counter))
    rows = list(warehouse.clean.documents("ada"))
    hashes = warehouse.clean.hash("ada", "articles"), warehouse.chunks.hash("ada", "articles")
    return Built(made, hashes, {row.url: row.id for row in rows}, {row.url: row.text for row in rows})


@pytest.fixture
def extractor(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Reader], None]:
    """Puts another extractor in place, under a version of its own."""

    def put(version: str, read: Reader) -> None:
        monkeypatch.setattr(reading, "EXTRACTOR", version)
        monkeypatch.setattr(reading, "read_page", read)

    return put


def better(html: str, url: str) -> Page:
    """Reads essay 3 without its second part; finds further addresses and facts everywhere, which move nothing."""
    page = read_page(html, url)
    page = replace(page, also=(*page.also, f"{page.url}/amp"), extra={**page.extra, "reader": 2})
    return replace(page, body=page.body.replace("Essay 3, part 2.", "")) if "Essay 3" in html else page


def test_a_bumped_extractor_asks_nobody_and_moves_what_reads_differently(
    crawl: Crawler, extractor: Callable[[str, Reader], None], embedder: Embedder
) -> None:
    index = VectorIndex(crawl.warehouse.engine, "m")
    crawl(WEBSITE)
    raw = crawl.warehouse.raw_hash("ada", "web")
    first = build(crawl)
    assert embed(index, embedder, "ada") > 0
    crawl.replica.log.clear()
    extractor("2", better)
    second = build(crawl)
    assert crawl.replica.log == [], "not one request"
    assert (second.snapshot.reread.pages, second.snapshot.reread.changed) == (6, 1)
    assert second.snapshot.cleaned == 1
    assert {url for url in first.clean_ids if first.clean_ids[url] != second.clean_ids[url]} == {ESSAY}
    assert "part 2" in first.texts[ESSAY]
    assert "part 2" not in second.texts[ESSAY]
    assert second.hashes != first.hashes
    assert embed(index, embedder, "ada") == 1, "one document, one passage"
    assert crawl.warehouse.raw_hash("ada", "web") == raw, "what was fetched is the same"
    third = build(crawl)
    assert (third.snapshot.reread.pages, third.snapshot.cleaned, third.hashes) == (0, 0, second.hashes)

    again = crawl(WEBSITE)
    assert (again.fetched, again.new, again.changed, again.unchanged, again.gone) == (0, 0, 0, 6, 0)
    assert crawl.replica.sent_in_full(("ada.example", "/essay")) == []
    assert build(crawl).hashes == second.hashes

    extractor("3", read_page)
    assert build(crawl).hashes == first.hashes, "an extractor that reads as the first did gives what it gave"
    assert build(crawl).clean_ids == first.clean_ids


@pytest.mark.parametrize("cleaned_before", [True, False], ids=["after cleaning", "before cleaning"])
def test_pages_that_are_fetched_after_a_bump_are_compared_by_one_extractor(
    crawl: Crawler, extractor: Callable[[str, Reader], None], cleaned_before: bool
) -> None:
    crawl(WEBSITE)
    raw = crawl.warehouse.raw_hash("ada", "web")
    build(crawl)
    extractor("2", better)
    if cleaned_before:
        build(crawl)
    with crawl.warehouse.engine.begin() as session:
        session.execute(sa.delete(visit))  # so that every page is fetched in full
    report = crawl(WEBSITE)
    assert (report.fetched, report.new, report.changed, report.unchanged) == (6, 0, 0, 6)
    assert crawl.warehouse.raw_hash("ada", "web") == raw
    assert "part 2" not in build(crawl).texts[ESSAY]
    crawl.replica.site[2].text = "Rewritten after the storm, once and for all of us. " * 9
    assert crawl(WEBSITE).changed == 1
    found = build(crawl)
    assert "Rewritten" in found.texts[ESSAY]
    assert "part 2" not in found.texts[ESSAY], "read by the extractor of today, so it is not read again"
    assert found.snapshot.reread.pages == 0


def test_a_page_that_now_holds_what_an_earlier_extractor_read_is_a_change(
    crawl: Crawler, extractor: Callable[[str, Reader], None]
) -> None:
    crawl(WEBSITE)
    build(crawl)
    whole = crawl.replica.site[2].page(ESSAY)
    extractor("2", lambda html, url: read_page(html if "<!-- whole -->" in html else html.replace("part 2.", ""), url))
    assert "part 2" not in build(crawl).texts[ESSAY]
    crawl.replica.extra["ada.example", "/essay-3"] = HTMLResponse(f"{whole}<!-- whole -->")
    assert crawl(WEBSITE).changed == 1
    assert "part 2" in build(crawl).texts[ESSAY]
    assert crawl(WEBSITE).changed == 0


def nonce(crawl: Crawler) -> None:
    """Essay 3 is built anew for every visit: a nonce, a counter, an advertisement."""
    numbers = itertools.count()
    markup = crawl.replica.site[2].page(ESSAY)

    def answer(path: str, request: Any) -> Response | None:
        if path != "/essay-3":
            return crawl.replica._site(path, request)
        number = next(numbers)
        script = f"<script nonce='{number}'>let views = {number}</script>"
        bought = f"<aside class='ad'><a href='/{number}'>Buy {number}</a></aside>"
        return HTMLResponse(markup.replace("</body>", f"{script}{bought}</body>"))

    crawl.replica.handlers["ada.example"] = answer


def test_markup_that_changes_with_every_visit_makes_no_version(crawl: Crawler) -> None:
    nonce(crawl)
    crawl(WEBSITE)
    first = build(crawl)
    stored = crawl.column(sa.select(raw_page.c.content).order_by(raw_page.c.version_id))
    for _ in range(2):
        with crawl.warehouse.engine.begin() as session:
            session.execute(sa.delete(visit))
        report = crawl(WEBSITE)
        assert (report.fetched, report.changed, report.unchanged) == (6, 0, 6)
    assert build(crawl).hashes == first.hashes
    assert len(crawl.column(sa.select(document_version.c.id))) == 6
    assert crawl.column(sa.select(raw_page.c.content).order_by(raw_page.c.version_id)) == stored, "nor another page"


def test_what_was_fetched_is_stored_as_it_was_sent(crawl: Crawler) -> None:
    sent = "<html><head><title>Über</title></head><body><article><p>Der Pegel fällt, und wir warten.</p></article>"
    sent = sent.replace("<p>", "<p>" + "Das Boot liegt am Steg, bis die Flut es hebt, und dann fährt es hinaus. " * 9)
    crawl.replica.extra["ada.example", "/essay-3"] = Response(sent.encode("latin-1"), media_type=None, headers={
        "content-type": "text/html; charset=iso-8859-1"})  # fmt: skip
    crawl(WEBSITE)
    columns = [raw_page.c[name] for name in StoredPage.__dataclass_fields__]
    with crawl.warehouse.engine.connect() as session:
        row = session.execute(sa.select(*columns).where(raw_page.c.url == ESSAY)).mappings().one()
        at = session.scalar(sa.select(raw_page.c.fetched_at).where(raw_page.c.url == ESSAY))
    page = StoredPage(**row).fetched()
    assert (page.content, page.content_type) == (sent.encode("latin-1"), "text/html; charset=iso-8859-1")
    assert "fällt" in page.read().body
    assert at
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert len(row["content"]) < len(page.content) / 3


def test_a_page_that_the_newer_extractor_refuses_stays_as_it_was_read(
    crawl: Crawler, extractor: Callable[[str, Reader], None]
) -> None:
    crawl(WEBSITE)
    first = build(crawl)

    def refusing(html: str, url: str) -> Page:
        raise PageError("no text of an article in it", "nothing to do")

    extractor("2", refusing)
    second = build(crawl)
    assert (second.snapshot.reread.refused, second.snapshot.reread.changed) == (6, 0)
    assert second.hashes == first.hashes


@pytest.fixture
def older(crawl: Crawler) -> Crawler:
    """Documents as the version before stored them, without their pages."""
    crawl(WEBSITE)
    build(crawl)
    with crawl.warehouse.engine.begin() as session:
        session.execute(sa.delete(raw_page))
    return crawl


def test_documents_without_a_page_stay_as_they_are_and_get_one_when_they_are_fetched(
    older: Crawler, extractor: Callable[[str, Reader], None]
) -> None:
    first = build(older)
    assert older(WEBSITE).unchanged == 6
    assert older.column(sa.select(raw_page.c.version_id)) == [], "nothing is fetched for it"
    with older.warehouse.engine.begin() as session:
        session.execute(sa.delete(visit).where(visit.c.url == ESSAY))
    report = older(WEBSITE)
    assert (report.fetched, report.changed, report.unchanged) == (1, 0, 6)
    assert older.column(sa.select(raw_page.c.url)) == [ESSAY]
    assert build(older).hashes == first.hashes
    extractor("2", better)
    second = build(older)
    assert second.snapshot.reread.pages == 1
    assert "part 2" not in second.texts[ESSAY]


def test_a_version_that_goes_takes_its_page_and_its_readings_with_it(
    crawl: Crawler, extractor: Callable[[str, Reader], None]
) -> None:
    crawl(WEBSITE)
    build(crawl)
    extractor("2", better)
    build(crawl)
    key = crawl.column(sa.select(document.c.version_id).where(document.c.url == ESSAY))[0]
    with crawl.warehouse.engine.begin() as session:
        session.execute(sa.delete(document_version).where(document_version.c.id == key))
    for table in (raw_page, extraction):
        assert key not in crawl.column(sa.select(table.c.version_id))
    assert len(crawl.column(sa.select(clean_document.c.id))) == 7, "the earlier form is kept, as an earlier version is"
