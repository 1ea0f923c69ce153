"""CSV files as platforms export them: a header, then rows that may be broken one at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One row: ``number`` counts from 1 below the header; ``problem`` says why ``fields`` are not to be trusted."""

    number: int
    fields: Mapping[str, str]
    problem: str = ""


@dataclass(frozen=True)
class Table:
    """A whole CSV file; ``columns`` and the keys of the fields are in lower case, since platforms change theirs."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(text: str, *, escape: str | None = None) -> Table:
    """Read CSV ``text``; ``escape`` is the character before a quote of the text, where a platform uses one.

    Empty lines are no rows. A row with more or fewer cells than the header is kept with its ``problem``.
    """
    reader = csv.reader(io.StringIO(text, newline=""), escapechar=escape)
    columns: tuple[str, ...] = ()
    rows: list[Row] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return Table(columns, tuple(rows))
        except csv.Error as problem:
            rows.append(Row(len(rows) + 1, {}, f"line {line}: {problem}"))
            continue
        if not cells:
            continue
        if not columns:
            columns = tuple(cell.strip().lower() for cell in cells)
            continue
        wrong = f"line {line}: {len(cells)} columns instead of {len(columns)}" if len(cells) != len(columns) else ""
        rows.append(Row(len(rows) + 1, dict(zip(columns, cells, strict=False)), wrong))
