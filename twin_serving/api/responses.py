"""JSON and event streams, as every call answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
from pydantic_core import to_json
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from twin_serving.answering.reply import Writing
from twin_serving.api.pages import BY_PATH


def page_response(path: str) -> Response:
    """The page at a path; browsers ask for it each time."""
    return HTMLResponse(BY_PATH[path].html, headers={"Cache-Control": "no-cache", "Vary": "Accept"})


def json_response(content: Any, status: int = 200) -> Response:
    """A JSON response; NaN and infinity become null."""
    return Response(to_json(content, inf_nan_mode="null"), status, media_type="application/json")


def event(name: str | None, data: Any) -> str:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {to_json(data).decode()}\n\n"


class EventStream(StreamingResponse):
    """Server-sent events that stop the engine as soon as the reader is gone."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[str | bytes, None], writing: Writing) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events
        self._writing = writing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._writing.cancel()
            with anyio.CancelScope(shield=True):
                await self._events.aclose()
