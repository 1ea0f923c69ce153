"""Writing answers: one interface, in process or through any OpenAI-compatible server.

Both serve a base model and any number of LoRA adapters over it (Hu et al. 2021, arXiv:2106.09685), told apart by
version and switched from one request to the next without a restart.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Generator as Pieces
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import httpx

from twin_resources.config.settings import Settings
from twin_resources.errors import TwinError
from twin_resources.models import hub

log = logging.getLogger(__name__)

Turns = Sequence[Mapping[str, str]]
FinishReason = Literal["stop", "length", "cancelled"]


_LIKELIEST = 256
"""Sampling looks at this many tokens; sorting all 262,144 of Gemma would take as long as a third of a step."""


class GeneratorError(TwinError):
    """No answer can be written; the message says why and what to do."""


class QueueFull(GeneratorError):
    """Too many answers are waiting; try again in ``retry_after`` seconds."""

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotLoaded(GeneratorError):
    """The adapter version that was asked for is not in the engine."""


class PromptTooLong(GeneratorError):
    """The prompt leaves no room for an answer in the model's context."""


@dataclass(frozen=True)
class Generation:
    """A whole answer and what it took; ``finish_reason`` is ``stop``, ``length`` or ``cancelled``."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: FinishReason


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

    def unready(self) -> str | None:
        """Why it cannot answer now, or None."""
        ...

    def waiting(self) -> int:
        """Answers that are being written or wait for their turn."""
        ...

    def close(self) -> None:
        """End what is running and let go of the model or the connections."""
        ...


class EmbeddedGenerator:
    """transformers and PEFT in this process, one answer at a time behind a bounded queue.

    All work on the model happens on one thread, so an adapter is never loaded or switched under a running answer.

    Args:
        base: the model's name as ``twin.yaml`` has it.
        folder: where the model is.
        render: makes the prompt from the tokenizer and the messages.
        stop: strings that end every answer.
        repetition_penalty: divides the logits of tokens the answer already has (Keskar et al. 2019,
            arXiv:1909.05858); the prompt's own tokens go free, so that quoting costs nothing.
        no_repeat: the answer never repeats a run of this many of its own tokens; small base models loop without it.
        queue_size: answers running and waiting; one more is :class:`QueueFull`.
    """

    def __init__(
        self,
        base: str,
        folder: Path,
        *,
        render: Callable[[Any, Turns], str],
        stop: Sequence[str] = (),
        dtype: str = "auto",
        repetition_penalty: float = 1.15,
        no_repeat: int = 8,
        top_p: float = 0.95,
        queue_size: int = 8,
    ) -> None:
        self.base = base
        self._render = render
        self._stop = tuple(stop)
        self._penalty = repetition_penalty
        self._no_repeat = no_repeat
        self._top_p = top_p
        self._queue_size = queue_size
        self._adapters: set[str] = set()
        self._running: dict[int, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="generator")
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
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as progress

        progress.disable_progress_bar()
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        chosen = torch.bfloat16 if dtype == "auto" else getattr(torch, dtype)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=chosen, local_files_only=True)
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
        self._ends = _token_ids(model.generation_config.eos_token_id, config.eos_token_id, self._tokenizer.eos_token_id)

    def load(self, version: str, folder: Path) -> None:
        """Load a LoRA adapter.

        Raises:
            GeneratorError: the folder holds no adapter, or one that does not fit this base.
        """
        try:
            self._worker.submit(self._load, version, folder).result()
        except Exception as error:
            raise GeneratorError(f"adapter {version} in {folder} does not load over {self.base}: {error}") from error

    def _load(self, version: str, folder: Path) -> None:
        if version in self._adapters:
            return
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
        self._worker.submit(self._unload, version).result()

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
        if version is not None and version not in self._adapters:
            raise NotLoaded(
                f"adapter {version} is not loaded; loaded are: {', '.join(sorted(self._adapters)) or 'none'}"
            )
        made: queue.SimpleQueue[str | Generation | BaseException] = queue.SimpleQueue()
        cancelled = threading.Event()
        job = _Job(turns, version, max_tokens, temperature, seed, (*self._stop, *stop), made, cancelled)
        with self._lock:
            if len(self._running) >= self._queue_size:
                raise QueueFull(f"{len(self._running)} answers are waiting already; try again shortly")
            self._running[id(job)] = cancelled.set
        try:
            future = self._worker.submit(self._work, job)
        except RuntimeError:
            self._done(job)
            raise GeneratorError("the engine is shutting down") from None

        def cancel(future: Future[None] = future) -> None:
            cancelled.set()
            if future.cancel():
                self._done(job)
                made.put(Generation("", 0, 0, "cancelled"))

        return Stream(_until_end(made), cancel)

    def unready(self) -> str | None:
        """None: a generator that could be made can answer."""
        return None

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

    def _work(self, job: _Job) -> None:
        try:
            end: Generation | BaseException = self._write(job)
        except BaseException as error:
            end = error
        finally:
            self._done(job)
        job.made.put(end)

    def _write(self, job: _Job) -> Generation:
        import contextlib

        import torch

        if job.cancelled.is_set():
            return Generation("", 0, 0, "cancelled")
        adapted = contextlib.nullcontext()
        if job.version is not None:
            if job.version not in self._adapters:
                raise NotLoaded(f"adapter {job.version} was unloaded while its answer waited; ask again")
            self._model.set_adapter(job.version, inference_mode=True)
        elif self._adapters:
            adapted = self._model.disable_adapter()
        prompt = self._tokenizer(self._render(self._tokenizer, job.turns), add_special_tokens=False)["input_ids"]
        if len(prompt) >= self._context:
            raise PromptTooLong(f"the prompt has {len(prompt)} tokens, and {self.base} reads {self._context} at most")
        with torch.inference_mode(), adapted:
            return self._decode(job, prompt, min(job.max_tokens, self._context - len(prompt)))

    def _decode(self, job: _Job, prompt: list[int], room: int) -> Generation:
        """The token loop; stops at an end token, a stop string, ``room`` tokens or a cancellation."""
        import torch

        random = torch.Generator(device=self._device)
        random.manual_seed(job.seed) if job.seed is not None else random.seed()
        written: list[int] = []
        text, tail = _Detokenizer(self._tokenizer), _StopAt(job.stop)
        step, cache, reason = torch.tensor([prompt], device=self._device), None, "length"
        while len(written) < room:
            if job.cancelled.is_set():
                reason = "cancelled"
                break
            output = self._model(input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = output.past_key_values
            token = self._choose(output.logits[0, -1].float(), written, job.temperature, random)
            if token in self._ends:
                reason = "stop"
                break
            written.append(token)
            job.emit(tail.feed(text.feed(token)))
            if tail.stopped:
                reason = "stop"
                break
            step = torch.tensor([[token]], device=self._device)
        job.emit(tail.feed(text.rest()))
        job.emit(tail.rest())
        return Generation("".join(job.pieces).strip(), len(prompt), len(written), reason)

    def _choose(self, logits: Any, written: list[int], temperature: float, random: Any) -> int:
        import torch

        if written:
            seen = torch.tensor(sorted(set(written)), device=logits.device)
            scores = logits[seen]
            logits[seen] = torch.where(scores > 0, scores / self._penalty, scores * self._penalty)
            banned = _would_repeat(written, self._no_repeat)
            if banned:
                logits[torch.tensor(banned, device=logits.device)] = -torch.inf
        if temperature <= 0:
            return int(logits.argmax())
        best, order = logits.topk(min(_LIKELIEST, len(logits)))
        likely = torch.softmax(best / temperature, dim=-1)
        likely[likely.cumsum(0) - likely > self._top_p] = 0
        return int(order[torch.multinomial(likely, 1, generator=random)])


@dataclass
class _Job:
    turns: Turns
    version: str | None
    max_tokens: int
    temperature: float
    seed: int | None
    stop: tuple[str, ...]
    made: queue.SimpleQueue[str | Generation | BaseException]
    cancelled: threading.Event

    def __post_init__(self) -> None:
        self.pieces: list[str] = []

    def emit(self, piece: str) -> None:
        """Hand a piece to the reader; white space before the first word is left out."""
        if not self.pieces:
            piece = piece.lstrip()
        if piece:
            self.pieces.append(piece)
            self.made.put(piece)


def _until_end(made: queue.SimpleQueue[str | Generation | BaseException]) -> Pieces[str, None, Generation]:
    while True:
        piece = made.get()
        if isinstance(piece, Generation):
            return piece
        if isinstance(piece, GeneratorError):
            raise piece
        if isinstance(piece, BaseException):
            raise GeneratorError(f"the model failed: {piece}") from piece
        yield piece


def _token_ids(*ids: int | Sequence[int] | None) -> set[int]:
    found: set[int] = set()
    for each in ids:
        found.update([each] if isinstance(each, int) else each or ())
    return found


def _would_repeat(written: Sequence[int], length: int) -> list[int]:
    """Tokens that would repeat a run of ``length`` tokens that ``written`` already has."""
    if length < 1 or len(written) < length:
        return []
    before = list(written[len(written) - length + 1 :])
    return [
        written[start + length - 1]
        for start in range(len(written) - length + 1)
        if list(written[start : start + length - 1]) == before
    ]


class _Detokenizer:
    """Text of tokens one by one; holds back tokens that are only part of a character."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._start = 0
        self._read = 0

    def feed(self, token: int) -> str:
        self._tokens.append(token)
        return self._advance(whole=True)

    def rest(self) -> str:
        return self._advance(whole=False)

    def _advance(self, *, whole: bool) -> str:
        before = self._text(self._tokens[self._start : self._read])
        now = self._text(self._tokens[self._start :])
        if len(now) <= len(before) or (whole and now.endswith("�")):
            return ""
        self._start, self._read = self._read, len(self._tokens)
        return now[len(before) :]

    def _text(self, tokens: list[int]) -> str:
        return self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)


