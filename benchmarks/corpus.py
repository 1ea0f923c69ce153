"""Bringing documents to passages, as the assets do."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from twin_assets.chunk.passages import chunker_id, cut_new
from twin_assets.clean.snapshot import take_snapshot
from twin_resources.config.settings import AuthorSettings, Settings
from twin_resources.retrieval.embedder import TokenCounter
from twin_resources.sources.base import Item, Source
from twin_resources.storage.warehouse import Warehouse


def author(name: str) -> AuthorSettings:
    """An author who is only measured."""
    return AuthorSettings(id=name, name=name.title(), consent="Measured only. 2026-11-21")


def take(engine: sa.Engine, settings: Settings, of: AuthorSettings, source: Source, items: Iterable[Item]) -> None:
    """Store, clean and cut the items of a source."""
    warehouse = Warehouse(engine)
    warehouse.record_author(of)
    source_id = warehouse.remember_source(of.id, source, {}, remembered=False)
    warehouse.collect(of.id, source_id, items, origin=source.platform, name=source.location)
    take_snapshot(warehouse, of.author, "articles")
    counter = TokenCounter.of(settings)
    cut_new(warehouse.chunks, of.id, "articles", counter, chunker_id(settings.models.embedding, counter))
