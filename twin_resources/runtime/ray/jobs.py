"""Jobs on a Ray cluster, through ``PipesRayJobClient`` of ``dagster-ray`` (extra ``ray``).

A job gets what it is told in its environment and reports through its log, as Pipes has it. What is added here: the log
is read to its last line, the job is held to the time of its pool, why it did not end well is said in words, and none
is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import dagster as dg
import requests
from dagster._core.pipes.utils import extract_message_or_forward_to_stdout
from dagster_pipes import PipesDefaultMessageWriter
from dagster_ray.core.pipes import PIPES_LAUNCHED_EXTRAS_RAY_JOB_ID_KEY, PipesRayJobClient, SubmitJobParams
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from twin_resources.config.pools import PoolResources
from twin_resources.config.ray import RaySettings
from twin_resources.config.settings import Settings
from twin_resources.errors import JobError

RUN = "dagster/run-id"
"""What ``dagster-ray`` says in the metadata of a job of its run."""
OURS = "twin/job"
"""What the metadata of our jobs has beside it."""
_SILENT_SECONDS = 120.0
"""How long the cluster may not answer while a job is waited for."""
_ANSWER_SECONDS = 30.0
_LAST_LINES_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_TAKES_PRECEDENCE = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_LOST = ("JOB_SUPERVISOR_ACTOR_DIED", "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE", "JOB_SUPERVISOR_ACTOR_START_FAILURE")
_NO_PLACE = ("JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE", "JOB_SUPERVISOR_ACTOR_START_TIMEOUT")
_KILLED = (-9, 137)


class RayJobError(JobError):
    """A job did not end well on Ray, or got no place there."""


def run_ray_job(
    context: dg.AssetExecutionContext,
    command: Sequence[str],
    extras: Mapping[str, Any],
    environment: Mapping[str, str],
    settings: Settings,
    resources: PoolResources,
) -> dg.PipesClientCompletedInvocation:
    """Run a command as a Ray job of such a size, that of the asset's pool, and wait for its end.

    It is stopped where the run is cancelled, or where it takes too long.

    Raises:
        JobError: there is no such cluster, the job was refused, or it did not end well.
    """
    wanted, pool = settings.ray, context.op_def.pool or ""
    jobs = _connected(wanted, pool, resources)
    _end_leftovers(jobs, context)
    job_id = f"twin-{uuid.uuid4().hex}"
    asked: SubmitJobParams = {
        "entrypoint": f"exec {shlex.join(command)}",
        "submission_id": job_id,
        "metadata": {OURS: " ".join(command)},
        "runtime_env": {
            "env_vars": {
                **environment,
                "TWIN_JOBS": "local",
                "RAY_JOB_STOP_WAIT_TIME_S": str(wanted.stop_seconds),
                "RAY_USAGE_STATS_ENABLED": "0",
            }
        },
        "entrypoint_num_cpus": resources.cpus,
        "entrypoint_num_gpus": resources.gpus,
        "entrypoint_memory": int(resources.memory_gib * 2**30),
        "entrypoint_label_selector": dict(resources.node_selector),
    }
    context.log.info(f"the job is the Ray job {job_id} at {wanted.address}")
    try:
        return _Client(jobs, wanted.poll_seconds).run(context=context, submit_job_params=asked, extras=dict(extras))
    except AuthenticationError as error:
        raise _no_entry(wanted) from error
    except requests.exceptions.RequestException as error:
        raise RayJobError(f"Ray at {wanted.address} answers no more: {error}") from error
    except RuntimeError as error:
        raise RayJobError(f"the cluster at {wanted.address} refused: {error}") from error
    finally:
        _end(jobs, job_id, context)


def _connected(wanted: RaySettings, pool: str, resources: PoolResources) -> _Jobs:
    """Ray's interface for jobs.

    Raises:
        RayJobError: none is named, none answers, or it is no use to us.
    """
    if not wanted.address:
        raise RayJobError(
            "TWIN_JOBS is ray, and TWIN_RAY__ADDRESS does not say where its dashboard is; set it, as in "
            "TWIN_RAY__ADDRESS=http://127.0.0.1:8265"
        )
    for name in _TAKES_PRECEDENCE:
        if os.environ.get(name, wanted.address).rstrip("/") != wanted.address:
            raise RayJobError(f"{name} names another cluster than TWIN_RAY__ADDRESS, and Ray would take it; unset it")
    try:
        return _Jobs(wanted, pool, resources)
    except AuthenticationError as error:
        raise _no_entry(wanted) from error
    except (requests.exceptions.HTTPError, RuntimeError, ValueError, KeyError) as error:
        raise RayJobError(f"what answers at {wanted.address} is no Ray: {error}; correct TWIN_RAY__ADDRESS") from error
    except (ConnectionError, requests.exceptions.RequestException) as error:
        raise RayJobError(
            f"no Ray answers at {wanted.address} ({error}); start one, as docs/deploying.md says, or correct "
            "TWIN_RAY__ADDRESS"
        ) from error


def _no_entry(wanted: RaySettings) -> RayJobError:
    said = "another" if os.environ.get("RAY_AUTH_TOKEN") else "a"
    return RayJobError(f"Ray at {wanted.address} wants {said} token; set that of the cluster in RAY_AUTH_TOKEN")


class _Jobs(JobSubmissionClient):
    """Ray's own client, which has patience with a cluster that is silent for a while, and none with a job's time."""

    def __init__(self, wanted: RaySettings, pool: str, resources: PoolResources) -> None:
        token = os.environ.get("RAY_AUTH_TOKEN")
        super().__init__(wanted.address, headers={"Authorization": f"Bearer {token}"} if token else None)
        self._wanted, self._pool, self._resources = wanted, pool, resources
        self._since = time.monotonic()

    def get_job_status(self, job_id: str) -> JobStatus:
        """How a job stands that was just asked for.

        Raises:
            RayJobError: it did not end well, or takes too long.
        """
        info = self._seen(job_id)
        spent, setting = time.monotonic() - self._since, f"TWIN_POOLS__{self._pool.upper()}__"
        if why := failure(info, self._pool, self._resources):
            raise RayJobError(f"its Ray job {job_id} {why}")
        if info.status == JobStatus.PENDING and spent > self._wanted.start_minutes * 60:
            said = _asks_for(self._pool, self._resources)
            raise RayJobError(f"its Ray job {job_id} did not start in {self._wanted.start_minutes:g} minutes. {said}")
        if not info.status.is_terminal() and spent > self._resources.hours * 3600:
            hours = f"its {self._resources.hours:g} hours"
            raise RayJobError(f"its Ray job {job_id} took longer than {hours}; allow more with {setting}HOURS")
        return info.status

    def _seen(self, job_id: str) -> JobDetails:
        until = time.monotonic() + _SILENT_SECONDS
        while True:
            try:
                return self.get_job_info(job_id)
            except requests.exceptions.RequestException:
                if time.monotonic() > until:
                    raise
            except RuntimeError as error:
                if "status code 404" in str(error):
                    why = "is known to the cluster no more, whose head was restarted. Start it again"
                    raise RayJobError(f"its Ray job {job_id} {why}") from error
                if time.monotonic() > until:
                    raise
            time.sleep(self._wanted.poll_seconds)

    def _do_request(self, method: str, endpoint: str, **more: Any) -> requests.Response:
        """Ray's client would wait for an answer for ever."""
        more.setdefault("timeout", _ANSWER_SECONDS)
        return super()._do_request(method, endpoint, **more)


