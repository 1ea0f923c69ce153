"""Reads a table of high and low waters, as if somebody had copied it by hand.

Somebody has. A line that can't be used is set aside with its number and a
reason; it is never dropped in silence, because the line you drop in silence is
the one with the low water in it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

KINDS = ("high", "low")

# In Skarvik anything above 3 metres is a typing error or the end of the world.
# Other harbours have real tides, so the limits are wider than ours.
LOWEST, HIGHEST = -1.0, 12.0


@dataclass(frozen=True, order=True)
class Reading:
    """One turn of the tide: when, which way, and how high above chart datum."""

    time: datetime
    kind: str
    metres: float

    def __str__(self) -> str:
        # The weekday is in capitals on account of a dinghy. See the README.
        return f"{self.time:%a %d %b %H:%M} {self.kind:<4} {self.metres:5.2f} m".upper()


@dataclass(frozen=True)
class SetAside:
    """A line we could not use, and why. Line 1 is the heading."""

    line: int
    reason: str


@dataclass
class Table:
    """What was read and what was set aside. Look at both."""

    readings: list[Reading] = field(default_factory=list)
    aside: list[SetAside] = field(default_factory=list)

    def span(self) -> tuple[datetime, datetime] | None:
        """First and last time in the table, or None when it is empty."""
        if not self.readings:
            return None
        return self.readings[0].time, self.readings[-1].time


def parse_row(row: dict[str, str | None]) -> Reading:
    """Turn one row into a reading, or raise ValueError in plain words."""
    stamp = (row.get("time") or "").strip()
    try:
        time = datetime.fromisoformat(stamp)
    except ValueError:
        raise ValueError(f"can't read the time {stamp!r}") from None

    kind = (row.get("kind") or "").strip().lower()
    if kind not in KINDS:
        raise ValueError(f"the kind is {kind!r}, it should be high or low")

    # A comma for a decimal point is not a mistake here, it is a nationality.
    number = (row.get("metres") or "").strip().replace(",", ".")
    try:
        metres = float(number)
    except ValueError:
        raise ValueError(f"can't read the height {number!r}") from None
    if not LOWEST <= metres <= HIGHEST:
        raise ValueError(f"{metres} metres is not a height, it is news")

    return Reading(time, kind, metres)


def read_rows(lines: Iterable[str]) -> Table:
    """Read lines of CSV, check each alone and then against the one before."""
    reader = csv.DictReader(lines)
    missing = {"time", "kind", "metres"} - set(reader.fieldnames or ())
    if missing:
        raise ValueError(f"the heading lacks {', '.join(sorted(missing))}")

    table = Table()
    for row in reader:
        try:
            reading = parse_row(row)
            if table.readings:
                check_against(table.readings[-1], reading)
        except ValueError as problem:
            table.aside.append(SetAside(reader.line_num, str(problem)))
        else:
            table.readings.append(reading)
    return table


def check_against(before: Reading, now: Reading) -> None:
    """A tide goes up and then it goes down. Raise if this one did not."""
    if now.time <= before.time:
        raise ValueError("the time goes backwards; two months in the wrong order?")
    if now.kind == before.kind:
        raise ValueError(f"two {now.kind} waters in a row, so one is missing")


def read_table(path: str | Path) -> Table:
    """Read a file. utf-8-sig, since somebody always opens it in a spreadsheet."""
    with open(path, newline="", encoding="utf-8-sig") as handle:
        return read_rows(handle)
