"""A document that was forgotten, as far as our rows go; the whole of it is in ``forgetting/test_forget.py``."""

from __future__ import annotations

import sqlalchemy as sa

from twin_resources.database.schema import document
from twin_resources.storage import lineage


def forget(engine: sa.Engine, document_id: str) -> None:
    """Delete a document and its copies, and remember that they are never to be collected again."""
    with engine.begin() as session:
        together = lineage.copies(session, document_id)
        lineage.never_again(session, together, "asked to", [])
        session.execute(sa.delete(document).where(document.c.id.in_(together)))
