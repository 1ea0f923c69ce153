"""Writing many rows at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql


def copy_upsert(
    session: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    update: Sequence[str] = (),
) -> int:
    """Load rows with binary COPY into a staging table, then insert or update them by primary key.

    Args:
        columns: the columns that ``rows`` carry, in order.
        update: columns to overwrite where the key exists; without any, existing rows stay as they are.

    Returns:
        The number of rows inserted or updated.
    """
    driver: psycopg.Connection = session.connection.driver_connection  # pyright: ignore[reportAssignmentType]
    staging = sql.Identifier(f"staging_{table.name}")
    target = sql.Identifier(table.name)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with driver.cursor() as cursor:
        cursor.execute(
            sql.SQL("CREATE TEMP TABLE {} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DROP").format(staging, target)
        )
        cursor.execute(
            "SELECT attname, atttypid::regtype::text FROM pg_attribute WHERE attrelid = %s::regclass", (table.name,)
        )
        types = dict(cursor.fetchall())
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT BINARY)").format(staging, names)) as copy:
            copy.set_types([types[column] for column in columns])
            for row in rows:
                copy.write_row(row)
        keys = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.primary_key.columns)
        action = (
            sql.SQL("UPDATE SET {}").format(
                sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(column)) for column in update)
            )
            if update
            else sql.SQL("NOTHING")
        )
        cursor.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT ({}) DO {}").format(
                target, names, names, staging, keys, action
            )
        )
        changed = cursor.rowcount
        cursor.execute(sql.SQL("DROP TABLE {}").format(staging))
    return changed
