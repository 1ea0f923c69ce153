"""What became of reading the sources: when each was read last, what failed, and what could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from twin_resources.database.schema import quarantine, source


@dataclass(frozen=True)
class Reading:
    """A source with its last reading; ``remembered`` is one that was imported and does not stand in ``twin.yaml``."""

    author: str
    kind: str
    location: str
    remembered: bool
    read_at: datetime | None
    counts: Mapping[str, Any] | None
    failure: str | None
    failed_at: datetime | None


class Readings:
    """Reads the tables ``source`` and ``quarantine``."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def list(self) -> list[Reading]:
        """Every source that was ever read or imported, the oldest first."""
        columns = source.c
        query = sa.select(
            columns.author,
            columns.kind,
            columns.location,
            columns.remembered,
            columns.read_at,
            columns.counts,
            columns.failure,
            columns.failed_at,
        ).order_by(columns.added_at, columns.id)
        with self.engine.connect() as session:
            return [Reading(**row) for row in session.execute(query).mappings()]

    def unreadable(self) -> list[dict[str, Any]]:
        """What is in quarantine, each item with its reason and remedy."""
        query = sa.select(quarantine).order_by(quarantine.c.author, quarantine.c.item)
        with self.engine.connect() as session:
            return [dict(row) for row in session.execute(query).mappings()]
