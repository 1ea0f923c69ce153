"""What is wrong and what is well: conditions, which alerts open and close by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from twin_resources.config.monitoring import MonitoringSettings
from twin_resources.storage.alerts import State
from twin_resources.storage.calls.interactions import Traffic
from twin_resources.storage.releases import WITHDRAWER, Approval
from twin_resources.storage.sources import Reading

ENOUGH = 10
"""Calls or ratings from which on a share of them says something."""
UNSTEADY = ("failures", "slowness")
"""Rules that ask for quiet: nothing new should start to serve while one is broken."""
_BACK = 0.8
"""Share of a limit below which something is well again; between the two nothing changes."""


@dataclass(frozen=True)
class Condition:
    """How one rule stands for one author.

    Attributes:
        author: None where it concerns all of them.
        state: ``between`` is neither bad enough to open an alert nor good enough to close one.
        text: what a person reads.
    """

    rule: str
    author: str | None
    state: State
    text: str


def limited(rule: str, author: str, value: float, limit: float, text: str, *, enough: bool = True) -> Condition:
    """A condition of a figure that may not exceed ``limit``; with too little to tell, all is well."""
    if not enough or value <= _BACK * limit:
        return Condition(rule, author, "good", text)
    return Condition(rule, author, "bad" if value > limit else "between", text)


def of_traffic(author: str, seen: Traffic, rules: MonitoringSettings) -> list[Condition]:
    """Failures, ratings and slowness."""
    count, errors, down = seen.interactions, seen.errors, seen.down
    rated = seen.up + down
    return [
        limited(
            "failures",
            author,
            errors / max(1, count),
            rules.max_error_share,
            f"{errors} of {count} requests failed",
            enough=count >= ENOUGH,
        ),
        limited(
            "ratings",
            author,
            down / max(1, rated),
            rules.max_down_share,
            f"{down} of {rated} ratings are thumbs down",
            enough=rated >= ENOUGH,
        ),
        limited(
            "slowness",
            author,
            seen.p95_ms,
            rules.max_p95_ms,
            f"95% of the answers take up to {seen.p95_ms / 1000:.1f} s",
            enough=count >= ENOUGH,
        ),
    ]


def of_readings(
    author: str, readings: Sequence[Reading], rules: MonitoringSettings, *, now: datetime | None = None
) -> Condition:
    """Whether the sources of an author who is collected on a schedule were read lately."""
    read = [each.read_at for each in readings if each.author == author and each.read_at is not None]
    age = (now or datetime.now(UTC)) - max(read) if read else None
    stale = age is not None and age > timedelta(days=rules.stale_days)
    text = f"no source was read for {age.days} days; see `twin sources`" if age else "no source was read yet"
    return Condition("stale", author, "bad" if stale else "good", text)


def of_daemon(problem: str | None) -> Condition:
    """Whether Dagster's daemon lives; asked by the API, because a daemon that is dead tells nobody."""
    return Condition("dead_daemon", None, "bad" if problem else "good", problem or "Dagster's daemon lives")


def of_runs(author: str, failed: str | None, stages: Sequence[str]) -> Condition:
    """Whether what the runs of an author were to make is there.

    Args:
        failed: the id of the last run, where it failed.
        stages: those whose last attempt failed, in whichever run that was.
    """
    text = "every stage was made"
    if stages:
        text = f"{', '.join(stages)} failed; `twin status` says why"
    elif failed:
        text = f"run {failed} failed; the Dagster UI shows where"
    return Condition("failed_run", author, "bad" if failed or stages else "good", text)


def of_withdrawal(author: str, last: Approval | None) -> Condition:
    """Whether a canary had to be withdrawn, and nothing was decided for the author since; told once.

    Args:
        last: the last decision on a version of theirs.
    """
    if last is None or last.action != "reject" or last.by != WITHDRAWER:
        return Condition("withdrawn_canary", author, "good", "no canary had to be withdrawn")
    text = f"{last.version} was withdrawn: {last.comment}; its report is on the page /releases"
    return Condition("withdrawn_canary", author, "bad", text)
