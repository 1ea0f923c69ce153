"""The manifests for a cluster and for one machine, against their schema and against the code they start."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from twin_resources.config.kubernetes import KubernetesSettings
from twin_resources.config.ray import RaySettings
from twin_resources.config.settings import Settings
from twin_serving.answering.metrics import Monitor
from twin_serving.api.routing import OPERATIONS
from twin_serving.processes.servers import FRUGAL, list_servers

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
BESIDE_SETTINGS = {"TWIN_CONFIG", "TWIN_HOME", "TWIN_DAGSTER_DATABASE_URL", "TWIN_GITHUB_TOKEN", "TWIN_LINKEDIN_TOKEN"}
"""Variables that something else than the settings reads."""
OTHERS = {"Kustomization", "Component", "ScaledObject", "RayCluster", "RayJob", "RayService"}
"""Kinds that Kubernetes' own schema does not know."""


def documents(folder: Path = KUBERNETES) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(folder.rglob("*.yaml")):
        if path.name not in ("twin.yaml", "references.yaml") and path.parent.name != "instance":
            for document in yaml.safe_load_all(path.read_text("utf-8")):
                yield path, document


def of_kind(*kinds: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for _, each in documents() if each["kind"] in kinds}


WORKLOADS = of_kind("Deployment", "StatefulSet")
OURS = {name: each for name, each in WORKLOADS.items() if name not in ("postgres", "sglang")}


def container(workload: Mapping[str, Any]) -> dict[str, Any]:
    (found,) = workload["spec"]["template"]["spec"]["containers"]
    return found


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def known_variables() -> set[str]:
    sections = {"KUBERNETES": KubernetesSettings, "RAY": RaySettings}
    nested = {f"TWIN_{name}__{key.upper()}" for name, section in sections.items() for key in section.model_fields}
    return {f"TWIN_{name.upper()}" for name in Settings.model_fields} | nested | BESIDE_SETTINGS


