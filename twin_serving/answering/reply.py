"""One answer, from the question to the record: find passages, ask the model, cite, store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
from starlette.requests import Request

from twin_resources.generation.generators import Generation, GeneratorError
from twin_resources.rag import prompt
from twin_resources.rag.citations import Cited, cite
from twin_resources.rag.pipeline import Found
from twin_resources.rag.query import rewriting, rewritten
from twin_resources.retrieval.search import EVERYTHING, Filters
from twin_serving.answering.engine import BASE, Answer, EngineError
from twin_serving.answering.services import Services
from twin_serving.api.problems import Problem, problem_of

T = TypeVar("T")
WRITERS = 256
"""Answers that may be read at once; each waits in a thread of its own while the engine writes."""

GONE = "the client went away"


@dataclass
class Question:
    """What is asked, of whom, and how the answer should be written."""

    call: str
    author: str
    text: str
    k: int = 6
    filters: Filters = EVERYTHING
    use_rag: bool = True
    model: str | None = None
    max_tokens: int = 256
    temperature: float = 0.3
    seed: int | None = None
    stop: Sequence[str] = ()
    history: Sequence[Mapping[str, str]] = ()
    instruction: str = ""
    """The client's own system message."""


@dataclass
class Written:
    """A complete answer."""

    cited: Cited
    generation: Generation
    version: str | None
    base: str
    reranker: str | None
    timings_ms: dict[str, float] = field(default_factory=dict)

    def model(self, author: str) -> dict[str, Any]:
        """Who answered, for the response."""
        return {"base": self.base, "adapter": self.version, "version": f"twin/{author}@{self.version or BASE}"}

    @property
    def usage(self) -> dict[str, int]:
        """Tokens, for the response."""
        read, written = self.generation.prompt_tokens, self.generation.completion_tokens
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


