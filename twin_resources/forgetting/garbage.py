"""Collecting what nothing refers to any more, after a grace period."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.schema import adapter, dataset_version, report
from twin_resources.database.shards import everywhere, main_of
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.calls.idempotency import Idempotency

GRACE = timedelta(days=7)
"""Files are written before the rows that refer to them, and a training may be gone on with after days."""
KEEP_EVENTS = timedelta(days=90)
_OLD_EVENTS = "DELETE FROM event_logs WHERE asset_key IS NULL AND timestamp < %s"


@dataclass
class Garbage:
    """What was collected, or would be."""

    artifacts: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    events: int = 0
    answers: int = 0
    """Of writes, kept for a day for those who repeat them."""


def collect_garbage(settings: Settings, engine: sa.Engine, *, grace: timedelta = GRACE, dry: bool = False) -> Garbage:
    """Delete artifacts without a row, abandoned trainings and half-written files older than ``grace``, Dagster's
    messages and step logs older than :data:`KEEP_EVENTS` (its materialisations and checks stay), and kept answers of
    writes that are over a day old.

    Args:
        dry: only say what would go (events and answers are not counted then).
    """
    found = Garbage()
    before = datetime.now(UTC) - grace
    store = ArtifactStore.of(settings)
    stored = store.addresses()  # listed before the rows are read, so what is registered in between is referred to
    referred = {address for each in everywhere(settings, engine) for address in _referred(each)}
    found.artifacts = sorted(key for key, at in stored.items() if at < before and key not in referred)
    home = settings.home
    folders = [*_older(home / "training", "*", before), *_older(home / "artifacts", "**/.writing-*", before)]
    folders += _older(home / "cache", "**/.fetching-*", before)
    folders += _older(home / "dagster" / "storage", "*", datetime.now(UTC) - KEEP_EVENTS)
    found.folders = sorted(str(path.relative_to(home)) for path in folders)
    if dry:
        return found
    for address in found.artifacts:
        store.delete(address)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    found.events = _old_events(settings)
    found.answers = Idempotency(main_of(engine)).purge()
    return found


def _referred(engine: sa.Engine) -> set[str]:
    columns = (dataset_version.c.artifact, adapter.c.artifact, report.c.artifact)
    with engine.connect() as session:
        return {address for column in columns for address in session.scalars(sa.select(column))}


def _older(folder: Path, pattern: str, before: datetime) -> list[Path]:
    """Folders in which nothing was written since."""
    return [path for path in folder.glob(pattern) if path.is_dir() and _written(path) < before.timestamp()]


def _written(folder: Path) -> float:
    newest = 0.0
    for path in (folder, *folder.rglob("*")):
        try:
            newest = max(newest, path.stat().st_mtime)
        except FileNotFoundError:
            return time.time()  # somebody is at work in it
    return newest


def _old_events(settings: Settings) -> int:
    url = postgres.databases(settings.postgres).dagster.set(drivername="postgresql")
    try:
        with psycopg.connect(url.render_as_string(hide_password=False), connect_timeout=5) as session:
            until = datetime.now(UTC).replace(tzinfo=None) - KEEP_EVENTS
            return session.execute(_OLD_EVENTS, (until,)).rowcount
    except (psycopg.errors.UndefinedTable, psycopg.OperationalError):
        return 0  # Dagster never ran here
