"""Writing answers: one interface, in process or through any OpenAI-compatible server.

Both serve a base model and any number of LoRA adapters over it (Hu et al. 2021, arXiv:2106.09685), told apart by
version and switched from one request to the next without a restart.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from collections.abc import Generator as Pieces
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from twin_resources.errors import TwinError

Turns = Sequence[Mapping[str, str]]
FinishReason = Literal["stop", "length", "cancelled"]


class GeneratorError(TwinError):
    """No answer can be written; the message says why and what to do."""


class QueueFull(GeneratorError):
    """Too many answers are waiting; try again in ``retry_after`` seconds."""

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotLoaded(GeneratorError):
    """The adapter version that was asked for is not in the engine."""


class Unreachable(GeneratorError):
    """No engine could be asked; nothing was answered."""


class PromptTooLong(GeneratorError):
    """The prompt leaves no room for an answer in the model's context."""


@dataclass(frozen=True)
class Generation:
    """A whole answer and what it took; ``finish_reason`` is ``stop``, ``length`` or ``cancelled``."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: FinishReason


@dataclass(frozen=True)
class EngineState:
    """An engine and what it serves: ``adapters`` over the base ``model``; ``problem`` keeps it from answering."""

    address: str
    model: str
    adapters: tuple[str, ...]
    problem: str | None = None


class Stream(Iterator[str]):
    """The pieces of one answer as they are written; when they are used up, ``usage`` holds the whole.

    ``cancel`` may be called from any thread: the engine stops at its next token and the pieces end.
    """

    def __init__(self, pieces: Pieces[str, None, Generation], cancel: Callable[[], None]) -> None:
        self._pieces = pieces
        self.cancel = cancel
        self.usage: Generation | None = None

    def __next__(self) -> str:
        try:
            return next(self._pieces)
        except StopIteration as end:
            if end.value is not None:
                self.usage = end.value
            raise StopIteration from None

    def finish(self) -> Generation:
        """Read what is left and return the whole answer."""
        for _ in self:
            pass
        if self.usage is None:
            raise GeneratorError("the answer was read after it had failed")
        return self.usage


class AsyncStream(AsyncIterator[str]):
    """The same for a reader in an event loop; pieces that arrived together come as one.

    ``cancel`` is called in that loop, and may be at any time.

    Args:
        pieces: gives the text, and last the whole answer.
    """

    def __init__(self, pieces: AsyncGenerator[str | Generation, None], cancel: Callable[[], None]) -> None:
        self._pieces = pieces
        self.cancel = cancel
        self.usage: Generation | None = None

    async def __anext__(self) -> str:
        piece = await anext(self._pieces)
        if isinstance(piece, Generation):
            self.usage = piece
            raise StopAsyncIteration
        return piece


class Generator(Protocol):
    """Writes answers with ``base`` or with one of the adapters loaded over it."""

    base: str

    def load(self, version: str, folder: Path) -> None:
        """Make the adapter in ``folder`` available under an immutable name. Repeating it changes nothing."""
        ...

    def unload(self, version: str) -> None:
        """Drop an adapter; nothing happens when it is not loaded."""
        ...

    def loaded(self) -> set[str]:
        """The versions that answer at once."""
        ...

    def stream(
        self,
        turns: Turns,
        *,
        version: str | None,
        max_tokens: int,
        temperature: float,
        seed: int | None,
        stop: Sequence[str] = (),
    ) -> Stream:
        """Start an answer to chat messages.

        Args:
            version: the adapter, or None for the base.
            temperature: 0 always takes the likeliest token.
            seed: makes sampling repeatable.
            stop: strings that end the answer, besides the engine's own.

        Raises:
            QueueFull: too many are waiting.
            NotLoaded: there is no such adapter in the engine.
            GeneratorError: the engine failed.
        """
        ...

    async def astream(
        self,
        turns: Turns,
        *,
        version: str | None,
        max_tokens: int,
        temperature: float,
        seed: int | None,
        stop: Sequence[str] = (),
    ) -> AsyncStream:
        """:meth:`stream` for a server: any number of answers are read in one event loop, without a thread for each."""
        ...

    def probe(self, turns: Turns, version: str) -> None:
        """Have a loaded adapter write one token. A probe waits for its turn, but has a place however many wait.

        Raises:
            QueueFull: a server beyond our control has no place for it.
            GeneratorError: the adapter does not answer.
        """
        ...

    def unready(self) -> str | None:
        """Why it cannot answer now, or None."""
        ...

    def engines(self) -> list[EngineState]:
        """The engines that it asks, as far as it knows without asking them; none where this process writes."""
        ...

    def waiting(self) -> int:
        """Answers that are being written or wait for their turn."""
        ...

    def close(self) -> None:
        """End what is running and let go of the model or the connections."""
        ...


_AT_ONCE = 8


def written(
    generator: Generator, asked: Sequence[Turns], *, version: str | None, max_tokens: int
) -> Iterator[Generation]:
    """The likeliest answer to each of some chat messages, in their order, as far as the engine can side by side.

    Raises:
        GeneratorError: the engine failed.
    """
    for start in range(0, len(asked), _AT_ONCE):
        options = {"version": version, "max_tokens": max_tokens, "temperature": 0.0, "seed": 0}
        streams = [generator.stream(turns, **options) for turns in asked[start : start + _AT_ONCE]]
        yield from [stream.finish() for stream in streams]
