"""The API on Ray Serve: what a Serve configuration names as ``import_path: twin_serving.processes.ray_serve:app``.

It is the application of :mod:`twin_serving.api.app`, with the number of its replicas by the requests under way
(section ``ray.serve``). Each replica follows the champion aliases by itself, as each copy of the API does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twin_resources.config.settings import Settings, SettingsError, load
from twin_serving.answering.readiness import Readiness
from twin_serving.api.app import create_app

if TYPE_CHECKING:
    from ray.serve import Application

log = logging.getLogger("ray.serve")

ENGINE_SECONDS = 300.0
"""So long a replica that answers searches waits for its language model before it takes requests without one."""
_LOOK_SECONDS = 0.5


def app(_: Mapping[str, str]) -> Application:
    """The application that Serve runs.

    Raises:
        SettingsError: there are no keys; where Serve listens is not for ``TWIN_HOST`` to say.
    """
    from ray import serve

    settings = load()
    check_keys(settings)
    wanted = settings.ray.serve
    deployment = serve.deployment(
        serve.ingress(_replica)(),  # pyright: ignore[reportCallIssue]
        name="api",
        max_ongoing_requests=wanted.most_requests,
        autoscaling_config={
            "min_replicas": wanted.min_replicas,
            "max_replicas": wanted.max_replicas,
            "target_ongoing_requests": wanted.ongoing_requests,
            "upscale_delay_s": wanted.upscale_seconds,
            "downscale_delay_s": wanted.downscale_seconds,
            "look_back_period_s": max(1.0, min(30.0, wanted.upscale_seconds)),
        },
        ray_actor_options={"num_cpus": wanted.cpus, "memory": int(wanted.memory_gib * 2**30)},
        graceful_shutdown_timeout_s=wanted.drain_seconds,
    )
    return deployment.bind()


def check_keys(settings: Settings) -> None:
    """Refuse to be served by Serve's proxies, which may listen anywhere, without API keys.

    Raises:
        SettingsError: ``TWIN_API_KEYS`` is empty.
    """
    if not settings.keys:
        raise SettingsError(
            "the API on Ray Serve answers wherever Serve's proxies listen; set TWIN_API_KEYS to one or more secrets, "
            "separated by commas, for every node"
        )


def _replica() -> ASGIApp:
    settings = load()
    check_keys(settings)
    api = create_app(settings.model_copy(update={"host": "0.0.0.0"}))  # no host name is more this machine than another
    return StartsReady(api, lambda: api.state.services.readiness())


class StartsReady:
    """Says that an application has started when it answers, so that no request meets a replica that loads its models.

    Args:
        app: one whose models come up in threads while it answers already.
        state: how far they are.
        engine_seconds: how long the language model is waited for once searches are answered.
    """

    def __init__(self, app: ASGIApp, state: Callable[[], Readiness], *, engine_seconds: float = ENGINE_SECONDS) -> None:
        self.app = app
        self._state = state
        self._engine_seconds = engine_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or start and stop."""
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return

        async def when_ready(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._ready()
            await send(message)

        await self.app(scope, receive, when_ready)

    async def _ready(self) -> None:
        said, searched_at = "", None
        while True:
            state = await anyio.to_thread.run_sync(self._state)
            if state.can_answer:
                return
            if state.ready:
                searched_at = searched_at or time.monotonic()
                if time.monotonic() - searched_at >= self._engine_seconds:
                    log.warning("taking requests without a language model; questions are answered in quotations")
                    return
            reasons = "; ".join(f"{name}: {part.reason}" for name, part in state.components.items() if part.reason)
            if reasons != said:
                said = reasons
                log.info("not taking requests yet: %s", reasons)
            await anyio.sleep(_LOOK_SECONDS)