class _StopAt:
    """Cuts a stream of text at the first stop string; holds back what may be the start of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False

    def feed(self, piece: str) -> str:
        if self.stopped:
            return ""
        self._held += piece
        ends = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if ends:
            self.stopped = True
            ready, self._held = self._held[: min(ends)], ""
            return ready
        keep = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        ready, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return ready

    def rest(self) -> str:
        ready, self._held = self._held, ""
        return ready


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that ``stop`` starts with."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)


class OpenAIGenerator:
    """Any server that speaks OpenAI's chat completions; adapters by SGLang's calls, where it has them.

    The server applies its own chat template. A plain base model has none: start SGLang with ``--chat-template`` and
    the template of :mod:`twin_resources.rag.prompt`, so that it sees what it was trained on.

    An adapter is asked for as ``<served>:<version>``. Its bare name is never sent: SGLang 0.5 answers that silently
    with the base.

    Args:
        base: the model's name as ``twin.yaml`` has it.
        url: with or without ``/v1``.
        model: the name the server has for the base; by default the first it lists.
        stop: strings that end every answer (OpenAI's API takes four in all).
    """

    def __init__(
        self,
        base: str,
        url: str,
        *,
        model: str | None = None,
        key: str | None = None,
        stop: Sequence[str] = (),
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.base = base
        self.url = url.rstrip("/").removesuffix("/v1")
        self._model = model
        self._stop = tuple(stop)
        self._adapters: set[str] = set()
        self._running = 0
        self._lock = threading.Lock()
        self._client = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(120, connect=5, pool=5),
            limits=httpx.Limits(max_connections=512, max_keepalive_connections=64),
            transport=transport,
        )

    @classmethod
    def of(cls, settings: Settings, *, stop: Sequence[str]) -> OpenAIGenerator:
        """The server that ``TWIN_ENGINE_URL`` names."""
        if not settings.engine_url:
            raise GeneratorError("TWIN_ENGINE_URL is not set; give the address of an OpenAI-compatible server")
        key = settings.engine_key.get_secret_value() if settings.engine_key else None
        return cls(settings.models.base, settings.engine_url, model=settings.engine_model, key=key, stop=stop)

    def served(self) -> str:
        """The server's name for the base.

        Raises:
            GeneratorError: the server cannot be reached or lists no model.
        """
        if self._model is None:
            listed = _json(self._request("GET", "/v1/models")).get("data") or []
            if not listed:
                raise GeneratorError(f"{self.url}/v1/models lists no model; name yours in TWIN_ENGINE_MODEL")
            self._model = str(listed[0]["id"])
        return self._model

    def load(self, version: str, folder: Path) -> None:
        """Load an adapter from a path that the server sees too.

        Raises:
            GeneratorError: the server has no ``/load_lora_adapter``, or refuses this one.
        """
        if version in self._adapters:
            return
        response = self._post("/load_lora_adapter", {"lora_name": version, "lora_path": str(folder)})
        refused = response.status_code != 200 or _json(response).get("success") is False
        if refused and "already" not in _message(response):
            raise GeneratorError(
                f"{self.url} did not load adapter {version} from {folder}: {_message(response)}. SGLang needs "
                "--enable-lora with --max-lora-rank and --lora-target-modules, and must see this path."
            )
        self._adapters.add(version)

    def unload(self, version: str) -> None:
        """Drop an adapter on the server.

        Raises:
            GeneratorError: the server refuses.
        """
        if version not in self._adapters:
            return
        self._adapters.discard(version)
        response = self._post("/unload_lora_adapter", {"lora_name": version})
        if response.status_code != 200:
            raise GeneratorError(f"{self.url} did not unload adapter {version}: {_message(response)}")

    def loaded(self) -> set[str]:
        """Adapters that this process had the server load."""
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
        """Start an answer; see :meth:`Generator.stream`. Returns when the server has accepted it."""
        if version is not None and version not in self._adapters:
            raise NotLoaded(f"adapter {version} is not loaded on {self.url}")
        body: dict[str, Any] = {
            "model": self.served() if version is None else f"{self.served()}:{version}",
            "messages": [dict(turn) for turn in turns],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "stop": [*stop, *self._stop][:4],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if seed is not None:
            body["seed"] = seed
        response = self._request("POST", "/v1/chat/completions", json=body, stream=True, check=False)
        if response.status_code != 200:
            self._refused(response, version)
        cancelled, started = threading.Event(), threading.Event()
        with self._lock:
            self._running += 1

        def cancel() -> None:
            cancelled.set()
            if not started.is_set():
                self._release(response)

        return Stream(self._read(response, cancelled, started), cancel)

    def _release(self, response: httpx.Response) -> None:
        with self._lock:
            if response.is_closed:
                return
            response.close()
            self._running -= 1

    def _refused(self, response: httpx.Response, version: str | None) -> None:
        try:
            response.read()
        finally:
            response.close()
        reason = _message(response)
        if response.status_code in (429, 503):
            raise QueueFull(f"{self.url} is busy: {reason}")
        if version is not None and response.status_code in (400, 404) and ("lora" in reason or version in reason):
            self._adapters.discard(version)
            raise NotLoaded(f"{self.url} has lost adapter {version}: {reason}")
        if response.status_code == 400 and "context" in reason:
            raise PromptTooLong(f"{self.url}: {reason}")
        raise GeneratorError(f"{self.url} answered {response.status_code}: {reason}")

    def _read(
        self, response: httpx.Response, cancelled: threading.Event, started: threading.Event
    ) -> Pieces[str, None, Generation]:
        started.set()
        pieces: list[str] = []
        reason: FinishReason = "stop"
        usage: Mapping[str, Any] = {}
        try:
            for line in response.iter_lines():
                if cancelled.is_set():
                    reason = "cancelled"
                    break
                if not line.startswith("data:") or (data := line[5:].strip()) == "[DONE]":
                    continue
                event = json.loads(data)
                if "error" in event:
                    raise GeneratorError(f"{self.url} broke off: {event['error']}")
                usage = event.get("usage") or usage
                for choice in event.get("choices") or ():
                    if choice.get("finish_reason") == "length":
                        reason = "length"
                    piece = (choice.get("delta") or {}).get("content") or ""
                    piece = piece if pieces else piece.lstrip()
                    if piece:
                        pieces.append(piece)
                        yield piece
        except (httpx.HTTPError, json.JSONDecodeError) as error:
            raise GeneratorError(f"{self.url} broke off: {error}") from error
        finally:
            with self._lock:
                self._running -= 1
            response.close()
        return Generation(
            "".join(pieces).strip(),
            int(usage.get("prompt_tokens") or 0),
            int(usage.get("completion_tokens") or len(pieces)),
            reason,
        )

    def unready(self) -> str | None:
        """Asks SGLang's ``/health_generate``, or lists the models where there is no such call."""
        try:
            response = self._request("GET", "/health_generate", check=False)
            if response.status_code == 404:
                response = self._request("GET", "/v1/models", check=False)
        except GeneratorError as error:
            return str(error)
        if response.status_code != 200:
            return f"{self.url} answered {response.status_code}: {_message(response)}"
        return None

    def waiting(self) -> int:
        """Answers this process waits for."""
        return self._running

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        return self._request("POST", path, json=body, check=False)

    def _request(
        self, method: str, path: str, *, json: Any = None, stream: bool = False, check: bool = True
    ) -> httpx.Response:
        try:
            response = self._client.send(self._client.build_request(method, path, json=json), stream=stream)
        except (httpx.HTTPError, RuntimeError) as error:
            raise GeneratorError(
                f"the engine at {self.url} cannot be reached: {str(error) or type(error).__name__}"
            ) from error
        if check and response.status_code != 200:
            raise GeneratorError(f"{self.url}{path} answered {response.status_code}: {_message(response)}")
        return response


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _message(response: httpx.Response) -> str:
    """What an error response says, in whichever of the usual shapes."""
    found = _json(response)
    error = found.get("error", found)
    if isinstance(error, dict):
        error = error.get("message") or error.get("error_message") or error.get("detail")
    return str(error or response.text[:300] or response.reason_phrase)
