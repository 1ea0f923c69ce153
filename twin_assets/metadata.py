"""Metadata people look at in the Dagster UI: tables and plots."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

OWNERS = ["team:twin"]


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, limit: int = 50) -> dg.MarkdownMetadataValue:
    """The first ``limit`` rows as a Markdown table."""
    shown = list(rows)
    head = "| " + " | ".join(columns) + " |\n|" + "---|" * len(columns)
    lines = ["| " + " | ".join(_cell(row.get(column)) for column in columns) + " |" for row in shown[:limit]]
    more = f"\n\n… and {len(shown) - limit} more" if len(shown) > limit else ""
    return dg.MetadataValue.md("\n".join([head, *lines]) + more)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())
    text = text.replace("|", "\\|")
    return text if len(text) <= 160 or text.startswith("[") else text[:157] + "…"


def link(title: str | None, url: str) -> str:
    """A Markdown link where ``url`` leads somewhere, else the title alone."""
    text = (title or url).replace("[", "(").replace("]", ")")
    return f"[{text}]({url})" if url.startswith(("http://", "https://")) else text


def image(path: Path) -> dg.MarkdownMetadataValue:
    """A PNG inside the metadata."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return dg.MetadataValue.md(f"![{path.stem}](data:image/png;base64,{data})")
