"""Reads a source of the network as the raw asset does, against the replica and into a real warehouse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from twin_assets_tests.support.replica import Replica
from twin_resources.config.settings import Settings, SourceSettings
from twin_resources.database.schema import document, document_version
from twin_resources.network.policy import Clock
from twin_resources.sources.base import Item
from twin_resources.sources.opener import SourceOpener
from twin_resources.storage.collector import CollectReport, Crawl
from twin_resources.storage.warehouse import Warehouse


@dataclass
class Crawler:
    """Reads the sources of one author, as the raw asset does."""

    warehouse: Warehouse
    settings: Settings
    replica: Replica
    slept: list[float]

    def __call__(self, entry: dict[str, Any], items: Iterable[Item] | None = None, **options: Any) -> CollectReport:
        """Read a source of ``twin.yaml``; with ``items``, as if it had yielded those."""
        self.replica.log.clear()
        author = self.settings.author("ada")
        settings = SourceSettings.model_validate(entry)
        opener = SourceOpener.of(self.settings)
        opened = opener.entry(author.author, settings)
        source_id = self.warehouse.remember_source("ada", opened, settings.options, remembered=False)
        visits = self.warehouse.visits("ada", source_id)
        crawled = opener.connect(opened, visits, Clock(sleep=self.slept.append))
        assert crawled is not None
        crawl = Crawl(crawled, visits)
        try:
            found = opened.read() if items is None else items
            return self.warehouse.collect(
                "ada", source_id, found, origin=opened.platform, name=opened.location, crawl=crawl, **options
            )
        finally:
            crawled.client.close()

    def live(self) -> dict[str, str]:
        """The newest bodies by URL."""
        query = (
            sa.select(document.c.url, document_version.c.body)
            .join(document_version, document_version.c.id == document.c.version_id)
            .where(document.c.gone_at.is_(None))
        )
        with self.warehouse.engine.connect() as session:
            return {row.url: row.body for row in session.execute(query)}

    def column(self, query: sa.Select[Any]) -> list[Any]:
        with self.warehouse.engine.connect() as session:
            return list(session.scalars(query))
