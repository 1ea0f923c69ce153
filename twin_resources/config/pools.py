"""The section ``pools``: what a job of each pool asks for, wherever it runs apart from its run."""

from __future__ import annotations

from pydantic import Field

from twin_resources.config.section import Section
from twin_resources.errors import JobError


class PoolResources(Section):
    """What one job of a pool asks for, and gets; one that takes more memory or time is ended."""

    cpus: float = Field(gt=0)
    memory_gib: float = Field(gt=0)
    gpus: int = Field(0, ge=0)
    hours: float = Field(gt=0, description="from when it was asked for; of its own pod, from its creation")
    node_selector: dict[str, str] = Field(default_factory=dict)


class PoolsSettings(Section):
    """Resources by the pool of the asset; the one place that says how large a job is."""

    embed: PoolResources = PoolResources.model_validate({"cpus": 4, "memory_gib": 16, "hours": 12})
    gpu: PoolResources = PoolResources.model_validate({"cpus": 8, "memory_gib": 60, "gpus": 1, "hours": 48})

    def of(self, pool: str | None) -> PoolResources:
        """What jobs of a pool ask for.

        Raises:
            JobError: no size is known for it.
        """
        if pool not in type(self).model_fields:
            known = ", ".join(type(self).model_fields)
            raise JobError(f"no size is known for jobs of the pool {pool or ''!r}; give the asset one of: {known}")
        return getattr(self, pool)