def _asks_for(pool: str, resources: PoolResources) -> str:
    size = f"{resources.cpus:g} CPUs, {resources.memory_gib:g} GiB, {resources.gpus} GPUs"
    labels = "".join(f", {key}={value}" for key, value in resources.node_selector.items())
    setting = f"TWIN_POOLS__{pool.upper()}__"
    return f"It asks for {size}{labels}: add such a node, or ask for less with {setting}… (CPUS, MEMORY_GIB, GPUS)"


def failure(info: JobDetails, pool: str, resources: PoolResources) -> str | None:
    """Why a job that ended did not end well, and what to do, or None where it did or has not ended.

    Args:
        pool: of the asset, whose ``resources`` the job asked for.
    """
    if info.status == JobStatus.STOPPED:
        return "was stopped by somebody, on the dashboard or by `ray job stop`. Start it again"
    if info.status != JobStatus.FAILED:
        return None
    kind, said, code = str(info.error_type or ""), " ".join((info.message or "").split()), info.driver_exit_code
    setting = f"TWIN_POOLS__{pool.upper()}__"
    if "memory" in said.lower() and kind in _LOST:
        return (
            f"was ended because its node ran out of memory; allow more than its {resources.memory_gib:g} GiB with "
            f"{setting}MEMORY_GIB, or have it take less, as with a smaller batch ({said})"
        )
    if kind in _LOST:
        return f"was lost with its node or its supervisor ({said}). Start it again"
    if kind in _NO_PLACE:
        return f"found no node ({said}). {_asks_for(pool, resources)}"
    if kind == "RUNTIME_ENV_SETUP_FAILURE":
        return f"could not start: {said}"
    if code in _KILLED:
        return (
            f"was killed, most often because its node ran out of memory; allow more than its "
            f"{resources.memory_gib:g} GiB with {setting}MEMORY_GIB, or have it take less, as with a smaller batch"
        )
    return f"ended with code {code}; its output is in the logs of this step" if code else f"failed: {said}"


