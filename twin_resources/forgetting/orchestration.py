"""What Dagster and MLflow wrote down of an author: metadata, messages and step logs, read and changed as rows.

Events stay, so that data versions and automation go on; what they show of texts goes.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from twin_resources.database.postgres import dsn
from twin_resources.telemetry.calls import EXPERIMENT, SAMPLE_TEXTS

_RUNS = "SELECT DISTINCT run_id FROM run_tags WHERE key IN ('dagster/partition', 'author') AND value = %s"
_EVENTS = "SELECT id, event FROM event_logs WHERE partition = %s OR run_id = ANY(%s) ORDER BY id"
_CHECKS = (
    "SELECT id, evaluation_event FROM asset_check_executions WHERE run_id = ANY(%s) AND evaluation_event IS NOT NULL"
)
_KEYS = "SELECT id, last_materialization FROM asset_keys WHERE last_materialization IS NOT NULL"


def quieten_dagster(
    database: URL, step_logs: str, author_id: str, storage_options: Mapping[str, str] | None = None
) -> int:
    """Empty the metadata of an author's events, delete log messages and step logs; returns how many rows changed.

    Args:
        step_logs: URL of the folder that has a folder of step logs for each run.
        storage_options: what fsspec is told to reach it.
    """
    try:
        with psycopg.connect(dsn(database), connect_timeout=5) as session:
            runs = [row[0] for row in session.execute(_RUNS, (author_id,))]
            changed = _rewrite(session, "event_logs", "event", session.execute(_EVENTS, (author_id, runs)).fetchall())
            changed += _rewrite(
                session, "asset_check_executions", "evaluation_event", session.execute(_CHECKS, (runs,)).fetchall()
            )
            changed += _rewrite(session, "asset_keys", "last_materialization", session.execute(_KEYS).fetchall())
    except (psycopg.errors.UndefinedTable, psycopg.OperationalError):
        return 0  # Dagster never ran here
    if runs:
        files, root = fsspec.core.url_to_fs(step_logs, use_listings_cache=False, **(storage_options or {}))
        for run_id in runs:
            with contextlib.suppress(FileNotFoundError):
                files.rm(f"{root}/{run_id}", recursive=True)
    return changed


def _rewrite(session: psycopg.Connection, table: str, column: str, rows: Iterable[tuple[int, str]]) -> int:
    names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
    update = sql.SQL("UPDATE {table} SET {column} = %s WHERE id = %s").format(**names)
    delete = sql.SQL("DELETE FROM {table} WHERE id = %s").format(**names)
    count = 0
    for key, text in rows:
        event = json.loads(text)
        if table == "event_logs" and event.get("dagster_event") is None:
            session.execute(delete, (key,))
            count += 1
            continue
        without = json.dumps(_without_text(event))
        if without != json.dumps(event):
            session.execute(update, (without, key))
            count += 1
    return count


def _without_text(value: Any) -> Any:
    """An event without metadata, descriptions and messages of errors."""
    if isinstance(value, list):
        return [_without_text(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, each in value.items():
        if key == "metadata_entries":
            found[key] = []
        elif key == "metadata" and isinstance(each, dict):
            found[key] = {}
        elif key == "description" and isinstance(each, str):
            found[key] = None
        elif value.get("__class__") == "SerializableErrorInfo" and key in ("message", "stack"):
            found[key] = [] if isinstance(each, list) else "forgotten"
        else:
            found[key] = _without_text(each)
    return found


def forget_sample_texts(home: Path, author: str) -> int:
    """Delete what adapters of an author wrote while they were trained from their runs in MLflow; returns of how many.

    They answer held-out questions, so a run that has to go for no other reason may quote what is forgotten.
    """
    found = list((home / "mlflow").glob(f"{EXPERIMENT.format(author=author)}/*/artifacts/{SAMPLE_TEXTS}"))
    for path in found:
        path.unlink()
    return len(found)


def forget_traces(database: URL, author: str, *, until: datetime | None = None) -> int:
    """Delete what MLflow holds of the calls to an author's twin, up to a moment or all; returns how many calls."""
    moment = int((until or datetime.now(UTC)).timestamp() * 1000)
    try:
        with psycopg.connect(dsn(database), connect_timeout=5) as session:
            return session.execute(
                "DELETE FROM trace_info USING experiments WHERE trace_info.experiment_id = experiments.experiment_id "
                "AND experiments.name = %s AND trace_info.timestamp_ms <= %s",
                (EXPERIMENT.format(author=author), moment),
            ).rowcount
    except (psycopg.errors.UndefinedTable, psycopg.OperationalError):
        return 0  # MLflow never ran here


def forget_calls(database: URL, trace_ids: Sequence[str]) -> int:
    """Delete what MLflow holds of single calls; returns of how many it held something."""
    kept_as = [f"tr-{trace_id}" for trace_id in trace_ids]
    try:
        with psycopg.connect(dsn(database), connect_timeout=5) as session:
            return session.execute("DELETE FROM trace_info WHERE request_id = ANY(%s)", (kept_as,)).rowcount
    except (psycopg.errors.UndefinedTable, psycopg.OperationalError):
        return 0  # MLflow never ran here


def forget_tracking(database: URL, home: Path, runs: Sequence[str]) -> int:
    """Delete the files and the parameters of MLflow runs; returns how many runs there were."""
    if not runs:
        return 0
    try:
        with psycopg.connect(dsn(database), connect_timeout=5) as session:
            for table in ("params", "tags"):
                statement = sql.SQL("DELETE FROM {} WHERE run_uuid = ANY(%s)").format(sql.Identifier(table))
                session.execute(statement, (list(runs),))
    except (psycopg.errors.UndefinedTable, psycopg.OperationalError):
        pass  # MLflow never ran here
    for run in runs:
        for folder in (home / "mlflow").glob(f"*/{run}"):
            shutil.rmtree(folder, ignore_errors=True)
    return len(runs)
