"""Jobs as pods: the same result as beside their run, and every way in which a pod does not end well, in words."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.errors import DagsterExecutionInterruptedError

from twin_assets import keys
from twin_assets.embed.assets import embedding_assets
from twin_assets_tests.support import launching, manifests, passages
from twin_assets_tests.support.cluster import ROOT, Cluster, serving
from twin_assets_tests.support.launching import JOB, why_not
from twin_resources.config.settings import Settings
from twin_resources.database.schema import embedding
from twin_resources.retrieval.embedder import Embedder
from twin_resources.runtime import launcher
from twin_resources.runtime.launcher import Compute
from twin_resources.runtime.resources import Twin

SECRET = "s3cret-of-the-database"
VARIABLES = ["TWIN_DATABASE_URL", "TWIN_JOBS", "TWIN_KUBERNETES__POD", "TQDM_DISABLE", "TWIN_HOME"]
launched = functools.partial(launching.launched, VARIABLES)

pytestmark = pytest.mark.filterwarnings(
    "ignore:AssetExecutionContext.run_id is deprecated:DeprecationWarning",  # Dagster's own
    "ignore:AssetExecutionContext.op is deprecated:DeprecationWarning",
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "twin.yaml").write_text("authors: []\n", encoding="utf-8")
    return folder / "twin.yaml"


@pytest.fixture
def cluster(tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    home = tmp_path / "state"
    home.mkdir()
    image = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TWIN_HOME": str(home)}
    made = Cluster(image, secrets={"secrets": {"TWIN_DATABASE_URL": SECRET}})
    made.add(manifests.worker(home, config.parent))
    for name in ("HTTP_PROXY", "http_proxy", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    told = {
        "TWIN_HOME": str(home),
        "TWIN_JOBS": "kubernetes",
        "TWIN_KUBERNETES__POD": "worker-7d4f",
        "TWIN_KUBERNETES__POLL_SECONDS": "0.02",
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with serving(made, tmp_path / "kubeconfig"):
        yield made
        assert list(made.pods) in ([], ["worker-7d4f"]), "a pod was left behind"


def test_a_pod_reports_what_a_process_does_and_gets_its_secrets_from_the_cluster(
    cluster: Cluster, config: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    there = launched(config)
    assert "told to report, über alles" in capfd.readouterr().out
    assert there["seen"] == {
        "TWIN_DATABASE_URL": SECRET,
        "TWIN_JOBS": None,
        "TWIN_KUBERNETES__POD": None,
        "TQDM_DISABLE": "1",
        "TWIN_HOME": os.environ["TWIN_HOME"],
    }
    assert len(cluster.created) == len(cluster.deleted) == 1
    assert cluster.called == set(manifests.granted("jobs")), "its role allows that and nothing else"
    assert SECRET not in str(cluster.created)
    monkeypatch.setenv("TWIN_JOBS", "local")
    monkeypatch.setattr(launcher, "can_fork", lambda: False)
    here = launched(config)
    assert {**here, "seen": None} == {**there, "seen": None}
    assert here["extras"]["config"] == str(config)


def test_the_pod_is_like_the_workers_of_the_size_of_its_pool_and_starts_nothing(
    cluster: Cluster, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWIN_POOLS__GPU__MEMORY_GIB", "24")
    launched(config)
    launched(config, pool="embed")
    large, small = cluster.created
    theirs = cluster.pods["worker-7d4f"].body
    for made in (large, small):
        spec, (container,) = made["spec"], made["spec"]["containers"]
        assert container["image"] == theirs["spec"]["containers"][0]["image"]
        assert container["command"] == ["python", "-m", JOB]
        assert container["envFrom"] == [{"secretRef": {"name": "secrets"}}]
        assert [each["name"] for each in spec["volumes"]] == ["state", "config"]
        assert [each["name"] for each in container["volumeMounts"]] == ["state", "config"]
        assert spec["securityContext"] == theirs["spec"]["securityContext"]
        assert container["securityContext"] == theirs["spec"]["containers"][0]["securityContext"]
        assert spec["automountServiceAccountToken"] is False
        assert "serviceAccountName" not in spec
        assert made["metadata"]["labels"]["app"] == "job", "no service may lead to it"
        (owner,) = made["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Pod", theirs["metadata"]["uid"])
    gpu, embed = (each["spec"]["containers"][0]["resources"] for each in (large, small))
    assert gpu == {
        "requests": {"cpu": "8000m", "memory": "24576Mi", "nvidia.com/gpu": "1"},
        "limits": {"memory": "24576Mi", "nvidia.com/gpu": "1"},
    }
    assert embed == {"requests": {"cpu": "4000m", "memory": "16384Mi"}, "limits": {"memory": "16384Mi"}}
    assert [each["spec"]["activeDeadlineSeconds"] for each in (large, small)] == [48 * 3600, 12 * 3600]


def test_jobs_may_have_an_image_and_an_identity_of_their_own(
    cluster: Cluster, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWIN_KUBERNETES__IMAGE", "registry.example/twin-cuda:2")
    monkeypatch.setenv("TWIN_KUBERNETES__SERVICE_ACCOUNT", "bucket")
    launched(config)
    (made,) = cluster.created
    assert made["spec"]["containers"][0]["image"] == "registry.example/twin-cuda:2"
    assert made["spec"]["serviceAccountName"] == "bucket"
    assert made["spec"]["automountServiceAccountToken"] is True


@pytest.mark.parametrize(
    ("fate", "words"),
    [
        ("OOMKilled", "more than its 60 GiB of memory.*TWIN_POOLS__GPU__MEMORY_GIB"),
        ("Evicted", "evicted.*low on resource: memory.*Start it again"),
        ("DeadlineExceeded", "longer than its 48 hours.*TWIN_POOLS__GPU__HOURS"),
        ("NodeShutdown", "ended by its node: Terminated.*node shutdown"),
        ("Unexplained", "does not say why.*kubectl get events"),
        ("Preempted", "taken from its node.*PreemptionByScheduler: make room"),
        ("NodeLost", "deleted before it ended, by somebody or with its node. Start it again"),
        ("ImagePullBackOff", "could not start.*Back-off pulling image.*whether the image is there"),
    ],
)
def test_a_pod_that_does_not_end_well_says_why_and_what_to_do(
    cluster: Cluster, config: Path, fate: str, words: str
) -> None:
    cluster.fate = fate
    assert_says(why_not(config, "sleep"), words)
    assert len(cluster.created) == 1


def test_a_pod_that_no_node_takes_is_not_waited_for_for_ever(
    cluster: Cluster, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.fate = "Unschedulable"
    monkeypatch.setenv("TWIN_KUBERNETES__START_MINUTES", "0.001")
    said = why_not(config)
    assert_says(said, "did not start in 0.001 minutes; no node takes it: .*Insufficient nvidia.com/gpu")
    assert_says(said, "asks for 8 CPUs, 60 GiB, 1 GPUs: add such a node, or ask for less")


def test_a_job_that_fails_or_reports_nothing_fails_its_asset(cluster: Cluster, config: Path) -> None:
    assert_says(why_not(config, "fail"), "pipes_job failed: its pod twin/dagster-.* ended with code 1; its output")
    assert_says(why_not(config, "nothing"), "without reporting a result")


@pytest.mark.filterwarnings("ignore:.*did not receive:UserWarning")
def test_a_report_that_was_lost_is_no_result(cluster: Cluster, config: Path) -> None:
    cluster.silent = True
    assert_says(why_not(config), "without reporting a result")


def test_a_secret_that_is_not_there_is_named(cluster: Cluster, config: Path) -> None:
    cluster.secrets.clear()
    assert_says(why_not(config), 'secret "secrets" not found')


def test_what_the_cluster_refuses_is_told_in_its_words(cluster: Cluster, config: Path) -> None:
    cluster.refusal = "exceeded quota: gpus, requested: 1, used: 2, limited: 2"
    assert_says(why_not(config), "the cluster refused: 403 exceeded quota: gpus")


def test_a_cancelled_run_deletes_its_pod(cluster: Cluster, config: Path) -> None:
    cluster.fate = "Cancelled"
    with pytest.raises(DagsterExecutionInterruptedError):
        launched(config, "sleep")
    assert len(cluster.created) == len(cluster.deleted) == 1


def test_pods_that_a_killed_run_left_behind_are_deleted_by_the_next_job(cluster: Cluster, config: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        launched(config, instance=instance)
        (run,) = instance.get_runs()
        for name, run_id in (("left-behind", run.run_id), ("going-on", "of-another-instance")):
            labels = {"app": "job", "dagster/run-id": run_id}
            cluster.add({**cluster.created[0], "metadata": {"name": name, "labels": labels}})
        launched(config, instance=instance)
    assert "left-behind" not in cluster.pods
    cluster.delete("going-on")


def test_files_that_the_pod_would_not_see_are_told_of_before_it_is_made(
    cluster: Cluster, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    assert_says(why_not(config, adapters={"ada": str(alone)}), f"it reads {alone}, .*mount one claim")
    monkeypatch.setenv("TWIN_ARTIFACTS_URL", alone.as_uri())
    assert_says(why_not(config), f"artifacts lie in {alone}, .*TWIN_ARTIFACTS_URL=s3://bucket/twin")
    assert cluster.created == []
    monkeypatch.setenv("TWIN_ARTIFACTS_URL", "s3://bucket/twin")
    (Path(os.environ["TWIN_HOME"]) / "base").mkdir()
    assert launched(config, base=os.environ["TWIN_HOME"] + "/base", python=sys.executable)


@pytest.mark.parametrize(
    ("variables", "pool", "words"),
    [
        ({"TWIN_KUBERNETES__POD": ""}, "gpu", "TWIN_KUBERNETES__POD is not set; .*components/jobs"),
        ({"TWIN_KUBERNETES__POD": "worker-1"}, "gpu", "names worker-1, which the namespace twin has not"),
        ({"KUBECONFIG": "/nowhere"}, "gpu", "the cluster's API cannot be reached"),
        ({}, "disk", "no size is known for jobs of the pool 'disk'; give the asset one of: embed, gpu"),
    ],
)
def test_what_is_not_set_up_is_named(
    cluster: Cluster,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: Mapping[str, str],
    pool: str,
    words: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert_says(why_not(config, pool=pool), words)
    assert cluster.created == []


def test_an_asset_of_the_graph_embeds_in_a_pod_as_it_does_here(
    cluster: Cluster,
    config: Path,
    engine: sa.Engine,
    settings: Settings,
    embedder: Embedder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = passages.fill(engine, settings, embedder)
    assert settings.database_url
    url = settings.database_url.get_secret_value()
    monkeypatch.setenv("TWIN_DATABASE_URL", url)
    cluster.secrets["secrets"]["TWIN_DATABASE_URL"] = url
    said = "authors:\n- {id: ada, name: Ada Berg, consent: These accounts are mine. 2026-11-21}\n"
    config.write_text(said, encoding="utf-8")

    def vectors() -> dict[str, list[float]]:
        with engine.begin() as session:
            rows = session.execute(sa.select(embedding.c.text_hash, embedding.c.vector)).all()
        return dict(rows)

    here = vectors()
    with engine.begin() as session:
        session.execute(sa.delete(embedding))
    assert index.missing("ada") == len(here) == 4
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("author", ["ada"])
        (asset,) = [each for each in embedding_assets if each.key == keys.embeddings("articles")]
        resources = {"twin": Twin(config=str(config)), "compute": Compute()}
        dg.materialize([asset], partition_key="ada", resources=resources, instance=instance)
    there = vectors()
    assert there.keys() == here.keys()
    assert all(there[key] == pytest.approx(here[key], abs=1e-3) for key in here)
    (made,) = cluster.created
    assert made["spec"]["containers"][0]["command"] == ["python", "-m", "twin_assets.embed.job"]
    assert url not in str(made)


def assert_says(said: str, words: str) -> None:

    assert re.search(words, said), said
