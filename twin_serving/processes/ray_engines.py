"""Engines on Ray Serve (section ``ray.serve.engines``): a deployment whose replicas are an SGLang each.

No answer goes through Serve. A handle chooses the replica by itself, and an adapter has to be in the engine that is
asked, so a replica only says where its engine is, and each replica of the API asks the engines there
(:class:`twin_resources.generation.pool.EnginePool`). Serve starts engines, looks after them and counts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from twin_resources.config.settings import Settings, SettingsError, load
from twin_resources.generation.pool import EnginePool
from twin_resources.rag import prompt
from twin_serving.processes import guard
from twin_serving.processes.sglang import EngineError, SglangProcess, model_of

if TYPE_CHECKING:
    from ray.serve import Application

NAME = "engine"
_ONGOING = "ongoing"
_FOLLOWED_SECONDS = 5.0
"""After this every replica of the API has noticed that an engine goes: each looks every two seconds."""
_ADDRESS_SECONDS = 5.0


def deployment(settings: Settings) -> Application:
    """The engines that the settings ask for.

    Raises:
        SettingsError: there is no key.
    """
    from ray import serve

    engine_key(settings)
    wanted = settings.ray.serve.engines
    most = wanted.max_replicas or wanted.replicas
    count: dict[str, Any] = {"num_replicas": wanted.replicas}
    if most > wanted.replicas:
        count = {
            "autoscaling_config": {
                "min_replicas": wanted.replicas,
                "max_replicas": most,
                "target_ongoing_requests": wanted.ongoing_requests,
                "upscale_delay_s": wanted.upscale_seconds,
                "downscale_delay_s": wanted.downscale_seconds,
                "look_back_period_s": max(1.0, min(30.0, wanted.upscale_seconds)),
                "policy": {"policy_function": f"{__name__}:engines_for"},
            }
        }
    return serve.deployment(
        ServedEngine,
        name=NAME,
        ray_actor_options={
            "num_cpus": wanted.cpus,
            "num_gpus": wanted.gpus,
            "memory": int(wanted.memory_gib * 2**30),
        },
        health_check_period_s=wanted.check_seconds,
        graceful_shutdown_timeout_s=max(_FOLLOWED_SECONDS, wanted.drain_seconds) + guard.GRACE + 5,
        **count,
    ).bind()


def engine_key(settings: Settings) -> str:
    """What engines are asked with; without it, whoever reaches their nodes could, and have them load what they like.

    Raises:
        SettingsError: ``TWIN_ENGINE_KEY`` is not set.
    """
    if not settings.engine_secret:
        raise SettingsError(
            "engines on Ray Serve (ray.serve.engines) listen at the addresses of their nodes; set TWIN_ENGINE_KEY to a "
            "secret, the same for every node"
        )
    return settings.engine_secret


def engines_for(context: Any) -> tuple[int, dict[str, Any]]:
    """How many engines the answers under way want; Serve applies the limits and delays of the deployment.

    Args:
        context: Serve's ``AutoscalingContext``.
    """
    ongoing = (context.aggregated_metrics or {}).get(_ONGOING, {})
    wanted = math.ceil(sum(ongoing.values()) / context.config.target_ongoing_requests)
    all_said = len(ongoing) >= context.current_num_replicas
    return (wanted if all_said else max(wanted, context.target_num_replicas)), {}


class ServedEngine:
    """One SGLang, there as long as its replica is."""

    def __init__(self) -> None:
        import ray.util

        settings = load()
        key = engine_key(settings)
        wanted = settings.ray.serve.engines
        self._drain_seconds = wanted.drain_seconds
        host = ray.util.get_node_ip_address()
        self._engine = SglangProcess(wanted, model_of(wanted, settings), key=key, host=host)
        try:
            self._engine.wait(wanted.start_minutes * 60)
        except BaseException:
            self._engine.stop()
            raise

    async def address(self) -> str | None:
        """Where it is to be asked; None when it has ended."""
        return self._engine.url if self._engine.alive else None

    async def check_health(self) -> None:
        """Have Serve replace this replica when its engine is not well.

        Raises:
            EngineError: it says why.
        """
        if problem := await asyncio.to_thread(self._engine.problem):
            raise EngineError(f"SGLang is not well: {problem}")

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Answers under way, whoever asked for them; nothing while it does not say."""
        with contextlib.suppress(EngineError):
            return {_ONGOING: float(await asyncio.to_thread(self._engine.ongoing))}
        return {}

    def __del__(self) -> None:
        """End the engine, once what it was asked for is answered; Serve calls this, too."""
        engine = getattr(self, "_engine", None)
        if engine is not None and engine.alive:
            engine.drain(_FOLLOWED_SECONDS, self._drain_seconds)
            engine.stop()


def engine_pool(settings: Settings) -> EnginePool:
    """The engines of this application's deployment, for a replica of the API."""
    from ray import serve
    from ray.serve.exceptions import DeploymentUnavailableError

    engine_key(settings)
    handle = serve.get_deployment_handle(NAME, serve.get_replica_context().app_name)

    def addresses() -> Collection[str]:
        try:
            found = handle.broadcast("address").results(timeout_s=_ADDRESS_SECONDS, return_exceptions=True)
        except DeploymentUnavailableError:
            return ()
        return [each for each in found if isinstance(each, str)]  # what is lost or hangs says nothing, and gets nothing

    return EnginePool.of(settings, addresses, stop=prompt.STOP)
