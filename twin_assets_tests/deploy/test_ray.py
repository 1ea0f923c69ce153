"""What KubeRay is told, against the code that it starts and against what else is in the namespace."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml

from twin_assets_tests.deploy.test_job_pods import lets_in
from twin_assets_tests.deploy.test_manifests import container, documents, known_variables, of_kind
from twin_assets_tests.support import manifests
from twin_resources.config.pools import PoolResources, PoolsSettings
from twin_resources.config.ray import RayEngineSettings, RaySettings
from twin_serving.api.routing import OPERATIONS
from twin_serving.cli.main import app as commands

FOLDER = manifests.KUBERNETES / "components" / "ray"
FOUND = {each["kind"]: each for path, each in documents(FOLDER) if each["apiVersion"].startswith("ray.io/")}
CLUSTERS = {
    "RayService": FOUND["RayService"]["spec"]["rayClusterConfig"],
    "RayCluster": FOUND["RayCluster"]["spec"],
    "RayJob": FOUND["RayJob"]["spec"]["rayClusterSpec"],
}
SERVE = yaml.safe_load(FOUND["RayService"]["spec"]["serveConfigV2"])
DASHBOARD = 8265
AGENT = 52365
"""Where Ray's agent on each node listens, unless it is told otherwise."""
WORKER = manifests.deployment("worker", "ray")


def groups(kind: str) -> dict[str, dict[str, Any]]:
    return {each["groupName"]: each for each in CLUSTERS[kind]["workerGroupSpecs"]}


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, cluster in CLUSTERS.items():
        yield f"{kind}-head", cluster["headGroupSpec"]
        for name, group in groups(kind).items():
            yield f"{kind}-{name}", group


PODS = dict(pods())
WORKERS = {name: each for name, each in PODS.items() if not name.endswith("-head")}


def only(group: dict[str, Any]) -> dict[str, Any]:
    return container({"spec": group})


