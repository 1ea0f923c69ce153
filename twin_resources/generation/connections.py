"""Streams of an OpenAI-compatible server, any number of them in one event loop.

aiohttp reads them: its parser is compiled, and it took 26 µs of CPU for an event where httpx took 72 (64 streams,
10,000 events a second).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from pydantic_core import to_json

from twin_resources.generation.base import AsyncStream, Generation, GeneratorError, Unreachable
from twin_resources.generation.chat_events import ChatEvents

LIMIT = 512
"""Connections at most; a request waits ``connect`` seconds for one."""
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5, sock_connect=5, sock_read=120)
_KEPT_SECONDS = 4.0
"""Shorter than servers keep a connection (uvicorn 5 s), so that none closes as it is used again."""


class Connections:
    """The connections of one event loop to a server; they are made when first used.

    Args:
        url: without ``/v1``.
        key: sent as ``Authorization: Bearer <key>``.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def post(self, path: str, body: Mapping[str, Any]) -> Response:
        """Send JSON, and return when the server has answered with its headers.

        Raises:
            Unreachable: the server cannot be reached.
        """
        try:
            found = await self._open().post(f"{self.url}{path}", data=to_json(body), allow_redirects=False)
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise Unreachable(
                f"the engine at {self.url} cannot be reached: {str(error) or type(error).__name__}"
            ) from error
        return Response(found, self.url)

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("the engine is shutting down")
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            connector = aiohttp.TCPConnector(limit=LIMIT, keepalive_timeout=_KEPT_SECONDS)
            self._session = aiohttp.ClientSession(
                connector=connector, headers=self._headers, timeout=_TIMEOUT, proxy=_proxy(self.url)
            )
            self._loop = loop
        return self._session

    def close(self) -> None:
        """Close them; from another thread than the loop's."""
        self._closed = True
        if self._session is not None and self._loop is not None and self._loop.is_running():
            with contextlib.suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(self._session.close(), self._loop).result(5)


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this address. aiohttp would look for it, and for a ``.netrc``, at each
    request and in a thread."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


class Response:
    """What a server answered: ``status`` and ``reason``, and a body to read once, as a whole or as a stream."""

    def __init__(self, response: aiohttp.ClientResponse, url: str) -> None:
        self.status = response.status
        self.reason = response.reason or ""
        self._response = response
        self._url = url
        self._cancelled = False
        self._over: Callable[[], None] | None = None

    async def whole(self) -> bytes:
        """All of the body, or nothing where it breaks off."""
        try:
            return await self._response.read()
        except (aiohttp.ClientError, OSError):
            return b""
        finally:
            self._response.close()

    def stream(self, over: Callable[[], None]) -> AsyncStream:
        """The text of the events as they come; ``over`` is called once, when no more will be read."""
        self._over = over
        return AsyncStream(self._pieces(), self._cancel)

    def _cancel(self) -> None:
        self._cancelled = True
        self._end()

    def _end(self) -> None:
        self._response.close()
        if self._over is not None:
            self._over()
            self._over = None

    async def _pieces(self) -> AsyncGenerator[str | Generation, None]:
        events, content = ChatEvents(), self._response.content
        try:
            while not self._cancelled and (data := await content.readany()):
                if text := events.feed(data):
                    yield text
                if events.error is not None:
                    raise GeneratorError(f"{self._url} broke off: {events.error}")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if not self._cancelled:
                raise GeneratorError(f"{self._url} broke off: {error}") from error
        finally:
            self._end()
        yield events.generation(cancelled=self._cancelled)
