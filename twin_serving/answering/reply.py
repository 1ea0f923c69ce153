"""One answer, from the question to the record: find passages, quote or ask the model, store.

A :class:`Question` that can be answered becomes a :class:`Writing` (:func:`begin`), whose pieces end with what was
:class:`Written`. However it ends, it is recorded once. Whether the author's sentences or a model answer, is decided by
:mod:`twin_serving.answering.policy`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import anyio.to_thread

from twin_resources.generation.base import Generation, GeneratorError, Unreachable
from twin_resources.rag import prompt
from twin_resources.rag.answer import Answer, supported_only, worded, written_by_twin
from twin_resources.rag.citations import checked, tells
from twin_resources.rag.echo import EchoFilter, without_echo
from twin_resources.rag.policy import Choice, Looked, look, settled
from twin_resources.rag.query import rewriting, rewritten
from twin_resources.retrieval.search import Hit
from twin_resources.storage.calls.interactions import Outcome
from twin_resources.telemetry.calls import Call, Turn
from twin_resources.text.sentences import SentenceBuffer
from twin_serving.answering.adapters import AsyncAnswerStream
from twin_serving.answering.engine import BASE, Speaker
from twin_serving.answering.errors import NotReady, failure
from twin_serving.answering.policy import ENGINE_AWAY, Question, choose, instead_of_engine
from twin_serving.answering.results import model_of, shown_of
from twin_serving.answering.services import Services
from twin_serving.answering.tracing import began, found_passages

GONE = "the client went away"
_NOTHING = Generation("", 0, 0, "stop")
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Written:
    """A complete answer."""

    question: Question
    trace_id: str
    answer: Answer
    generation: Generation
    version: str | None
    base: str
    reranker: str | None
    searched_for: str | None
    """The question as it was put to search; None where nothing was searched."""
    timings_ms: Mapping[str, float]
    documents: Mapping[str, str] = field(default_factory=dict)
    """The ids of the documents that were found, by their URLs."""

    @property
    def model(self) -> dict[str, Any]:
        """Who answered, for the response."""
        return model_of(self.question.author, self.version, self.base)

    @property
    def usage(self) -> dict[str, int]:
        """Tokens, for the response."""
        read, written = self.generation.prompt_tokens, self.generation.completion_tokens
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


@dataclass
class _Draft:
    """What is known of an answer before the engine writes it; filled step by step, so that the record of a failure
    says how far it came."""

    question: Question
    trace_id: str
    start: float = field(default_factory=time.perf_counter)
    timings: dict[str, float] = field(default_factory=dict)
    version: str | None = None
    draw: float | None = None
    choice: Choice | None = None
    looked: Looked | None = None
    passages: Sequence[prompt.Passage] = ()
    turns: Sequence[dict[str, str]] = ()

    @property
    def reads(self) -> bool:
        """Whether a model that writes is given the passages."""
        return self.choice is None or self.choice.reads

    @property
    def hits(self) -> Sequence[Hit]:
        """The passages found."""
        return self.looked.found.hits if self.looked else ()


async def begin(services: Services, question: Question, trace_id: str) -> Writing:
    """Search, build the prompt and hand it to the engine, so that what keeps an answer from starting is raised here.

    Raises:
        NotReady: the database, the embedding model or the engine is not there yet.
        Busy: too many questions wait to be searched for.
        UnknownModel: the question names a model that there is not.
        GeneratorError: the engine is full or failed.
    """
    draft = _Draft(question, trace_id)
    try:
        if question.use_rag or not services.engine.chooses_at_once(question.author, question.model):
            answer = await services.searches.run(
                _prepare, services, draft, waits=lambda: services.foresee(question.author, question.text)
            )
        else:
            answer = _prepare(services, draft)
        started = answer if answer is not None else await _stream_or_quote(services, draft)
    except Exception as error:
        if why := failure(error):
            await _record(services, draft, why)
        raise
    return Writing(services, draft, started)


def _prepare(services: Services, draft: _Draft) -> Answer | None:
    """Find passages and decide: a finished answer of the author's words, or none and the prompt for the model. Blocks
    only where it searches or looks a version up."""
    question, engine = draft.question, services.engine
    named = engine.is_named(question.author, question.model)
    speaker = Speaker(engine.champion(question.author)) if named else engine.speaker(question.author, question.drawn_by)
    draft.draw = speaker.draw
    choice = draft.choice = choose(services, question, speaker.version)
    if choice.mode != "quote":
        if reason := engine.unready():
            raise NotReady("the engine", reason)
        draft.version = engine.choose(question.author, question.model) if named else speaker.version
    elif named:
        engine.choose(question.author, question.model)  # a name that there is not is wrong in any mode
    if question.use_rag:
        chosen = services.settings.retrieval
        draft.looked = look(
            services.rag,
            question.author,
            question.text,
            history=question.history,
            k=question.k,
            filters=question.filters,
            also=lambda: _rewritten(services, draft) if chosen.rewrite else (),
            weigh=choice.mode != "write",
        )
        draft.timings.update({f"search_{name}": value for name, value in draft.looked.found.timings_ms.items()})
    if choice.mode != "write" and (answer := _settled(services, draft, choice)) is not None:
        return answer
    _prompt(services, draft)
    return None


def _settled(services: Services, draft: _Draft, choice: Choice) -> Answer | None:
    """A quotation or silence, with the passages it quotes noted for the record; None where a model writes."""
    if draft.looked is None:
        return None
    start = time.perf_counter()
    answer = settled(services.rag, draft.question.author, draft.looked, choice)
    draft.timings["quote"] = _since(start)
    if answer is not None and answer.abstained and choice is ENGINE_AWAY:
        answer = replace(answer, because=f"{choice.because}; {answer.because}")
    if answer is not None and answer.citations:
        by_chunk = {hit.chunk_id: hit for hit in draft.hits}
        draft.passages = [
            prompt.Passage(each.marker, each.title, by_chunk[each.chunk_id].text, by_chunk[each.chunk_id])
            for each in answer.citations
        ]
    return answer


def _prompt(services: Services, draft: _Draft) -> None:
    question = draft.question
    if question.use_rag:
        draft.passages = services.rag.context(draft.hits[: question.k], question=question.text)
    turns = prompt.messages(
        question.text,
        draft.passages if draft.reads else (),
        author=services.settings.author(question.author).name,
        history=question.history,
    )
    if question.instruction:
        turns[0]["content"] += f"\n\n{prompt.neutral(question.instruction)}"
    draft.turns = turns


async def _stream_or_quote(services: Services, draft: _Draft) -> AsyncAnswerStream | Answer:
    """What the engine writes, or a quotation where it went without anybody having noticed yet."""
    instead = instead_of_engine(draft.question)
    try:
        return await _stream(services, draft)
    except (Unreachable, NotReady):
        if instead is None:
            raise
        quotation = await anyio.to_thread.run_sync(_settled, services, draft, instead)
        if quotation is None:
            raise
    draft.choice, draft.version = instead, None
    return quotation


async def _stream(services: Services, draft: _Draft) -> AsyncAnswerStream:
    question = draft.question
    return await services.engine.astream(
        draft.turns,
        version=draft.version,
        max_tokens=question.max_tokens,
        temperature=question.temperature,
        seed=question.seed,
        stop=question.stop,
    )


def _rewritten(services: Services, draft: _Draft) -> tuple[str, ...]:
    """The question as the base model rewrites it; nothing when the model fails, which must not keep the answer."""
    text = draft.question.text
    start = time.perf_counter()
    try:
        turns = rewriting(text)
        answer = services.engine.stream(turns, version=None, max_tokens=80, temperature=0.0, seed=0, stop=())
        return rewritten("".join(answer), text)
    except (GeneratorError, NotReady):
        return ()
    finally:
        draft.timings["rewrite"] = _since(start)


class Writing:
    """An answer that has begun; :func:`begin` makes it. Read it once, in pieces or as a whole."""

    def __init__(self, services: Services, draft: _Draft, started: AsyncAnswerStream | Answer) -> None:
        self.trace_id = draft.trace_id
        self._services = services
        self._draft = draft
        self._started = started
        self._given = 0

    @property
    def spent(self) -> int:
        """Tokens that a model read and wrote for it; of an answer that broke off estimated, at four characters."""
        if isinstance(self._started, Answer):
            return 0
        if usage := self._started.usage:
            return usage.prompt_tokens + usage.completion_tokens
        return (sum(len(turn["content"]) for turn in self._draft.turns) + self._given) // 4

    async def pieces(self) -> AsyncGenerator[str | Written, None]:
        """The text as it is written, and last the complete answer; ends the writing when the reader goes.

        A quotation comes as it is; generated sentences come one by one, when each has been checked; what the twin
        writes on its own comes as the model writes it.

        Raises:
            GeneratorError: the engine failed on the way.
        """
        text: list[str] = []
        outcome: Written | str = GONE
        try:
            if isinstance(self._started, Answer):
                text.append(self._started.text)
                yield self._started.text
                outcome = self._finished(self._started, _NOTHING)
            else:
                checking = self._draft.choice is not None and self._draft.choice.mode == "generate"
                async for piece in self._checked(self._started) if checking else self._plain(self._started):
                    if isinstance(piece, Written):
                        outcome = piece
                    else:
                        text.append(piece)
                        yield piece
        except GeneratorError as failed:
            outcome = str(failed)
            raise
        finally:
            self._given = sum(map(len, text))
            self.cancel()
            with anyio.CancelScope(shield=True):
                await _record(self._services, self._draft, outcome, text)
        if isinstance(outcome, Written):
            yield outcome

    async def _plain(self, stream: AsyncAnswerStream) -> AsyncGenerator[str | Written, None]:
        """What the twin writes, as it comes."""
        began = time.perf_counter()
        timings, instruction = self._draft.timings, self._draft.question.text
        echo = EchoFilter(instruction)
        async for piece in stream:
            timings.setdefault("first_token", _since(began))
            if told := echo.feed(piece):
                yield told
        if told := echo.rest():
            yield told
        timings["generate"] = _since(began)
        usage = self._usage(stream)
        because = self._draft.choice.because if self._draft.choice else ""
        text = without_echo(instruction, usage.text)
        yield self._finished(written_by_twin(text, self._draft.passages, because), usage)

    async def _checked(self, stream: AsyncAnswerStream) -> AsyncGenerator[str | Written, None]:
        """Sentences that a passage supports, each when it is complete; a quotation where too little is left."""
        began = time.perf_counter()
        timings, passages, question = self._draft.timings, self._draft.passages, self._draft.question.text
        buffer = SentenceBuffer()
        held: list[str] = []
        told = given = False
        while True:
            piece = await anext(stream, None)
            for sentence in buffer.feed(piece) if piece is not None else buffer.rest():
                made = await anyio.to_thread.run_sync(checked, sentence, passages)
                if not worded(made):
                    continue
                held.append(made.marked)
                told = told or tells(made.text, question)
                if told:
                    timings.setdefault("first_token", _since(began))
                    yield f"{' ' if given else ''}{' '.join(held)}"
                    held, given = [], True
            if piece is None:
                break
        timings["generate"] = _since(began)
        usage = self._usage(stream)
        because = self._draft.choice.because if self._draft.choice else ""
        answer = await anyio.to_thread.run_sync(supported_only, usage.text, question, passages, because)
        if not answer.sentences:
            why = Choice(
                "quote", "the model wrote nothing that the passages support and that says more than the question"
            )
            quoted_instead = await anyio.to_thread.run_sync(_settled, self._services, self._draft, why)
            answer = quoted_instead or answer
            yield answer.text
        yield self._finished(answer, usage)

    def _usage(self, stream: AsyncAnswerStream) -> Generation:
        usage = stream.usage
        if usage is None or usage.finish_reason == "cancelled":
            raise GeneratorError("the answer was cancelled")
        return usage

    async def whole(self, disconnected: Callable[[], Awaitable[bool]]) -> Written:
        """The complete answer; stops once ``disconnected`` says that nobody waits for it.

        Raises:
            GeneratorError: the engine failed on the way, or nobody waits.
        """
        outcome: Written | GeneratorError = GeneratorError("the answer was cancelled")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, disconnected)
            try:
                async for piece in self.pieces():
                    if isinstance(piece, Written):
                        outcome = piece
            except GeneratorError as error:  # raised outside, where no group wraps it
                outcome = error
            tasks.cancel_scope.cancel()
        if isinstance(outcome, Written):
            return outcome
        raise outcome

    async def _watch(self, disconnected: Callable[[], Awaitable[bool]]) -> None:
        while not await disconnected():
            await anyio.sleep(_LOOK_SECONDS)
        self.cancel()

    def cancel(self) -> None:
        """Stop writing; harmless at any time."""
        if not isinstance(self._started, Answer):
            self._started.cancel()

    def _finished(self, answer: Answer, usage: Generation) -> Written:
        draft = self._draft
        draft.timings["total"] = _since(draft.start)
        author, monitor = draft.question.author, self._services.monitor
        version = draft.version or BASE if answer.mode != "quote" else "quote"
        monitor.answers.labels(author, version, str(answer.grounded).lower()).inc()
        monitor.tokens.labels(author, "prompt").inc(usage.prompt_tokens)
        monitor.tokens.labels(author, "completion").inc(usage.completion_tokens)
        return Written(
            question=draft.question,
            trace_id=draft.trace_id,
            answer=answer,
            generation=usage,
            version=draft.version,
            base=self._services.engine.base,
            reranker=draft.looked.found.reranker if draft.looked else None,
            searched_for=draft.looked.query if draft.looked else None,
            timings_ms={name: round(value, 2) for name, value in draft.timings.items()},
            documents={hit.url: hit.document_id for hit in draft.hits},
        )


async def _record(services: Services, draft: _Draft, outcome: Written | str, text: Sequence[str] = ()) -> None:
    """Store the call: the answer, or why there is none and the ``text`` so far. All passages the model was given are
    kept, and what the answer cites."""
    written = outcome if isinstance(outcome, Written) else None
    cited = {each.chunk_id: each for each in written.answer.citations} if written else {}
    passages = [
        {
            "marker": passage.marker,
            "chunk_id": hit.chunk_id,
            "document_id": hit.document_id,
            "title": hit.title,
            "url": hit.url,
            "platform": hit.platform,
            "quote": cited[hit.chunk_id].quote if hit.chunk_id in cited else None,
            "cited": hit.chunk_id in cited,
        }
        for passage in draft.passages
        if (hit := passage.hit) is not None and (draft.reads or hit.chunk_id in cited)
    ]

    def store() -> None:
        services.monitor.record(
            services.interactions,
            draft.trace_id,
            author=draft.question.author,
            call=draft.question.call,
            query=draft.question.text,
            prompt="\n\n".join(f"[{turn['role']}]\n{turn['content']}" for turn in draft.turns) or None,
            answer=written.answer.text if written else ("".join(text) or None),
            version=draft.version,
            base=services.engine.base,
            citations=passages,
            usage=written.usage if written else {},
            timings_ms=written.timings_ms if written else draft.timings,
            error=None if isinstance(outcome, Written) else outcome,
            outcome=_outcome(draft, written),
            conversation=draft.question.conversation,
            shown=shown_of(written) if written else None,
            draw=draft.draw,
        )

    if services.traces:
        services.traces.export(_traced(services, draft, outcome, text))
    try:
        await services.records.run(store)
    except NotReady:
        services.monitor.unrecorded.inc()


def _traced(services: Services, draft: _Draft, outcome: Written | str, text: Sequence[str]) -> Call:
    written = outcome if isinstance(outcome, Written) else None
    timings = written.timings_ms if written else {**draft.timings, "total": _since(draft.start)}
    return Call(
        trace_id=draft.trace_id,
        author=draft.question.author,
        name=draft.question.call,
        began=began(timings["total"]),
        timings_ms=timings,
        query=draft.question.text,
        searched_for=draft.looked.query if draft.looked else None,
        found=found_passages(draft.hits),
        turns=[Turn(each["role"], each["content"]) for each in draft.turns],
        answer=written.answer.text if written else ("".join(text) or None),
        mode=written.answer.mode if written else None,
        because=written.answer.because if written else None,
        abstained=written.answer.abstained if written else False,
        support=written.answer.support if written else None,
        base=services.engine.base,
        version=draft.version,
        usage=written.usage if written else {},
        error=outcome if isinstance(outcome, str) else None,
    )


def _outcome(draft: _Draft, written: Written | None) -> Outcome:
    found = len(draft.hits) if draft.looked else None
    if written is None:
        return Outcome(draft.choice.mode if draft.choice else None, found=found)
    return Outcome(written.answer.mode, written.answer.abstained, written.answer.support, found)


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
