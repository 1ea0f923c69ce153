"""Metadata people look at in the Dagster UI: tables and plots."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

OWNERS = ["team:twin"]
ROWS = 50
"""Rows that a table shows."""


def table(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, total: int | None = None
) -> dg.MarkdownMetadataValue:
    """The first :data:`ROWS` rows as a Markdown table; ``total`` says how many there are where not all are given."""
    found = list(rows)
    count = len(found) if total is None else total
    head = "| " + " | ".join(columns) + " |\n|" + "---|" * len(columns)
    lines = ["| " + " | ".join(_cell(row.get(column)) for column in columns) + " |" for row in found[:ROWS]]
    more = f"\n\n… and {count - len(lines)} more" if count > len(lines) else ""
    return dg.MetadataValue.md("\n".join([head, *lines]) + more)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())
    text = text.replace("|", "\\|")
    return text if len(text) <= 160 or text.startswith("[") else text[:157] + "…"


_POSTGRES = postgresql.dialect()
_TYPES = {"str": "string", "int": "int", "float": "float", "bool": "bool", "datetime": "timestamp"}


def columns(record: Any) -> dict[str, Any]:
    """The column schema of what an asset holds, from the dataclass of its rows."""
    names = {field.name: str(field.type).removesuffix(" | None") for field in fields(record)}
    shown = [dg.TableColumn(name, _TYPES.get(kind, kind)) for name, kind in names.items()]
    return {"dagster/column_schema": dg.TableSchema(shown)}


def stored_in(table: sa.Table) -> dict[str, Any]:
    """The table of our database that an asset's rows lie in, and its columns."""
    shown = [
        dg.TableColumn(column.name, str(column.type.compile(dialect=_POSTGRES)).lower(), column.comment)
        for column in table.columns
    ]
    return {
        "dagster/column_schema": dg.TableSchema(shown),
        "dagster/table_name": f"twin.public.{table.name}",
        "dagster/uri": f"postgresql:///twin/{table.name}",
    }


def artifact(store: str, address: str) -> dict[str, Any]:
    """The address of an artifact, and where it is reached."""
    return {"artifact": address or "none", **({"dagster/uri": f"{store}/{address}"} if address else {})}


def link(title: str | None, url: str) -> str:
    """A Markdown link where ``url`` leads somewhere, else the title alone."""
    text = (title or url).replace("[", "(").replace("]", ")")
    return f"[{text}]({url})" if url.startswith(("http://", "https://")) else text


def image(path: Path) -> dg.MarkdownMetadataValue:
    """A PNG inside the metadata."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return dg.MetadataValue.md(f"![{path.stem}](data:image/png;base64,{data})")
