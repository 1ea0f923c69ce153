"""Jobs, actors and groups of processes on a Ray cluster (extra ``ray``)."""

from __future__ import annotations

import os
from typing import Any

from twin_resources.config.pools import PoolResources


def in_ray_job() -> bool:
    """Whether this process is a Ray job."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def room(size: PoolResources) -> dict[str, Any]:
    """What an actor of the size of a pool asks for, in Ray's words."""
    return {
        "num_cpus": size.cpus,
        "num_gpus": size.gpus,
        "memory": int(size.memory_gib * 2**30),
        "label_selector": dict(size.node_selector),
    }
