"""What works of the API, and what does not and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from twin_resources.database import postgres
from twin_resources.database.replica import replica_of
from twin_resources.generation.base import EngineState
from twin_resources.storage.alerts import Alerts
from twin_serving.answering.engine import Served

STALE = timedelta(minutes=3)
"""A daemon that was silent for longer is taken for dead; it reports every half minute."""
_REMEDY = "runs that are queued will not start; `twin up` starts it"
_SEARCH_NEEDS = ("database", "migrations", "embedder")


@dataclass(frozen=True)
class Component:
    """A part of the API; ``reason`` is what keeps it from working, None where it works."""

    ready: bool
    reason: str | None


@dataclass(frozen=True)
class Readiness:
    """The state of every part. ``ready``: searches are answered. ``can_answer``: questions are, too."""

    ready: bool
    can_answer: bool
    components: Mapping[str, Component]
    champions: Mapping[str, Served]
    warnings: Sequence[str]
    engines: Sequence[EngineState] = ()

    @classmethod
    def of(
        cls,
        reasons: Mapping[str, str | None],
        champions: Mapping[str, Served],
        warnings: Sequence[str],
        engines: Sequence[EngineState] = (),
    ) -> Readiness:
        """The state that the reasons of the parts make.

        Args:
            reasons: of ``database``, ``migrations``, ``embedder`` and ``generator``; None where one is ready.
            engines: those that are asked over the network.
        """
        components = {name: Component(reason is None, reason) for name, reason in reasons.items()}
        ready = all(components[name].ready for name in _SEARCH_NEEDS)
        return cls(ready, ready and components["generator"].ready, components, champions, warnings, engines)


def database_problem(engine: sa.Engine) -> str | None:
    """Why the database gives no answer, or None."""
    try:
        with engine.connect() as session:
            session.execute(sa.text("SELECT 1"))
    except SQLAlchemyError as error:
        return f"it does not answer: {_first_line(error)}"
    return None


def schema_problem(engine: sa.Engine) -> str | None:
    """Why the tables are not those of this version, or None."""
    try:
        with engine.connect() as session:
            current = session.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    except ProgrammingError:
        current = None
    except SQLAlchemyError as error:
        return f"the database does not answer: {_first_line(error)}"
    if current != (needed := postgres.newest_revision()):
        return f"the schema is at {current or 'none'}, this version needs {needed}; start the API again to migrate"
    return None


def replica_problem(reads: sa.Engine) -> str | None:
    """Why searches are read from the primary although there is a replica, or None."""
    state = replica_of(reads)
    return f"the replica is not read: {state.problem}" if state and state.problem else None


def daemon_problem(databases: postgres.Databases) -> str | None:
    """Why runs of the graph stay queued, or None. Dagster's daemon says in its own database that it lives."""
    try:
        last = _heartbeat(databases)
    except psycopg.Error as error:
        return f"Dagster's database cannot be read: {_first_line(error)}"
    if last is None:
        return f"Dagster's daemon has never run: {_REMEDY}"
    return _silent_since(last)


def daemon_death(databases: postgres.Databases) -> str | None:
    """Why nobody starts runs any more, where somebody did before; None where all is well, or a daemon never ran."""
    try:
        last = _heartbeat(databases)
    except psycopg.Error:
        return None
    return last and _silent_since(last)


def _heartbeat(databases: postgres.Databases) -> datetime | None:
    try:
        with psycopg.connect(postgres.dsn(databases.dagster), connect_timeout=2) as session:
            row = session.execute("SELECT max(timestamp) FROM daemon_heartbeats").fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return row[0].replace(tzinfo=UTC) if row and row[0] else None


def _silent_since(last: datetime) -> str | None:
    age = datetime.now(UTC) - last
    if age <= STALE:
        return None
    return f"Dagster's daemon was last alive {int(age.total_seconds() // 60)} minutes ago: {_REMEDY}"


def champion_problems(champions: Mapping[str, Served]) -> list[str]:
    """A line for each author whose champion does not answer."""
    return [
        f"the champion of {author} is not served: {served.problem}"
        for author, served in champions.items()
        if served.problem
    ]


def canary_problems(champions: Mapping[str, Served]) -> list[str]:
    """A line for each author whose version on canary does not answer."""
    return [
        f"the canary of {author} is not served: {served.canary_problem}"
        for author, served in champions.items()
        if served.canary_problem
    ]


def seen_by(engines: Sequence[EngineState], authors: Collection[str]) -> list[EngineState]:
    """Engines with what they serve of these authors."""
    return [
        replace(each, adapters=tuple(name for name in each.adapters if name.rpartition("-")[0] in authors))
        for each in engines
    ]


def engine_problems(engines: Sequence[EngineState]) -> list[str]:
    """A line for each of several engines that is not well, while others answer."""
    if all(each.problem for each in engines):
        return []
    return [f"the engine at {each.address} is not well: {each.problem}" for each in engines if each.problem]


def open_alerts(alerts: Alerts, authors: Collection[str]) -> list[str]:
    """A line for each open alert of these authors. That the daemon is dead is left out: readiness looks for itself."""
    mine = (each for each in alerts.list() if each.author in authors)
    return [f"{each.author}: {each.text}" for each in mine]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
