"""A language model on loopback: it writes what is asked for out of the passage, unless a test ordered a fault."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Fault = Callable[[], Response] | str
"""A response instead of the right one, or the content of one."""


@dataclass
class Writer:
    """``asked`` holds the body of every chat request, ``keys`` the credentials; ``faults`` are used up one a request.

    ``always`` decides on a fault by what is asked. ``slow`` is how long each answer takes, in seconds.
    """

    faults: deque[Fault] = field(default_factory=deque)
    always: Callable[[str], Fault | None] = lambda prompt: None
    knows_format: bool = True
    slow: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    most_at_once: int = 0
    url: str = ""
    _running: int = 0

    def __enter__(self) -> Self:
        routes = [Route("/v1/models", self._models), Route("/v1/chat/completions", self._chat, methods=["POST"])]
        self._server = uvicorn.Server(
            uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=0, log_level="error")
        )
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"data": [{"id": "scribe-1"}]})

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        self.keys.add(request.headers.get("authorization"))
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        try:
            await asyncio.sleep(self.slow)
            if "response_format" in body and not self.knows_format:
                return JSONResponse({"error": {"message": "response_format is not supported"}}, 400)
            prompt = body["messages"][-1]["content"]
            fault = self.faults.popleft() if self.faults else self.always(prompt)
            if fault is not None and not isinstance(fault, str):
                return fault()
            return completion(written(prompt) if fault is None else fault)
        finally:
            self._running -= 1


def completion(content: str) -> Response:
    """A chat completion with this content."""
    return JSONResponse({
        "choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10},
    })  # fmt: skip


def written(prompt: str) -> str:
    """What a well-behaved model writes for a prompt."""
    passage = prompt.partition("<passage>\n")[2].partition("\n</passage>")[0]
    words = sorted(set(re.findall(r"\w{4,}", passage)), key=lambda word: (len(word), word), reverse=True)
    about = " and ".join(words[:4])
    if "“question”" in prompt:
        sentence = re.split(r"(?<=[.!?])\s", passage)[-1]
        return json.dumps({"question": f"What of {about}?", "answer": sentence})
    if "“plain”" in prompt:
        return json.dumps({"plain": " ".join(reversed(passage.split()))})
    return json.dumps({"instruction": f"Say something of {about}."})
