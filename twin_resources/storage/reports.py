"""Reports: measured once for each thing they are about, kept with their figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert

from twin_resources.database.schema import report


@dataclass(frozen=True)
class Report:
    """Figures that were measured of ``subject``, an adapter or dataset version; ``artifact`` is where its pages lie,
    empty where it has none."""

    id: str
    author: str
    kind: str
    subject: str
    metrics: Mapping[str, Any]
    artifact: str
    created_at: datetime


_REPORTS = sa.select(*(report.c[name] for name in Report.__dataclass_fields__))


class Reports:
    """The ``report`` table."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def get(self, report_id: str) -> Report | None:
        """A report by its id, the content hash of everything it depends on."""
        return self._one(_REPORTS.where(report.c.id == report_id))

    def newest(self, author_id: str, kind: str, subject: str | None = None) -> Report | None:
        """The newest report of a kind."""
        query = _REPORTS.where(report.c.author == author_id, report.c.kind == kind)
        if subject is not None:
            query = query.where(report.c.subject == subject)
        return self._one(query.order_by(report.c.created_at.desc()).limit(1))

    def of(self, author_id: str, subject: str) -> list[Report]:
        """The newest report of each kind on a subject."""
        mine = (report.c.author == author_id, report.c.subject == subject)
        query = _REPORTS.ext(distinct_on(report.c.kind)).where(*mine)
        with self.engine.connect() as session:
            rows = session.execute(query.order_by(report.c.kind, report.c.created_at.desc()))
            return [Report(*row) for row in rows]

    def _one(self, query: sa.Select) -> Report | None:
        with self.engine.connect() as session:
            row = session.execute(query).one_or_none()
        return Report(*row) if row else None

    def add(
        self, report_id: str, author_id: str, kind: str, subject: str, metrics: Mapping[str, Any], artifact: str
    ) -> Report:
        """Store a report, make it the newest of its kind, and give it back."""
        statement = insert(report).values(
            id=report_id, author=author_id, kind=kind, subject=subject, metrics=dict(metrics), artifact=artifact
        )
        newer = {
            "metrics": statement.excluded.metrics,
            "artifact": statement.excluded.artifact,
            "created_at": sa.func.clock_timestamp(),
        }
        stored = statement.on_conflict_do_update(index_elements=["id"], set_=newer).returning(
            *_REPORTS.selected_columns
        )
        with self.engine.begin() as session:
            return Report(*session.execute(stored).one())
