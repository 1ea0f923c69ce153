"""The API on Ray Serve: what a Serve configuration names as ``import_path: twin_serving.processes.ray_serve:app``.

It is the application of :mod:`twin_serving.api.app`, with the number of its replicas by the requests under way
(section ``ray.serve``), and where it is wanted the embedding model and the engines as deployments of their own, scaled
apart. Each replica follows the champion aliases by itself, as each copy of the API does.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import numpy as np
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twin_resources.config.settings import Settings, SettingsError, load
from twin_resources.retrieval.embedder import Asked, Embedder
from twin_serving.answering.engine import make_generator
from twin_serving.answering.readiness import Readiness
from twin_serving.api.app import create_app, keep
from twin_serving.processes import ray_engines

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle

log = logging.getLogger("ray.serve")

ENGINE_SECONDS = 300.0
"""So long a replica that answers searches waits for its language model before it takes requests without one."""
_LOOK_SECONDS = 0.5
_EMBEDDER = "embedder"
_TRIES = 3
_ANSWER_SECONDS = 60.0


def app(_: Mapping[str, str]) -> Application:
    """The application that Serve runs.

    Raises:
        SettingsError: there are no keys, for the API or for engines; where Serve listens is not for ``TWIN_HOST`` to
            say.
    """
    from ray import serve

    settings = load()
    check_keys(settings)
    wanted = settings.ray.serve
    memory = int(wanted.memory_gib * 2**30)
    common = {
        "max_ongoing_requests": wanted.most_requests,
        "graceful_shutdown_timeout_s": wanted.drain_seconds,
    }
    scaled = {
        "target_ongoing_requests": wanted.ongoing_requests,
        "upscale_delay_s": wanted.upscale_seconds,
        "downscale_delay_s": wanted.downscale_seconds,
        "look_back_period_s": max(1.0, min(30.0, wanted.upscale_seconds)),
    }
    deployment = serve.deployment(
        serve.ingress(_replica)(_Api),
        name="api",
        autoscaling_config={**scaled, "min_replicas": wanted.min_replicas, "max_replicas": wanted.max_replicas},
        ray_actor_options={"num_cpus": wanted.cpus, "memory": memory},
        **common,
    )
    asked: list[Application] = []
    if wanted.embedders:
        embedder = serve.deployment(
            ServedEmbedder,
            name=_EMBEDDER,
            autoscaling_config={**scaled, "min_replicas": 1, "max_replicas": wanted.embedders},
            ray_actor_options={"num_cpus": wanted.embedder_cpus, "num_gpus": wanted.embedder_gpus, "memory": memory},
            **common,
        )
        asked.append(embedder.bind())
    if wanted.engines.replicas:
        asked.append(ray_engines.deployment(settings))
    return deployment.bind(*asked)


class _Api:
    """What Serve makes for each replica, around the application; it is given the handles of what it asks."""

    def __init__(self, *_: DeploymentHandle) -> None:
        pass


class ServedEmbedder:
    """A copy of the embedding model, asked by all replicas of the API."""

    def __init__(self) -> None:
        self._embedder = Embedder.of(load())
        self._embedder.prepare()

    def describe(self) -> tuple[str, int, int, int]:
        """Name, length of a vector, and how many texts it takes at once and in all."""
        return self._embedder.name, self._embedder.dimensions, self._embedder.batch_size, self._embedder.page

    def questions(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of questions."""
        return self._embedder.encode_questions(texts)

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of passages."""
        return self._embedder.encode(texts)


class AskedEmbedder(Embedder):
    """The embedding model of another deployment, as if it were here. Questions are kept and put together here, too.

    Args:
        call: calls a method of :class:`ServedEmbedder`.
    """

    def __init__(self, call: Callable[..., Any]) -> None:
        Asked.__init__(self)
        self._call = call
        self.name, self.dimensions, self.batch_size, self.page = call("describe")

    @contextlib.contextmanager
    def spread(self, devices: Sequence[str] | None = None) -> Iterator[None]:
        """The copies are spread already."""
        yield

    def prepare(self) -> None:
        """The copies are prepared already."""
        Asked.prepare(self)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of passages."""
        return self._call("passages", list(texts))

    def _embed(self, questions: list[str]) -> np.ndarray:
        return self._call("questions", questions)


def _asked(_: Settings) -> Embedder:
    """The embedding model of this application's deployment."""
    from ray import serve
    from ray.exceptions import RayActorError

    handle = serve.get_deployment_handle(_EMBEDDER, serve.get_replica_context().app_name)

    def call(method: str, *arguments: Any) -> Any:
        for left in reversed(range(_TRIES)):
            try:
                return getattr(handle, method).remote(*arguments).result(timeout_s=_ANSWER_SECONDS)
            except RayActorError:  # a copy that was lost; another one does it
                if not left:
                    raise
        return None

    return AskedEmbedder(call)


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
    anywhere = settings.model_copy(update={"host": "0.0.0.0"})  # no host name is more this machine than another
    api = create_app(
        anywhere,
        ray_engines.engine_pool if settings.ray.serve.engines.replicas else make_generator,
        embed=_asked if settings.ray.serve.embedders else Embedder.of,
        settled=keep,
    )
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
