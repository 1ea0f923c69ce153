"""Any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator as Pieces
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

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
    Unreachable,
)
from twin_resources.generation.chat_events import ChatEvents
from twin_resources.generation.connections import Connections

_CHAT = "/v1/chat/completions"
_ANSWER_SECONDS = 120.0
LOOK_SECONDS = 22.0
"""SGLang itself waits for 20 s for the token that its health is judged by."""


class OpenAIGenerator:
    """Any server that speaks OpenAI's chat completions; adapters by SGLang's calls, where it has them.

    The server applies its own chat template. A plain base model has none: start SGLang with ``--chat-template`` and
    the template of :mod:`twin_resources.rag.prompt`, so that it sees what it was trained on.

    An adapter is asked for as ``<served>:<version>``. Its bare name is never sent: SGLang 0.5 answers that silently
    with the base. Which adapters the server has is forgotten when it cannot be reached, since it may come back without
    them; loading one again that it still has does no harm.

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
        self._problem: str | None = None
        self._running = 0
        self._lock = threading.Lock()
        self._client = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            limits=httpx.Limits(max_connections=512, max_keepalive_connections=64),
            transport=transport,
        )
        self._connections = Connections(self.url, key)

    @classmethod
    def at(cls, url: str, settings: Settings, *, stop: Sequence[str]) -> OpenAIGenerator:
        """One of the servers that ``TWIN_ENGINE_URL`` names, or another one of ours."""
        key = settings.engine_secret or None
        return cls(settings.models.base, url, model=settings.engine_model, key=key, stop=stop)

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
                "--enable-lora with --max-lora-rank and --lora-target-modules, no data parallelism (--dp-size), and "
                "must see this path."
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
        self._check_loaded(version)
        asked = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        body = self._body(turns, version, stop, asked)
        response = self._request("POST", _CHAT, json=body, stream=True, check=False)
        if response.status_code != 200:
            try:
                response.read()
            finally:
                response.close()
            raise self._refusal(response.status_code, _message(response), version)
        cancelled, started = threading.Event(), threading.Event()
        self._count(1)

        def cancel() -> None:
            cancelled.set()
            if not started.is_set():
                self._release(response)

        return Stream(self._read(response, cancelled, started), cancel)

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
        """Start an answer; see :meth:`Generator.astream`. Returns when the server has accepted it."""
        self._check_loaded(version)
        if self._model is None:
            await asyncio.to_thread(self.served)
        asked = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        body = self._body(turns, version, stop, asked)
        try:
            answer = await self._connections.post(_CHAT, body)
        except Unreachable:
            self._adapters.clear()
            raise
        if answer.status != 200:
            raise self._refusal(answer.status, _said(await answer.whole(), answer.reason), version)
        self._count(1)
        return answer.stream(lambda: self._count(-1))

    def _count(self, change: int) -> None:
        with self._lock:
            self._running += change

    def _check_loaded(self, version: str | None) -> None:
        if version is not None and version not in self._adapters:
            raise NotLoaded(f"adapter {version} is not loaded on {self.url}")

    def _body(self, turns: Turns, version: str | None, stop: Sequence[str], asked: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "model": self.served() if version is None else f"{self.served()}:{version}",
            "messages": [dict(turn) for turn in turns],
            **{name: value for name, value in asked.items() if value is not None},
            "stop": [*stop, *self._stop][:4],
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def probe(self, turns: Turns, version: str) -> None:
        """Have a loaded adapter write one token; see :meth:`Generator.probe`."""
        self.stream(turns, version=version, max_tokens=1, temperature=0, seed=0).finish()

    def _release(self, response: httpx.Response) -> None:
        with self._lock:
            if response.is_closed:
                return
            response.close()
            self._running -= 1

    def _refusal(self, status: int, reason: str, version: str | None) -> GeneratorError:
        """What the answer of a server that does not write means."""
        if status in (429, 503):
            return QueueFull(f"{self.url} is busy: {reason}")
        if version is not None and status in (400, 404) and ("lora" in reason or version in reason):
            self._adapters.discard(version)
            return NotLoaded(f"{self.url} has lost adapter {version}: {reason}")
        if status == 400 and "context" in reason:
            return PromptTooLong(f"{self.url}: {reason}")
        return GeneratorError(f"{self.url} answered {status}: {reason}")

    def _read(
        self, response: httpx.Response, cancelled: threading.Event, started: threading.Event
    ) -> Pieces[str, None, Generation]:
        started.set()
        events = ChatEvents()
        try:
            for data in response.iter_bytes():
                if cancelled.is_set():
                    break
                if text := events.feed(data):
                    yield text
                if events.error is not None:
                    raise GeneratorError(f"{self.url} broke off: {events.error}")
        except (httpx.HTTPError, ValueError) as error:
            raise GeneratorError(f"{self.url} broke off: {error}") from error
        finally:
            self._count(-1)
            response.close()
        return events.generation(cancelled=cancelled.is_set())

    def unready(self) -> str | None:
        """Asks SGLang's ``/health_generate``, or lists the models where there is no such call."""
        self._problem = self._look()
        return self._problem

    def engines(self) -> list[EngineState]:
        """The server, as it was when :meth:`unready` was last asked."""
        return [EngineState(self.url, self._model or self.base, tuple(sorted(self._adapters)), self._problem)]

    def listed(self) -> EngineState:
        """What the server itself says it serves, whoever had it loaded.

        Raises:
            GeneratorError: the server cannot be reached or lists no model.
        """
        base = self.served()
        entries = _json(self._request("GET", "/v1/models", seconds=LOOK_SECONDS)).get("data") or []
        adapters = sorted(str(each["id"]) for each in entries if each.get("parent"))
        return EngineState(self.url, base, tuple(adapters), self.unready())

    def _look(self) -> str | None:
        try:
            response = self._request("GET", "/health_generate", check=False, seconds=LOOK_SECONDS)
            if response.status_code == 404:
                response = self._request("GET", "/v1/models", check=False, seconds=LOOK_SECONDS)
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
        self._connections.close()

    def _post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        return self._request("POST", path, json=body, check=False)

    def _request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        stream: bool = False,
        check: bool = True,
        seconds: float = _ANSWER_SECONDS,
    ) -> httpx.Response:
        patience = httpx.Timeout(seconds, connect=5, pool=5)
        try:
            asked = self._client.build_request(method, path, json=json, timeout=patience)
            response = self._client.send(asked, stream=stream)
        except (httpx.HTTPError, RuntimeError) as error:
            self._adapters.clear()
            raise Unreachable(
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
    return _said(response.content, response.reason_phrase)


def _said(body: bytes, status: str) -> str:
    """What an error response says, in whichever of the usual shapes."""
    try:
        found = json.loads(body)
    except ValueError:
        found = {}
    error = found.get("error", found) if isinstance(found, dict) else None
    if isinstance(error, dict):
        error = error.get("message") or error.get("error_message") or error.get("detail")
    return str(error or body[:300].decode(errors="replace") or status)
