"""The section ``ray``: jobs, embedding and serving on a Ray cluster."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from twin_resources.config.engine import EngineSettings
from twin_resources.config.section import Section


class RayEngineSettings(EngineSettings):
    """SGLang, started by Ray Serve: how many engines, how large, and what they run. The key is ``TWIN_ENGINE_KEY``."""

    replicas: int = Field(0, ge=0, description="engines at least; 0 has none, and TWIN_ENGINE_URL names one elsewhere")
    max_replicas: int = Field(0, ge=0, description="engines at most; 0 has as many as `replicas`, always")
    ongoing_requests: float = Field(16, gt=0, description="of an engine, on average; more of them add engines")
    upscale_seconds: float = Field(30, ge=0, description="so long there have to be more before an engine is added")
    downscale_seconds: float = Field(600, ge=0, description="so long there have to be fewer before one is taken away")
    python: str = Field("python3", min_length=1, description="the interpreter of the nodes that has SGLang")
    cpus: float = Field(4, gt=0, description="of an engine")
    memory_gib: float = Field(16, gt=0, description="of an engine")
    drain_seconds: float = Field(120, ge=0, description="for answers under way in an engine that is taken away")

    @model_validator(mode="after")
    def _most_is_not_least(self) -> RayEngineSettings:
        if self.max_replicas and not 0 < self.replicas <= self.max_replicas:
            raise ValueError(f"replicas ({self.replicas}) has to be 1 to max_replicas ({self.max_replicas})")
        return self


class RayServeSettings(Section):
    """The API on Ray Serve: how many copies of it, by the requests that each has under way."""

    min_replicas: int = Field(1, ge=1)
    max_replicas: int = Field(10, ge=1)
    ongoing_requests: float = Field(4, gt=0, description="of a replica, on average; more of them add replicas")
    most_requests: int = Field(100, ge=1, description="that one replica has under way; others wait in the proxy")
    upscale_seconds: float = Field(10, ge=0, description="so long there have to be more before a replica is added")
    downscale_seconds: float = Field(300, ge=0, description="so long there have to be fewer before one is taken away")
    drain_seconds: float = Field(120, ge=0, description="for answers under way in a replica that is taken away")
    embedders: int = Field(
        0, ge=0, description="most copies of the embedding model, which all replicas ask; 0 has one in each replica"
    )
    embedder_cpus: float = Field(1, gt=0, description="of such a copy, which has as much memory as a replica")
    embedder_gpus: float = Field(0, ge=0, description="of such a copy")
    cpus: float = Field(2, gt=0, description="of a replica")
    memory_gib: float = Field(4, gt=0, description="of a replica")
    engines: RayEngineSettings = RayEngineSettings.model_validate({})

    @model_validator(mode="after")
    def _most_is_not_least(self) -> RayServeSettings:
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"max_replicas ({self.max_replicas}) is less than min_replicas ({self.min_replicas})")
        return self


class RaySettings(Section):
    """Jobs as Ray jobs, where ``TWIN_JOBS`` is ``ray``; embedding by several actors; the API on Ray Serve.

    The token of a cluster is no setting: as everywhere with Ray, it is in ``RAY_AUTH_TOKEN``.
    """

    address: str = Field("", description="of the cluster's dashboard, which takes jobs: http://host:8265")
    python: str = Field("python", min_length=1, description="the interpreter of its nodes that has LLM Twin")
    start_minutes: float = Field(30, gt=0, description="for a job to find a node")
    stop_seconds: int = Field(120, ge=1, description="for a job that is stopped to keep what it has")
    poll_seconds: float = Field(2, gt=0, le=60)
    embedders: int = Field(0, ge=0, le=1000, description="actors that embed side by side; 0 embeds in the job itself")
    embedder_cpus: float = Field(1, gt=0)
    embedder_gpus: float = Field(0, ge=0)
    trials: int = Field(
        0, ge=0, le=1000, description="of a search side by side, each of the size of the pool gpu; 0 has one at a time"
    )
    serve: RayServeSettings = RayServeSettings.model_validate({})

    @field_validator("address")
    @classmethod
    def _names_a_server(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s/?#@]+/?", value):
            raise ValueError("write http://host:8265, without a name or password; a token belongs in RAY_AUTH_TOKEN")
        return value.rstrip("/")
