"""What Dagster's own tables say about runs and the daemon, read without importing Dagster.

Only its tables of runs, events, assets and heartbeats are read; where they do not exist yet, nothing has run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from twin_resources.database.postgres import Databases, dsn
from twin_serving.processes.remedies import remedy

FRESH_SECONDS = 120
"""A daemon writes a heartbeat every 30 s; after this long without one it is not there."""

_LAST_RUNS = """
    SELECT runs.run_id, runs.pipeline_name, runs.status, runs.create_timestamp, runs.start_time, runs.end_time,
           (SELECT value FROM run_tags WHERE run_tags.run_id = runs.run_id AND key = 'dagster/partition' LIMIT 1)
    FROM runs
    ORDER BY runs.id DESC
    LIMIT %s
"""
_FAILED = """
    WITH failed AS (
        SELECT DISTINCT ON (partition.value, logged.step_key)
               partition.value AS author, logged.step_key, logged.run_id, logged.timestamp, logged.id, logged.event,
               '["' || replace(logged.step_key, '__', '", "') || '"]' AS asset_key
        FROM event_logs AS logged
        JOIN run_tags AS partition ON partition.run_id = logged.run_id AND partition.key = 'dagster/partition'
        WHERE logged.dagster_event_type = 'STEP_FAILURE'
        ORDER BY partition.value, logged.step_key, logged.id DESC
    )
    SELECT failed.author, failed.asset_key, failed.run_id, failed.timestamp, failed.event
    FROM failed
    JOIN asset_keys ON asset_keys.asset_key = failed.asset_key
    WHERE NOT EXISTS (
        SELECT FROM event_logs AS made
        WHERE made.dagster_event_type = 'ASSET_MATERIALIZATION' AND made.asset_key = failed.asset_key
          AND made.partition = failed.author AND made.id > failed.id
    )
    ORDER BY failed.id
"""
_BLOCKED = """
    WITH newest AS (
        SELECT DISTINCT ON (partition.value, checked.asset_key, checked.check_name)
               partition.value AS author, checked.asset_key, checked.check_name, checked.run_id,
               checked.evaluation_event_timestamp AS at, checked.execution_status, checked.evaluation_event
        FROM asset_check_executions AS checked
        JOIN run_tags AS partition ON partition.run_id = checked.run_id AND partition.key = 'dagster/partition'
        JOIN asset_keys ON asset_keys.asset_key = checked.asset_key
        WHERE checked.execution_status IN ('SUCCEEDED', 'FAILED')
        ORDER BY partition.value, checked.asset_key, checked.check_name, checked.id DESC
    )
    SELECT author, asset_key, check_name, run_id, at, evaluation_event
    FROM newest
    WHERE execution_status = 'FAILED'
    ORDER BY at, asset_key, check_name
