"""The warehouse: every store of one author's work, from what was fetched to the passages made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from twin_resources.config.settings import AuthorSettings
from twin_resources.database.shards import main_of
from twin_resources.sources.base import Item, Source
from twin_resources.sources.opener import SourceOpener
from twin_resources.storage.addresses import Visits
from twin_resources.storage.chunk_store import ChunkStore
from twin_resources.storage.clean_store import CleanStore
from twin_resources.storage.collector import Collector, CollectReport, Crawl
from twin_resources.storage.documents import Documents
from twin_resources.storage.sources import Authors, Sources

__all__ = ["CollectReport", "Warehouse"]


class Warehouse:
    """Opens the stores of a database, and does what every way in needs: record the author, remember the source and
    collect what it yields (a raw asset, ``twin import`` and ``POST /documents`` all do just that)."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.authors = Authors(engine)
        self.sources = Sources(engine)
        self.documents = Documents(engine)
        self.clean = CleanStore(engine)
        self.chunks = ChunkStore(engine)

    def record_author(self, settings: AuthorSettings) -> None:
        """See :meth:`Authors.record`; recorded in the main database, too, where that is another: what lies there
        refers to it."""
        self.authors.record(settings)
        if (main := main_of(self.engine)) is not self.engine:
            Authors(main).record(settings)

    def remember_source(self, author_id: str, opened: Source, options: Mapping[str, Any], *, remembered: bool) -> str:
        """See :meth:`Sources.remember`."""
        return self.sources.remember(author_id, opened, options, remembered=remembered)

    def visits(self, author_id: str, source_id: str) -> Visits:
        """What earlier readings of a source left to the next one."""
        return Visits(self.engine, author_id, source_id)

    def collect(
        self,
        author_id: str,
        source_id: str,
        items: Iterable[Item],
        *,
        origin: str,
        name: str,
        complete: bool = True,
        accept_removals: bool = False,
        progress: Callable[[int], None] | None = None,
        crawl: Crawl | None = None,
    ) -> CollectReport:
        """See :meth:`Collector.collect`."""
        return Collector(self.engine).collect(
            author_id,
            source_id,
            items,
            origin=origin,
            name=name,
            complete=complete,
            accept_removals=accept_removals,
            progress=progress,
            crawl=crawl,
        )

    def read(
        self,
        opener: SourceOpener,
        author_id: str,
        source_id: str,
        opened: Source,
        *,
        accept_removals: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> CollectReport:
        """Read a source to its end, over the network where it has to be.

        Raises:
            SourceError: it cannot be read, or not to its end. What it gave until then is stored.
        """
        with self.sources.turn(source_id):
            visits = self.visits(author_id, source_id)
            crawled = opener.connect(opened, visits)
            try:
                return self.collect(
                    author_id,
                    source_id,
                    opened.read(),
                    origin=opened.platform,
                    name=opened.location,
                    accept_removals=accept_removals,
                    progress=progress,
                    crawl=Crawl(crawled, visits) if crawled else None,
                )
            finally:
                if crawled is not None:
                    crawled.client.close()

    def raw_hash(self, author_id: str, origin: str) -> str:
        """See :meth:`Documents.raw_hash`."""
        return self.documents.raw_hash(author_id, origin)

    def counts(self, author_id: str) -> dict[str, int]:
        """See :meth:`Authors.counts`."""
        return self.authors.counts(author_id)