class _Client(PipesRayJobClient):
    """Dagster's, over :class:`_Jobs`, with a log that is read to its end."""

    def __init__(self, jobs: _Jobs, poll_seconds: float) -> None:
        super().__init__(poll_interval=poll_seconds, message_reader=_LogReader(jobs))
        self._jobs = jobs

    @cached_property
    def client(self) -> _Jobs:
        """What jobs are submitted to, asked after and stopped with."""
        return self._jobs


class _LogReader(dg.PipesMessageReader):
    """Messages and output of a job, by its log.

    ``dagster-ray`` takes each piece that the cluster sends for whole lines, so that a message which is written while it
    is read is lost, and so is whatever comes after a connection broke. Here pieces are put together, and when the job
    has ended, what was not sent is fetched.
    """

    def __init__(self, jobs: JobSubmissionClient) -> None:
        self._jobs = jobs
        self._job_id, self._taken, self._begun = "", 0, ""
        self._handler: Any = None
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()
        self._ended = self._over = False

    @contextlib.contextmanager
    def read_messages(self, handler: Any) -> Iterator[dict[str, Any]]:
        """Read for as long as this is entered."""
        self._handler = handler
        try:
            yield {PipesDefaultMessageWriter.STDIO_KEY: PipesDefaultMessageWriter.STDOUT}
        finally:
            self._ended = True
            if self._thread:
                self._thread.join(_LAST_LINES_SECONDS)
                self._take_rest()

    def on_launched(self, launched_payload: Any) -> None:
        """Begin to read the log of the job that was submitted."""
        self._job_id = launched_payload["extras"][PIPES_LAUNCHED_EXTRAS_RAY_JOB_ID_KEY]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._follow()), daemon=True, name="ray-job-log")
        self._thread.start()

    def no_messages_debug_text(self) -> str:
        """What Pipes says where no message came."""
        return f"Tried to read messages from the log of the Ray job {self._job_id}."

    async def _follow(self) -> None:
        """Take pieces as they come; each time the connection breaks, again from the beginning, which is left out."""
        while True:
            known = self._taken
            try:
                async for piece in self._jobs.tail_job_logs(self._job_id):
                    if new := piece[known:]:
                        self._take(new)
                    known = max(0, known - len(piece))
                return
            except Exception:  # whatever breaks it: what is missing when the job has ended is fetched then
                if self._ended:
                    return
                await asyncio.sleep(_RETRY_SECONDS)

    def _take_rest(self) -> None:
        try:
            log = self._jobs.get_job_logs(self._job_id)
        except (requests.exceptions.RequestException, RuntimeError) as error:
            self._handler._context.log.warning(f"the end of the job's log cannot be read: {error}")
            return
        with self._turn:
            self._over, rest = True, log[self._taken :]
        self._take(rest + "\n", last=True)

    def _take(self, piece: str, *, last: bool = False) -> None:
        with self._turn:
            if self._over and not last:
                return
            self._taken += len(piece)
            *lines, self._begun = (self._begun + piece).split("\n")
        for line in filter(None, lines):
            extract_message_or_forward_to_stdout(self._handler, line)


def _end_leftovers(jobs: _Jobs, context: dg.AssetExecutionContext) -> None:
    """Stop the jobs of runs that ended without doing so, because their process was killed."""
    try:
        going = [each for each in jobs.list_jobs() if OURS in (each.metadata or {}) and not each.status.is_terminal()]
    except (requests.exceptions.RequestException, RuntimeError) as error:
        raise RayJobError(f"the cluster does not say which jobs it has: {error}") from error
    for each in going:
        run = context.instance.get_run_by_id((each.metadata or {}).get(RUN, ""))
        if run and run.is_finished and each.submission_id:
            context.log.info(f"stopping the Ray job {each.submission_id}, whose run {run.run_id[:8]} has ended")
            _end(jobs, each.submission_id, context)


def _end(jobs: _Jobs, job_id: str, context: dg.AssetExecutionContext) -> None:
    """Stop a job that has not ended, and wait until it has; one that has no node yet is stopped when it gets one."""
    wanted = jobs._wanted
    try:
        until = time.monotonic() + wanted.stop_seconds + _ANSWER_SECONDS
        while not (status := jobs.get_job_info(job_id).status).is_terminal():
            jobs.stop_job(job_id)
            if status == JobStatus.PENDING:
                return
            if time.monotonic() > until:
                raise RuntimeError(f"it goes on after {wanted.stop_seconds} s")
            time.sleep(min(wanted.poll_seconds, 1))
    except (requests.exceptions.RequestException, RuntimeError) as error:
        if "status code 404" not in str(error):
            remedy = f"ray job stop --address {wanted.address} {job_id}"
            context.log.warning(f"the job could not be stopped: {error}; do so with `{remedy}`")
