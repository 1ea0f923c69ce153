"""Jobs come from a process with their libraries loaded, and end like any other process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest

from twin_assets_tests.support.processes import within
from twin_resources.runtime import jobs, launcher
from twin_resources.runtime.jobs import Job, JobHost
from twin_resources.runtime.launcher import Compute, JobFailed

JOB = "twin_assets_tests.support.job"
ROOT = Path(__file__).resolve().parents[3]
BEGIN = """
import os
from twin_resources.runtime.jobs import JobHost
host = JobHost([])
job = host.start("twin_assets_tests.support.job", {**os.environ, "JOB": "sleep"})
print(job.pid, flush=True)
job.wait()
"""

pytestmark = pytest.mark.skipif(not jobs.can_fork(), reason="jobs of this machine are not forked")


@pytest.fixture(scope="module")
def host() -> Iterator[JobHost]:
    made = JobHost(["torch"])
    yield made
    made.close()


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


def start(host: JobHost, what: str, **more: str) -> Job:
    return host.start(JOB, environment(JOB=what, **more))


def said(capfd: pytest.CaptureFixture[str]) -> Mapping[str, Any]:
    """What a job said first, once it did."""
    heard = ""

    def spoke() -> bool:
        nonlocal heard
        heard += capfd.readouterr().out
        return "\n" in heard

    assert within(60, spoke)
    return json.loads(heard.splitlines()[0])


def test_a_job_has_its_libraries_loaded_and_the_output_folder_and_status_of_its_own(
    host: JobHost, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = start(host, "nothing", CODE="3"), start(host, "compute")
    assert first.wait(60) == 3
    assert second.wait(60) == 0
    lines = capfd.readouterr().out.splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert {each["pid"] for each in told} == {first.pid, second.pid}
    assert {each["folder"] for each in told} == {str(tmp_path)}
    assert all(each["loaded"] == ["torch"] for each in told)
    assert "true" in lines, "torch computes on several threads after the fork"


def test_what_libraries_warn_of_while_they_load_is_not_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "grumbling.py").write_text("import logging\nlogging.getLogger('grumbling').warning('install me')\n")
    host = JobHost(["grumbling"])
    job = start(host, "nothing", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert job.wait(60) == 0
    host.close()
    assert "install me" not in capfd.readouterr().err


def test_a_job_that_fails_says_why(host: JobHost, capfd: pytest.CaptureFixture[str]) -> None:
    assert start(host, "fail").wait(60) == 1
    assert "RuntimeError: no reason but to fail" in capfd.readouterr().err


def test_one_that_is_interrupted_ends_and_one_that_goes_on_is_not_waited_for(
    host: JobHost, capfd: pytest.CaptureFixture[str]
) -> None:
    job = start(host, "sleep")
    said(capfd)
    with pytest.raises(TimeoutError, match=str(job.pid)):
        job.wait(0.1)
    job.interrupt()
    assert job.wait(60) == -signal.SIGINT


def test_where_the_host_is_killed_its_jobs_end_and_the_next_one_starts_from_another(
    capfd: pytest.CaptureFixture[str],
) -> None:
    host = JobHost([])
    job = start(host, "sleep")
    said(capfd)
    lost = psutil.Process(job.pid)
    os.kill(lost.ppid(), signal.SIGKILL)
    assert job.wait(60) == -signal.SIGKILL
    assert within(20, lambda: not lost.is_running() or lost.status() == psutil.STATUS_ZOMBIE)
    assert start(host, "nothing").wait(60) == 0
    host.close()


def test_a_host_that_is_killed_before_the_job_began_is_told_of() -> None:
    host = JobHost(["torch", "decimal"])

    def loading() -> list[psutil.Process]:
        every = psutil.process_iter(["ppid", "cmdline"])
        ours = [each for each in every if each.info["ppid"] == os.getpid()]
        return [each for each in ours if (each.info["cmdline"] or ())[-1:] == ["decimal"]]

    with ThreadPoolExecutor() as pool:
        asked = pool.submit(start, host, "nothing")
        assert within(20, loading)
        loading()[0].kill()
        with pytest.raises(ChildProcessError, match=f"before {JOB} began"):
            asked.result(60)
    assert start(host, "nothing").wait(60) == 0
    host.close()


@pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated:DeprecationWarning")  # Dagster's own
def test_an_asset_whose_job_did_not_begin_fails_as_one_whose_job_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> Job:
        raise ChildProcessError("the process that starts jobs ended")

    monkeypatch.setattr(launcher.HOST, "start", lost)

    @dg.asset
    def trained() -> None:
        Compute().launch(dg.AssetExecutionContext.get(), JOB, {"config": ""})

    with pytest.raises(JobFailed) as failed:
        dg.materialize([trained])
    assert "the process that starts jobs ended" in str(failed.value.description)


@pytest.mark.parametrize("heeded", [True, False], ids=["heeded", "blocked"])
def test_no_job_outlives_a_run_that_is_killed(heeded: bool) -> None:
    """Also where they were started with SIGTERM blocked, so that what Linux says of a parent's end is not heard."""
    blocked = set() if heeded else {signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    run = subprocess.Popen([sys.executable, "-c", BEGIN], env=environment(), stdout=subprocess.PIPE, text=True)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert run.stdout
    job = psutil.Process(int(run.stdout.readline()))
    host = job.parent()
    assert host
    run.kill()
    run.stdout.close()
    run.wait(20)
    _, left = psutil.wait_procs([job, host], timeout=20)
    assert left == []