@pytest.mark.parametrize(
    ("path", "document"),
    [
        pytest.param(*found, id=f"{found[1]['kind']}-{found[1].get('metadata', {}).get('name')}")
        for found in documents()
    ],
)
def test_each_document_is_what_its_kind_allows(path: Path, document: dict[str, Any]) -> None:
    if document["kind"] in OTHERS:
        assert document["apiVersion"].startswith(("kustomize.config.k8s.io/", "keda.sh/", "ray.io/"))
        return
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_a_wrong_field_would_be_found() -> None:
    wrong = {**WORKLOADS["serving"], "spec": {**WORKLOADS["serving"]["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("folder", [path.parent for path in KUBERNETES.rglob("kustomization.yaml")], ids=str)
def test_each_kustomization_names_every_file_beside_it(folder: Path) -> None:
    named = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml", "twin.yaml"}
    assert {*named["resources"], *named.get("configurations", ())} == files


@pytest.mark.parametrize("name", OURS)
def test_each_container_starts_a_server_that_there_is_where_it_listens(name: str) -> None:
    found = container(OURS[name])
    servers = list_servers(Settings(), host="0.0.0.0", code_server="worker:4000")
    twin, serve, server, *options = found["command"]
    assert (twin, serve) == ("twin", "serve")
    assert server == "worker" or server in servers
    assert all(option.startswith("--") or option in ("0.0.0.0", "worker:4000") for option in options)
    wanted = 4000 if server == "worker" else servers[server].port
    assert [port["containerPort"] for port in found.get("ports", [])] == ([wanted] if wanted else [])
    targets = re.findall(r"^FROM \S+ AS (\w+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert found["image"].removeprefix("twin-") in targets


@pytest.mark.parametrize("name", OURS)
def test_each_probe_asks_what_answers_without_a_key(name: str) -> None:
    paths = {operation.path for operation in OPERATIONS if operation.open} | {"/server_info", "/health"}
    asked = [probe for key, probe in container(OURS[name]).items() if key.endswith("Probe")]
    assert asked, "nobody would notice that it hangs"
    for probe in asked:
        assert "exec" in probe or probe["httpGet"]["path"] in paths


@pytest.mark.parametrize("name", WORKLOADS)
def test_each_container_is_confined_and_says_what_it_takes(name: str) -> None:
    pod = WORKLOADS[name]["spec"]["template"]["spec"]
    found = container(WORKLOADS[name])
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert found["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert {"cpu", "memory"} <= set(found["resources"]["requests"])
    assert "memory" in found["resources"]["limits"]
    mounted = {mount["name"] for mount in found["volumeMounts"]}
    claimed = {each["metadata"]["name"] for each in WORKLOADS[name]["spec"].get("volumeClaimTemplates", ())}
    assert mounted == {volume["name"] for volume in pod.get("volumes", ())} | claimed
    # A service called `dagster` would set DAGSTER_PORT and the like in every pod of its namespace.
    assert pod["enableServiceLinks"] is False


def test_our_containers_run_as_the_user_of_the_image() -> None:
    (user,) = re.findall(r"useradd --create-home --uid (\d+)", (ROOT / "Dockerfile").read_text("utf-8"))
    assert {each["spec"]["template"]["spec"]["securityContext"]["runAsUser"] for each in OURS.values()} == {int(user)}


def test_processes_of_the_image_go_about_cores_and_memory_as_those_of_one_machine() -> None:
    told = (ROOT / "Dockerfile").read_text("utf-8").split("AS control")[0]
    assert all(f"{name}={value}" in told for name, value in FRUGAL.items())


def test_what_holds_state_alone_is_never_there_twice() -> None:
    for name in ("worker", "daemon"):
        assert OURS[name]["spec"]["replicas"] == 1
        assert OURS[name]["spec"]["strategy"] == {"type": "Recreate"}


def test_every_variable_is_one_that_something_reads() -> None:
    example = (KUBERNETES / "base" / "secrets.env.example").read_text("utf-8")
    secrets = {line.split("=")[0] for line in example.splitlines() if line and not line.startswith("#")}
    beside = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "POSTGRES_PASSWORD"}
    assert secrets - beside <= known_variables()
    for name, workload in WORKLOADS.items():
        for entry in container(workload).get("env", ()):
            if entry["name"].startswith("TWIN_"):
                assert entry["name"] in known_variables(), name
            if "valueFrom" in entry:
                assert entry["valueFrom"]["secretKeyRef"]["key"] in secrets, name
    for name, service in compose()["services"].items():
        listed = service.get("environment", {})
        assert {key for key in listed if key.startswith("TWIN_")} <= known_variables(), name


def test_each_service_leads_to_a_pod_and_each_pod_lets_in_only_who_is_named() -> None:
    policies = of_kind("NetworkPolicy")
    assert policies["closed"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    for name, service in of_kind("Service").items():
        labels = WORKLOADS[name]["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        (port,) = service["spec"]["ports"]
        assert [port["port"]] == [each["containerPort"] for each in container(WORKLOADS[name])["ports"]]
        (rule,) = policies[name]["spec"]["ingress"]
        assert rule["ports"] == [{"port": port["port"], "protocol": "TCP"}]
        assert policies[name]["spec"]["podSelector"] == {"matchLabels": {"app": name}}
        assert ("from" in rule) == (name != "serving")
    assert set(policies) == {*of_kind("Service"), "closed", "ray", "ray-head"}


def test_every_address_between_pods_is_that_of_a_service() -> None:
    services = {name: each["spec"]["ports"][0]["port"] for name, each in of_kind("Service").items()}
    texts = [path.read_text("utf-8") for path in KUBERNETES.rglob("*") if path.is_file()]
    found = {match for text in texts for match in re.findall(r"(?://|@|\")([a-z]+):(\d{4,5})\b", text)}
    assert {("worker", "4000"), ("dagster", "3000"), ("sglang", "30000"), ("postgres", "5432")} <= found
    assert all(services[name] == int(port) for name, port in found)


def test_a_canary_gets_its_share_and_is_a_deployment_of_its_own() -> None:
    made = json.loads(
        subprocess.run(
            [sys.executable, str(KUBERNETES / "canary.py"), "somewhere/twin-serving:v2"],
            input=json.dumps(WORKLOADS["serving"]),
            capture_output=True,
            check=True,
            text=True,
        ).stdout
    )
    kubernetes_validate.validate(made, kubernetes_validate.latest_version(), strict=True)
    assert container(made) == {**container(WORKLOADS["serving"]), "image": "somewhere/twin-serving:v2"}
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert of_kind("Service")["serving"]["spec"]["selector"].items() <= labels.items()
    for mine, others in ((made, WORKLOADS["serving"]), (WORKLOADS["serving"], made)):
        selector = mine["spec"]["selector"]["matchLabels"]
        assert selector.items() <= mine["spec"]["template"]["metadata"]["labels"].items()
        assert not selector.items() <= others["spec"]["template"]["metadata"]["labels"].items()


def test_the_workflows_call_what_there_is() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    images = re.findall(r"^FROM \S+ AS (\w+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text("utf-8"), "a release without its changes"
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text("utf-8")
        assert set(re.findall(r"make ([a-z]+)", text)) <= targets
        for job in yaml.safe_load(text)["jobs"].values():
            built = job.get("strategy", {}).get("matrix", {}).get("target", [])
            assert set(built) <= set(images)
            for step in job["steps"]:
                assert ("run" in step) != ("uses" in step)


def test_compose_starts_the_same_servers_from_the_same_images() -> None:
    targets = {
        name: (service["build"]["target"], service.get("command"))
        for name, service in compose()["services"].items()
        if "build" in service
    }
    assert set(targets) == set(OURS)
    for name, (target, command) in targets.items():
        found = container(OURS[name])
        assert found["image"] == f"twin-{target}"
        assert command in (None, found["command"])


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    families = list(Monitor().registry.collect())
    kinds = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
    there = {f"{each.name}{suffix}" for each in families for suffix in kinds[each.type]}
    panels = json.loads((ROOT / "deploy" / "grafana" / "twin.json").read_text())["panels"]
    asked = {name for panel in panels for each in panel["targets"] for name in re.findall(r"\btwin_\w+", each["expr"])}
    assert asked <= there
    assert {name.rsplit("_total", 1)[0].rsplit("_bucket", 1)[0] for name in asked} == {each.name for each in families}
