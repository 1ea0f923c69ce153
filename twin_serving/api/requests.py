"""What a request holds: the services behind the application, and a body that has been checked."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request

from twin_resources.config.validation import sentence, wrong_fields
from twin_resources.storage.inventory.paging import MOST, Paging, Place
from twin_serving.answering.policy import Question
from twin_serving.answering.reply import Writing, begin
from twin_serving.answering.services import Services
from twin_serving.api.operations import Needed, Whole
from twin_serving.api.problems import Problem

BODY_LIMIT = 1_000_000
DOCUMENTS_LIMIT = 16_000_000
UPLOAD_LIMIT = 512_000_000

LIMIT = Whole(f"rows of a page, {Paging.limit} by default", 1, MOST)

T = TypeVar("T", bound=BaseModel)


def services_of(request: Request) -> Services:
    """What the application answers with."""
    return request.app.state.services


def trace_of(request: Request) -> str:
    """The id of this request, its log lines and its answer."""
    return request.state.trace_id


def caller_of(request: Request) -> str:
    """The id of the key that asks."""
    return request.state.grant.id


def tokens_left_of(request: Request) -> int | None:
    """What models may still read and write today for the key that asks; None for any number."""
    return request.state.grant.tokens_left


async def begun(request: Request, question: Question) -> Writing:
    """The answer to a question, begun, whose tokens are charged to the key that asks; see
    :func:`~twin_serving.answering.reply.begin`."""
    writing = await begin(services_of(request), question, trace_of(request))
    request.state.writing = writing
    return writing


def note_author(request: Request, author: str) -> None:
    """Note whose data the answer to a write holds, so that it is kept for nobody else."""
    request.state.author_of_answer = author


def author_of_answer(request: Request) -> str:
    """The author that :func:`note_author` named; every write names one."""
    return request.state.author_of_answer


async def read(request: Request, model: type[T], *, limit: int = BODY_LIMIT, optional: bool = False) -> T:
    """The body of a request as ``model``.

    Raises:
        Problem: 400 for what is not JSON, 413 over ``limit`` bytes, 415 for another media type, 422 for a wrong member.
    """
    body = await body_of(request, limit)
    if optional and not body.strip():
        return model()
    media = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if media != "application/json" and not media.endswith("+json"):
        raise Problem(415, "json-needed", "Send the body as JSON, with `Content-Type: application/json`.")
    return valid(model, _parsed(body))


async def body_of(request: Request, limit: int = DOCUMENTS_LIMIT) -> bytes:
    """The bytes of a request's body, however often they are asked for.

    Raises:
        Problem: 400 where it broke off, 413 over ``limit`` bytes.
    """
    held: bytes | None = getattr(request.state, "body", None)
    if held is None:
        held = request.state.body = await _received(request, limit)
    if len(held) > limit:
        raise _too_large(limit)
    return held


async def _received(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for piece in pieces_of(request, limit):
        body += piece
    return bytes(body)


async def pieces_of(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body of a request as it arrives.

    Raises:
        Problem: 400 where it breaks off, 413 over ``limit`` bytes.
    """
    with contextlib.suppress(ValueError):
        if int(request.headers.get("content-length", "0")) > limit:
            raise _too_large(limit)
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            yield piece
    except ClientDisconnect:
        raise Problem(400, "body-cut-off", "The connection closed before the body was complete.") from None


def paging_of(request: Request) -> Paging:
    """Which page of a listing is asked for.

    Raises:
        Problem: 422 for a limit that is none.
        CursorError: the cursor is none.
    """
    limit, cursor = whole_of(request, "limit", LIMIT, Paging.limit), request.query_params.get("cursor")
    return Paging(limit, None if cursor is None else Place.of(cursor))


def whole_of(request: Request, name: str, allowed: Whole, default: int) -> int:
    """A whole number of the query.

    Raises:
        Problem: 422 for what is none, or not allowed.
    """
    given = request.query_params.get(name)
    if given is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", given) or not allowed.least <= int(given) <= allowed.most:
        raise Problem(422, "wrong-input", f"{name}: takes a number from {allowed.least} to {allowed.most}.")
    return int(given)


def text_of(request: Request, name: str, wanted: Needed) -> str:
    """A text of the query that has to be given.

    Raises:
        Problem: 422 where it is missing or does not match its pattern.
    """
    given = request.query_params.get(name)
    if given is None or (wanted.pattern and not re.fullmatch(wanted.pattern, given)):
        raise Problem(422, "wrong-input", f"{name}: takes {wanted.about}.")
    return given


def wants_page(headers: Headers) -> bool:
    """Whether a browser asks for a page to show: programs take JSON, or whatever comes."""
    return "text/html" in headers.get("accept", "")


def _too_large(limit: int) -> Problem:
    return Problem(
        413, "too-large", f"The body is over {limit // 1000} kB; send it in parts.", headers={"Connection": "close"}
    )


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise Problem(400, "not-json", "The body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise Problem(400, "not-json", "The body is not UTF-8.") from None
    except ValueError as error:
        raise Problem(400, "not-json", f"The body is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise Problem(422, "wrong-input", "The body must be a JSON object.")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def valid(model: type[T], value: Any) -> T:
    """``value`` as ``model``.

    Raises:
        Problem: 422, with each member that is wrong.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = [{"field": each.field, "message": each.message} for each in wrong_fields(error)]
        raise Problem(422, "wrong-input", sentence(error), errors=errors) from None
    except RecursionError:
        raise Problem(422, "wrong-input", "The body is nested too deeply.") from None
