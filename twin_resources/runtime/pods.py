"""The pod of a job: made after the pod that asks for it, and what became of it in words. No call is made here.

Pods are mappings as the API server gives them in JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin_resources.config.pools import PoolResources
from twin_resources.errors import JobError

TASK, RUN = "twin/task", "dagster/run-id"
"""Labels of a job's pod: one that only this job has, and its run."""
APP = "job"
"""The label ``app``, which network policies know jobs by; no service leads to them."""
_CODE = Path(__file__).resolve().parents[2]
_SHARED = ("persistentVolumeClaim", "configMap", "secret", "nfs", "csi")
"""Kinds of volumes that hold the same in every pod."""
_OF_THE_LAUNCHER = ("TWIN_JOBS", "TWIN_KUBERNETES__", "TWIN_POOLS__")
_FOR_GOOD = {
    "ImagePullBackOff": "see whether the image is there and the node may fetch it",
    "InvalidImageName": "correct the name of the image",
    "CreateContainerConfigError": "see whether the secrets and config maps that it names are there",
    "CreateContainerError": "see `kubectl describe pod`",
    "RunContainerError": "see `kubectl describe pod`",
}
"""Why a container waits that will not start by waiting, and what to do."""


class PodError(JobError):
    """A job did not end well in its pod, or got none; the message says why and what to do."""


@dataclass(frozen=True)
class JobPod:
    """Metadata and specification of a job's pod, as Kubernetes takes them."""

    metadata: dict[str, Any]
    spec: dict[str, Any]


def made_like(
    pod: Mapping[str, Any],
    resources: PoolResources,
    *,
    labels: Mapping[str, str],
    image: str | None = None,
    service_account: str | None = None,
) -> JobPod:
    """A pod for one job, like ``pod`` but for its size, its time, and that it may not start others.

    It belongs to ``pod``: Kubernetes deletes it when that one is gone, so that no job outlives who waits for it.

    Args:
        pod: one that runs; its first container counts.
        resources: what the job asks for; memory is no less than what it may take, so that no neighbour has to give way.
        labels: beside those of every job.
        image: instead of that of ``pod``.
        service_account: whose token the job gets; by default it gets none.
    """
    container, spec = without_size(pod)
    made = {
        **container,
        "name": "job",
        "image": image or container["image"],
        "env": [each for each in container["env"] if not each["name"].startswith(_OF_THE_LAUNCHER)],
        "resources": _asked(resources),
    }
    spec |= {
        "containers": [made],
        "restartPolicy": "Never",
        "automountServiceAccountToken": bool(service_account),
        "activeDeadlineSeconds": int(resources.hours * 3600),
        "nodeSelector": resources.node_selector,
        **({"serviceAccountName": service_account} if service_account else {}),
    }
    if resources.gpus:
        spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    return JobPod({"labels": {"app": APP, "part-of": "twin", **labels}, "ownerReferences": [owner]}, spec)


