"""Jobs as assets launch them, wherever these settings have them run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from twin_resources.runtime.launcher import Compute, JobFailed

JOB = "twin_assets_tests.support.pipes_job"


def launched(
    variables: Sequence[str],
    config: Path,
    do: str = "report",
    pool: str | None = "gpu",
    instance: dg.DagsterInstance | None = None,
    job: str = JOB,
    nodes: int = 1,
    **more: Any,
) -> dict[str, Any]:
    """What a job, :data:`JOB` by default, reported to an asset of a pool.

    Args:
        variables: of its environment, that :data:`JOB` tells.
    """
    extras = {"do": do, "config": str(config), "variables": variables, **more}
    found: dict[str, Any] = {}

    @dg.asset(pool=pool)
    def made() -> dg.MaterializeResult:
        found.update(Compute().launch(dg.AssetExecutionContext.get(), job, extras, nodes=nodes))
        return dg.MaterializeResult()

    dg.materialize([made], instance=instance)
    return found


def why_not(config: Path, do: str = "report", pool: str | None = "gpu", **more: Any) -> str:
    """The reason that a job failed for."""
    with pytest.raises(JobFailed) as failed:
        launched((), config, do, pool, **more)
    return str(failed.value.description)
