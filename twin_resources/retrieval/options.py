"""How to search, and which passages may be found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from twin_resources.database.schema import chunk

Mode = Literal["hybrid", "dense", "lexical"]


@dataclass(frozen=True)
class Filters:
    """Conditions a passage has to meet; an empty one lets everything through."""

    category: Sequence[str] = ()
    platform: Sequence[str] = ()
    url: Sequence[str] = ()
    language: Sequence[str] = ()
    published_from: datetime | None = None
    published_to: datetime | None = None

    def clauses(self) -> list[sa.ColumnElement[bool]]:
        """The conditions on the ``chunk`` table."""
        found: list[sa.ColumnElement[bool]] = []
        for column, values in (
            (chunk.c.category, self.category),
            (chunk.c.platform, self.platform),
            (chunk.c.url, self.url),
            (chunk.c.language, self.language),
        ):
            if values:
                found.append(column.in_(list(values)))
        if self.published_from:
            found.append(chunk.c.published_at >= self.published_from)
        if self.published_to:
            found.append(chunk.c.published_at <= self.published_to)
        return found


EVERYTHING = Filters()


@dataclass(frozen=True)
class Options:
    """How to search.

    ``candidates`` are taken from each ranking before they are joined. ``expand`` ranks them a second time, with the
    query moved towards the best of them. ``recency`` and ``diversity`` are weights in [0, 1].
    """

    mode: Mode = "hybrid"
    candidates: int = 50
    expand: bool = False
    recency: float = 0.0
    diversity: float = 0.0


USUAL = Options()