def without_size(pod: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Image, environment, volumes and security context of a pod's first container, and what goes with them; without
    the identity that the cluster added."""
    theirs = pod["spec"]
    container = theirs["containers"][0]
    tokens = {each["name"] for each in theirs.get("volumes", ()) if _is_token(each)}
    made = {
        "image": container["image"],
        "env": container.get("env", []),
        "envFrom": container.get("envFrom", []),
        "volumeMounts": [each for each in container.get("volumeMounts", ()) if each["name"] not in tokens],
        "securityContext": container.get("securityContext", {}),
    }
    spec = {
        "volumes": [each for each in theirs.get("volumes", ()) if each["name"] not in tokens],
        "securityContext": theirs.get("securityContext", {}),
        "imagePullSecrets": theirs.get("imagePullSecrets", []),
        "enableServiceLinks": False,
    }
    return made, spec


def _asked(resources: PoolResources) -> dict[str, Any]:
    memory = f"{int(resources.memory_gib * 1024)}Mi"
    gpus = {"nvidia.com/gpu": str(resources.gpus)} if resources.gpus else {}
    return {
        "requests": {"cpu": f"{int(resources.cpus * 1000)}m", "memory": memory, **gpus},
        "limits": {"memory": memory, **gpus},
    }


def _is_token(volume: Mapping[str, Any]) -> bool:
    """Whether the cluster added a volume that holds the identity of a pod."""
    return any("serviceAccountToken" in source for source in (volume.get("projected") or {}).get("sources", ()))


def shared_folders(pod: Mapping[str, Any]) -> tuple[Path, ...]:
    """Folders of a pod's first container that every pod with its volumes has, too."""
    shared = {each["name"] for each in pod["spec"].get("volumes", ()) if any(kind in each for kind in _SHARED)}
    mounts = pod["spec"]["containers"][0].get("volumeMounts", ())
    return tuple(Path(each["mountPath"]) for each in mounts if each["name"] in shared)


def unseen(extras: Any, shared: Sequence[Path]) -> str | None:
    """The first absolute path in what a job is told that its pod would not have, or None.

    Args:
        extras: nested mappings and sequences, as JSON has them.
        shared: what the pod has beside the image: :func:`shared_folders`.
    """
    image = (Path(sys.prefix), _CODE)
    for path in _paths(extras):
        if path.exists() and not any(path.is_relative_to(folder) for folder in (*shared, *image)):
            return str(path)
    return None


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, str) and value.startswith("/") and len(value) < 4096 and "\n" not in value:
        yield Path(value)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _paths(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _paths(each)


def has_started(pod: Mapping[str, Any]) -> bool:
    """Whether the container runs or ran, so that there is a log."""
    return bool({"running", "terminated"} & _state(pod).keys())


def has_ended(pod: Mapping[str, Any]) -> bool:
    """Whether nothing of it runs any more."""
    return pod["status"].get("phase") in ("Succeeded", "Failed") or "terminated" in _state(pod)


def waits_for(pod: Mapping[str, Any]) -> str:
    """What keeps a pod from starting, as the scheduler or the node says it."""
    for condition in pod["status"].get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"no node takes it: {condition.get('message') or condition.get('reason') or 'no reason given'}"
    waiting = _state(pod).get("waiting", {})
    return ": ".join(filter(None, (waiting.get("reason"), waiting.get("message")))) or "nothing is said of it"


def never_starts(pod: Mapping[str, Any]) -> str | None:
    """Why a container will not start however long one waits, and what to do, or None."""
    waiting = _state(pod).get("waiting", {})
    remedy = _FOR_GOOD.get(waiting.get("reason", ""))
    return f"could not start ({waits_for(pod)}); {remedy}" if remedy else None


def failure(pod: Mapping[str, Any], pool: str, resources: PoolResources) -> str | None:
    """Why a pod that ended did not end well, and what to do, or None where it did.

    Args:
        pod: as it was seen last.
        pool: of the asset, whose ``resources`` it got.
    """
    status, ended = pod["status"], _state(pod).get("terminated", {})
    said = f" ({status['message']})" if status.get("message") else ""
    setting = f"TWIN_POOLS__{pool.upper()}__"
    reason = status.get("reason") or ""
    if reason == "Evicted":
        return f"was evicted: its node ran short{said}. Start it again; where it happens again, give it a larger node"
    if reason == "DeadlineExceeded":
        return f"took longer than its {resources.hours:g} hours; allow more with {setting}HOURS"
    if ended.get("reason") == "OOMKilled":
        return (
            f"was killed because it took more than its {resources.memory_gib:g} GiB of memory; allow more with "
            f"{setting}MEMORY_GIB, or have it take less, as with a smaller batch"
        )
    if reason:
        return f"was ended by its node: {reason}{said}. Start it again"
    if code := ended.get("exitCode", 0):
        return f"ended with code {code}; its output is in the logs of this step"
    if status.get("phase") == "Failed":
        return f"failed, and the cluster does not say why{said}; see `kubectl get events`"
    return None


def gone(pod: Mapping[str, Any]) -> str:
    """Why a pod that had not ended is there no more; ``pod`` as it was seen last."""
    for condition in pod["status"].get("conditions") or ():
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            why = ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))
            return f"was taken from its node ({why}). Start it again"
    return "was deleted before it ended, by somebody or with its node. Start it again"


def _state(pod: Mapping[str, Any]) -> dict[str, Any]:
    """State of the container: ``waiting``, ``running`` or ``terminated``, with what is said of it."""
    statuses = pod["status"].get("containerStatuses") or ()
    return next((dict(each.get("state") or {}) for each in statuses), {})
