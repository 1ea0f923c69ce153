"""An engine that writes at a fixed rate and costs next to nothing, so that what stands before it can be measured.

``python -m benchmarks.token_engine`` prints its port and answers OpenAI's chat completions until it is ended. All
streams share :data:`RATE` tokens a second, one token each a step, as a server with continuous batching does; a token
is one server-sent event with the members that SGLang sends, in one HTTP chunk. Adapters are loaded and unloaded as
SGLang's are; an answer says the name of the adapter that writes it, word for word.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import cast

import uvloop

RATE = 10_000
"""Tokens a second of all streams together."""
TOKENS = 200
"""Tokens of one stream."""
WORD = " word"


def _event(**members: object) -> bytes:
    head = {"id": "e7d0", "object": "chat.completion.chunk", "created": 1, "model": "served"}
    return _chunk(f"data: {json.dumps({**head, **members})}\n\n".encode())


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _choice(content: str | None, reason: str | None = None) -> list[dict[str, object]]:
    delta = {"role": None, "content": content, "reasoning_content": None, "tool_calls": None}
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason, "matched_stop": None}]


_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
    + _event(
        choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}],
        usage=None,
    )
)
_COUNTS = {"prompt_tokens": 20, "completion_tokens": TOKENS, "total_tokens": 20 + TOKENS}
_TAIL = (
    _event(choices=_choice(None, "stop"), usage=None)
    + _event(choices=[], usage=_COUNTS)
    + _chunk(b"data: [DONE]\n\n")
    + b"0\r\n\r\n"
)
HEALTHY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

_written: dict[Connection, int] = {}
"""Tokens so far of each stream that is being written."""
_tokens = {"": _event(choices=_choice(WORD), usage=None)}
"""The token of the base and of each adapter that is loaded."""


def running() -> int:
    """Streams that are being written."""
    return len(_written)


def loaded() -> list[str]:
    """Adapters that are loaded."""
    return [name for name in _tokens if name]


def load(name: str) -> None:
    """Have an adapter, whose answers say its name."""
    _tokens[name] = _event(choices=_choice(f" {name}"), usage=None)


def reply(status: bytes, members: object) -> bytes:
    body = json.dumps(members).encode()
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


_LISTED = reply(b"200 OK", {"object": "list", "data": [{"id": "served", "object": "model"}]})
_DONE = reply(b"200 OK", {"success": True})


class Connection(asyncio.Protocol):
    """One connection of a client that sends a request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self.transport = cast(asyncio.Transport, transport)
        self.token = _tokens[""]
        self._request = b""

    def data_received(self, data: bytes) -> None:
        """Answer once a request is complete."""
        self._request += data
        head, found, body = self._request.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._request = b""
        self.answer(head, body)

    def answer(self, head: bytes, body: bytes) -> None:
        """Answer one request."""
        match head.split(b" ", 2)[1]:
            case b"/v1/chat/completions":
                self._begin(json.loads(body)["model"].partition(":")[2])
            case b"/load_lora_adapter":
                load(json.loads(body)["lora_name"])
                self.transport.write(_DONE)
            case b"/unload_lora_adapter":
                _tokens.pop(json.loads(body)["lora_name"], None)
                self.transport.write(_DONE)
            case b"/v1/models":
                self.transport.write(_LISTED)
            case _:
                self.transport.write(HEALTHY)

    def _begin(self, adapter: str) -> None:
        if adapter not in _tokens:
            self.transport.write(reply(b"400 Bad Request", {"error": {"message": f"lora {adapter} is not loaded"}}))
            return
        self.token = _tokens[adapter]
        self.transport.write(_HEAD)
        _written[self] = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop writing to a client who is gone."""
        _written.pop(self, None)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def _write() -> None:
    """Give every stream its tokens; a step that comes late gives each the tokens it would have had by then."""
    loop = asyncio.get_running_loop()
    due, last = 0.0, loop.time()
    while True:
        await asyncio.sleep(max(0.001, len(_written) / RATE))
        now = loop.time()
        due, last = due + (now - last) * RATE, now
        steps = int(due // len(_written)) if _written else 0
        due = due - steps * len(_written) if _written else 0.0
        if not steps:
            continue
        for connection, before in list(_written.items()):
            count = min(steps, TOKENS - before)
            connection.transport.write(connection.token * count)
            if before + count < TOKENS:
                _written[connection] = before + count
            else:
                del _written[connection]
                connection.transport.write(_TAIL)


async def run(protocol: Callable[[], Connection] = Connection, host: str = "127.0.0.1", port: int = 0) -> None:
    """Print the port and answer until the process is ended.

    Args:
        protocol: makes what answers a connection.
    """
    server = await asyncio.get_running_loop().create_server(protocol, host, port, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await _write()


if __name__ == "__main__":
    uvloop.run(run())
