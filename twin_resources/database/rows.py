"""Rows between Python and Postgres: values as it takes them, and queries that are read page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from psycopg.types.json import Jsonb

from twin_resources.database.bulk import copy_upsert

Record = TypeVar("Record", covariant=True)


def storable(value: Any) -> Any:
    """``value`` as Postgres takes it: text without NUL and lone surrogates, mappings as JSONB, tuples as arrays."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return Jsonb({storable(key): _plain(entry) for key, entry in value.items()})
    return list(value) if isinstance(value, tuple) else value


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def add_records(session: sa.Connection, table: sa.Table, columns: Sequence[str], records: Iterable[object]) -> int:
    """Add records by primary key, each column from the attribute of its name; those that exist stay.

    Returns:
        The number of rows that are new.
    """
    rows = (tuple(storable(getattr(record, column)) for column in columns) for record in records)
    return copy_upsert(session, table, columns, rows)


@dataclass(frozen=True)
class Streamed(Generic[Record]):
    """The records of a query, read through a cursor on the server whenever they are iterated: what was true when the
    iteration began, and never more than a page of it in memory."""

    engine: sa.Engine
    query: sa.Select
    record: Callable[[sa.RowMapping], Record]
    page: int = 200

    def __iter__(self) -> Iterator[Record]:
        with (
            self.engine.connect() as session,
            session.execution_options(yield_per=self.page).execute(self.query) as rows,
        ):
            for row in rows.mappings():
                yield self.record(row)
