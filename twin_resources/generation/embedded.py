"""transformers and PEFT in this process."""

from __future__ import annotations

import contextlib
import queue
import threading
import warnings
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from collections.abc import Generator as Pieces
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin_resources.config.settings import Settings
from twin_resources.generation.base import (
    AsyncStream,
    EngineState,
    Generation,
    GeneratorError,
    NotLoaded,
    PromptTooLong,
    QueueFull,
    Stream,
    Turns,
)
from twin_resources.generation.batching import Batch
from twin_resources.generation.decoding import Sampling, Writing, token_ids
from twin_resources.generation.mailbox import Mailbox
from twin_resources.models import hub
from twin_resources.models.fingerprint import check_base
from twin_resources.models.loading import import_transformers, sparingly
from twin_resources.models.precision import resolved


class EmbeddedGenerator:
    """transformers and PEFT in this process, behind a bounded queue.

    All work on the model happens on one thread, so an adapter is never loaded or switched under a running answer.
    Answers by the same adapter that wait next to each other are written side by side; those behind another's wait.

    Args:
        base: the model's name as ``twin.yaml`` has it.
        folder: where the model is.
        render: makes the prompt from the tokenizer and the messages.
        stop: strings that end every answer.
        sampling: how the next token is chosen.
        queue_size: answers running and waiting; one more is :class:`QueueFull`.
        batch_size: answers written side by side.
        batch_tokens: of all of them with their prompts, which bounds the memory that attention takes.
    """

    def __init__(
        self,
        base: str,
        folder: Path,
        *,
        render: Callable[[Any, Turns], str],
        stop: Sequence[str] = (),
        dtype: str = "auto",
        sampling: Sampling = Sampling(),  # noqa: B008 - frozen
        queue_size: int = 8,
        batch_size: int = 8,
        batch_tokens: int = 16_384,
    ) -> None:
        self.base = base
        self._render = render
        self._stop = tuple(stop)
        self._sampling = sampling
        self._queue_size = queue_size
        self._batch = (batch_size, batch_tokens)
        self._adapters: set[str] = set()
        self._running: dict[int, Callable[[], None]] = {}
        self._waiting: deque[_Job] = deque()
        self._changes = 0
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="generator")
        self._folder = folder
        self._worker.submit(self._load_base, folder, dtype).result()

    @classmethod
    def of(cls, settings: Settings, *, render: Callable[[Any, Turns], str], stop: Sequence[str]) -> EmbeddedGenerator:
        """The configured base model.

        Raises:
            ModelNotFound: it is nowhere to be had.
        """
        name = settings.models.base
        return cls(name, hub.resolve(name, settings), render=render, stop=stop, dtype=settings.models.dtype)

    def _load_base(self, folder: Path, dtype: str) -> None:
        import_transformers()
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as progress

        progress.disable_progress_bar()
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        chosen = getattr(torch, resolved(dtype))
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=chosen, local_files_only=True, trust_remote_code=False
        )
        model.to(torch.device(self._device))  # pyright: ignore[reportArgumentType]
        self._model: Any = model.eval().requires_grad_(False)
        config = model.config.get_text_config()
        self._context = int(getattr(config, "max_position_embeddings", 0) or 2048)
        with torch.inference_mode():
            # The first steps compile kernels, which took four seconds; the first reader need not wait for that.
            warm = self._model(input_ids=torch.zeros((1, 64), dtype=torch.long, device=self._device), use_cache=True)
            self._model(
                input_ids=torch.zeros((1, 1), dtype=torch.long, device=self._device),
                past_key_values=warm.past_key_values,
            )
        self._ends = token_ids(model.generation_config.eos_token_id, config.eos_token_id, self._tokenizer.eos_token_id)

    def load(self, version: str, folder: Path) -> None:
        """Load a LoRA adapter.

        Raises:
            GeneratorError: the folder holds no adapter, or one that does not fit this base.
        """
        try:
            check_base(folder, self._folder)
            self._change(self._load, version, folder)
        except Exception as error:
            raise GeneratorError(f"adapter {version} in {folder} does not load over {self.base}: {error}") from error

    def _load(self, version: str, folder: Path) -> None:
        if version in self._adapters:
            return
        with sparingly():
            from peft import PeftModel

        with warnings.catch_warnings():
            # PEFT 0.21 asks transformers 5.23 by a name that has been replaced.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            if isinstance(self._model, PeftModel):
                self._model.load_adapter(str(folder), adapter_name=version, autocast_adapter_dtype=False)
            else:
                self._model = PeftModel.from_pretrained(
                    self._model, str(folder), adapter_name=version, autocast_adapter_dtype=False
                )
        for name, parameter in self._model.named_parameters():
            if f".{version}." in name:
                parameter.data = parameter.data.to(self._model.dtype)
        self._model.eval().requires_grad_(False)
        self._adapters.add(version)

    def unload(self, version: str) -> None:
        """Drop an adapter and its memory, after the answers that wait before this call."""
        self._change(self._unload, version)

    def _change(self, change: Callable[..., None], *about: Any) -> None:
        """Change the adapters after the answers that wait before this call; none joins those until then."""
        with self._lock:
            self._changes += 1
        try:
            self._worker.submit(change, *about).result()
        finally:
            with self._lock:
                self._changes -= 1

    def _unload(self, version: str) -> None:
        if version not in self._adapters:
            return
        self._adapters.discard(version)
        if self._adapters:
            self._model.set_adapter(next(iter(self._adapters)), inference_mode=True)
            self._model.delete_adapter(version)
        else:
            self._model = self._model.unload()

    def loaded(self) -> set[str]:
        """Adapters in memory."""
        return set(self._adapters)

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
        """Start an answer; see :meth:`Generator.stream`."""
        asked = _Asked(turns, version, max_tokens, temperature, seed, (*self._stop, *stop))
        return self._read(asked, places=self._queue_size)

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
        """Start an answer; see :meth:`Generator.astream`."""
        asked = _Asked(turns, version, max_tokens, temperature, seed, (*self._stop, *stop))
        made = Mailbox[_Made]()
        return AsyncStream(_joined(made), self._start(_Job(asked, made.put), places=self._queue_size))

    def probe(self, turns: Turns, version: str) -> None:
        """Have a loaded adapter write one token; see :meth:`Generator.probe`."""
        self._read(_Asked(turns, version, 1, 0.0, 0, self._stop), places=None).finish()

    def _read(self, asked: _Asked, *, places: int | None) -> Stream:
        made: queue.SimpleQueue[_Made] = queue.SimpleQueue()
        return Stream(_until_end(made), self._start(_Job(asked, made.put), places=places))

    def _start(self, job: _Job, *, places: int | None) -> Callable[[], None]:
        """Give the model's thread an answer to write; returns how to cancel it."""
        version = job.asked.version
        if version is not None and version not in self._adapters:
            raise NotLoaded(
                f"adapter {version} is not loaded; loaded are: {', '.join(sorted(self._adapters)) or 'none'}"
            )
        with self._lock:
            if places is not None and len(self._running) >= places:
                raise QueueFull(f"{len(self._running)} answers are waiting already; try again shortly")
            self._running[id(job)] = job.cancelled.set
            self._waiting.append(job)
        try:
            self._worker.submit(self._work, job)
        except RuntimeError:
            self._take(job)
            self._done(job)
            raise GeneratorError("the engine is shutting down") from None

        def cancel() -> None:
            job.cancelled.set()
            if self._take(job):
                self._end(job, Generation("", 0, 0, "cancelled"))

        return cancel

    def unready(self) -> str | None:
        """None: a generator that could be made can answer."""
        return None

    def engines(self) -> list[EngineState]:
        """None: this process writes."""
        return []

    def waiting(self) -> int:
        """Answers running and waiting."""
        return len(self._running)

    def close(self) -> None:
        """Cancel every answer and wait for the thread to end."""
        with self._lock:
            for cancel in self._running.values():
                cancel()
        self._worker.shutdown(wait=True)

    def _done(self, job: _Job) -> None:
        with self._lock:
            self._running.pop(id(job), None)

    def _end(self, job: _Job, end: Generation | BaseException) -> None:
        self._done(job)
        job.put(end)

    def _take(self, job: _Job) -> bool:
        """Take an answer out of the queue; False where another has."""
        with self._lock:
            if job not in self._waiting:
                return False
            self._waiting.remove(job)
            return True

    def _work(self, job: _Job) -> None:
        """Write an answer, and beside it those that wait behind it for the same adapter."""
        if not self._take(job):
            return
        import torch

        written: list[_Job] = []
        try:
            version = job.asked.version
            with self._adapted(version), torch.inference_mode():
                batch = Batch(self._model, most=self._batch[0], tokens=self._batch[1])
                self._begin(batch, job, written)
                while written := self._settled(written):
                    self._join(batch, version, written)
                    batch.step()
        except BaseException as error:
            for each in written or [job]:
                self._end(each, error)

    @contextlib.contextmanager
    def _adapted(self, version: str | None) -> Pieces[None, None, None]:
        if version is None:
            with self._model.disable_adapter() if self._adapters else contextlib.nullcontext():
                yield
            return
        if version not in self._adapters:
            raise NotLoaded(f"adapter {version} was unloaded while its answer waited; ask again")
        self._model.set_adapter(version, inference_mode=True)
        yield

    def _join(self, batch: Batch, version: str | None, written: list[_Job]) -> None:
        """Begin the answers that wait next for this adapter, as far as there is room; one for another ends that."""
        while True:
            with self._lock:
                job = self._waiting[0] if self._waiting and not self._changes else None
                if job is None or job.asked.version != version:
                    return
            try:
                if not batch.has_room(self._prompt(job), job.asked.max_tokens):
                    return
            except Exception as error:  # its own fault, and not that of those beside it
                if self._take(job):
                    self._end(job, error)
                continue
            if self._take(job):
                self._begin(batch, job, written)

    def _begin(self, batch: Batch, job: _Job, written: list[_Job]) -> None:
        asked, prompt = job.asked, self._prompt(job)
        if len(prompt) >= self._context:
            about = f"the prompt has {len(prompt)} tokens, and {self.base} reads {self._context} at most"
            self._end(job, PromptTooLong(about))
            return
        job.writing = Writing(
            self._tokenizer,
            self._sampling,
            ends=self._ends,
            room=min(asked.max_tokens, self._context - len(prompt)),
            temperature=asked.temperature,
            seed=asked.seed,
            stop=asked.stop,
            emit=job.emit,
            cancelled=job.cancelled.is_set,
            device=self._model.device,
        )
        written.append(job)
        batch.add(job.writing, prompt)

    def _settled(self, written: Sequence[_Job]) -> list[_Job]:
        """Hand over the answers that ended; returns the others."""
        going = []
        for job in written:
            writing = job.writing
            if writing is None or writing.reason is None:
                going.append(job)
                continue
            text = "".join(job.pieces).strip()
            self._end(job, Generation(text, len(self._prompt(job)), writing.tokens, writing.reason))
        return going

    def _prompt(self, job: _Job) -> list[int]:
        """The tokens of its prompt."""
        if job.prompt is None:
            text = self._render(self._tokenizer, job.asked.turns)
            job.prompt = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return job.prompt or []


