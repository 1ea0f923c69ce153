"""A few passages of two authors in the database, for tests of search."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from twin_assets.chunk.passages import chunker_id, cut_new
from twin_assets.clean.snapshot import take_snapshot
from twin_assets_tests.support.vectors import encode
from twin_resources.config.settings import Settings
from twin_resources.retrieval.embedder import Embedder, TokenCounter
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.sources.base import RawDocument
from twin_resources.sources.folder import Folder
from twin_resources.storage.warehouse import Warehouse

TEXTS = {
    "tides": "The tide table by the door is wrong by four minutes, and everybody in the harbour knows it. " * 3,
    "engine": "A ferry changes its engine every fourth year while it keeps crossing between the two islands. " * 3,
    "bread": "Sourdough wants patience, warm hands and a kitchen where nobody opens the window in winter. " * 3,
    "varnish": "Seven coats of varnish on a mast, sanded between each, and the rain still finds the eighth place. " * 3,
}


def fill(engine: sa.Engine, settings: Settings, embedder: Embedder) -> VectorIndex:
    """Both authors have the same four articles; only Ada's are embedded and served."""
    warehouse = Warehouse(engine)
    made = VectorIndex(engine, settings.models.embedding)
    counter = TokenCounter.of(settings)
    for author in settings.authors:
        warehouse.record_author(author)
        opened = Folder("/nowhere", author.author)
        source_id = warehouse.remember_source(author.id, opened, {}, remembered=True)
        items = [
            RawDocument(
                f"https://example.com/{author.id}/{name}",
                "medium" if name == "bread" else "web",
                "articles",
                "text/markdown",
                text,
                title=name,
                published_at=datetime(2020 + number, 1, 1, tzinfo=UTC),
            )
            for number, (name, text) in enumerate(TEXTS.items())
        ]
        warehouse.collect(author.id, source_id, items, origin="folder", name="test")
        take_snapshot(warehouse, author.author, "articles")
        cut_new(warehouse.chunks, author.id, "articles", counter, chunker_id(made.model, counter))
    embed(made, "ada", embedder)
    return made


def embed(index: VectorIndex, author: str, embedder: Embedder) -> int:
    """Embed what is missing and serve it; returns how many vectors were made."""
    done = 0
    for batch in index.stream_missing(author, 3):
        vectors = encode(embedder, [text for _, text in batch])
        done += index.save(zip((key for key, _ in batch), vectors, strict=True), embedder.dimensions)
    index.ensure_index()
    assert index.publish(author)
    return done
