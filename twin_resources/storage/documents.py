"""Questions about single documents: where one lies, who provides it, whether it may come in."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from twin_resources.database.schema import document, forgotten


class Documents:
    """Reads the tables ``document`` and ``forgotten``."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def url(self, document_id: str) -> str | None:
        """The address of a document, None where none has this id."""
        with self.engine.connect() as session:
            return session.scalar(sa.select(document.c.url).where(document.c.id == document_id))

    def forgotten(self, author_id: str, document_ids: Sequence[str]) -> list[str]:
        """Those of the ids that were forgotten and must never be collected again."""
        query = sa.select(forgotten.c.document_id).where(
            forgotten.c.author == author_id, forgotten.c.document_id.in_(document_ids)
        )
        with self.engine.connect() as session:
            return list(session.scalars(query))

    def origins(self, document_ids: Sequence[str]) -> dict[str, str]:
        """By id, the origin of those documents that are stored and not gone."""
        query = sa.select(document.c.id, document.c.origin).where(
            document.c.id.in_(document_ids), document.c.gone_at.is_(None)
        )
        with self.engine.connect() as session:
            return {row.id: row.origin for row in session.execute(query)}
