"""Authors, with the consent that everything of theirs rests on."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twin_resources.config.settings import AuthorSettings
from twin_resources.database.schema import author, chunk, clean_document, document, quarantine


class Authors:
    """The ``author`` table, and how much of an author there is."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def record(self, settings: AuthorSettings) -> None:
        """Record an author with the consent of ``twin.yaml``; keeps the first date while the words are the same."""
        statement = insert(author).values(id=settings.id, name=settings.name, consent=settings.consent)
        new = statement.excluded
        since = sa.case((author.c.consent == new.consent, author.c.recorded_at), else_=sa.func.now())
        changed = {"name": new.name, "consent": new.consent, "recorded_at": since}
        with self.engine.begin() as session:
            session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))

    def counts(self, author_id: str) -> dict[str, int]:
        """How much of an author is stored at each stage."""
        used = (clean_document.c.current, clean_document.c.excluded.is_(None))
        conditions = {
            "documents": (document.c.author == author_id, document.c.gone_at.is_(None)),
            "clean_documents": (clean_document.c.author == author_id, *used),
            "chunks": (chunk.c.author == author_id, chunk.c.current),
            "quarantined": (quarantine.c.author == author_id,),
        }
        with self.engine.connect() as session:
            return {
                name: session.scalar(sa.select(sa.func.count()).where(*wanted)) or 0
                for name, wanted in conditions.items()
            }