"""
_HEARTBEAT = "SELECT max(timestamp) FROM daemon_heartbeats"
_QUEUED = "SELECT count(*) FROM runs WHERE status = 'QUEUED'"


@dataclass(frozen=True)
class Run:
    """One run of the graph."""

    run_id: str
    job: str
    author: str | None
    status: str
    created_at: datetime
    seconds: float | None


@dataclass(frozen=True)
class Failure:
    """A stage of an author whose last attempt failed, so that what follows from it stands still."""

    author: str
    stage: str
    run_id: str
    at: datetime
    why: str


@dataclass(frozen=True)
class Blocked:
    """A blocking check of a stage that failed when it was last evaluated, so that nothing goes on from the stage."""

    author: str
    stage: str
    check: str
    run_id: str
    at: datetime
    why: str
    remedy: str


@dataclass(frozen=True)
class Orchestration:
    """The state of Dagster: is a daemon alive, what waits, what ran last, what failed and was not made since, and what
    a check holds up."""

    heartbeat_at: datetime | None
    queued: int
    runs: tuple[Run, ...]
    failed: tuple[Failure, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    supervised: bool = True
    """False where the daemon could only be ours, and nothing of ours runs: its last heartbeat may still be fresh."""

    @property
    def daemon_alive(self) -> bool:
        """Whether a daemon reported within :data:`FRESH_SECONDS`."""
        if self.heartbeat_at is None or not self.supervised:
            return False
        return (datetime.now(UTC) - self.heartbeat_at).total_seconds() < FRESH_SECONDS

    @property
    def sentence(self) -> str:
        """What a person needs to know about the daemon, in one line."""
        if self.daemon_alive:
            return "alive"
        waiting = f"; {self.queued} queued now" if self.queued else ""
        since = f"last heard of {self.heartbeat_at:%Y-%m-%d %H:%M} UTC" if self.heartbeat_at else "never started"
        return f"not running ({since}): runs that the UI or a sensor asks for stay queued until `twin up`{waiting}"

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "daemon_alive": self.daemon_alive,
            "heartbeat_at": self.heartbeat_at,
            "queued": self.queued,
            "runs": [asdict(run) for run in self.runs],
            "failed": [asdict(each) for each in self.failed],
            "blocked": [asdict(each) for each in self.blocked],
        }


def orchestration(databases: Databases, limit: int = 5, *, supervised: bool = True) -> Orchestration:
    """Read Dagster's tables; empty where Dagster never ran.

    Args:
        limit: how many runs, the newest first.
        supervised: whether a daemon is possible at all; False with an embedded database and no ``twin up``.
    """
    try:
        with psycopg.connect(dsn(databases.dagster), connect_timeout=5, autocommit=True) as session:
            beat = session.execute(_HEARTBEAT).fetchone()
            queued = session.execute(_QUEUED).fetchone()
            rows = session.execute(_LAST_RUNS, (limit,)).fetchall()
            failed = session.execute(_FAILED).fetchall()
            checked = session.execute(_BLOCKED).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.OperationalError):
        return Orchestration(None, 0, (), supervised=supervised)
    runs = tuple(
        Run(
            run_id,
            "materialise" if job.startswith("__ASSET_JOB") else job,
            author,
            status,
            created.replace(tzinfo=UTC),
            (ended or datetime.now(UTC).timestamp()) - started if started else None,
        )
        for run_id, job, status, created, started, ended, author in rows
    )
    heartbeat = beat[0].replace(tzinfo=UTC) if beat and beat[0] else None
    failures = tuple(
        Failure(author, "/".join(json.loads(key)), run_id, at.replace(tzinfo=UTC), _why(event))
        for author, key, run_id, at, event in failed
    )
    blocked = tuple(found for row in checked if (found := _blocked(*row)))
    return Orchestration(heartbeat, queued[0] if queued else 0, runs, failures, blocked, supervised)


def _blocked(author: str, key: str, check: str, run_id: str, at: datetime, event: str) -> Blocked | None:
    """A check that failed; None for one that only warns, or holds up nothing."""
    data = json.loads(event)["dagster_event"]["event_specific_data"] or {}
    severity = (data.get("severity") or {}).get("__enum__", "")
    if not data.get("blocking") or severity.endswith(".WARN"):
        return None
    stage = "/".join(json.loads(key))
    why = data.get("description") or _figures(data.get("metadata") or {}) or "it gave no reason"
    return Blocked(author, stage, check, run_id, at.replace(tzinfo=UTC), why, remedy(check, author=author, stage=stage))


def _figures(metadata: Mapping[str, Any]) -> str:
    """The numbers and words that a check gave where it said nothing."""
    values = {name: each.get("value") for name, each in metadata.items() if isinstance(each, dict)}
    return ", ".join(f"{name} {value}" for name, value in values.items() if isinstance(value, int | float | str))


def _why(event: str) -> str:
    """What an asset said when it failed, or the last line of the exception it failed with."""
    data = json.loads(event)["dagster_event"]["event_specific_data"] or {}
    said = (data.get("user_failure_data") or {}).get("description")
    error = data.get("error") or {}
    while error.get("cause"):
        error = error["cause"]
    return said or error.get("message", "").strip() or "its process ended"
