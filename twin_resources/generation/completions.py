"""Whole answers in JSON from any server that speaks OpenAI's chat completions, with retries; nothing is streamed.

Only the host of the address is asked: redirects are not followed. The key is sent to it and stands in no message.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx

from twin_resources.config.settings import Settings
from twin_resources.generation.base import GeneratorError, Turns

Failure = Literal["timeout", "rate_limited", "server_error", "unreachable", "refused"]
_UNKNOWN_FORMAT = (400, 404, 415, 422, 501)
_FIRST_WAIT = 1.0
_REMEDY = "check TWIN_GENERATOR_URL, TWIN_GENERATOR_MODEL and TWIN_GENERATOR_KEY"


class Unanswered(GeneratorError):
    """One request got no answer, for ``failure``; others may."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure: Failure = failure


@dataclass(frozen=True)
class Completion:
    """What the model wrote, which should be JSON, and what it took; tokens are 0 where the server does not count."""

    text: str
    prompt_tokens: int
    completion_tokens: int


class Completions:
    """Asks a server for one JSON object at a time; may be used from several threads.

    Args:
        url: with or without ``/v1``.
        model: the name the server has for it; by default the first it lists.
        attempts: of one request, while the server is busy, out of order, silent or away.
        timeout: seconds to wait for an answer.
        longest_wait: seconds between two attempts at most, whatever ``Retry-After`` says.
        first_wait: seconds before the second attempt; each further wait is twice as long.
        remedy: what to look at where the address, the model or the key is wrong.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        key: str | None = None,
        attempts: int = 5,
        timeout: float = 120,
        longest_wait: float = 120,
        first_wait: float = _FIRST_WAIT,
        sleep: Callable[[float], None] = time.sleep,
        remedy: str = _REMEDY,
    ) -> None:
        self._remedy = remedy
        self.url = url.rstrip("/").removesuffix("/v1")
        self._model = model
        self._attempts = attempts
        self._longest_wait = longest_wait
        self._first_wait = first_wait
        self._sleep = sleep
        self._plain = False
        self._lock = threading.Lock()
        self._client = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10)),
        )

    @classmethod
    def of(cls, settings: Settings) -> Completions | None:
        """The server that ``TWIN_GENERATOR_URL`` names; None where it names none."""
        if not settings.generator_url:
            return None
        rules = settings.datasets.generator
        return cls(
            settings.generator_url,
            model=settings.generator_model,
            key=settings.generator_key.get_secret_value() if settings.generator_key else None,
            attempts=rules.attempts,
            timeout=rules.timeout_seconds,
            longest_wait=rules.longest_wait_seconds,
        )

    @classmethod
    def judging(cls, settings: Settings) -> Completions | None:
        """The server that ``evaluation.judge.url`` names; None where it names none."""
        rules = settings.evaluation.judge
        if not rules.url:
            return None
        return cls(
            rules.url,
            model=rules.model,
            key=settings.judge_key.get_secret_value() if settings.judge_key else None,
            attempts=rules.attempts,
            timeout=rules.timeout_seconds,
            longest_wait=rules.timeout_seconds,
            remedy="check evaluation.judge.url and evaluation.judge.model in twin.yaml, and TWIN_JUDGE_KEY",
        )

    @property
    def model(self) -> str:
        """The server's name for the model.

        Raises:
            GeneratorError: the server cannot be reached or lists no model.
        """
        with self._lock:
            if self._model is None:
                listed = _object(self._send("GET", "/v1/models", None)).get("data") or []
                if not listed:
                    raise GeneratorError(f"{self.url}/v1/models lists no model", self._remedy)
                self._model = str(listed[0]["id"])
            return self._model

    def ask(self, turns: Turns, *, name: str, schema: Mapping[str, Any], max_tokens: int) -> Completion:
        """Have one JSON object written.

        A server that knows no ``response_format`` is asked without it from then on.

        Args:
            schema: JSON schema of the object, called ``name``. What comes back has to be checked all the same.

        Raises:
            Unanswered: this request failed for good.
            GeneratorError: no request can succeed: the key, the address or the model is wrong.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [dict(turn) for turn in turns],
            "max_tokens": max_tokens,
            "temperature": 0,
        }
        wanted = {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": dict(schema)}}
        if self._plain:
            return _completion(self._send("POST", "/v1/chat/completions", body))
        response = self._send("POST", "/v1/chat/completions", {**body, "response_format": wanted}, _UNKNOWN_FORMAT)
        if response.status_code != 200:
            response = self._send("POST", "/v1/chat/completions", body)
            self._plain = True
        return _completion(response)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(self, method: str, path: str, body: Any, tolerated: tuple[int, ...] = ()) -> httpx.Response:
        """The response with status 200, or one of ``tolerated``."""
        failure: Failure = "unreachable"
        why = ""
        for attempt in range(self._attempts):
            told = 0.0
            try:
                response = self._client.request(method, path, json=body)
            except httpx.TimeoutException:
                failure, why = "timeout", "no answer in time"
            except httpx.HTTPError as error:
                failure, why = "unreachable", str(error) or type(error).__name__
            else:
                status = response.status_code
                if status == 200 or status in tolerated:
                    return response
                why = f"it answered {status}"
                if status in (401, 403, 404) or 300 <= status < 400:
                    raise GeneratorError(f"{self.url}{path} answered {status}", self._remedy)
                if status == 429:
                    failure, told = "rate_limited", _retry_after(response)
                elif status >= 500 or status == 408:
                    failure, told = "server_error", _retry_after(response)
                else:
                    raise Unanswered("refused", f"{self.url}: {why}")
            if attempt + 1 < self._attempts:
                self._sleep(min(max(told, self._first_wait * 2**attempt), self._longest_wait))
        raise Unanswered(failure, f"{self.url}: {why}, {self._attempts} times")


def _completion(response: httpx.Response) -> Completion:
    found = _object(response)
    text = ""
    with contextlib.suppress(LookupError, TypeError):
        text = found["choices"][0]["message"]["content"]
    usage = found.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Completion(
        text if isinstance(text, str) else "",
        int(usage.get("prompt_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
    )


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _retry_after(response: httpx.Response) -> float:
    """Seconds that the server asks to wait: a number, or a date (RFC 9110, section 10.2.3)."""
    told = response.headers.get("retry-after", "").strip()
    if told.isdigit():
        return float(told)
    with contextlib.suppress(ValueError, TypeError):
        moment = parsedate_to_datetime(told)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    return 0.0
