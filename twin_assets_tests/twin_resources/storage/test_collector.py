"""Every version kept, nothing done twice, nothing lost by a broken source."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from twin_assets.clean.snapshot import take_snapshot
from twin_assets_tests.support.forgetting import forget
from twin_resources.config.settings import Settings
from twin_resources.database.schema import document, document_version, quarantine
from twin_resources.sources.base import Author, Item, Quarantined, RawDocument, Skipped
from twin_resources.sources.folder import Folder
from twin_resources.storage import lineage
from twin_resources.storage.documents import Seen
from twin_resources.storage.warehouse import CollectReport, Warehouse
from twin_resources.text.identity import document_id


def doc(number: int, body: str = "text", **changes: Any) -> RawDocument:
    values: dict[str, Any] = {
        "url": f"https://example.com/{number}",
        "platform": "web",
        "category": "articles",
        "media_type": "text/markdown",
        "body": f"{body} {number}",
        "title": f"Title {number}",
        "published_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return RawDocument(**{**values, **changes})


class Shelf:
    """A warehouse with one author and as many sources as a test names."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self.warehouse = Warehouse(engine)
        self.author = settings.authors[0]
        self.warehouse.record_author(self.author)

    def read(self, items: Iterable[Item], source: str = "one", **options: Any) -> CollectReport:
        opened = Folder(f"/nowhere/{source}", self.author.author)
        source_id = self.warehouse.remember_source(self.author.id, opened, {}, remembered=True)
        return self.warehouse.collect(self.author.id, source_id, items, origin="folder", name=source, **options)


@pytest.fixture
def shelf(engine: sa.Engine, settings: Settings) -> Shelf:
    return Shelf(engine, settings)


def counts(report: CollectReport) -> tuple[int, int, int, int]:
    return report.new, report.changed, report.unchanged, report.gone


def test_new_changed_unchanged_and_gone(shelf: Shelf) -> None:
    assert counts(shelf.read([doc(1), doc(2), doc(3)])) == (3, 0, 0, 0)
    before = shelf.warehouse.raw_hash("ada", "folder")
    assert counts(shelf.read([doc(1), doc(2), doc(3)])) == (0, 0, 3, 0)
    assert shelf.warehouse.raw_hash("ada", "folder") == before
    assert counts(shelf.read([doc(1), doc(2, "edited")])) == (0, 1, 1, 1)
    assert shelf.warehouse.raw_hash("ada", "folder") != before
    assert counts(shelf.read([doc(1), doc(2), doc(3)])) == (1, 1, 1, 0)
    assert shelf.warehouse.raw_hash("ada", "folder") == before, "the same content has the same version again"


def test_every_version_is_kept(shelf: Shelf) -> None:
    for body in ("first", "second", "first"):
        shelf.read([doc(1, body)])
    with shelf.warehouse.engine.connect() as session:
        bodies = session.scalars(sa.select(document_version.c.body).order_by(document_version.c.fetched_at)).all()
    assert bodies == ["first 1", "second 1"]
    assert [live.body for live in shelf.warehouse.documents.live("ada", "articles")] == ["first 1"]


def test_everything_found_is_accounted_for(shelf: Shelf) -> None:
    items: list[Item] = [
        doc(1),
        doc(1, "again"),
        Skipped("a.html", "draft"),
        Skipped("b.html", "draft"),
        Quarantined("c.html", "not readable", "export it again"),
    ]
    report = shelf.read(items)
    assert report.found == 5
    assert report.new + report.skipped.total() + len(report.quarantined) == 5
    assert report.skipped == {"draft": 2, "same_url_twice": 1}
    with shelf.warehouse.engine.connect() as session:
        assert session.execute(sa.select(quarantine.c.item, quarantine.c.remedy)).all() == [
            ("c.html", "export it again")
        ]
    shelf.read([doc(1)])
    assert shelf.warehouse.counts("ada")["quarantined"] == 0, "what reads again leaves quarantine"


def test_a_source_that_suddenly_shows_far_less_deletes_nothing(shelf: Shelf) -> None:
    shelf.read([doc(number) for number in range(20)])
    report = shelf.read([doc(0)])
    assert (report.gone, report.missing) == (0, 19)
    assert shelf.warehouse.counts("ada")["documents"] == 20
    assert shelf.read([doc(0)], accept_removals=True).gone == 19


def test_two_sources_with_one_document_do_not_take_turns(shelf: Shelf) -> None:
    shelf.read([doc(1, "old export")], "old")
    assert counts(shelf.read([doc(1, "new export")], "new")) == (0, 1, 0, 0)
    again = shelf.read([doc(1, "old export")], "old")
    assert again.skipped == {"in_a_newer_source": 1}
    assert again.gone == 0
    assert counts(shelf.read([doc(1, "new export")], "new")) == (0, 0, 1, 0)


def test_a_source_taken_out_of_the_settings_takes_its_documents_along(shelf: Shelf) -> None:
    shelf.read([doc(1)], "imported")
    sources = shelf.warehouse.sources
    author = Author("ada", "Ada Berg")
    named = {}
    for number, name in enumerate(("stays", "goes"), start=2):
        named[name] = sources.remember("ada", Folder(name, author), {}, remembered=False)
        shelf.warehouse.collect("ada", named[name], [doc(number)], origin="folder", name=name)
    read = sources.now()
    named["added while this was read"] = sources.remember("ada", Folder("late", author), {}, remembered=False)
    assert sources.drop_unnamed("ada", "folder", named=[named["stays"]], since=read) == 1
    live = [live.url for live in shelf.warehouse.documents.live("ada", "articles")]
    assert sorted(live) == ["https://example.com/1", "https://example.com/2"]
    assert {each.location for each in sources.readings()} == {"/nowhere/imported", "stays", "late"}


