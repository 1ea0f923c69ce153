"""How long a training will still take, by the steps it has made."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import mean, stdev

from twin_resources.config.training import TrainingSettings
from twin_resources.storage.training.pace import Forecast, spoken

_UNKNOWN = 0.5
"""How far off it may be, as a share, after a single step."""
_SURE = 2.0
"""Standard errors, within which it lies nineteen times in twenty where steps vary at random."""


class Clock:
    """Times the steps of one training; the looks between two count to the second one.

    Args:
        now: seconds since whenever.
    """

    def __init__(self, parameters: TrainingSettings, now: Callable[[], float] = time.monotonic) -> None:
        self._price, self._now = parameters.price, now
        self._began = self._last = now()
        self._took: list[float] = []
        self._started = False

    def stepped(self) -> None:
        """A step was made. What came before the first one belongs to no step."""
        at = self._now()
        if self._started:
            self._took.append(at - self._last)
        self._started, self._last = True, at

    def left(self, steps: int) -> Forecast | None:
        """How long so many more steps take; None before two were made.

        The mean of the steps made is as uncertain as they vary, and those to come vary around it as well.
        """
        if not self._took:
            return None
        each, made = mean(self._took), len(self._took)
        error = each * steps * _UNKNOWN / _SURE
        if made > 1:
            error = stdev(self._took) * math.sqrt(steps + steps**2 / made)
        seconds = each * steps
        return Forecast(seconds, max(0.0, seconds - _SURE * error), seconds + _SURE * error)

    def told(self, steps: int) -> str:
        """The same for the end of a line, with what the training will have cost in all; empty before two steps."""
        left = self.left(steps)
        if left is None:
            return ""
        range_ = f" ({spoken(left.low)} to {spoken(left.high)})" if spoken(left.low) != spoken(left.high) else ""
        cost = ""
        if self._price:
            cost = f", about {self._price.told(self._now() - self._began + left.seconds)} in all"
        return f", {spoken(left.seconds)} left{range_}{cost}"
