"""What says that the process of a run lives: a lock that it holds in Postgres, read by :mod:`.run_launcher`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.executor_definition import IN_PROC_CONFIG
from dagster._core.executor.in_process import InProcessExecutor

from twin_resources.database.locks import Locks, Presence
from twin_resources.runtime.resources import Twin


@contextlib.contextmanager
def announced(engine: sa.Engine, run_id: str) -> Iterator[None]:
    """Hold the lock of a run until the end of the block, or of this process."""
    presence = Presence(engine, _lock(run_id), f"run {run_id[:8]}")
    presence.start()
    try:
        yield
    finally:
        presence.stop()


def is_announced(engine: sa.Engine, run_id: str) -> bool:
    """Whether a process, on whichever machine, holds the lock of a run now."""
    return Locks(engine).holder(_lock(run_id)) is not None


def _lock(run_id: str) -> str:
    return f"run {run_id}"


class _Announcing(InProcessExecutor):
    """Executes the steps of a run in its process, and holds the lock of the run meanwhile."""

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        if not plan_context.instance.is_persistent:
            yield from super().execute(plan_context, execution_plan)
            return
        with announced(Twin().engine, plan_context.run_id):
            yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_process", config_schema=IN_PROC_CONFIG)
def announcing_executor(context: dg.InitExecutorContext) -> _Announcing:
    """Dagster's in-process executor, whose runs Dagster can tell from dead ones."""
    made = dg.in_process_executor.executor_creation_fn
    assert made is not None
    plain = made(context)
    assert isinstance(plain, InProcessExecutor)
    return _Announcing(plain.retries, plain.step_dependency_config, plain.marker_to_close)
