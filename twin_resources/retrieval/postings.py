"""Postings that were read lately: a segment never changes once it is written, so neither do they.

Questions are new, but most of their words are not, and the words that stand in many passages have the longest postings.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
import sqlalchemy as sa
from psycopg.adapt import Loader
from psycopg.pq import Format

CAPACITY = 64 * 2**20
"""Bytes of postings that are kept: those of some 100,000 passages."""


class _Int4Array(Loader):
    format = Format.BINARY
    _element = np.dtype([("size", ">i4"), ("value", ">i4")])
    _native = np.dtype(np.int32)

    def load(self, data: Any) -> np.ndarray:
        if len(data) <= 20:
            return np.empty(0, self._native)
        return np.frombuffer(data, self._element, offset=20)["value"].astype(self._native)


class _Float4Array(_Int4Array):
    _element = np.dtype([("size", ">i4"), ("value", ">f4")])
    _native = np.dtype(np.float32)


@dataclass(frozen=True)
class Segment:
    """Which segment it is, in whatever database: numbers begin anew in each, moments do not."""

    id: int
    author: str
    created_at: datetime


@dataclass(frozen=True)
class Posting:
    """The members of a segment that have a lexeme, int32, and its weight in each without the idf, float32."""

    ordinals: np.ndarray
    impacts: np.ndarray

    @property
    def size(self) -> int:
        """Bytes that it takes, with its place among the others."""
        return self.ordinals.nbytes + self.impacts.nbytes + 300


_QUERY = """
SELECT segment, lexeme, ordinals, impacts
FROM posting JOIN unnest(%s::bigint[], %s::text[]) AS wanted (segment, lexeme) USING (segment, lexeme)
"""


class Postings:
    """The postings read last, up to ``capacity`` bytes.

    Whoever asks has to be allowed to read the segments; their postings are then theirs to read as well.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[tuple[Segment, str], Posting] = OrderedDict()
        self.size = 0
        """Bytes that are kept now."""
        self._lock = threading.Lock()

    def of(
        self, session: sa.Connection, segments: Sequence[Segment], lexemes: Sequence[str]
    ) -> Mapping[str, list[tuple[int, Posting]]]:
        """For each of the lexemes the segments, by number, that have it, with its posting there."""
        wanted = [(segment, lexeme) for lexeme in lexemes for segment in segments]
        with self._lock:
            found = {key: self._kept[key] for key in wanted if key in self._kept}
            for key in found:
                self._kept.move_to_end(key)
        if missing := [key for key in wanted if key not in found]:
            fresh = _read(session, missing)
            self._keep(fresh)
            found |= fresh
        postings: dict[str, list[tuple[int, Posting]]] = {}
        for segment, lexeme in wanted:
            if posting := found.get((segment, lexeme)):
                postings.setdefault(lexeme, []).append((segment.id, posting))
        return postings

    def _keep(self, fresh: Mapping[tuple[Segment, str], Posting]) -> None:
        with self._lock:
            for key, posting in fresh.items():
                if key not in self._kept:
                    self._kept[key] = posting
                    self.size += posting.size
            while self.size > self._capacity:
                _, oldest = self._kept.popitem(last=False)
                self.size -= oldest.size


def _read(session: sa.Connection, wanted: Sequence[tuple[Segment, str]]) -> dict[tuple[Segment, str], Posting]:
    """Those of the postings that there are."""
    segments = {segment.id: segment for segment, _ in wanted}
    driver: psycopg.Connection = session.connection.driver_connection  # pyright: ignore[reportAssignmentType]
    with driver.cursor(binary=True) as cursor:
        for name, loader in (("int4", _Int4Array), ("float4", _Float4Array)):
            cursor.adapters.register_loader(cursor.adapters.types[name].array_oid, loader)
        cursor.execute(_QUERY, ([segment.id for segment, _ in wanted], [lexeme for _, lexeme in wanted]))
        return {(segments[number], lexeme): Posting(*arrays) for number, lexeme, *arrays in cursor}
