"""Jobs on Ray: the same result as beside their run, and every way in which a job does not end well, in words."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.errors import DagsterExecutionInterruptedError

from twin_assets.embed.job import embed_sentences
from twin_assets.train.backends.peft import PeftBackend
from twin_assets_tests.support import launching, passages
from twin_assets_tests.support.launching import JOB, why_not
from twin_assets_tests.support.processes import free_ports, within
from twin_assets_tests.support.ray_cluster import ENTRY, TOKEN, Node, RayCluster, ray_cluster
from twin_assets_tests.support.tiny_models import TinyModels
from twin_assets_tests.support.training import Seen, task, validated
from twin_resources.config.pools import PoolsSettings
from twin_resources.config.settings import Settings
from twin_resources.database.schema import embedding, sentence_embedding
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.sentences import SentenceIndex
from twin_resources.runtime import launcher

pytest.importorskip("dagster_ray", reason='jobs on Ray need the extra: pip install "llm-twin[ray]"')

from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from twin_resources.runtime.ray.jobs import failure

SECRET = "postgresql://twin:s3cret@127.0.0.1:9/twin"
VARIABLES = ["TWIN_DATABASE_URL", "TWIN_JOBS", "TQDM_DISABLE", "RAY_USAGE_STATS_ENABLED"]
launched = functools.partial(launching.launched, VARIABLES)
SMALL = {"CPUS": "1", "MEMORY_GIB": "0.25", "GPUS": "0", "HOURS": "0.05"}

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings(
        "ignore:AssetExecutionContext.run_id is deprecated:DeprecationWarning",  # Dagster's own
        "ignore:AssetExecutionContext.dagster_run is deprecated:DeprecationWarning",
        "ignore:AssetExecutionContext.op is deprecated:DeprecationWarning",
        "ignore:.*did not receive:UserWarning",  # of jobs that end before they report
        "ignore:`is_gradient_checkpointing`:FutureWarning",
    ),
]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    home = str(tmp_path_factory.mktemp("nodes"))
    with ray_cluster(TWIN_DATABASE_URL=SECRET, TWIN_HOME=home, OMP_NUM_THREADS="1") as started:
        yield started


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "twin.yaml").write_text("authors: []\n", encoding="utf-8")
    return tmp_path / "twin.yaml"


@pytest.fixture
def cluster(nodes: RayCluster, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayCluster]:
    for name in ("HTTP_PROXY", "http_proxy", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    told = {
        "RAY_AUTH_TOKEN": TOKEN,
        "TWIN_HOME": str(tmp_path / "state"),
        "TWIN_JOBS": "ray",
        "TWIN_RAY__ADDRESS": nodes.address,
        "TWIN_RAY__POLL_SECONDS": "0.05",
        **{f"TWIN_POOLS__{pool}__{name}": value for pool in ("GPU", "EMBED") for name, value in SMALL.items()},
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    yield nodes
    statuses = {each.submission_id: each.status for each in asked(nodes).list_jobs()}
    assert JobStatus.RUNNING not in statuses.values(), f"a job was left behind: {statuses}"


def asked(cluster: RayCluster) -> JobSubmissionClient:
    """Ray's own client."""
    return JobSubmissionClient(cluster.address, headers=ENTRY)


def newest(cluster: RayCluster) -> Any:
    """What the cluster says of the job that was submitted last."""
    return max(asked(cluster).list_jobs(), key=lambda each: each.start_time or 0)


def when_running(cluster: RayCluster, act: Callable[[str], object]) -> threading.Thread:
    """Do something with the next job once it has begun."""
    client = asked(cluster)
    before = {each.submission_id or "" for each in client.list_jobs()}

    def look() -> bool:
        for each in {each.submission_id or "" for each in client.list_jobs()} - before:
            with contextlib.suppress(RuntimeError):  # its node may not know it yet
                if "told to" in client.get_job_logs(each):
                    act(each)
                    return True
        return False

    thread = threading.Thread(target=within, args=(60, look), daemon=True)
    thread.start()
    return thread


