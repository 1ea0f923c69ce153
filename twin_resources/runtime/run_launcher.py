"""Launches runs as Dagster's default launcher does, and knows which of them lost their process.

``DefaultRunLauncher`` cannot tell: a run whose worker was killed together with its code server, or with the whole
machine, stays STARTED for ever, and with it its slot in a pool and its author. A run is alive while its process holds a
lock in Postgres (:mod:`.presence`), which Postgres frees when the process ends, on whichever machine or in whichever
container that was. Dagster's own run monitoring asks here, ends the run, and ``run_retries`` in ``dagster.yaml`` says
whether it is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._serdes import ConfigurableClassData

from twin_resources.runtime.presence import is_announced
from twin_resources.runtime.resources import Twin

GRACE_SECONDS = 80.0
"""How long a started run may be without its lock: at its start, and while its process connects again after Postgres
was restarted. Also, where its code server died with it, the daemon takes 65 s and a start to have another, and a run
that ends before is not tried again: Dagster gives up at the first failure to ask for the second try."""


class TwinRunLauncher(DefaultRunLauncher):
    """Dagster's launcher, with a check of the processes that hold the runs."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._missing: dict[str, float] = {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data=inst_data)

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a started run is there; gone is what was not seen for :data:`GRACE_SECONDS`."""
        if is_announced(Twin().engine, run.run_id):
            self._missing.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        now = time.monotonic()
        since = self._missing.setdefault(run.run_id, now)
        if now - since < GRACE_SECONDS:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its process is not to be seen at the moment")
        del self._missing[run.run_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, "the process of this run is gone")
