"""The section ``kubernetes``: what the pod of a job asks for, pool by pool, and which pod it is like."""

from __future__ import annotations

from pydantic import Field

from twin_resources.config.section import Section


class PoolResources(Section):
    """What one job of a pool asks for, and gets; one that takes more memory or time is ended."""

    cpus: float = Field(gt=0)
    memory_gib: float = Field(gt=0)
    gpus: int = Field(0, ge=0)
    hours: float = Field(gt=0, description="from the creation of its pod")
    node_selector: dict[str, str] = Field(default_factory=dict)


class PoolsSettings(Section):
    """Resources by the pool of the asset; the one place that says how large a job is."""

    embed: PoolResources = PoolResources.model_validate({"cpus": 4, "memory_gib": 16, "hours": 12})
    gpu: PoolResources = PoolResources.model_validate({"cpus": 8, "memory_gib": 60, "gpus": 1, "hours": 48})


class KubernetesSettings(Section):
    """Jobs as pods, where ``TWIN_JOBS`` is ``kubernetes``.

    The pod of a job is like ``pod``: its image, environment (secrets by reference), volumes and security context, so
    nothing is said twice, and names that Kustomize made are right.
    """

    pod: str = Field("", description="the pod that jobs are like and end with; the manifests give that of the worker")
    namespace: str = "twin"
    image: str | None = Field(None, description="another image than that of `pod`")
    service_account: str | None = Field(None, description="an identity for jobs, where a bucket is reached by one")
    start_minutes: float = Field(30, gt=0, description="to find a node and to fetch the image")
    poll_seconds: float = Field(5, gt=0, le=60)
    pools: PoolsSettings = PoolsSettings()
