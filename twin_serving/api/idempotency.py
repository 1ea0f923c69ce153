"""Writes that may be repeated: the same ``Idempotency-Key`` with the same request gets the first answer again."""

from __future__ import annotations

import hashlib
import logging
import re

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.storage.calls.idempotency import Answered, Idempotency
from twin_resources.text.identity import content_id
from twin_serving.api.operations import Handler
from twin_serving.api.problems import Problem
from twin_serving.api.requests import author_of_answer, body_of, services_of

log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
PATTERN = r"^[!-~]{1,255}$"
REPLAYED = "Idempotency-Replayed"


async def once(request: Request, handler: Handler) -> Response:
    """What ``handler`` answers, or what it answered before to the same request with the same key. Only an answer that
    says the write was done is kept: one that failed wrote nothing, and is tried again.

    Raises:
        Problem: 400 for what is no key.
        KeyReused: the key came with another request.
        StillRunning: the first request is not answered yet.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return await handler(request)
    if not re.fullmatch(PATTERN, key):
        raise Problem(400, "wrong-key", f"{HEADER} takes 1 to 255 visible ASCII characters, such as a UUID.")
    store = Idempotency(services_of(request).directory)
    key_id = content_id("idempotency", request.state.grant.id, key)
    found = await run_in_threadpool(store.begin, key_id, await _fingerprint(request))
    if found is not None:
        return Response(found.body, found.status, media_type=found.media_type, headers={REPLAYED: "true"})
    try:
        response = await handler(request)
    except Exception:
        await run_in_threadpool(store.release, key_id)
        raise
    answer = Answered(
        response.status_code,
        response.headers["content-type"],
        bytes(response.body).decode(),
        author_of_answer(request),
    )
    try:
        await run_in_threadpool(store.keep, key_id, answer)
    except SQLAlchemyError as error:  # the write is done, and the answer must not be lost with its copy
        log.warning("the answer to a write cannot be kept: %s", str(error).splitlines()[0])
    return response


async def _fingerprint(request: Request) -> str:
    head = f"{request.method} {request.url.path}?{request.url.query}\n"
    return hashlib.sha256(head.encode() + await body_of(request)).hexdigest()