class Reply:
    """Writes one answer. :meth:`begin` raises what keeps it from starting, so that errors still have a status; then
    :meth:`pieces` yields the text and ``written`` holds the rest. However it ends, it is recorded once."""

    def __init__(self, services: Services, trace_id: str, question: Question) -> None:
        self.services = services
        self.trace_id = trace_id
        self.question = question
        self.written: Written | None = None
        self._start = time.perf_counter()
        self._timings: dict[str, float] = {}
        self._found: Found | None = None
        self._passages: list[prompt.Passage] = []
        self._turns: list[dict[str, str]] = []
        self._text: list[str] = []
        self._version: str | None = None
        self._answer: Answer | None = None
        self._recorded = False

    async def begin(self) -> None:
        """Search, build the prompt and hand it to the engine.

        Raises:
            Problem, UnknownModel, EngineError, GeneratorError: it cannot start.
        """
        try:
            await anyio.to_thread.run_sync(self._begin, limiter=_writers())
        except Exception as error:
            problem = problem_of(error)
            if problem.status >= 500:
                await self._record(error=problem.detail)
            raise problem from error

    def _begin(self) -> None:
        question = self.question
        engine = self.services.engine
        if reason := engine.unready():
            raise Problem(503, "not-ready", f"the engine is not ready: {reason}", headers={"Retry-After": "3"})
        self._version = engine.choose(question.author, question.model)
        if question.use_rag:
            rag = self.services.rag
            others = self._other_words() if self.services.settings.retrieval.rewrite else ()
            self._found = rag.search(
                question.author,
                question.text,
                k=question.k,
                filters=question.filters,
                read=self.services.settings.retrieval.read_questions,
                also=others,
            )
            self._timings.update({f"search_{name}": value for name, value in self._found.timings_ms.items()})
            self._passages = rag.context(self._found.hits, question=question.text)
        self._turns = prompt.messages(
            question.text,
            self._passages,
            author=self.services.settings.author(question.author).name,
            history=question.history,
        )
        if question.instruction:
            self._turns[0]["content"] += f"\n\n{prompt.neutral(question.instruction)}"
        self._answer = engine.stream(
            self._turns,
            version=self._version,
            max_tokens=question.max_tokens,
            temperature=question.temperature,
            seed=question.seed,
            stop=question.stop,
        )

    def _other_words(self) -> tuple[str, ...]:
        """The question in the base model's words; nothing when the model fails, which must not keep the answer."""
        start = time.perf_counter()
        try:
            turns = rewriting(self.question.text)
            answer = self.services.engine.stream(turns, version=None, max_tokens=80, temperature=0.0, seed=0, stop=())
            return rewritten("".join(answer), self.question.text)
        except (GeneratorError, EngineError):
            return ()
        finally:
            self._timings["rewrite"] = _since(start)

    async def pieces(self) -> AsyncIterator[str]:
        """The text as it is written; ends the writing when the reader goes.

        Raises:
            GeneratorError: the engine failed on the way.
        """
        answer = self._answer
        assert answer is not None
        began = time.perf_counter()
        error: str | None = GONE
        try:
            while (piece := await _in_thread(lambda: next(answer, None))) is not None:
                self._timings.setdefault("first_token", _since(began))
                self._text.append(piece)
                yield piece
            self._timings["generate"] = _since(began)
            usage = answer.usage
            if usage is None or usage.finish_reason == "cancelled":
                raise GeneratorError("the answer was cancelled")
            self._finish(usage)
            error = None
        except GeneratorError as failed:
            error = str(failed)
            raise
        finally:
            answer.cancel()
            with anyio.CancelScope(shield=True):
                await self._record(error=error)

    async def whole(self, request: Request) -> Written:
        """The complete answer; stops when the client closes the connection."""
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                while not await request.is_disconnected():
                    await anyio.sleep(0.2)
                self.cancel()

            tasks.start_soon(watch)
            failed: Exception | None = None
            try:
                async for _ in self.pieces():
                    pass
            except GeneratorError as error:
                failed = error
            tasks.cancel_scope.cancel()
        if failed:
            raise failed
        assert self.written is not None
        return self.written

    def cancel(self) -> None:
        """Stop writing; harmless at any time."""
        if self._answer:
            self._answer.cancel()

    def _finish(self, usage: Generation) -> None:
        cited = cite(usage.text, self._passages)
        self._timings["total"] = _since(self._start)
        timings = {name: round(value, 2) for name, value in self._timings.items()}
        reranker = self._found.reranker if self._found else None
        self.written = Written(cited, usage, self._version, self.services.engine.base, reranker, timings)
        monitor = self.services.monitor
        author = self.question.author
        monitor.answers.labels(author, self._version or BASE, str(cited.grounded).lower()).inc()
        monitor.tokens.labels(author, "prompt").inc(usage.prompt_tokens)
        monitor.tokens.labels(author, "completion").inc(usage.completion_tokens)

    async def _record(self, *, error: str | None) -> None:
        """Store the call. All passages the model was given are kept, with whether the answer cites them."""
        if self._recorded:
            return
        self._recorded = True
        written = self.written
        cited = {each["chunk_id"]: each for each in written.cited.citations} if written else {}
        passages = [
            {
                "marker": passage.marker,
                "chunk_id": hit.chunk_id,
                "document_id": hit.document_id,
                "title": hit.title,
                "url": hit.url,
                "quote": cited.get(hit.chunk_id, {}).get("quote"),
                "cited": hit.chunk_id in cited,
            }
            for passage in self._passages
            if (hit := passage.hit) is not None
        ]

        def store() -> None:
            self.services.monitor.record(
                self.services.interactions,
                self.trace_id,
                author=self.question.author,
                call=self.question.call,
                query=self.question.text,
                prompt="\n\n".join(f"[{turn['role']}]\n{turn['content']}" for turn in self._turns) or None,
                answer=written.cited.answer if written else ("".join(self._text) or None),
                version=self._version,
                base=self.services.engine.base,
                citations=passages,
                usage=written.usage if written else {},
                timings_ms=written.timings_ms if written else self._timings,
                error=error,
            )

        try:
            await anyio.to_thread.run_sync(store)
        except Problem:
            self.services.monitor.unrecorded.inc()


_limiter: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("_limiter")


async def _in_thread(call: Callable[[], T]) -> T:
    """Run ``call`` among the :data:`WRITERS`; a cancelled reader does not wait for it."""
    return await anyio.to_thread.run_sync(call, limiter=_writers(), abandon_on_cancel=True)


def _writers() -> anyio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(WRITERS)
        _limiter.set(limiter)
        return limiter


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