def test_authors_are_kept_apart(shelf: Shelf, settings: Settings) -> None:
    shelf.read([doc(1)])
    assert document_id("ada", "https://example.com/1") != document_id("bo", "https://example.com/1")
    assert shelf.warehouse.counts("bo")["documents"] == 0


def test_a_forgotten_document_is_never_collected_again(shelf: Shelf) -> None:
    shelf.read([doc(1), doc(2)])
    forget(shelf.warehouse.engine, document_id("ada", "https://example.com/1"))
    report = shelf.read([doc(1), doc(2)])
    assert report.skipped == {"forgotten": 1}
    with shelf.warehouse.engine.connect() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(document_version)) == 1


def test_text_that_postgres_cannot_hold_is_stored_without_what_it_refuses(shelf: Shelf) -> None:
    shelf.read([doc(1, "nul \x00 and lone \ud800", extra={"k": ["\x00"]})])
    (live,) = shelf.warehouse.documents.live("ada", "articles")
    assert live.body == "nul  and lone ? 1"


def test_consent_keeps_its_first_date_while_it_is_the_same(shelf: Shelf, settings: Settings) -> None:
    def recorded() -> Any:
        with shelf.warehouse.engine.connect() as session:
            return session.execute(sa.text("SELECT consent, recorded_at FROM author WHERE id = 'ada'")).one()

    first = recorded()
    shelf.warehouse.record_author(shelf.author)
    assert recorded() == first
    shelf.warehouse.record_author(shelf.author.model_copy(update={"consent": "Still mine. 2026-12-01"}))
    assert recorded().recorded_at > first.recorded_at


def test_forgetting_a_text_takes_its_copy_on_another_platform_along(shelf: Shelf) -> None:
    text = " ".join(f"word{number}" for number in range(200))
    shelf.read([doc(1, text), doc(2, text + " and a last line")])
    take_snapshot(shelf.warehouse, shelf.author.author, "articles")
    (used,) = shelf.warehouse.clean.documents("ada", "articles")
    (copy,) = [entry for entry in shelf.warehouse.clean.entries("ada", "articles") if entry.excluded]
    with shelf.warehouse.engine.connect() as session:
        assert lineage.copies(session, copy.document_id) == [copy.document_id, used.document_id]
    forget(shelf.warehouse.engine, copy.document_id)
    assert shelf.warehouse.counts("ada")["documents"] == 0
    assert shelf.read([doc(1, text), doc(2, text)]).skipped == {"forgotten": 2}


def test_what_cannot_be_read_keeps_the_document_it_belongs_to(shelf: Shelf) -> None:
    notes = [doc(number, extra={"path": f"notes/{number}.md"}) for number in range(3)]
    shelf.read(notes)
    report = shelf.read([notes[0], Quarantined("notes/1.md", "front matter", "correct it")])
    assert (report.gone, report.absent) == (1, 1), "the broken one stays, the deleted one goes"
    assert {live.url for live in shelf.warehouse.documents.live("ada", "articles")} == {notes[0].url, notes[1].url}
    assert shelf.read([notes[0]]).gone == 1, "gone once it is"


def test_what_cannot_be_read_and_is_known_by_no_path_keeps_all_it_could_be(shelf: Shelf) -> None:
    shelf.read([doc(1), doc(2)])
    report = shelf.read([doc(1), Quarantined("posts/2.html", "cut off", "download it again")])
    assert (report.gone, report.absent) == (0, 1)
    assert shelf.read([doc(1)]).gone == 1


def test_an_empty_reading_keeps_what_the_source_had(shelf: Shelf) -> None:
    shelf.read([doc(1), doc(2)])
    report = shelf.read([])
    assert (report.gone, report.missing) == (0, 2)
    assert shelf.warehouse.sources.missing("ada", "folder"), "and the graph stops, as for many at once"
    assert shelf.read([], accept_removals=True).gone == 2


def test_no_former_address_of_a_forgotten_document_brings_it_back(shelf: Shelf) -> None:
    key = document_id("ada", "https://example.com/1")
    shelf.read([doc(1)])
    with shelf.warehouse.engine.begin() as session:
        moved = {"url": "https://example.com/3", "former_urls": ["https://example.com/1", "https://example.com/2"]}
        session.execute(sa.update(document).where(document.c.id == key).values(moved))
    forget(shelf.warehouse.engine, key)
    report = shelf.read([doc(number) for number in (1, 2, 3)])
    assert (report.new, report.skipped) == (0, {"forgotten": 3})


def test_what_a_reading_came_to_is_told_apart_however_much_it_is() -> None:
    seen = Seen()
    for number in range(9000):
        assert str(number) not in seen
        seen.add(str(number))
        seen.add(str(number))
    assert len(seen) == 9000
    assert all(str(number) in seen for number in range(9000))
    assert "9000" not in seen