def test_a_ray_job_reports_what_a_process_does_and_gets_its_secrets_from_its_node(
    cluster: RayCluster, config: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    there = launched(config)
    assert "told to report, über alles" in capfd.readouterr().out
    assert there["seen"] == {
        "TWIN_DATABASE_URL": SECRET,
        "TWIN_JOBS": "local",
        "TQDM_DISABLE": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    made = newest(cluster)
    assert made.entrypoint == f"exec python -m {JOB}"
    assert SECRET not in str(made)
    monkeypatch.setenv("TWIN_JOBS", "local")
    monkeypatch.setattr(launcher, "can_fork", lambda: False)
    here = launched(config)
    assert {**here, "seen": None} == {**there, "seen": None}


def test_a_job_asks_for_the_size_of_its_pool(
    config: Path, cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SMALL:
        monkeypatch.delenv(f"TWIN_POOLS__GPU__{name}")
    monkeypatch.setenv("TWIN_RAY__START_MINUTES", "0.001")
    said = why_not(config)
    assert_says(said, "did not start in 0.001 minutes. It asks for 8 CPUs, 60 GiB, 1 GPUs: add such a node, or ask")
    assert_says(said, r"for less with TWIN_POOLS__GPU__… \(CPUS, MEMORY_GIB, GPUS\)")


def test_a_job_that_fails_or_reports_nothing_fails_its_asset(cluster: RayCluster, config: Path) -> None:
    assert_says(why_not(config, "fail"), "pipes_job failed: its Ray job twin-.* ended with code 1; its output")
    assert_says(why_not(config, "nothing"), "without reporting a result")


def test_a_job_that_was_killed_or_stopped_says_so(
    cluster: RayCluster, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(_: str) -> None:
        for each in cluster.nodes[0].below():
            if each.cmdline()[1:3] == ["-m", JOB]:
                each.send_signal(signal.SIGKILL)

    when_running(cluster, kill)
    assert_says(why_not(config, "sleep"), "was killed, most often because .*0.25 GiB with TWIN_POOLS__GPU__MEMORY_GIB")
    when_running(cluster, lambda job: asked(cluster).stop_job(job))
    assert_says(why_not(config, "sleep"), "was stopped by somebody, .*Start it again")
    monkeypatch.setenv("TWIN_POOLS__GPU__HOURS", "0.0001")
    assert_says(why_not(config, "sleep"), "took longer than its 0.0001 hours; .*TWIN_POOLS__GPU__HOURS")


def test_a_cancelled_run_stops_its_job(cluster: RayCluster, config: Path) -> None:
    when_running(cluster, lambda _: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(DagsterExecutionInterruptedError):
        launched(config, "sleep")
    assert newest(cluster).status == JobStatus.STOPPED


def test_jobs_that_a_killed_run_left_behind_are_stopped_by_the_next(cluster: RayCluster, config: Path) -> None:
    client = asked(cluster)
    with dg.DagsterInstance.ephemeral() as instance:
        launched(config, instance=instance)
        (run,) = instance.get_runs()
        left, going = (
            client.submit_job(entrypoint="sleep 600", metadata={"twin/job": "x", "dagster/run-id": run_id})
            for run_id in (run.run_id, "of-another-instance")
        )
        launched(config, instance=instance)
    assert within(30, lambda: client.get_job_status(left) == JobStatus.STOPPED)
    assert not client.get_job_status(going).is_terminal()
    client.stop_job(going)
    assert within(30, lambda: client.get_job_status(going).is_terminal())


def far(cluster: RayCluster) -> Node:
    """A second node, which is there for whichever test is the first to need it."""
    for node in cluster.nodes[1:]:
        if node.process.poll() is None:
            return node
    return cluster.add(2, "far")


def test_two_nodes_learn_what_one_process_does(
    cluster: RayCluster,
    config: Path,
    tiny_models: Callable[[str], TinyModels],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    far(cluster)
    monkeypatch.setenv("TWIN_POOLS__GPU__CPUS", "2")
    base, nobody = tiny_models("llama").base, Seen()
    asked: dict[str, Any] = {"job": "twin_assets_tests.support.group_job", "folder": str(tmp_path / "two")}
    two = launched(config, nodes=2, base=str(base), **asked)
    one = PeftBackend().train(task(base, tmp_path / "one"), nobody)
    assert len(set(two["nodes"])) == 2
    assert any(line.endswith("in float32, 2 processes") for line in two["lines"])
    assert two["validated"] == pytest.approx(validated(one), rel=1e-4)
    monkeypatch.setenv("TWIN_JOBS", "local")
    assert_says(
        why_not(config, nodes=2, base="", **asked), "nodes is 2, and only Ray .*: set TWIN_JOBS=ray, or training.nodes"
    )


def test_a_job_whose_node_is_lost_says_so(cluster: RayCluster, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = far(cluster)
    monkeypatch.setenv("TWIN_POOLS__GPU__NODE_SELECTOR", '{"twin/node": "far"}')
    when_running(cluster, lambda _: node.kill())
    assert_says(why_not(config, "sleep"), "was lost with its node or its supervisor .*Start it again")


def test_a_cluster_that_cannot_be_used_is_named(
    cluster: RayCluster, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nobody,) = free_ports(1)
    monkeypatch.setenv("TWIN_RAY__ADDRESS", f"http://127.0.0.1:{nobody}")
    assert_says(why_not(config), f"no Ray answers at http://127.0.0.1:{nobody} .*docs/deploying.md")
    monkeypatch.setenv("TWIN_RAY__ADDRESS", "")
    assert_says(why_not(config), "TWIN_RAY__ADDRESS does not say where its dashboard is; set it, as in")
    monkeypatch.setenv("TWIN_RAY__ADDRESS", cluster.address)
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    assert_says(why_not(config), "RAY_ADDRESS names another cluster than TWIN_RAY__ADDRESS, .*unset it")
    monkeypatch.delenv("RAY_ADDRESS")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN[::-1])
    assert_says(why_not(config), "wants another token; set that of the cluster in RAY_AUTH_TOKEN")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    assert_says(why_not(config), "wants a token; ")
    assert_says(why_not(config, pool="disk"), "no size is known for jobs of the pool 'disk'; give the asset one of")


def test_a_server_that_is_no_ray_is_named(config: Path, cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("TWIN_RAY__ADDRESS", f"http://127.0.0.1:{other.server_port}")
        assert_says(why_not(config), "is no Ray: .*correct TWIN_RAY__ADDRESS")
        other.shutdown()


def test_actors_that_no_node_takes_are_not_waited_for_for_ever(
    cluster: RayCluster, config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wanted = "{embedders: 2, embedder_cpus: 50, start_minutes: 0.4}"  # the job itself has to start in that time, too
    config.write_text(f"authors: []\nray: {wanted}\n", encoding="utf-8")
    why = why_not(config, pool="embed", job="twin_assets_tests.support.embedding_job", author="ada", kill_at=0)
    said = " ".join(capfd.readouterr().out.split())
    assert_says(
        f"{said} {why}",
        "no node took an embedding actor in 0.4 minutes. Each asks for 50 CPUs .*TWIN_RAY__EMBEDDER_CPUS",
    )


def test_actors_embed_what_a_process_does_once_although_one_is_killed(
    cluster: RayCluster,
    config: Path,
    engine: sa.Engine,
    settings: Settings,
    embedder: Embedder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = passages.fill(engine, settings, embedder)
    assert settings.database_url
    python = config.parent / "python"
    url = settings.database_url.get_secret_value()
    python.write_text(f"#!/bin/sh\nTWIN_DATABASE_URL='{url}' exec {sys.executable} \"$@\"\n", encoding="utf-8")
    python.chmod(0o755)
    author = "{id: ada, name: Ada Berg, consent: These accounts are mine. 2026-11-21}"
    config.write_text(f"authors:\n- {author}\nray: {{embedders: 2, embedder_cpus: 0.25}}\n", encoding="utf-8")
    for name, value in {"PYTHON": str(python), "ADDRESS": cluster.address}.items():
        monkeypatch.setenv(f"TWIN_RAY__{name}", value)

    def stored() -> dict[str, list[float]]:
        with engine.begin() as session:
            rows = session.execute(sa.select(embedding.c.text_hash, embedding.c.vector)).all()
            session.execute(sa.delete(embedding))
            session.execute(sa.delete(sentence_embedding))
        return dict(rows)

    sentences = SentenceIndex(engine, index.model)
    here = {"hash": index.snapshot_hash("ada", "articles"), "sentences": embed_sentences(sentences, embedder, "ada")}
    vectors = stored()
    assert index.missing("ada") == sentences.missing("ada") == len(vectors) == 4
    there = launched(config, pool="embed", job="twin_assets_tests.support.embedding_job", author="ada", kill_at=1)
    assert there == {"embedded": 4, "lost": 1, "sentences": here["sentences"]}
    assert index.missing("ada") == sentences.missing("ada") == 0
    assert index.snapshot_hash("ada", "articles") == here["hash"]
    again = stored()
    assert again.keys() == vectors.keys()
    assert all(again[key] == pytest.approx(vectors[key], abs=1e-3) for key in vectors)


@pytest.mark.parametrize(
    ("kind", "message", "words"),
    [
        ("JOB_SUPERVISOR_ACTOR_DIED", "The node was running low on memory.", "ran out of memory; .*60 GiB with TWIN_P"),
        ("JOB_SUPERVISOR_ACTOR_DIED", "its node has died", "lost with its node .*its node has died.*Start it again"),
        ("JOB_SUPERVISOR_ACTOR_START_TIMEOUT", "within 900 seconds", "found no node .*900 seconds.*asks for 8 CPUs"),
        ("RUNTIME_ENV_SETUP_FAILURE", "no such image", "could not start: no such image"),
        ("", "nobody knows", "failed: nobody knows"),
    ],
)
def test_what_ray_says_of_a_job_is_put_into_what_to_do(kind: str, message: str, words: str) -> None:
    told = {"type": "SUBMISSION", "status": "FAILED", "entrypoint": "", "message": message, "error_type": kind}
    info = JobDetails.model_validate(told)
    assert_says(str(failure(info, "gpu", PoolsSettings().gpu)), words)


def assert_says(said: str, words: str) -> None:
    assert re.search(words, said), said
