"""The section ``kubernetes``: which pod the pods of jobs are like, and how they are waited for."""

from __future__ import annotations

from pydantic import Field

from twin_resources.config.section import Section


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
