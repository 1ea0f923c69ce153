"""Report pages with plots: one HTML file that needs nothing else. Drawn for assets and for commands alike."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #ccd;padding:.3rem .6rem;text-align:left;"
    "vertical-align:top}th{background:#f3f5f8}img{max-width:100%}blockquote{margin:0;color:#444}"
)


def bars(series: Mapping[str, Mapping[str, float]], path: Path, ylabel: str) -> None:
    """Draw one group of bars for each metric and one bar for each series into a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(name for values in series.values() for name in values))
    width = 0.8 / max(1, len(series))
    for offset, (label, values) in enumerate(series.items()):
        places = [index + offset * width for index in range(len(names))]
        drawn = axes.bar(places, [values.get(name, 0.0) for name in names], width, label=label)
        axes.bar_label(drawn, fmt="%.2f", fontsize=7)
    axes.set_xticks([index + width * (len(series) - 1) / 2 for index in range(len(names))], names)
    axes.set_ylabel(ylabel)
    axes.grid(axis="y", alpha=0.3)
    if len(series) > 1:
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def levels(values: Mapping[str, float], path: Path, xlabel: str, *, fmt: str = "{:.3g}") -> None:
    """Draw one horizontal bar for each value, the first on top, into a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.6 + 0.26 * max(4, len(values))), layout="constrained")
    axes = figure.subplots()
    drawn = axes.barh(list(values), list(values.values()))
    axes.bar_label(drawn, labels=[fmt.format(value) for value in values.values()], fontsize=7, padding=2)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel(xlabel)
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def intervals(values: Mapping[str, tuple[float, float, float]], path: Path, xlabel: str) -> None:
    """Draw a point with its interval (value, low, high) for each name, the first on top, into a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.8 + 0.34 * max(3, len(values))), layout="constrained")
    axes = figure.subplots()
    for place, (value, low, high) in enumerate(values.values()):
        axes.plot([low, high], [place, place], color="tab:blue", linewidth=2)
        axes.plot(value, place, "o", color="tab:blue")
        axes.annotate(
            f"{value:.2f}", (value, place), xytext=(0, 5), textcoords="offset points", ha="center", fontsize=7
        )
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()
    axes.margins(x=0.05, y=0.15)
    axes.axvline(0, color="grey", linestyle=":")
    axes.axvline(1, color="grey", linestyle=":")
    axes.set_xlabel(xlabel)
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def over_time(series: Mapping[str, Sequence[tuple[date, float]]], path: Path, ylabel: str) -> None:
    """Draw the figures of several kinds by their days, a point each, into a PNG file."""
    from matplotlib.dates import date2num
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    for label, points in series.items():
        days = date2num([day for day, _ in points])
        axes.plot(days, [value for _, value in points], "o", alpha=0.7, markersize=4, label=label)
    axes.xaxis_date()
    axes.set_ylabel(ylabel)
    axes.tick_params(axis="x", labelsize=8, rotation=20)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def spread(series: Mapping[str, Sequence[float]], line: float, path: Path, xlabel: str) -> None:
    """Draw how figures of several kinds are spread, with a line between them, into a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    for label, values in series.items():
        axes.hist(values, bins=30, range=(0.0, 1.0), alpha=0.6, density=True, label=f"{label} ({len(values)})")
    axes.axvline(line, color="black", linestyle="--", label=f"threshold {line:.2f}")
    axes.set_xlabel(xlabel)
    axes.set_ylabel("density")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as an HTML table."""
    if not rows:
        return "<p>Nothing.</p>"
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row.values()) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def page(title: str, intro: str, parts: Sequence[tuple[str, str | Path]]) -> str:
    """A page of headed parts; a part is HTML, or the path of a PNG that is put into the page."""
    body = [f"<h1>{html.escape(title)}</h1>", f"<p>{html.escape(intro)}</p>"]
    for heading, part in parts:
        body.append(f"<h2>{html.escape(heading)}</h2>")
        if isinstance(part, Path):
            data = base64.b64encode(part.read_bytes()).decode("ascii")
            body.append(f'<img alt="{html.escape(heading)}" src="data:image/png;base64,{data}">')
        else:
            body.append(part)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style>{''.join(body)}</html>"
    )
