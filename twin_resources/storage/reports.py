"""Reports: measured once for each thing they are about, kept with their figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twin_resources.database.schema import report


class Reports:
    """The ``report`` table; ``subject`` is the adapter or dataset version that a report is about."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def get(self, report_id: str) -> sa.RowMapping | None:
        """A report by its id, the content hash of everything it depends on."""
        with self.engine.connect() as session:
            return session.execute(sa.select(report).where(report.c.id == report_id)).mappings().one_or_none()

    def newest(self, author_id: str, kind: str, subject: str | None = None) -> sa.RowMapping | None:
        """The newest report of a kind."""
        query = sa.select(report).where(report.c.author == author_id, report.c.kind == kind)
        if subject is not None:
            query = query.where(report.c.subject == subject)
        with self.engine.connect() as session:
            return session.execute(query.order_by(report.c.created_at.desc()).limit(1)).mappings().one_or_none()

    def add(
        self, report_id: str, author_id: str, kind: str, subject: str, metrics: Mapping[str, Any], artifact: str
    ) -> None:
        """Store a report and make it the newest of its kind."""
        statement = insert(report).values(
            id=report_id, author=author_id, kind=kind, subject=subject, metrics=dict(metrics), artifact=artifact
        )
        with self.engine.begin() as session:
            session.execute(
                statement.on_conflict_do_update(
                    index_elements=["id"],
                    set_={
                        "metrics": statement.excluded.metrics,
                        "artifact": statement.excluded.artifact,
                        "created_at": sa.func.clock_timestamp(),
                    },
                )
            )
