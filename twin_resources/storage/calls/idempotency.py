"""The first answer to a write, kept for a day, so that a client that repeats the write gets it instead of a second one.

Follows the draft "The Idempotency-Key HTTP Header Field" of the IETF's HTTPAPI group.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twin_resources.database.schema import idempotency
from twin_resources.errors import TwinError

KEPT = timedelta(days=1)
LEASE = timedelta(minutes=5)
"""How long a write may take; one that has not ended by then died with its process, and may be tried again."""


class KeyReused(TwinError):
    """The key came with another request before."""


class StillRunning(TwinError):
    """The first request with this key has not been answered yet."""


@dataclass(frozen=True)
class Answered:
    """The answer to a write; ``author`` is whose data it holds."""

    status: int
    media_type: str
    body: str
    author: str | None = None


class Idempotency:
    """Reads and writes the table ``idempotency``; a row without a status is a write in progress."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def begin(self, key_id: str, request: str) -> Answered | None:
        """Take a key for a request, or find what it was answered with before.

        Args:
            key_id: hash of the key and of who sent it.
            request: hash of all that makes the request.

        Raises:
            KeyReused: the key is another request's.
            StillRunning: the request is being answered at this moment.
        """
        mine = idempotency.c.id == key_id
        with self.engine.begin() as session:
            session.execute(sa.delete(idempotency).where(mine, _expired()))
            taken = insert(idempotency).values(id=key_id, request=request).on_conflict_do_nothing()
            if session.execute(taken.returning(idempotency.c.id)).first():
                return None
            found = session.execute(sa.select(idempotency).where(mine)).one_or_none()
        if found is not None and found.request != request:
            raise KeyReused("This Idempotency-Key came with another request before; make a new key for each write.")
        if found is None or found.status is None:
            raise StillRunning(
                "The first request with this Idempotency-Key is still being answered; ask again shortly."
            )
        return Answered(found.status, found.media_type, found.body, found.author)

    def keep(self, key_id: str, answer: Answered) -> None:
        """Keep the answer to the request that took a key."""
        values = {
            "status": answer.status,
            "media_type": answer.media_type,
            "body": answer.body,
            "author": answer.author,
        }
        with self.engine.begin() as session:
            session.execute(sa.update(idempotency).where(idempotency.c.id == key_id).values(values))

    def release(self, key_id: str) -> None:
        """Give a key back: its request failed and wrote nothing, so it may be tried again."""
        unanswered = (idempotency.c.id == key_id, idempotency.c.status.is_(None))
        with self.engine.begin() as session:
            session.execute(sa.delete(idempotency).where(*unanswered))

    def purge(self) -> int:
        """Delete what is older than a day; returns how many rows went."""
        with self.engine.begin() as session:
            return session.execute(sa.delete(idempotency).where(_expired())).rowcount


def _expired() -> sa.ColumnElement[bool]:
    dead = idempotency.c.status.is_(None) & (idempotency.c.at < sa.func.now() - LEASE)
    return dead | (idempotency.c.at < sa.func.now() - KEPT)
