"""Errors as people and programs read them: RFC 9457 problems, and OpenAI's shape under ``/v1``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from sqlalchemy import exc
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Scope

from twin_resources.errors import TwinError
from twin_resources.generation.base import GeneratorError, PromptTooLong, QueueFull
from twin_resources.reviewing.queue import EditError, ReviewError
from twin_resources.runtime.places import Busy
from twin_resources.storage.artifacts import ArtifactError
from twin_resources.storage.calls.conversations import UnknownConversation
from twin_resources.storage.calls.idempotency import KeyReused, StillRunning
from twin_resources.storage.calls.interactions import InteractionError
from twin_resources.storage.inventory.paging import CursorError
from twin_resources.storage.lineage import LineageError
from twin_resources.storage.releases import ReleaseError
from twin_resources.style.blind.showings import BlindTestError
from twin_resources.style.profile import DraftError, StyleError
from twin_serving.answering.errors import (
    DATABASE_GONE,
    UNEXPECTED,
    AuthorNeeded,
    BudgetSpent,
    NotReady,
    SourceConfigured,
    UnknownAuthor,
    UnknownModel,
)
from twin_serving.api.keys import TooOften

log = logging.getLogger(__name__)


class Problem(TwinError):
    """An error that a response tells: ``kind`` is the end of its type URI, ``errors`` lists parts of it."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = errors

    @property
    def title(self) -> str:
        """The kind in words."""
        return self.kind.replace("-", " ").capitalize()

    def body(self, trace_id: str) -> dict[str, Any]:
        """The members of RFC 9457."""
        found: dict[str, Any] = {
            "type": f"urn:llm-twin:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "trace_id": trace_id,
        }
        if self.errors:
            found["errors"] = self.errors
        return found

    def openai_body(self, trace_id: str) -> dict[str, Any]:
        """The error object of OpenAI's API."""
        usual = "invalid_request_error" if self.status < 500 else "server_error"
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(self.status, usual)
        return {
            "error": {
                "message": self.detail,
                "type": kind,
                "param": self.errors[0]["field"] if self.errors else None,
                "code": self.kind.replace("-", "_"),
                "trace_id": trace_id,
            }
        }


def problem_of(error: Exception) -> Problem:
    """The problem that an exception of ours means; anything unknown is a 500 that says nothing of its inside."""
    match error:
        case Problem():
            return error
        case HTTPException():
            kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
            return Problem(error.status_code, kind, _detail(error), headers=error.headers)
        case QueueFull() | Busy():
            return Problem(429, "queue-full", str(error), headers={"Retry-After": str(error.retry_after)})
        case TooOften():
            return Problem(429, "too-often", str(error), headers={"Retry-After": str(error.retry_after)})
        case BudgetSpent():
            return Problem(429, "budget-spent", str(error), headers={"Retry-After": str(error.retry_after)})
        case NotReady():
            return Problem(503, "not-ready", str(error), headers={"Retry-After": str(error.retry_after)})
        case UnknownModel():
            return Problem(404, "unknown-model", str(error))
        case UnknownAuthor():
            return Problem(404, "unknown-author", str(error))
        case UnknownConversation():
            return Problem(404, "unknown-conversation", str(error))
        case AuthorNeeded():
            return Problem(422, "author-needed", str(error))
        case PromptTooLong():
            return Problem(413, "prompt-too-long", str(error))
        case GeneratorError():
            return Problem(502, "engine-failed", str(error))
        case LineageError() | InteractionError() | ReviewError() | BlindTestError():
            return Problem(404, "not-found", str(error))
        case DraftError():
            return Problem(422, "draft-unfit", str(error))
        case StyleError():
            return Problem(409, "style-unknown", str(error))
        case EditError() | CursorError():
            return Problem(422, "wrong-input", str(error))
        case KeyReused():
            return Problem(422, "key-reused", str(error))
        case StillRunning():
            return Problem(409, "in-progress", str(error), headers={"Retry-After": "1"})
        case SourceConfigured():
            return Problem(409, "source-configured", str(error))
        case ReleaseError():
            return Problem(409, "release-refused", str(error))
        case ArtifactError():
            log.error("an artifact is missing: %s", error)
            return Problem(500, "artifact-missing", str(error))
        case exc.OperationalError() | exc.TimeoutError():
            log.error("the database failed: %s", error)
            return Problem(503, "not-ready", DATABASE_GONE, headers={"Retry-After": "3"})
        case _:
            log.exception("an unexpected error", exc_info=error)
            return Problem(500, "internal-error", UNEXPECTED)


def _detail(error: HTTPException) -> str:
    if error.status_code == 404:
        return "There is nothing at this path; /openapi.json lists every call."
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        return f"This path does not take this method; use {allowed}."
    return error.detail


def respond(scope: Scope, problem: Problem) -> JSONResponse:
    """The response to a request that met a problem."""
    trace_id = scope["state"]["trace_id"]
    scope["state"]["problem"] = problem.kind
    if scope["path"].startswith("/v1/"):
        return JSONResponse(problem.openai_body(trace_id), problem.status, headers=problem.headers)
    return JSONResponse(
        problem.body(trace_id), problem.status, headers=problem.headers, media_type="application/problem+json"
    )


async def handle(request: Request, error: Exception) -> JSONResponse:
    """Starlette's exception handler for every error."""
    return respond(request.scope, problem_of(error))
