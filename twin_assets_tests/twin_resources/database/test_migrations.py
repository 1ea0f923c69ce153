"""A database of the version before, with what it stored, goes on under the new schema."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from twin_assets.chunk.passages import chunker_id, cut_new
from twin_assets.clean.snapshot import take_snapshot
from twin_assets.dataset.splits import split_of
from twin_assets_tests.support.crawler import Crawler
from twin_assets_tests.support.databases import at_revision, migrations
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.schema import raw_page
from twin_resources.retrieval.embedder import TokenCounter
from twin_resources.storage.calls.conversations import Conversations
from twin_resources.storage.calls.interactions import InteractionError, Interactions
from twin_resources.storage.datasets import Places
from twin_resources.storage.warehouse import Warehouse

STORED = ("author", "source", "visit", "document", "document_version", "clean_document", "chunk")


def build(warehouse: Warehouse, settings: Settings) -> tuple[int, str, str]:
    """Documents cleaned now, and the content hashes of clean documents and passages."""
    made = take_snapshot(warehouse, settings.author("ada").author, "articles")
    counter = TokenCounter.of(settings)
    cut_new(warehouse.chunks, "ada", "articles", counter, chunker_id("m", counter))
    return made.cleaned, warehouse.clean.hash("ada", "articles"), warehouse.chunks.hash("ada", "articles")


def test_the_newest_revision_is_the_one_that_the_migrations_lead_to() -> None:
    assert ScriptDirectory.from_config(migrations()).get_heads() == [postgres.newest_revision()]


def test_documents_of_0005_keep_their_hashes_and_get_pages_when_they_are_fetched(
    crawl: Crawler, new_settings: Callable[..., Settings]
) -> None:
    crawl({"website": "https://ada.example"})
    _, *hashes = build(crawl.warehouse, crawl.settings)
    settings = new_settings(blank=True)
    before = at_revision(settings, "0005")
    tables = sa.MetaData()
    tables.reflect(before)
    assert "raw_page" not in tables.tables
    with crawl.warehouse.engine.connect() as source, before.begin() as target:
        for name in STORED:
            rows = source.execute(sa.select(*(sa.column(c.name, c.type) for c in tables.tables[name].columns))
                                  .select_from(sa.table(name))).mappings()  # fmt: skip
            target.execute(sa.insert(tables.tables[name]), [dict(row) for row in rows])
    before.dispose()

    upgraded = Warehouse(postgres.engine(postgres.prepare(settings.postgres)))
    assert upgraded.raw_hash("ada", "web") == crawl.warehouse.raw_hash("ada", "web")
    assert build(upgraded, settings) == (0, *hashes), "nothing is cleaned, cut or embedded again"
    later = Crawler(upgraded, crawl.settings, crawl.replica, [])
    assert later({"website": "https://ada.example"}).fetched == 0
    crawl.replica.site[0].text = "Rewritten after the storm. " * 20
    report = later({"website": "https://ada.example"})
    assert (report.fetched, report.changed) == (1, 1)
    assert later.column(sa.select(raw_page.c.url)) == ["https://ada.example/essay-1"]
    assert build(upgraded, settings)[0] == 1


def test_documents_of_datasets_made_before_0007_keep_their_sides(new_settings: Callable[..., Settings]) -> None:
    settings = new_settings(blank=True)
    before = at_revision(settings, "0006")
    sides = {"d-learned": ["train"], "d-held": ["test"], "d-both": ["train", "test"], "d-checked": ["validation"]}
    with before.begin() as session:
        session.execute(sa.text("INSERT INTO author (id, name, consent) VALUES ('ada', 'Ada', 'c')"))
        for version in ("v1", "v2"):
            version_row = "INSERT INTO dataset_version (id, author, kind, artifact, manifest)"
            session.execute(sa.text(f"{version_row} VALUES (:v, 'ada', 'instruct', :v, '{{}}')"), {"v": version})
        for key, stood in sides.items():
            session.execute(
                sa.text("INSERT INTO document (id, author, url, origin, platform, category) "
                        "VALUES (:key, 'ada', :key, 'web', 'web', 'articles')"), {"key": key})  # fmt: skip
            for version, split in zip(("v1", "v2"), stood, strict=False):
                member = "INSERT INTO dataset_member (dataset_id, sample_id, chunk_id, document_id, url, split)"
                session.execute(
                    sa.text(f"{member} VALUES (:version, :key, 'c', :key, '', :split)"),
                    {"version": version, "key": key, "split": split},
                )
    before.dispose()
    engine = postgres.engine(postgres.prepare(settings.postgres))
    kept = Places(engine).update("ada", lambda known: known)
    assert {key: split_of(place) for key, place in kept.items()} == {
        "d-learned": "train", "d-held": "test", "d-checked": "validation", "d-both": None
    }  # fmt: skip
    engine.dispose()


def test_calls_made_before_0014_stay_and_belong_to_no_conversation(new_settings: Callable[..., Settings]) -> None:
    settings = new_settings(blank=True)
    before = at_revision(settings, "0013")
    with before.begin() as session:
        columns = "(id, author, call, query, answer, citations, usage, timings_ms)"
        row = "('t', 'ada', 'ask', 'Why?', 'So.', '[]', '{}', '{}')"
        session.execute(sa.text(f"INSERT INTO interaction {columns} VALUES {row}"))
    before.dispose()
    engine = postgres.engine(postgres.prepare(settings.postgres))
    interactions = Interactions(engine)
    interactions.feedback("t", "down", correction="Because.")
    [kept] = interactions.corrections("ada")
    assert (kept.asked, kept.conversation, kept.shown) == ("Why?", None, None)
    with pytest.raises(InteractionError):
        Conversations(engine).answer("t")
    engine.dispose()
