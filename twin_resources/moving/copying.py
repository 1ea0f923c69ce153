"""Making an author's rows in one database those of another, however far an earlier attempt came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from twin_resources.moving.parts import PARTS, Part

_AT_ONCE = 500
"""Rows that are copied by one statement."""

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Side:
    """The rows of an author in one database.

    Attributes:
        shift: added to numbers that the database gave before they are compared or copied.
    """

    session: psycopg.Connection
    author: str
    shift: int = 0

    def hashes(self, part: Part) -> dict[Key, int]:
        """A hash of each row, by its primary key."""
        key = sql.SQL(", ").join(self._shown(part, part.key))
        query = sql.SQL("SELECT {}, {} FROM {} AS t WHERE {}").format(
            key, self._hash(part), sql.Identifier(part.table), _where(part)
        )
        with self.session.cursor() as cursor:
            cursor.execute(query, {"author": self.author})
            return {row[:-1]: row[-1] for row in cursor}

    def figures(self) -> dict[str, tuple[int, str]]:
        """Rows of each table, and a hash of them that does not depend on their order."""
        found = {}
        for part in PARTS:
            if not part.shared:
                query = sql.SQL("SELECT count(*), coalesce(sum({}), 0)::text FROM {} AS t WHERE {}").format(
                    self._hash(part), sql.Identifier(part.table), _where(part)
                )
                found[part.table] = self.session.execute(query, {"author": self.author}).fetchone() or (0, "")
        return found

    def holds_anything(self) -> bool:
        """Whether any row here is the author's, but for their name and consent."""
        for part in PARTS:
            if not part.shared and part.table != "author":
                query = sql.SQL("SELECT EXISTS (SELECT 1 FROM {} AS t WHERE {})").format(
                    sql.Identifier(part.table), _where(part)
                )
                row = self.session.execute(query, {"author": self.author}).fetchone()
                if row and row[0]:
                    return True
        return False

    def rows(self, part: Part, keys: Sequence[Key]) -> Iterator[bytes]:
        """Rows as COPY writes them."""
        query = sql.SQL("COPY (SELECT {} FROM {} AS t WHERE {}) TO STDOUT").format(
            sql.SQL(", ").join(self._shown(part, part.columns)),
            sql.Identifier(part.table),
            _among(part, [self._stored(part, key) for key in keys]),
        )
        with self.session.cursor() as cursor, cursor.copy(query) as copy:
            for data in copy:
                yield bytes(data)

    def _shown(self, part: Part, columns: Iterable[str]) -> list[sql.Composable]:
        shifted = [sql.Literal(self.shift) if column in part.numbered else None for column in columns]
        names = [sql.SQL("t.{}").format(sql.Identifier(column)) for column in columns]
        return [
            name if by is None or not self.shift else sql.SQL("({} + {})").format(name, by)
            for name, by in zip(names, shifted, strict=True)
        ]

    def _stored(self, part: Part, key: Key) -> Key:
        named = zip(part.key, key, strict=True)
        return tuple(value - self.shift if column in part.numbered else value for column, value in named)

    def _hash(self, part: Part) -> sql.Composable:
        columns = sql.SQL(", ").join(self._shown(part, part.columns))
        return sql.SQL("hashtextextended(ROW({})::text, 0)").format(columns)


def copy(source: Side, target: Side) -> int:
    """Make the rows of ``target`` those of ``source``, which sees one moment; returns how many were written or deleted.

    What went is deleted first, from the last table to the first, so that no row is left without what it refers to.
    """
    there = {part.table: (source.hashes(part), target.hashes(part)) for part in PARTS}
    changed = 0
    for part in reversed(PARTS):
        wanted, held = there[part.table]
        gone = [] if part.shared else [key for key in held if key not in wanted]
        changed += delete(target, part, gone)
    for part in PARTS:
        wanted, held = there[part.table]
        missing = [key for key, value in wanted.items() if key not in held or (held[key] != value and not part.shared)]
        for keys in _batches(missing):
            _write(target, part, source.rows(part, keys))
        changed += len(missing)
    return changed


def delete(side: Side, part: Part, keys: Sequence[Key]) -> int:
    """Delete rows by their keys."""
    for some in _batches(keys):
        side.session.execute(
            sql.SQL("DELETE FROM {} AS t WHERE {}").format(sql.Identifier(part.table), _among(part, some))
        )
    return len(keys)


def remove(side: Side, *, keep_author: bool) -> None:
    """Delete every row of the author, and vectors of texts that nobody else wrote.

    Args:
        keep_author: whether name and consent stay.
    """
    texts = side.session.execute("SELECT DISTINCT text_hash FROM chunk WHERE author = %s", (side.author,)).fetchall()
    for part in reversed(PARTS):
        if not part.shared and not (keep_author and part.table == "author"):
            query = sql.SQL("DELETE FROM {} AS t WHERE {}").format(sql.Identifier(part.table), _where(part))
            side.session.execute(query, {"author": side.author})
    for table in ("embedding", "sentence_embedding"):
        query = sql.SQL(
            "DELETE FROM {} AS t WHERE text_hash = ANY (%s) "
            "AND NOT EXISTS (SELECT 1 FROM chunk AS p WHERE p.text_hash = t.text_hash)"
        ).format(sql.Identifier(table))
        side.session.execute(query, ([row[0] for row in texts],))


def _write(target: Side, part: Part, rows: Iterable[bytes]) -> None:
    table, staging = sql.Identifier(part.table), sql.Identifier(f"moving_{part.table}")
    columns = sql.SQL(", ").join(map(sql.Identifier, part.columns))
    others = [] if part.shared else [column for column in part.columns if column not in part.key]
    changes = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(column)) for column in others)
    action = sql.SQL("UPDATE SET {}").format(changes) if others else sql.SQL("NOTHING")
    with target.session.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE TEMP TABLE {} (LIKE {}) ON COMMIT DROP").format(staging, table))
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(staging, columns)) as into:
            for row in rows:
                into.write(row)
        key = sql.SQL(", ").join(map(sql.Identifier, part.key))
        cursor.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT ({}) DO {}").format(
                table, columns, columns, staging, key, action
            )
        )
        cursor.execute(sql.SQL("DROP TABLE {}").format(staging))


def _batches(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    return (keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE))


def _where(part: Part) -> sql.SQL:
    return sql.SQL(part.where)  # pyright: ignore[reportArgumentType]


def _among(part: Part, keys: Sequence[Key]) -> sql.Composable:
    names = sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(column)) for column in part.key)
    tuples = sql.SQL(", ").join(sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, key))) for key in keys)
    return sql.SQL("({}) IN ({})").format(names, tuples)


def highest(session: psycopg.Connection, table: str) -> int:
    """The highest number that a database gave in a table."""
    query = sql.SQL("SELECT coalesce(max(id), 0) FROM {}").format(sql.Identifier(table))
    row = session.execute(query).fetchone()
    return row[0] if row else 0


def numbering() -> Mapping[str, str]:
    """Tables whose ids the database numbers, with the sequence of each."""
    return {part.table: f"{part.table}_id_seq" for part in PARTS if part.numbered == ("id",)}
