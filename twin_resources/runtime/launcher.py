"""Heavy work in a process of its own, through Dagster Pipes.

Assets know one contract: :meth:`Compute.launch` runs a module and returns what it reported. By default that is a
process of this machine, forked from one that has the libraries loaded where that can be (:mod:`.jobs`); with
``TWIN_JOBS=kubernetes`` it is a pod (:mod:`.kubernetes_jobs`), with ``TWIN_JOBS=ray`` a Ray job (:mod:`.ray.jobs`). No
asset knows which.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError, DagsterPipesExecutionError

from twin_resources.config.settings import Settings
from twin_resources.errors import JobError
from twin_resources.runtime import torchrun
from twin_resources.runtime.jobs import HOST, can_fork, python_path
from twin_resources.runtime.resources import Twin

_END_SECONDS = 20.0
"""How long a job may take to end that was asked to."""


class JobFailed(dg.Failure):
    """A job ended without reporting a result."""


class Compute(dg.ConfigurableResource):
    """Launches jobs; ``quiet`` keeps progress bars out of their logs.

    No field names a program: whatever a resource declares, the configuration of a run can set, and whoever may start a
    run must not choose what it runs. ``training.python`` of ``twin.yaml`` does.
    """

    quiet: bool = True

    def launch(
        self,
        context: dg.AssetExecutionContext,
        module: str,
        extras: Mapping[str, Any],
        *,
        python: str | None = None,
        processes: int = 1,
        nodes: int = 1,
        leads: bool = False,
    ) -> dict[str, Any]:
        """Run ``python -m module`` with ``extras`` as its Pipes extras, in a slot of the asset's pool.

        Dagster holds only runs of its daemon to a pool; the lock taken here also holds `twin run` beside it.

        Args:
            python: another interpreter.
            processes: under torchrun, on each of so many ``nodes`` of Ray.
            leads: it has others do the work, where it is a Ray job, and asks for little there.

        Returns:
            The last message that the job reported with ``report_custom_message``.

        Raises:
            JobFailed: the job did not begin, ended with an error or reported nothing; its output is in the run's logs.
        """
        environment = {
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONUNBUFFERED": "1",
            "TQDM_DISABLE": "1" if self.quiet else "",
        }
        try:
            if nodes > 1 and Settings().jobs != "ray":
                raise JobError(
                    f"training.nodes is {nodes}, and only Ray has a training on several: set TWIN_JOBS=ray, or "
                    "training.nodes to 1 in twin.yaml"
                )
            with _slot(context, str(extras["config"])):
                done = _PLACES[Settings().jobs](
                    _Asked(context, module, extras, environment, python, processes, nodes, leads)
                )
        except JobError as error:
            raise JobFailed(description=f"{module} failed: {error}") from error
        except (DagsterPipesExecutionError, ChildProcessError) as error:
            raise JobFailed(description=f"{module} failed; its output is in the logs of this step. {error}") from error
        messages = list(done.get_custom_messages())
        if not messages:
            raise JobFailed(description=f"{module} ended without reporting a result; see the logs of this step")
        return dict(messages[-1])


@dataclass(frozen=True)
class _Asked:
    """A job to be run somewhere."""

    context: dg.AssetExecutionContext
    module: str
    extras: Mapping[str, Any]
    environment: Mapping[str, str]
    python: str | None
    processes: int
    nodes: int
    leads: bool

    def command(self, python: str) -> list[str]:
        """What runs it on one machine, with this interpreter where ``twin.yaml`` names none."""
        return torchrun.command(self.python or python, self.module, self.processes)

    @property
    def settings(self) -> Settings:
        """Those that it is run with."""
        return Twin(config=str(self.extras["config"])).settings


def _here(asked: _Asked) -> dg.PipesClientCompletedInvocation:
    environment = {**asked.environment, "PYTHONPATH": python_path()}
    if asked.python is None and asked.processes == 1 and can_fork():
        return _forked(asked.context, asked.module, asked.extras, environment)
    return dg.PipesSubprocessClient().run(
        context=asked.context, command=asked.command(sys.executable), extras=dict(asked.extras), env=environment
    )


def _in_a_pod(asked: _Asked) -> dg.PipesClientCompletedInvocation:
    try:
        from twin_resources.runtime.kubernetes_jobs import run_pod
    except ImportError as error:
        raise JobError(f'TWIN_JOBS is kubernetes: pip install "llm-twin[kubernetes]" ({error})') from error
    return run_pod(asked.context, asked.command("python"), asked.extras, asked.environment, asked.settings)


def _on_ray(asked: _Asked) -> dg.PipesClientCompletedInvocation:
    try:
        from twin_resources.runtime.ray import group
        from twin_resources.runtime.ray.jobs import run_ray_job
    except ImportError as error:
        raise JobError(f'TWIN_JOBS is ray: pip install "llm-twin[ray]" ({error})') from error
    settings = asked.settings
    size, python = settings.pools.of(asked.context.op_def.pool or ""), asked.python or settings.ray.python
    if asked.nodes > 1:
        command = group.command(python, asked.module, asked.nodes, asked.processes, size, settings.ray.start_minutes)
    else:
        command = asked.command(python)
    if asked.leads:
        size = size.model_copy(update={"cpus": min(1, size.cpus), "gpus": 0, "memory_gib": min(2, size.memory_gib)})
    return run_ray_job(asked.context, command, asked.extras, asked.environment, settings, size)


_PLACES = {"local": _here, "kubernetes": _in_a_pod, "ray": _on_ray}


def _forked(
    context: dg.AssetExecutionContext, module: str, extras: Mapping[str, Any], environment: Mapping[str, str]
) -> dg.PipesClientCompletedInvocation:
    """What ``PipesSubprocessClient`` does, with a process that need not import its libraries.

    Raises:
        DagsterPipesExecutionError: the job ended with an error, or was killed.
        ChildProcessError: it did not begin.
    """
    with dg.open_pipes_session(
        context=context,
        context_injector=dg.PipesTempFileContextInjector(),
        message_reader=dg.PipesTempFileMessageReader(),
        extras=dict(extras),
    ) as session:
        job = HOST.start(module, {**os.environ, **environment, **session.get_bootstrap_env_vars()})
        try:
            code = job.wait()
        except DagsterExecutionInterruptedError:
            context.log.info("interrupted; asking the job to end")
            job.interrupt()
            job.wait(_END_SECONDS)
            raise
        if code:
            raise DagsterPipesExecutionError(f"External execution process failed with code {code}")
    return dg.PipesClientCompletedInvocation(session)


@contextlib.contextmanager
def _slot(context: dg.AssetExecutionContext, config: str) -> Iterator[None]:
    """Hold one of as many locks as the pool of this asset has slots."""
    pool = context.op_def.pool
    storage = context.instance.event_log_storage
    if pool is None or not storage.supports_global_concurrency_limits:
        yield
        return
    slots = max(1, storage.get_concurrency_info(pool).slot_count)
    names = [f"pool {pool}", *(f"pool {pool}, slot {number}" for number in range(2, slots + 1))]
    with Twin(config=config).turn(context, names):
        yield
