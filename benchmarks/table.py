"""The table of what was measured, and its comparison with the committed one."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from rich.console import Console

COMMITTED = Path(__file__).parent / "measured.json"
_COSTS = {"ms", "s", "MB", "bytes", "times", "passages embedded"}
_SCORES = {"nDCG@10", "recall@100", "recall@10", "F1", "share"}
_SCORE_NOISE = 0.005
_COST_NOISE = 1.25
_console = Console(highlight=False)


def p95(milliseconds: Sequence[float]) -> float:
    """The 95th percentile of a latency."""
    return statistics.quantiles(milliseconds, n=20)[-1]


@dataclass(frozen=True)
class Figure:
    """One number; ``unit`` says what of, and whether less or more of it is better."""

    what: str
    value: float
    unit: str
    date: str
    machine: str

    def __str__(self) -> str:
        if self.unit in _SCORES:
            return f"{self.value:.4f} {self.unit}"
        return f"{self.value:,.0f} {self.unit}" if self.value >= 100 else f"{self.value:.1f} {self.unit}"


class Table:
    """Figures of one run, shown as they come, beside those of the committed table."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []
        self.notes: list[str] = []
        self._before = committed()

    def add(self, what: str, value: float, unit: str) -> None:
        """Add a figure and show it at once."""
        figure = Figure(what, round(float(value), 4), unit, datetime.date.today().isoformat(), machine())
        self.figures.append(figure)
        _console.print(f"  {what:<62} {figure!s:>20}  {self._verdict(figure)}", soft_wrap=True)

    def spread(self, what: str, milliseconds: Sequence[float]) -> None:
        """Add the median and the 95th percentile of a latency."""
        self.add(f"{what}, p50", statistics.median(milliseconds), "ms")
        self.add(f"{what}, p95", p95(milliseconds), "ms")

    def note(self, text: str) -> None:
        """Say what was not measured, and why."""
        self.notes.append(text)
        _console.print(f"  {text}", soft_wrap=True)

    def _verdict(self, figure: Figure) -> str:
        """How a figure stands to the committed one; costs are compared on the same machine only."""
        before = self._before.get(figure.what)
        if before is None or before.unit != figure.unit:
            return "new"
        if figure.unit in _SCORES:
            change = figure.value - before.value
            word = "" if abs(change) <= _SCORE_NOISE else " better" if change > 0 else " WORSE"
            return f"{change:+.4f}{word}"
        if before.machine != figure.machine:
            return "another machine"
        ratio = figure.value / before.value if before.value else float(figure.value == before.value)
        dear = ratio if figure.unit in _COSTS else 1 / ratio if ratio else float("inf")
        word = " WORSE" if dear > _COST_NOISE else " better" if dear and dear < 1 / _COST_NOISE else ""
        return f"x {ratio:.2f}{word}"

    def markdown(self) -> str:
        """All figures of this run with the committed ones."""
        lines = ["| what | measured | committed | change |", "|---|---|---|---|"]
        for figure in self.figures:
            before = self._before.get(figure.what)
            lines.append(f"| {figure.what} | {figure} | {before or ''} | {self._verdict(figure)} |")
        return "\n".join([*lines, "", *self.notes])

    def save(self) -> None:
        """Put the figures of this run into the committed table; the others stay."""
        merged = self._before | {figure.what: figure for figure in self.figures}
        rows = [asdict(merged[what]) for what in sorted(merged)]
        COMMITTED.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def committed() -> dict[str, Figure]:
    """The figures of the committed table by name."""
    if not COMMITTED.exists():
        return {}
    return {row["what"]: Figure(**row) for row in json.loads(COMMITTED.read_text(encoding="utf-8"))}


def machine() -> str:
    """The machine in words, as far as figures depend on it."""
    memory = round(psutil.virtual_memory().total / 2**30)
    names = [line.split(":", 1)[1].strip() for line in _cpu_lines() if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {memory} GiB"


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
