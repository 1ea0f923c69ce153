"""What is seen of a running home from outside: stages in Dagster's records, and answers that readers get."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import LiteralString

import httpx

from benchmarks.home import Home

MONITORED = {"blind_tests", "interactions", "serving", "reports/monitoring"}
"""Stages that follow what readers ask and not what the author wrote."""
EVERY = 0.5
"""Seconds between two questions of the readers."""

_STEPS = """
    SELECT logged.asset_key, logged.run_id, logged.timestamp, coalesce(tag.value, '')
    FROM event_logs AS logged
    LEFT JOIN asset_event_tags AS tag ON tag.event_id = logged.id AND tag.key = 'dagster/data_version'
    WHERE logged.dagster_event_type = 'ASSET_MATERIALIZATION' AND logged.id > %s
    ORDER BY logged.id
"""
_PLANNED = """
    SELECT DISTINCT asset_key FROM event_logs
    WHERE dagster_event_type IN ('ASSET_MATERIALIZATION_PLANNED', 'ASSET_MATERIALIZATION') AND id > %s
"""
_FAILED = "SELECT step_key FROM event_logs WHERE dagster_event_type = 'STEP_FAILURE' AND id > %s"
_MARK = "SELECT coalesce(max(id), 0) FROM event_logs"


@dataclass(frozen=True)
class Step:
    """A stage that was done: the run that did it, when, and the version of what it holds."""

    stage: str
    run: str
    at: datetime
    version: str


class Observer:
    """Reads Dagster's records from the moment on at which it was entered."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._from = 0

    def __enter__(self) -> Observer:
        self._from = self.mark()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is held open."""

    def mark(self) -> int:
        """Where the records end now."""
        return self._rows(_MARK)[0][0]

    def steps(self) -> list[Step]:
        """Stages that were done, in their order."""
        found = [
            Step(_stage(key), run, at.replace(tzinfo=UTC), version)
            for key, run, at, version in self._rows(_STEPS, self._from)
        ]
        return [step for step in found if step.stage not in MONITORED]

    def planned(self, mark: int) -> list[str]:
        """Stages that a run was started for after a mark."""
        return sorted({_stage(key) for (key,) in self._rows(_PLANNED, mark)} - MONITORED)

    def failures(self) -> dict[str, int]:
        """How often stages failed."""
        return dict(Counter(key.replace("__", "/") for (key,) in self._rows(_FAILED, self._from)))

    def _rows(self, query: LiteralString, *since: int) -> list[tuple]:
        with self._home.dagster() as session:
            return session.execute(query, since).fetchall()


def _stage(key: str) -> str:
    return "/".join(json.loads(key))


class Readers:
    """Ask for a text twice a second, and note who answers; each question goes its own way, however slow others are."""

    def __init__(self, api: str) -> None:
        self._api = api
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, daemon=True)
        self._answers: list[tuple[datetime, str]] = []
        self.failed: list[str] = []

    def __enter__(self) -> Readers:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    @property
    def asked(self) -> int:
        """Questions that were answered or failed."""
        return len(self._answers) + len(self.failed)

    def first(self, version: str) -> datetime | None:
        """When a version answered first."""
        return min((at for at, by in self._answers if by == version), default=None)

    def versions(self) -> dict[str, int]:
        """How many answers each version gave, in the order in which they came to answer."""
        return dict(Counter(by for _, by in sorted(self._answers)))

    def _ask_on(self) -> None:
        with httpx.Client(base_url=self._api, timeout=60, trust_env=False) as client, ThreadPoolExecutor(32) as pool:
            due = time.monotonic()
            while not self._over.wait(max(0.0, due - time.monotonic())):
                due += EVERY
                pool.submit(self._ask, client)

    def _ask(self, client: httpx.Client) -> None:
        body = {"query": "Write about the harbour.", "mode": "write", "use_rag": False, "max_tokens": 4}
        asked = datetime.now(UTC)
        try:
            said = client.post("/ask", json=body).raise_for_status().json()
            self._answers.append((datetime.now(UTC), str(said["model"]["adapter"])))
        except (httpx.HTTPError, KeyError, TypeError, ValueError) as error:
            self.failed.append(f"{asked:%H:%M:%S} {error!r}")
