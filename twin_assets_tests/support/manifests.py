"""Manifests of `deploy/kubernetes`, put together as Kustomize does."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"


def deployment(name: str, *components: str) -> dict[str, Any]:
    """A deployment of the base with the patches that components have for it."""
    documents = yaml.safe_load_all((KUBERNETES / "base" / f"{name}.yaml").read_text("utf-8"))
    (found,) = [each for each in documents if each["kind"] == "Deployment"]
    for component in components:
        folder = KUBERNETES / "components" / component
        for entry in yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))["patches"]:
            patch = yaml.safe_load(entry["patch"])
            if (patch["kind"], patch["metadata"]["name"]) == ("Deployment", name):
                found = merged(found, patch)
    return found


def merged(value: Any, patch: Any) -> Any:
    """A strategic merge: mappings by key, lists of named things by name, anything else replaced."""
    if isinstance(value, dict) and isinstance(patch, dict):
        return {**value, **{key: merged(value.get(key), each) for key, each in patch.items()}}
    if isinstance(value, list) and isinstance(patch, list) and all("name" in each for each in (*value, *patch)):
        old, new = ({each["name"]: each for each in one} for one in (value, patch))
        return [
            *(merged(each, new.get(name, {})) for name, each in old.items()),
            *(new[k] for k in new if k not in old),
        ]
    return copy.deepcopy(patch)


def pod_of(workload: dict[str, Any], name: str) -> dict[str, Any]:
    """The pod that a deployment makes."""
    template = workload["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": name, "namespace": "twin"},
        "spec": copy.deepcopy(template["spec"]),
    }


def granted(component: str) -> list[tuple[str, str]]:
    """Verbs and resources that the roles of a component allow."""
    documents = yaml.safe_load_all((KUBERNETES / "components" / component / "access.yaml").read_text("utf-8"))
    rules = [rule for each in documents if each["kind"] == "Role" for rule in each["rules"]]
    return [(verb, resource) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]]


_TOKEN = {"name": "kube-api-access-x", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}


def worker(home: Path, config: Path) -> dict[str, Any]:
    """The pod of the worker as the manifests make it, with the identity that a cluster adds to it."""
    pod = pod_of(deployment("worker", "jobs"), "worker-7d4f")
    container = pod["spec"]["containers"][0]
    places = {"/state": str(home), "/config": str(config)}
    container["volumeMounts"] = [{**each, "mountPath": places[each["mountPath"]]} for each in container["volumeMounts"]]
    container["volumeMounts"].append(
        {"name": _TOKEN["name"], "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    )
    pod["spec"]["volumes"].append(_TOKEN)
    return pod
