"""What the key of a request may do: those of ``TWIN_API_KEYS``, which administer, and those of ``twin keys``."""

from __future__ import annotations

import hmac
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy.exc import SQLAlchemyError

from twin_resources.errors import TwinError
from twin_resources.storage.keys import KINDS, ApiKey, ApiKeys, Kind, digest

log = logging.getLogger(__name__)

FRESH_SECONDS = 2.0
"""How long a revoked key may still be taken."""

_NOTED_SECONDS = 60.0


@dataclass(frozen=True)
class Grant:
    """What a request may do, and for which authors; None for all. ``name`` says who asks, for the record, and ``id``
    tells keys apart, also those that had the same name one after another. ``calls_a_minute`` is how often it may call,
    ``tokens_left`` what models may still read and write for it today; None for any number."""

    kind: Kind
    authors: tuple[str, ...] | None = None
    name: str = "local"
    id: str = "local"
    calls_a_minute: int | None = None
    tokens_left: int | None = None

    def covers(self, kind: Kind) -> bool:
        """Whether this is at least ``kind``."""
        return KINDS.index(self.kind) >= KINDS.index(kind)


class TooOften(TwinError):
    """A key called more often than it may; it can again in ``retry_after`` seconds."""

    def __init__(self, calls_a_minute: int, retry_after: int) -> None:
        super().__init__(f"This key may call {calls_a_minute} times a minute; it can again in {retry_after} s.")
        self.retry_after = retry_after


ADMIN = Grant("admin")
"""Whoever asks on this machine while no key is needed."""


class KeyRing:
    """The keys that are taken now, read again every :data:`FRESH_SECONDS`.

    Args:
        fixed: keys of ``TWIN_API_KEYS``.
        store: gives the table, None while there is no database.
        needed: whether a key is needed even where none was ever made.
    """

    def __init__(self, fixed: Sequence[str], store: Callable[[], ApiKeys | None], *, needed: bool = False) -> None:
        self._fixed = [digest(key) for key in fixed]
        self._store = store
        self._needed = needed or bool(fixed)
        self._held: dict[bytes, ApiKey] = {}
        self._read_at: float | None = None
        self._seen: set[str] = set()
        self._noted: dict[str, float] = {}
        self._lock = threading.Lock()
        self._calls = MovingWindowRateLimiter(MemoryStorage())

    @property
    def loaded(self) -> bool:
        """Whether the table was read at least once; before that nobody knows which keys there are."""
        return self._read_at is not None

    @property
    def needed(self) -> bool:
        """Whether a call needs a key: once one was ever made, revoking all of them opens nothing."""
        return self._needed

    def fresh(self, seconds: float = FRESH_SECONDS) -> bool:
        """Whether the table was read within ``seconds``, so that :meth:`read` has nothing to do."""
        return self._read_at is not None and time.monotonic() - self._read_at < seconds

    def read(self, seconds: float = FRESH_SECONDS) -> None:
        """Read the table, unless it was read within ``seconds``; while the database is away, the last reading holds."""
        with self._lock:
            if self.fresh(seconds) or (store := self._store()) is None:
                return
            try:
                self._held, ever = store.held()
                self._needed = self._needed or ever
                self._read_at = time.monotonic()
                now = time.monotonic()
                due = [key for key in self._seen if now - self._noted.get(key, -_NOTED_SECONDS) >= _NOTED_SECONDS]
                if due:
                    store.used(due)
                    self._noted.update(dict.fromkeys(due, now))
                    self._seen.difference_update(due)
            except SQLAlchemyError as error:
                log.warning("the API keys cannot be read: %s", str(error).splitlines()[0])

    def grant(self, key: str) -> Grant | None:
        """What a key may do; None for one that is not taken."""
        shown = digest(key)
        if sum(hmac.compare_digest(shown, known) for known in self._fixed):
            return Grant("admin", name="TWIN_API_KEYS", id=shown.hex())
        found = self._held.get(shown)
        if found is None:
            return None
        self._seen.add(found.id)
        authors = None if found.kind == "admin" else found.authors
        return Grant(found.kind, authors, found.name, found.id, found.calls_a_minute, found.tokens_left)

    def count(self, grant: Grant) -> None:
        """Count a call.

        Raises:
            TooOften: the key called as often in the last minute as it may.
        """
        if grant.calls_a_minute is None:
            return
        limit = RateLimitItemPerMinute(grant.calls_a_minute)
        if not self._calls.hit(limit, grant.id):
            wait = self._calls.get_window_stats(limit, grant.id).reset_time - time.time()
            raise TooOften(grant.calls_a_minute, max(1, math.ceil(wait)))

    def spend(self, grant: Grant, tokens: int) -> None:
        """Note what models read and wrote for a key; while the database is away, nothing is noted."""
        store = self._store()
        if store is None:
            return
        try:
            store.spend(grant.id, tokens)
        except SQLAlchemyError as error:
            log.warning("what a key spent cannot be noted: %s", str(error).splitlines()[0])

    def admins(self) -> list[bytes]:
        """The digests of the keys that administer."""
        return [*self._fixed, *(known for known, key in self._held.items() if key.kind == "admin")]
