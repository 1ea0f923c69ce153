"""What people decided on samples: accepted, rejected, or edited.

A review belongs to the content of a sample as it was generated, so it holds over dataset versions as long as that
sample is made. An edited sample stands in the next version under an id of its own, see :attr:`Review.edited_id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twin_resources.database.rows import storable
from twin_resources.database.schema import document, review
from twin_resources.text.identity import content_id

ReviewVerdict = Literal["accepted", "rejected", "edited"]


@dataclass(frozen=True)
class Review:
    """One decision; ``answer`` is the new text where the sample was edited, ``by`` names the key or is ``local``."""

    sample_id: str
    verdict: ReviewVerdict
    answer: str | None
    by: str
    at: datetime

    @property
    def edited_id(self) -> str | None:
        """The id of the sample with the new text; None where it was not edited."""
        return None if self.answer is None else content_id("edited", self.sample_id, self.answer, self.by)


class Reviews:
    """Reads and writes the table ``review``."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def of(self, author_id: str) -> Mapping[str, Review]:
        """All of an author's by the id of the sample that was generated."""
        names = ("sample_id", "verdict", "answer", "by", "at")
        query = sa.select(*(review.c[name] for name in names)).where(review.c.author == author_id)
        with self.engine.connect() as session:
            return {row.sample_id: Review(*row) for row in session.execute(query)}

    def decide(
        self,
        author_id: str,
        document_id: str,
        sample_id: str,
        *,
        verdict: ReviewVerdict,
        by: str,
        answer: str | None = None,
    ) -> Review | None:
        """Keep a decision in place of the one before; None where the sample's document has gone in the meantime."""
        values = [author_id, sample_id, verdict, storable(answer), by]
        row = sa.select(*(sa.literal(each, sa.Text) for each in values), document.c.id).where(
            document.c.id == document_id, document.c.author == author_id
        )
        statement = insert(review).from_select(["author", "sample_id", "verdict", "answer", "by", "document_id"], row)
        changed = {name: statement.excluded[name] for name in ("verdict", "answer", "by")}
        decided = statement.on_conflict_do_update(
            index_elements=["author", "sample_id"], set_={**changed, "at": sa.func.clock_timestamp()}
        ).returning(review.c.sample_id, review.c.verdict, review.c.answer, review.c.by, review.c.at)
        with self.engine.begin() as session:
            found = session.execute(decided).one_or_none()
            return Review(*found) if found else None

    def undo(self, author_id: str, sample_id: str) -> None:
        """Take a decision back; does nothing where there is none."""
        with self.engine.begin() as session:
            session.execute(sa.delete(review).where(review.c.author == author_id, review.c.sample_id == sample_id))