@pytest.mark.parametrize("name", PODS)
def test_each_pod_is_what_a_pod_may_be_and_is_confined(name: str) -> None:
    template = PODS[name]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", **template["metadata"]},
        "spec": template["spec"],
    }
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
    spec, found = template["spec"], only(PODS[name])
    user = manifests.deployment("serving")["spec"]["template"]["spec"]["securityContext"]
    assert spec["securityContext"] == user
    assert found["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert spec["enableServiceLinks"] is False
    scales = name.endswith("-head") and CLUSTERS[name.removesuffix("-head")]["enableInTreeAutoscaling"]
    assert spec["automountServiceAccountToken"] is scales, "what adds pods asks the cluster for them, nothing else does"
    assert {each["name"] for each in found["volumeMounts"]} == {each["name"] for each in spec["volumes"]}
    assert {"cpu", "memory"} <= set(found["resources"]["requests"])
    assert "memory" in found["resources"]["limits"]
    assert {each["name"] for each in found["env"] if each["name"].startswith("TWIN_")} <= known_variables()
    assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in found["env"]
    assert found["envFrom"] == [{"secretRef": {"name": "secrets"}}]


@pytest.mark.parametrize("name", PODS)
def test_each_probe_asks_what_answers_without_a_token_or_key(name: str) -> None:
    found = only(PODS[name])
    open_paths = {operation.path for operation in OPERATIONS if operation.open}
    asked = {f":{DASHBOARD}/api/gcs_healthz"} if name.endswith("-head") else {f":{AGENT}/api/local_raylet_healthz"}
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        if "httpGet" in found[kind]:
            assert found[kind]["httpGet"]["path"] in open_paths
        else:
            assert set(re.findall(r"127\.0\.0\.1(:\d+/[\w/]+)", found[kind]["exec"]["command"][-1])) == asked


def test_a_replica_is_sent_requests_when_the_application_behind_it_answers() -> None:
    probe = only(groups("RayService")["api"])["readinessProbe"]["httpGet"]
    assert probe == {"path": "/healthz/ready", "port": "main"}, "the proxy alone answers before that"


@pytest.mark.parametrize("kind", CLUSTERS)
def test_every_cluster_is_of_the_ray_that_is_installed_and_wants_a_token(kind: str) -> None:
    pins = (manifests.ROOT / "constraints.txt").read_text("utf-8")
    assert f"\nray=={CLUSTERS[kind]['rayVersion']}\n" in pins
    assert CLUSTERS[kind]["authOptions"] == {"mode": "token", "secretName": "ray-token"}
    assert CLUSTERS[kind]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0", "nothing runs beside the head"
    dockerfile = (manifests.ROOT / "Dockerfile").read_text("utf-8")
    (extras,) = re.findall(r'-e "\.\[([\w,]+)\]"', dockerfile)
    assert "ray" in extras.split(",")
    images = {only(each)["image"].removeprefix("twin-") for name, each in PODS.items() if name.startswith(kind)}
    assert images <= set(re.findall(r"^FROM \S+ AS (\w+)", dockerfile, re.MULTILINE))


def test_the_token_is_one_secret_for_all() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
    (secret,) = kustomization["secretGenerator"]
    assert secret["options"] == {"disableNameSuffixHash": True}, "Ray's resources name it"
    told = {each["name"]: each for each in container(WORKER)["env"]}
    assert told["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": secret["name"], "key": "auth_token"}
    assert (FOLDER / "token.env.example").read_text("utf-8").startswith("auth_token=")
    assert secret["envs"][0] in (manifests.ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_the_worker_sends_its_jobs_to_the_head() -> None:
    kubernetes_validate.validate(WORKER, kubernetes_validate.latest_version(), strict=True)
    told = {each["name"]: each.get("value") for each in container(WORKER)["env"]}
    assert {name for name in told if name.startswith("TWIN_")} <= known_variables()
    assert told["TWIN_JOBS"] == "ray"
    assert told["TWIN_RAY__ADDRESS"] == f"http://{FOUND['RayCluster']['metadata']['name']}-head-svc:{DASHBOARD}"
    ports = {each["name"]: each["containerPort"] for each in only(PODS["RayCluster-head"])["ports"]}
    assert ports["dashboard"] == DASHBOARD
    assert lets_in(of_kind("NetworkPolicy")["ray-head"], {"app": "worker"})


def fits(group: dict[str, Any], wanted: PoolResources) -> bool:
    limits = only(group)["resources"]["limits"]
    gib = int(limits["memory"].removesuffix("Gi"))
    cpus = int(group["rayStartParams"]["num-cpus"])
    return cpus >= wanted.cpus and gib >= wanted.memory_gib and int(limits.get("nvidia.com/gpu", 0)) >= wanted.gpus


def test_every_job_and_every_replica_finds_a_pod_of_its_size() -> None:
    for name, wanted in PoolsSettings():
        assert fits(groups("RayCluster")[name], wanted), name
    for group in WORKERS.values():
        assert str(only(group)["resources"]["requests"]["cpu"]) == group["rayStartParams"]["num-cpus"]
    replica = RaySettings.model_validate({}).serve
    wanted = PoolResources(cpus=replica.cpus, memory_gib=replica.memory_gib, gpus=0, hours=1)
    assert fits(groups("RayService")["api"], wanted)
    engine = replica.engines
    wanted = PoolResources(cpus=engine.cpus, memory_gib=engine.memory_gib, gpus=engine.gpus, hours=1)
    assert fits(groups("RayService")["engine"], wanted)
    spec = FOUND["RayJob"]["spec"]
    assert (spec["entrypointNumCpus"], spec["entrypointNumGpus"]) == (
        PoolsSettings().gpu.cpus,
        PoolsSettings().gpu.gpus,
    )
    assert fits(groups("RayJob")["gpu"], PoolsSettings().gpu)


def test_serve_runs_the_application_where_the_service_looks_for_it() -> None:
    (application,) = SERVE["applications"]
    module, name = application["import_path"].split(":")
    assert callable(getattr(importlib.import_module(module), name))
    group = groups("RayService")["api"]
    (port,) = only(group)["ports"]
    assert SERVE["http_options"] == {"host": "0.0.0.0", "port": port["containerPort"]}
    service = of_kind("Service")["serving"]
    assert service["spec"]["selector"].items() <= group["template"]["metadata"]["labels"].items()
    assert service["spec"]["ports"][0]["port"] == port["containerPort"]
    assert manifests.deployment("serving", "ray")["spec"]["replicas"] == 0, "Ray's pods take its place"
    selector = manifests.deployment("serving")["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= group["template"]["metadata"]["labels"].items()


def test_an_engine_is_reached_by_nodes_of_ray_alone_and_its_image_says_where_sglang_is() -> None:
    group = groups("RayService")["engine"]
    labels = group["template"]["metadata"]["labels"]
    assert not any(each["spec"]["selector"].items() <= labels.items() for each in of_kind("Service").values())
    admitted = {name for name, each in of_kind("NetworkPolicy").items() if lets_in(each, labels)}
    assert admitted == {"postgres"}, "which lets in every part of ours"
    image = (manifests.ROOT / "Dockerfile").read_text("utf-8").split(" AS engine\n")[1]
    (told,) = re.findall(r"^ENV TWIN_RAY__SERVE__ENGINES__(\w+)=(\S+)/bin/python$", image, re.MULTILINE)
    assert told[0].lower() in RayEngineSettings.model_fields
    assert f"-m venv {told[1]} " in image
    (version,) = re.findall(r"sglang==(\S+)", image)
    assert f"sglang:v{version}\n" in (manifests.ROOT / "compose.yaml").read_text("utf-8"), "the same everywhere"
    assert "TWIN_ENGINE_KEY=" in (manifests.KUBERNETES / "base" / "secrets.env.example").read_text("utf-8")


def test_serve_takes_its_configuration() -> None:
    schema = pytest.importorskip("ray.serve.schema", reason='it needs the extra: pip install "llm-twin[ray]"')
    assert schema.ServeDeploySchema.model_validate(SERVE).applications[0].name == "twin"


def test_jobs_reach_what_they_need_and_no_service_leads_to_them() -> None:
    for kind in ("RayCluster", "RayJob"):
        for group in groups(kind).values():
            labels = group["template"]["metadata"]["labels"]
            assert not any(each["spec"]["selector"].items() <= labels.items() for each in of_kind("Service").values())
            admitted = {name for name, each in of_kind("NetworkPolicy").items() if lets_in(each, labels)}
            assert admitted == {"mlflow", "postgres", "sglang"}


def test_a_run_starts_a_command_that_there_is_and_leaves_nothing() -> None:
    spec = FOUND["RayJob"]["spec"]
    twin, command = spec["entrypoint"].split()
    names = {each.name or each.callback.__name__ for each in commands.registered_commands if each.callback}
    assert twin == "twin"
    assert command in names
    assert spec["suspend"] is True, "applying the manifests starts nothing"
    assert spec["shutdownAfterJobFinishes"] is True


def test_kustomize_is_told_of_every_place_that_names_what_it_renames() -> None:
    told = yaml.safe_load((FOLDER / "references.yaml").read_text("utf-8"))["nameReference"]
    places = {each["kind"]: {(spec["kind"], spec["path"]) for spec in each["fieldSpecs"]} for each in told}
    roots = {"RayService": "spec/rayClusterConfig", "RayCluster": "spec", "RayJob": "spec/rayClusterSpec"}
    paths = {
        (kind, f"{root}/{group}/template/spec")
        for kind, root in roots.items()
        for group in ("headGroupSpec", "workerGroupSpecs")
    }
    assert places == {
        "Secret": {(kind, f"{path}/containers/envFrom/secretRef/name") for kind, path in paths},
        "ConfigMap": {(kind, f"{path}/volumes/configMap/name") for kind, path in paths},
    }
