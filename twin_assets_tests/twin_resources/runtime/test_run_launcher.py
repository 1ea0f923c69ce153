"""A run whose processes were killed with ``kill -9`` ends, gives its slots back, and is tried again once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import psutil
import psycopg
import pytest

from twin_assets_tests.support.processes import free_ports, within
from twin_resources.config.settings import Settings, load
from twin_resources.database import postgres
from twin_serving.processes.servers import environment, list_servers, prepare_dagster

pytestmark = pytest.mark.long

CONFIG = """
authors: [{id: ada, name: Ada, consent: "These accounts are mine. 2026-11-21", sources: [{folder: notes}]}]
models: {reranker: null}
"""
LAUNCH = """mutation {{ launchRun(executionParams: {{mode: "default", selector: {{repositoryLocationName: "twin",
    repositoryName: "__repository__", jobName: "__ASSET_JOB", assetSelection: [{{path: ["embeddings", "articles"]}}],
    assetCheckSelection: []}},
    executionMetadata: {{tags: [{{key: "dagster/partition", value: "ada"}}]}}}})
    {{ __typename ... on LaunchRunSuccess {{ run {{ runId }} }} ... on PythonError {{ message }} }} }}"""
GONE_WITHIN = 120


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="twin-gone-") as made:
        folder = Path(made)
        (folder / "notes").mkdir()
        (folder / "notes" / "a.md").write_text("# Clocks\n\nA clock that is wound every day keeps better time.\n" * 3)
        (folder / "twin.yaml").write_text(CONFIG)
        yield folder


@contextlib.contextmanager
def instance_of(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    prepare_dagster(settings)
    for name, value in environment(settings, postgres.databases(settings.postgres)).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        yield instance


@contextlib.contextmanager
def dagster_up(settings: Settings) -> Iterator[str]:
    """Dagster's webserver and daemon, as `twin up` starts them, until the end of the block; the webserver's address."""
    databases = postgres.databases(settings.postgres)
    servers = list_servers(settings, databases)
    processes = [
        subprocess.Popen(servers[name].command, env=environment(settings, databases), stderr=subprocess.DEVNULL)
        for name in ("dagster", "daemon")
    ]
    try:
        assert within(180, servers["dagster"].answers)
        yield str(servers["dagster"].url)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


@contextlib.contextmanager
def blocked(settings: Settings) -> Iterator[None]:
    """Every reader of passages waits."""
    url = postgres.databases(settings.postgres).twin.render_as_string(hide_password=False)
    with psycopg.connect(url) as session:
        session.execute("LOCK TABLE chunk IN ACCESS EXCLUSIVE MODE")
        yield


def started(instance: dg.DagsterInstance, url: str) -> dg.DagsterRun:
    """A run that takes a slot of the pool ``embed`` and waits in its step."""
    answer = httpx.post(f"{url}/graphql", json={"query": LAUNCH.format()}, timeout=60).json()
    run_id = answer["data"]["launchRun"]["run"]["runId"]
    assert within(60, lambda: in_its_step(instance, run_id))
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run


def in_its_step(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run has its slot and is at work; with one run at a time in a pool, no other of the pool is then."""
    return bool(instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_START))


def kill(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """What a power cut does: the process of the run, and its code server."""
    (event,) = [
        each.message for each in instance.all_logs(run.run_id) if each.message.startswith("Started process for run")
    ]
    worker = psutil.Process(int(event.split("pid: ")[1].rstrip(").")))
    code_server = worker.parent()
    assert code_server is not None
    assert "grpc" in " ".join(code_server.cmdline())
    for process in (code_server, worker):
        os.kill(process.pid, signal.SIGKILL)


def test_a_run_whose_code_server_died_ends_and_is_tried_again_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_CONFIG", str(home / "twin.yaml"))
    monkeypatch.setenv("TWIN_HOME", str(home / "state"))
    monkeypatch.setenv("TWIN_DAGSTER_PORT", str(free_ports(1)[0]))
    settings = load()
    postgres.prepare(settings.postgres)
    with instance_of(settings, monkeypatch) as instance, dagster_up(settings) as url, blocked(settings):
        instance.add_dynamic_partitions("author", ["ada"])
        first = started(instance, url)
        kill(instance, first)
        assert within(GONE_WITHIN, lambda: instance.get_run_by_id(first.run_id).is_finished)  # pyright: ignore
        ended = instance.get_run_by_id(first.run_id)
        assert ended is not None
        assert ended.status is dg.DagsterRunStatus.FAILURE
        again = dg.RunsFilter(tags={"dagster/parent_run_id": first.run_id})
        assert within(60, lambda: instance.get_runs_count(again) == 1)
        (second,) = instance.get_runs(again)
        assert within(GONE_WITHIN, lambda: in_its_step(instance, second.run_id)), "its slot was not free"
        kill(instance, second)
        assert within(GONE_WITHIN, lambda: instance.get_run_by_id(second.run_id).is_finished)  # pyright: ignore
        third = started(instance, url)
        assert third.run_id not in (first.run_id, second.run_id)
        group = instance.get_run_group(first.run_id)
        assert group is not None
        assert len(list(group[1])) == 2, "a run that kills its worker each time is not tried for ever"
    postgres.stop(settings.postgres)
