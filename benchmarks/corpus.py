"""Bringing documents to passages, as the assets do."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from twin_assets.chunk.passages import chunker_id, cut_new
from twin_assets.clean.snapshot import take_snapshot
from twin_resources.config.settings import AuthorSettings, Settings
from twin_resources.errors import TwinError
from twin_resources.retrieval.embedder import TokenCounter
from twin_resources.sources.base import Item, Source
from twin_resources.storage.warehouse import Warehouse


class NothingUsed(TwinError):
    """All documents of a source were left out, so there is nothing to measure: says why each was."""


def author(key: str, name: str = "") -> AuthorSettings:
    """An author who is only measured. ``name`` is what stands in bylines: what others signed is left out."""
    return AuthorSettings(id=key, name=name or key.title(), consent="Measured only. 2026-11-21")


def take(engine: sa.Engine, settings: Settings, of: AuthorSettings, source: Source, items: Iterable[Item]) -> None:
    """Store, clean and cut the items of a source.

    Raises:
        NothingUsed: no document of it counts as the author's.
    """
    warehouse = Warehouse(engine)
    warehouse.record_author(of)
    source_id = warehouse.remember_source(of.id, source, {}, remembered=False)
    warehouse.collect(of.id, source_id, items, origin=source.platform, name=source.location)
    snapshot = take_snapshot(warehouse, of.author, "articles")
    if not snapshot.used:
        reasons = ", ".join(f"{count} {reason}" for reason, count in snapshot.excluded.most_common()) or "it is empty"
        raise NothingUsed(f"{source.location}: no document of {of.name} is used ({reasons})", "check the author's name")
    counter = TokenCounter.of(settings)
    cut_new(warehouse.chunks, of.id, "articles", counter, chunker_id(settings.models.embedding, counter))