_Made = str | Generation | BaseException


@dataclass(frozen=True)
class _Asked:
    turns: Turns
    version: str | None
    max_tokens: int
    temperature: float
    seed: int | None
    stop: tuple[str, ...]


class _Job:
    """An answer on its way from the model's thread to its reader, who gets what ``put`` is called with."""

    def __init__(self, asked: _Asked, put: Callable[[_Made], None]) -> None:
        self.asked = asked
        self.put = put
        self.cancelled = threading.Event()
        self.pieces: list[str] = []
        self.prompt: list[int] | None = None
        self.writing: Writing | None = None

    def emit(self, piece: str) -> None:
        """Hand a piece to the reader; white space before the first word is left out."""
        if not self.pieces:
            piece = piece.lstrip()
        if piece:
            self.pieces.append(piece)
            self.put(piece)


def _until_end(made: queue.SimpleQueue[_Made]) -> Pieces[str, None, Generation]:
    while True:
        piece = _checked(made.get())
        if isinstance(piece, Generation):
            return piece
        yield piece


async def _joined(made: Mailbox[_Made]) -> AsyncGenerator[str | Generation, None]:
    while True:
        text = ""
        for piece in await made.take():
            if isinstance(piece, str):
                text += piece
                continue
            if text:
                yield text
            yield _checked(piece)
            return
        yield text


def _checked(piece: _Made) -> str | Generation:
    if isinstance(piece, GeneratorError):
        raise piece
    if isinstance(piece, BaseException):
        raise GeneratorError(f"the model failed: {piece}") from piece
    return piece
