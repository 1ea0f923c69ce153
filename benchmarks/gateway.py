"""What the API adds to an engine: the same streams through ``/v1/chat/completions`` and from the engine itself.

Engine, API and the readers are a process each. The readers begin one after another and ask again as soon as an answer
is complete; tokens count once the last of them has begun. Both ways take turns within one run.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import httpx
import uvloop

from benchmarks import corpus
from benchmarks.search import served
from benchmarks.table import Table
from benchmarks.token_engine import RATE, TOKENS, WORD
from twin_resources.config.settings import Settings
from twin_resources.database import postgres

STREAMS = (1, 16, 64, 256)
ROUNDS = 2
"""Turns of each way, for each number of streams."""
AUTHOR = corpus.author("gateway")
_WINDOW = 3.0
"""Seconds that are counted in each turn, and one answer's time where that is longer."""
_WORD = WORD.strip().encode()
_END = b"data: [DONE]"


@dataclass(frozen=True)
class Target:
    """Where the readers ask, and for which model."""

    port: int
    model: str

    def request(self) -> bytes:
        """The bytes of one question."""
        body = json.dumps(
            {
                "model": self.model,
                "messages": [{"role": "user", "content": "What do you write about?"}],
                "stream": True,
                "max_tokens": TOKENS,
                "use_rag": False,
            }
        ).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass
class Turn:
    """What one turn of one way brought: tokens in the window, and milliseconds to the first token of each answer."""

    seconds: float = 0.0
    tokens: int = 0
    firsts: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds


class _Reader(asyncio.Protocol):
    """Asks, reads to the end, checks that no token is missing, and asks again until its turn is over."""

    def __init__(self, request: bytes, turn: Turn, window: tuple[float, float], done: asyncio.Event) -> None:
        self._request, self._turn, self._window, self._done = request, turn, window, done
        self.failed: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the first time."""
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._tokens, self._tail, self._over = 0, b"", False
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count the tokens that came; the API repeats the whole answer in its last event, which does not count."""
        now = time.perf_counter()
        seen = self._tail + data
        ours, finished, _ = seen.partition(b'"finish_reason":"stop"')
        if not self._over:
            counted = ours.count(_WORD) - self._tail.count(_WORD)
            if counted and not self._tokens:
                self._turn.firsts.append((now - self._began) * 1000)
            self._tokens += counted
            if self._window[0] <= now <= self._window[1]:
                self._turn.tokens += counted
        self._over = self._over or bool(finished)
        self._tail = seen[-len(b'"finish_reason":"stop"') :]
        if _END in seen:
            self._end(now)

    def _end(self, now: float) -> None:
        if self._tokens != TOKENS:
            self.failed = f"{self._tokens} tokens of {TOKENS}"
        if self.failed or now > self._window[1]:
            self._transport.close()
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """This reader's turn is over."""
        if self._tokens != TOKENS and not self.failed:
            self.failed = f"the connection was lost after {self._tokens} tokens: {exc or self._tail.decode()}"
        self._done.set()


async def _take(target: Target, streams: int) -> Turn:
    """Let so many readers read for one window."""
    loop = asyncio.get_running_loop()
    turn, request = Turn(), target.request()
    answer = TOKENS * streams / RATE
    start = time.perf_counter()
    window = (start + answer * 1.2, start + answer * 1.2 + max(_WINDOW, answer))
    turn.seconds = window[1] - window[0]
    readers, ends = [], []
    for number in range(streams):
        await asyncio.sleep(max(0.0, start + answer * number / streams - time.perf_counter()))
        done = asyncio.Event()
        _, reader = await loop.create_connection(
            lambda done=done: _Reader(request, turn, window, done), "127.0.0.1", target.port
        )
        readers.append(reader)
        ends.append(done.wait())
    await asyncio.wait_for(asyncio.gather(*ends), 120)
    failed = [reader.failed for reader in readers if reader.failed]
    if failed:
        raise SystemExit(f"{len(failed)} of {streams} readers got no whole answer: {failed[0]}")
    return turn


@contextmanager
def engine() -> Iterator[int]:
    """The engine in a process of its own; its port."""
    command = [sys.executable, "-m", "benchmarks.token_engine"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def measure(table: Table, home: Path) -> None:
    """Time to the first token that the API adds, and the share of the engine's throughput that it lets through."""
    with engine() as port:
        settings = Settings(authors=(AUTHOR,), home=home, engine_url=f"http://127.0.0.1:{port}")
        try:
            with served(settings, engine=True) as client:
                direct = Target(port, "served")
                through = Target(int(client.base_url.port or 0), f"twin/{AUTHOR.id}")
                _wait_for_model(client)
                for streams in STREAMS:
                    _compare(table, streams, direct, through)
        finally:
            postgres.stop(settings.postgres)


def _wait_for_model(client: httpx.Client) -> None:
    body = {"model": "base", "messages": [{"role": "user", "content": "Are you there?"}], "use_rag": False}
    while client.post("/v1/chat/completions", json=body).status_code != 200:
        time.sleep(0.2)


def _compare(table: Table, streams: int, direct: Target, through: Target) -> None:
    turns: dict[Target, list[Turn]] = {direct: [], through: []}
    for _ in range(ROUNDS):
        for target, taken in turns.items():
            taken.append(uvloop.run(_take(target, streams)))
    rates = {target: statistics.median(turn.rate for turn in taken) for target, taken in turns.items()}
    firsts = {target: sorted(first for turn in taken for first in turn.firsts) for target, taken in turns.items()}
    what = f"gateway, {streams} stream{'s' * (streams > 1)}"
    table.add(f"{what}: engine alone", rates[direct], "tokens/s")
    table.add(f"{what}: throughput against the engine alone", 100 * rates[through] / rates[direct], "%")
    table.spread(f"{what}: first token, engine alone", firsts[direct])
    table.spread(f"{what}: first token, through the API", firsts[through])
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        added = _at(firsts[through], share) - _at(firsts[direct], share)
        table.add(f"{what}: first token, added, {name}", added, "ms")


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
