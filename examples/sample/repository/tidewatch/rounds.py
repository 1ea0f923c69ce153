"""A very small scheduler: a loop, a clock and some self-restraint.

Aslak made a round every two hours and wrote down only what had changed. This
does the same. It keeps no history, starts no threads and never catches up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]

# Not None, because a job is allowed to say None and mean it.
NEVER = object()


@dataclass
class Job:
    """Something to look at now and then.

    `look` returns a value. `tell` is called with it, but only when it differs
    from the last one. A warning that is repeated is wallpaper.
    """

    name: str
    every: float
    look: Callable[[], object]
    tell: Callable[[object], None]
    due: float = 0.0
    last: object = field(default=NEVER, repr=False)

    def __post_init__(self) -> None:
        if self.every <= 0:
            raise ValueError(f"{self.name}: a round every {self.every} s is a siren")


@dataclass
class Rounds:
    """Jobs, and the order in which they come due."""

    clock: Clock = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jobs: list[Job] = field(default_factory=list)
    errors: list[tuple[str, Exception]] = field(default_factory=list)

    def add(self, job: Job) -> Job:
        """Add a job. The first look is at once, for who knows what has happened."""
        if any(other.name == job.name for other in self.jobs):
            raise ValueError(f"there is a job called {job.name!r} already")
        job.due = self.clock()
        self.jobs.append(job)
        return job

    def make_one(self) -> int:
        """Do whatever is due, once each. Returns how many had something new."""
        now = self.clock()
        news = 0
        for job in self.jobs:
            if job.due > now:
                continue
            # Counted from now and not from when it was due. After five hours
            # of sleep there is one round to make, and not thirty.
            job.due = now + job.every
            try:
                value = job.look()
                if job.last is NEVER or value != job.last:
                    job.tell(value)
                    job.last = value
                    news += 1
            except Exception as problem:  # one broken lamp must not stop the round
                self.errors.append((job.name, problem))
        return news

    def wait(self) -> float:
        """Seconds until the next job, never less than nought."""
        if not self.jobs:
            raise ValueError("nothing to do, so there is nothing to wait for")
        return max(0.0, min(job.due for job in self.jobs) - self.clock())

    def run(self, times: int | None = None) -> None:
        """Round after round, for ever, or as many times as you say."""
        made = 0
        while times is None or made < times:
            self.make_one()
            made += 1
            if times is None or made < times:
                self.sleep(self.wait())
