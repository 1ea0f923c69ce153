"""How long trainings took, how long one will take by that, and what it costs."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import sqlalchemy as sa

from twin_resources.config.price import Price
from twin_resources.database.schema import adapter

_LATEST = 20
_FEW = 1.25
"""How far off it may be where nothing says how much trainings differ."""
_MARGIN = 1.1
"""How far beyond what was seen it may lie."""


@dataclass(frozen=True)
class Past:
    """A training that came to its end without a stop between: ``tokens`` learned from, ``learning`` seconds of its
    steps and looks, and ``whole`` seconds with loading and saving."""

    author: str
    tokens: int
    learning: float
    whole: float
    hardware: str
    processes: int
    quantization: str | None


@dataclass(frozen=True)
class Forecast:
    """How many ``seconds`` something will take, probably between ``low`` and ``high``; ``basis`` says by what."""

    seconds: float
    low: float
    high: float
    basis: str = ""

    def told(self, price: Price | None = None) -> str:
        """For a person, with its cost where there is a price."""
        words = f"about {spoken(self.seconds)}"
        if spoken(self.low) != spoken(self.high):
            words += f" ({spoken(self.low)} to {spoken(self.high)})"
        if price:
            words += f", about {price.told(self.seconds)}"
        return f"{words}, by {self.basis}" if self.basis else words


def spoken(seconds: float) -> str:
    """A duration in the unit that a person would choose."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def hardware(device: str) -> str:
    """This machine, as trainings are told apart by it."""
    return f"{device}, {platform.machine()}, {os.cpu_count()} cores, {platform.system()}"


def forecast(
    pasts: Sequence[Past], tokens: int, *, here: str, processes: int = 1, quantization: str | None = None
) -> Forecast | None:
    """How long a training of so many tokens takes, by the speed of trainings of its base on the same hardware, with as
    many processes and the base kept alike; None without one.

    What else they differ in (rank, length of samples, checkpointing) is in how far apart they lie.
    """
    alike = [
        each
        for each in pasts
        if each.tokens and (each.hardware, each.processes, each.quantization) == (here, processes, quantization)
    ]
    if not alike:
        return None
    rates = [each.learning / each.tokens for each in alike]
    around = median(each.whole - each.learning for each in alike)
    middle = median(rates)
    margin = _MARGIN if len(alike) > 2 else _FEW
    low, high = min(rates) / margin, max(rates) * margin
    count = "one training" if len(alike) == 1 else f"{len(alike)} trainings"
    times = [rate * tokens + around for rate in (middle, low, high)]
    return Forecast(*times, basis=f"{count} of this base on this machine")


def pasts(engine: sa.Engine, base: str, kind: str = "sft") -> list[Past]:
    """The latest trainings of a base whose time is known, whoever their author is; the newest first."""
    figures = adapter.c.metrics
    query = (
        sa.select(adapter.c.author, figures, adapter.c.parameters["quantization"].astext.label("quantization"))
        .where(adapter.c.base == base, adapter.c.kind == kind, figures.has_key("seconds"))
        .where(~figures["resumed"].as_boolean(), ~figures.has_key("stopped"))
        .order_by(adapter.c.created_at.desc())
        .limit(_LATEST)
    )
    with engine.connect() as session:
        return [
            Past(
                row.author,
                row.metrics["train_tokens"],
                row.metrics["train_seconds"],
                row.metrics["seconds"],
                row.metrics["hardware"],
                row.metrics["processes"],
                row.quantization,
            )
            for row in session.execute(query)
        ]
