"""The application: layers around the routes, and the server that runs it."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Callable

import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from twin_resources.config.settings import Settings
from twin_resources.generation.base import Generator
from twin_resources.retrieval.embedder import Embedder
from twin_serving.answering.engine import make_generator
from twin_serving.answering.services import Services
from twin_serving.api.keys import KeyRing
from twin_serving.api.mcp.server import PATH, McpEndpoint
from twin_serving.api.problems import handle
from twin_serving.api.routing import OPERATIONS, routes
from twin_serving.api.security import AccessControl, Observation, check_binding, is_loopback


def create_app(
    settings: Settings,
    make: Callable[[Settings], Generator] | None = make_generator,
    *,
    poll_seconds: float = 2.0,
    embed: Callable[[Settings], Embedder] = Embedder.of,
    settled: Callable[[], None] = lambda: None,
) -> Starlette:
    """The application. Database and models come up in threads once it runs; ``/readyz`` says how far they are.

    Args:
        make: makes the generator; None serves search only.
        poll_seconds: how often the champion aliases are looked at.
        embed: gives the embedding model, or who has it.
        settled: called once, when what stays is loaded; a process that does nothing else gives :func:`keep`.

    Raises:
        SettingsError: it would be open to the network without a key.
    """
    check_binding(settings)
    services = Services(settings, make, poll_seconds=poll_seconds, scoped=True, embed=embed, settled=settled)
    local = is_loopback(settings.host)
    ring = KeyRing(settings.keys, lambda: services.keys, needed=not local)

    mcp = McpEndpoint(services)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        services.start()
        async with mcp.running():
            yield
        await anyio.to_thread.run_sync(services.stop)

    app = Starlette(
        routes=[*routes(), Route(PATH, mcp)],
        middleware=[
            Middleware(Observation, monitor=services.monitor),
            Middleware(AccessControl, local=local, ring=ring),
        ],
        exception_handlers={HTTPException: handle},
        lifespan=lifespan,
    )
    app.state.services = services
    app.state.operations = OPERATIONS
    return app


def keep() -> None:
    """Look for garbage a last time in what this process has loaded, which stays: going through it again and again would
    halt every call."""
    gc.collect()
    gc.freeze()


def serve(settings: Settings, *, engine: bool = True) -> None:
    """Run the API until SIGINT or SIGTERM; answers that are being written get six seconds to end.

    Args:
        engine: False serves search only and loads no language model.

    Raises:
        SettingsError: it would be open to the network without a key.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "alembic", "mcp", "sentence_transformers"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    app = create_app(settings, make_generator if engine else None, settled=keep)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.api_port,
        log_level="info",
        access_log=False,
        server_header=False,
        date_header=False,
        ws="none",
        timeout_graceful_shutdown=6,
    )
