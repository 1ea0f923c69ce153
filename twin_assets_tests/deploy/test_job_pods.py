"""Jobs and runs as pods: what the manifests, the tasks on AWS and the graph have to agree on."""

from __future__ import annotations

import json
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from twin_assets.definitions import defs
from twin_assets_tests.deploy.test_manifests import OURS, container, known_variables, of_kind
from twin_assets_tests.support import aws, manifests
from twin_resources.config.pools import PoolResources, PoolsSettings
from twin_resources.runtime import kubernetes_runs, pods

RUNS = manifests.KUBERNETES / "components" / "runs"
WORKER = manifests.deployment("worker", "jobs")


def sizes(resources: PoolResources) -> tuple[int, int]:
    """As Amazon counts: units of CPU, and MiB."""
    return round(resources.cpus * 1024), round(resources.memory_gib * 1024)


def test_each_pool_of_the_graph_has_a_size_and_no_other() -> None:
    nodes = defs.resolve_implicit_global_asset_job_def().graph.node_defs
    used = {node.pool for node in nodes if getattr(node, "pool", None)}
    assert used == set(PoolsSettings.model_fields)


def test_the_description_has_the_sizes_of_the_pools() -> None:
    text = (aws.ROOT / "docs" / "deploying.md").read_text("utf-8")
    for name, each in PoolsSettings():
        assert f"| `{name}` | {each.cpus:g} | {each.memory_gib:g} | {each.gpus} | {each.hours:g} |" in text


def test_runs_on_aws_have_the_sizes_of_the_same_pools() -> None:
    launcher = yaml.safe_load((aws.FOLDER / "dagster.yaml").read_text("utf-8"))["run_launcher"]
    resources = launcher["config"]["run_resources"]
    assert (int(resources["cpu"]), int(resources["memory"])) == sizes(PoolsSettings().embed)
    (told,) = re.findall(r"gives trainings more: `([^`]+)`", (aws.ROOT / "docs" / "deploying.md").read_text("utf-8"))
    tags = json.loads(told)
    assert (int(tags["ecs/cpu"]), int(tags["ecs/memory"])) == sizes(PoolsSettings().gpu)


def test_the_worker_knows_its_own_name_and_may_start_pods() -> None:
    kubernetes_validate.validate(WORKER, kubernetes_validate.latest_version(), strict=True)
    spec, found = WORKER["spec"]["template"]["spec"], container(WORKER)
    assert (found["image"], found["envFrom"]) == ("twin-worker", [{"secretRef": {"name": "secrets"}}])
    told = {each["name"]: each.get("value") or each["valueFrom"]["fieldRef"]["fieldPath"] for each in found["env"]}
    assert told.keys() <= known_variables()
    assert told == {
        "TWIN_JOBS": "kubernetes",
        "TWIN_KUBERNETES__POD": "metadata.name",
        "TWIN_KUBERNETES__NAMESPACE": "metadata.namespace",
    }
    account = spec["serviceAccountName"]
    assert spec["automountServiceAccountToken"] is True
    assert account == "job-launcher"


@pytest.mark.parametrize("name", ["job-launcher", "run-launcher"])
def test_each_account_has_its_own_role(name: str) -> None:
    assert of_kind("ServiceAccount")[name]["automountServiceAccountToken"] is False
    binding = of_kind("RoleBinding")[name]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "twin"}]
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("Role", name)
    assert name in of_kind("Role")


@pytest.mark.parametrize("name", OURS)
def test_every_part_reads_the_instance_that_has_runs_as_pods(name: str) -> None:
    made = manifests.deployment(name, "jobs", "runs")
    kubernetes_validate.validate(made, kubernetes_validate.latest_version(), strict=True)
    spec, found = made["spec"]["template"]["spec"], container(made)
    told = {each["name"]: each for each in found["env"]}
    assert told.keys() <= known_variables()
    (mount,) = [each for each in found["volumeMounts"] if each["name"] == "instance"]
    assert mount["mountPath"] == told["TWIN_DAGSTER_FOLDER"]["value"], "all share one DAGSTER_HOME"
    kustomization = yaml.safe_load((RUNS / "kustomization.yaml").read_text("utf-8"))
    assert kustomization["configMapGenerator"] == [{"name": "instance", "files": ["instance/dagster.yaml"]}]
    launches = name in ("dagster", "daemon")
    assert (spec.get("serviceAccountName") == "run-launcher") == launches, "these start and end runs"
    assert ("TWIN_KUBERNETES__POD" in told) == (launches or name == "worker")


def test_jobs_and_runs_reach_what_they_need_and_are_reached_by_nobody() -> None:
    labels = pods.made_like(
        {**manifests.pod_of(WORKER, "worker"), "metadata": {"name": "worker", "uid": "1"}},
        PoolsSettings().gpu,
        labels={},
    ).metadata["labels"]
    for found in (labels, kubernetes_runs.LABELS):
        for service in of_kind("Service").values():
            assert not service["spec"]["selector"].items() <= found.items()
        admitted = {name for name, each in of_kind("NetworkPolicy").items() if lets_in(each, found)}
        assert admitted == {"mlflow", "postgres", "sglang"}


def lets_in(policy: dict[str, Any], labels: dict[str, str]) -> bool:
    selectors = [each["podSelector"] for rule in policy["spec"].get("ingress", ()) for each in rule.get("from", ())]
    return any(selector["matchLabels"].items() <= labels.items() for selector in selectors)
