"""Which documents are the author's, each once; what the author says in twin.yaml holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from twin_assets.chunk.passages import chunker_id, cut_new
from twin_assets.clean.snapshot import exclusions, take_snapshot
from twin_assets_tests.support.rows import clean_entry
from twin_resources.config.settings import AuthorSettings, Override, Settings, SettingsError, load
from twin_resources.database.schema import document
from twin_resources.retrieval.embedder import TokenCounter
from twin_resources.sources.base import Author, RawDocument
from twin_resources.sources.folder import Folder
from twin_resources.storage.clean_store import CleanEntry, Exclusion
from twin_resources.storage.warehouse import Warehouse

ADA = Author("ada", "Ada Berg")
HULL = "The hull comes first and the paint comes last, because nobody can sail a coat of paint. "
MAST = "A mast that has stood for sixty winters knows its own knots and is worth more than a new one. "
TIDE = "The tide keeps its own table, and every printed one is only a polite guess at the next morning. "


Text = tuple[CleanEntry, str]


def row(key: str, text: str, **more: Any) -> Text:
    return clean_entry(key, len(text.split()), **more), text


def decide(rows: list[Text], *override: Override) -> dict[str, Exclusion]:
    held = {entry.document_id: text for entry, text in rows}
    entries = sorted((entry for entry, _ in rows), key=lambda entry: entry.document_id)
    decided = exclusions(entries, lambda keys: [(key, held[key]) for key in keys], ADA, override)
    return {entry.id: found for entry, found in decided}


def reasons(rows: list[Text], *override: Override) -> dict[str, str | None]:
    return {key: found.reason for key, found in decide(rows, *override).items()}


def over(**values: Any) -> Override:
    return Override.model_validate(values)


def test_a_guest_post_is_left_out_and_a_common_one_is_not() -> None:
    rows = [
        row("own", HULL * 5, byline="Ada  berg"),
        row("guest", MAST * 5, byline="Bo Lind"),
        row("both", TIDE * 5, byline="Bo Lind and Ada Berg"),
    ]
    assert reasons(rows) == {"own": None, "guest": "other_author", "both": None}


def test_a_text_of_quotes_is_passed_on_and_not_written() -> None:
    assert reasons([row("a", HULL * 5, attributes={"quoted_words": 80})]) == {"a": "mostly_quoted"}
    assert reasons([row("a", HULL * 5, attributes={"quoted_words": 20})]) == {"a": None}


def test_one_article_on_two_platforms_is_joined_by_its_address() -> None:
    preview = row("p", HULL * 4 + "And so on, for members only.", attributes={"gated": True})
    whole = row("w", HULL * 2 + MAST * 9, attributes={"also": ["http://www.ada.example/p/"]})
    found = decide([preview, whole])
    assert found["w"].reason is None
    assert (found["p"].reason, found["p"].duplicate_of) == ("near_duplicate", "d-w")


def test_a_wrong_canonical_link_joins_nothing() -> None:
    home = ["https://ada.example/"]
    rows = [row(key, text * 5, attributes={"also": home}) for key, text in (("a", HULL), ("b", MAST), ("c", TIDE))]
    assert set(reasons(rows).values()) == {None}


def test_the_author_has_the_last_word() -> None:
    planks = " ".join(f"Plank {number} of the hull was cut in the winter of the flood." for number in range(40))
    rows = [row("guest", MAST * 5, byline="Bo Lind"), row("a", planks), row("b", planks + TIDE), row("c", TIDE * 9)]
    assert reasons(rows) == {"guest": "other_author", "a": None, "b": "near_duplicate", "c": None}
    assert reasons(rows, over(url="https://ada.example/guest", own=True))["guest"] is None
    assert reasons(rows, over(url="http://ada.example/c/", own=False))["c"] == "not_own"
    assert reasons(rows, over(url="https://ada.example/b", duplicate_of=None))["b"] is None
    found = decide(rows, over(url="https://ada.example/c", duplicate_of="https://ada.example/a"))
    assert found["c"] == Exclusion("duplicate_as_told", "d-a", "duplicate_of: https://ada.example/a")


@pytest.mark.parametrize("entry", ["{url: https://a.example}", "{own: true}", "{url: https://a.example, mine: true}"])
def test_an_override_that_says_nothing_is_answered_with_its_line(tmp_path, entry: str) -> None:
    path = tmp_path / "twin.yaml"
    path.write_text(f"authors:\n  - id: a\n    name: A\n    consent: Mine alone. 2026-11-21\n    override: [{entry}]\n")
    with pytest.raises(SettingsError, match=r"twin.yaml:5: authors.0.override.0"):
        load(path)


def test_an_override_holds_on_the_next_run_and_goes_with_its_line(engine: sa.Engine, settings: Settings) -> None:
    warehouse, author = Warehouse(engine), settings.author("ada")
    warehouse.record_author(author)
    source = warehouse.remember_source("ada", Folder("/nowhere", author.author), {}, remembered=True)
    documents = [
        RawDocument(f"https://ada.example/{key}", "web", "articles", "text/markdown", text, byline=byline)
        for key, text, byline in (("own", HULL * 5, None), ("guest", MAST * 5, "Bo Lind"))
    ]
    warehouse.collect("ada", source, documents, origin="folder", name="test")

    def run(*override: Mapping[str, Any]) -> tuple[int, dict[str, str | None], str]:
        author = AuthorSettings(id="ada", name="Ada Berg", consent="Mine alone. 2026-11-21", override=override)  # pyright: ignore
        made = take_snapshot(warehouse, author.author, "articles", override=author.override)
        entries = warehouse.clean.entries("ada", "articles")
        assert all("quoted_words" not in entry.attributes for entry in entries)
        found = {entry.url.rsplit("/", 1)[1]: entry.excluded for entry in entries}
        return made.cleaned, found, warehouse.clean.hash("ada", "articles")

    first = run()
    assert first[:2] == (2, {"own": None, "guest": "other_author"})
    told = run({"url": "https://ada.example/guest", "own": True}, {"url": "https://ada.example/own", "own": False})
    assert told[:2] == (0, {"own": "not_own", "guest": None})
    assert told[2] != first[2]
    assert run() == (0, *first[1:])


def test_passages_know_the_language_of_the_words_and_not_of_the_code(engine: sa.Engine, settings: Settings) -> None:
    warehouse, author = Warehouse(engine), settings.author("ada")
    warehouse.record_author(author)
    source = warehouse.remember_source("ada", Folder("/nowhere", author.author), {}, remembered=True)
    german = "Das Leinöl braucht seine Zeit, und wer sie nicht hat, nimmt besser den Lack für seinen Tisch. " * 4
    code = {"path": "a.py", "language": "python"}
    documents = [
        RawDocument("https://ada.example/en", "web", "articles", "text/markdown", HULL * 5),
        RawDocument("https://ada.example/de", "web", "articles", "text/markdown", german),
        RawDocument(
            "https://ada.example/a.py", "web", "code", "text/x-code", "def tide():\n    return 1\n", extra=code
        ),
    ]
    warehouse.collect("ada", source, documents, origin="folder", name="test")
    counter = TokenCounter.of(settings)
    for category in ("articles", "code"):
        take_snapshot(warehouse, author.author, category)
        cut_new(warehouse.chunks, "ada", category, counter, chunker_id("m", counter))
    rows = list(warehouse.chunks.current("ada"))
    assert {(row.url.rsplit("/", 1)[1], row.language) for row in rows} == {
        ("en", "en"),
        ("de", "de"),
        ("a.py", ""),
    }
    assert [row.heading for row in rows if row.category == "code"] == [("tide",)]


def _collected(engine: sa.Engine, author: AuthorSettings, *documents: RawDocument) -> Warehouse:
    warehouse = Warehouse(engine)
    warehouse.record_author(author)
    source_id = warehouse.remember_source(author.id, Folder("/nowhere", author.author), {}, remembered=True)
    warehouse.collect(author.id, source_id, documents, origin="folder", name="test")
    return warehouse


def _article(url: str = "https://ada.example/hull", **more: Any) -> RawDocument:
    return RawDocument(url, "web", "articles", "text/markdown", HULL * 20, title="Hull", **more)


def test_a_new_alias_lets_stored_documents_in_and_a_removed_one_out(engine: sa.Engine, settings: Settings) -> None:
    author = settings.author("ada")
    warehouse = _collected(engine, author, _article(byline="Countess A."))
    assert take_snapshot(warehouse, author.author, "articles").excluded == {"other_author": 1}
    alias = Author("ada", author.name, ("Countess A.",))
    assert take_snapshot(warehouse, alias, "articles").used == 1
    assert take_snapshot(warehouse, author.author, "articles").excluded == {"other_author": 1}


@pytest.mark.parametrize("change", ["url", "published_at"])
def test_a_new_address_or_date_reaches_the_passages(engine: sa.Engine, settings: Settings, change: str) -> None:
    author = settings.author("ada")
    counter = TokenCounter.of(settings)
    before = _article("https://ada.example/hull", also=("https://ada.example/ship",))
    warehouse = _collected(engine, author, before)

    def built() -> tuple[str, str, set[str]]:
        take_snapshot(warehouse, author.author, "articles")
        cut_new(warehouse.chunks, "ada", "articles", counter, chunker_id("m", counter))
        chunks = list(warehouse.chunks.current("ada"))
        assert chunks
        return (
            warehouse.clean.hash("ada", "articles"),
            f"{chunks[0].url} {chunks[0].published_at}",
            {chunk.text_hash for chunk in chunks},
        )

    first = built()
    assert built() == first, "and the same again moves nothing"
    value = "https://ada.example/ship" if change == "url" else datetime(2026, 3, 1, tzinfo=UTC)
    with engine.begin() as session:  # the address of today is that of the document, the date that of its version
        key = session.scalar(sa.select(document.c.id))
        if change == "url":
            session.execute(sa.update(document).values(url=value))
    if change == "published_at":
        _collected(engine, author, replace(before, published_at=value))
    else:
        assert key
    second = built()
    assert second[0] != first[0], "so that what lies behind it runs"
    assert second[1] != first[1]
    assert second[2] == first[2], "no text is embedded again"
