"""Runs as Kubernetes jobs: launched, watched and ended as `deploy/kubernetes/components/runs` configures it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.reconstruct import reconstructable
from dagster._core.launcher import LaunchRunContext, WorkerStatus

from twin_assets_tests.support import manifests, runs
from twin_assets_tests.support.cluster import ROOT, Cluster, serving
from twin_assets_tests.support.processes import within
from twin_resources.runtime.pods import PodError

INSTANCE = manifests.KUBERNETES / "components" / "runs" / "instance" / "dagster.yaml"
DAEMON = manifests.pod_of(manifests.deployment("daemon", "jobs", "runs"), "daemon-5c9b")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    variables = {
        "DAGSTER_HOME": str(tmp_path),
        "TWIN_KUBERNETES__POD": "daemon-5c9b",
        "TWIN_KUBERNETES__NAMESPACE": "twin",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    image = {"PATH": programs, "DAGSTER_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    made = Cluster(image, secrets={"secrets": {"TWIN_SECRET": "of the cluster"}})
    made.add(manifests.pod_of(manifests.deployment("daemon", "jobs", "runs"), "daemon-5c9b"))
    with serving(made, tmp_path / "kubeconfig"):
        yield made


@pytest.fixture
def instance(cluster: Cluster, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """The launcher as configured, with a cluster that is reached from outside and records in files."""
    launcher = yaml.safe_load(INSTANCE.read_text("utf-8"))["run_launcher"]
    launcher["config"] |= {"load_incluster_config": False, "kubeconfig_file": str(tmp_path / "kubeconfig")}
    told = {"run_launcher": launcher, "telemetry": {"enabled": False}}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")
    with dg.DagsterInstance.get() as found:
        yield found
    shutil.rmtree(tmp_path / "storage", ignore_errors=True)


def launched(instance: dg.DagsterInstance, name: str = "saying", config: dict[str, Any] | None = None) -> dg.DagsterRun:
    """A run of a job that was handed to the launcher, with what its tag asks of the cluster."""
    job = reconstructable(getattr(runs, name))
    run = instance.create_run_for_job(
        job.get_definition(),
        job_code_origin=job.get_python_origin(),
        status=dg.DagsterRunStatus.STARTING,
        tags={"dagster-k8s/config": json.dumps(config)} if config else None,
    )
    instance.run_launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=None))
    return run


def test_a_run_is_a_job_whose_pod_is_like_the_daemons_and_does_it(
    instance: dg.DagsterInstance, cluster: Cluster
) -> None:
    run = launched(instance)
    (made,) = cluster.created
    spec, (container,) = made["spec"], made["spec"]["containers"]
    theirs = DAEMON["spec"]
    assert container["image"] == theirs["containers"][0]["image"]
    assert container["envFrom"] == [{"secretRef": {"name": "secrets"}}]
    assert [each["mountPath"] for each in container["volumeMounts"]] == ["/state", "/config", "/instance"]
    assert [each["name"] for each in spec["volumes"]] == ["state", "config", "instance"]
    assert spec["securityContext"] == theirs["securityContext"]
    assert container["securityContext"] == theirs["containers"][0]["securityContext"]
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("job-launcher", True)
    assert container["resources"] == {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "12Gi"}}
    assert {"name": "TWIN_JOBS", "value": "kubernetes"} in container["env"]
    assert (made["metadata"]["labels"]["app"], made["metadata"]["labels"]["part-of"]) == ("run", "twin")

    launcher = instance.run_launcher
    assert within(60, lambda: launcher.check_run_worker_health(run).status is not WorkerStatus.RUNNING)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.SUCCESS
    assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.SUCCESS  # pyright: ignore
    (output,) = [
        each.dagster_event.step_output_data
        for each in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_OUTPUT)
        if each.dagster_event
    ]
    found = {name: each.value for name, each in output.metadata.items()}
    assert found == {"TWIN_KUBERNETES__POD": made["metadata"]["name"], "TWIN_SECRET": "of the cluster"}
    assert cluster.called <= set(manifests.granted("runs"))


def test_a_run_whose_pod_was_killed_is_noticed(instance: dg.DagsterInstance, cluster: Cluster) -> None:
    run = launched(instance)
    instance.report_run_canceling(run)
    cluster.fate, cluster.hears = "OOMKilled", False
    launcher = instance.run_launcher
    started = instance.get_run_by_id(run.run_id)
    assert started
    assert within(60, lambda: launcher.check_run_worker_health(started).status is not WorkerStatus.RUNNING)
    assert launcher.check_run_worker_health(started).status is WorkerStatus.FAILED
    assert "OOMKilled" in str(launcher.get_run_worker_debug_info(started))
    assert cluster.called <= set(manifests.granted("runs"))


def test_a_cancelled_run_ends_with_its_job_and_pod(instance: dg.DagsterInstance, cluster: Cluster) -> None:
    run = launched(instance, "waiting")
    assert instance.run_launcher.terminate(run.run_id)
    assert (cluster.jobs, list(cluster.pods)) == ({}, ["daemon-5c9b"])
    assert cluster.called <= set(manifests.granted("runs"))


def test_a_launcher_that_does_not_know_its_own_pod_says_so(
    instance: dg.DagsterInstance, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWIN_KUBERNETES__POD", "")
    with pytest.raises(PodError, match=r"TWIN_KUBERNETES__POD is not set; .*components/jobs and runs"):
        launched(instance)
    assert cluster.created == []


def test_a_tag_says_how_large_a_run_is_and_not_what_it_runs(instance: dg.DagsterInstance, cluster: Cluster) -> None:
    large = {"requests": {"cpu": "4", "memory": "32Gi"}, "limits": {"memory": "32Gi"}}
    launched(instance, "waiting", {"container_config": {"resources": large}})
    (made,) = cluster.created
    assert made["spec"]["containers"][0]["resources"] == large
    for other in ({"container_config": {"image": "theirs"}}, {"pod_spec_config": {"service_account_name": "admin"}}):
        with pytest.raises(Exception, match="violated the allowed list"):
            launched(instance, "waiting", other)
    assert len(cluster.created) == 1


def test_the_instance_differs_from_ours_in_where_things_run_alone() -> None:
    theirs, ours = (yaml.safe_load(path.read_text("utf-8")) for path in (INSTANCE, ROOT / "dagster.yaml"))
    elsewhere = {"run_launcher", "concurrency", "run_monitoring", "code_servers"}
    assert {key: theirs[key] for key in theirs if key not in elsewhere} == {
        key: ours[key] for key in ours if key not in elsewhere
    }
    assert theirs["concurrency"]["pools"] == ours["concurrency"]["pools"]
