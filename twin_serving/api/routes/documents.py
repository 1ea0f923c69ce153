"""Adding, reading and forgetting documents of the author."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.config.validation import sentence
from twin_resources.database.shards import speak_of
from twin_resources.forgetting.forget import Forgetting
from twin_resources.sources.base import RawDocument
from twin_resources.storage.clean_store import CleanStore
from twin_serving.answering.intake import Rejection
from twin_serving.answering.services import Services
from twin_serving.api.operations import Operation
from twin_serving.api.problems import Problem
from twin_serving.api.requests import DOCUMENTS_LIMIT, note_author, read, services_of
from twin_serving.api.responses import json_response
from twin_serving.api.schemas.documents import DocumentIn, DocumentOut, DocumentsIn, DocumentsOut, ForgottenOut


async def add_documents(request: Request) -> Response:
    """Add documents of the author."""
    services = services_of(request)
    body = await read(request, DocumentsIn, limit=DOCUMENTS_LIMIT)
    author = services.author(body.author)
    note_author(request, author)
    return json_response(await run_in_threadpool(lambda: _store(services, author, body.documents)))


def _store(services: Services, author: str, documents: list[Any]) -> DocumentsOut:
    """Check documents one by one and store the good ones."""
    valid: dict[int, RawDocument] = {}
    rejected: list[Rejection] = []
    for index, value in enumerate(documents):
        try:
            valid[index] = DocumentIn.model_validate(value).raw()
        except ValidationError as error:
            rejected.append(Rejection(index, sentence(error)))
    report = services.intake.store(author, valid)
    rejected = sorted([*rejected, *report.rejected], key=lambda each: each.index)
    return DocumentsOut.model_validate({**asdict(report), "rejected": [asdict(each) for each in rejected]})


async def read_document(request: Request) -> Response:
    """A document as it was cleaned, which is the text that citations quote."""
    services = services_of(request)
    wanted, author = request.path_params["id"], request.query_params.get("author")
    return json_response(await run_in_threadpool(find_document, services, wanted, author))


def find_document(services: Services, wanted: str, author: str | None) -> DocumentOut:
    """A document by its id, of ``author`` or of any that may be read.

    Raises:
        Problem: 404.
    """
    wanted = wanted.replace("\x00", "")
    among = [services.author(author)] if author else [each.id for each in services.authors]
    for speaker in [None] if author else services.in_each_database() or [None]:
        if speaker:
            speak_of(speaker)
        if found := CleanStore(services.reads).read(wanted, among):
            return DocumentOut.model_validate(found, from_attributes=True)
    raise Problem(404, "not-found", f"There is no document {wanted}, or it is no longer there.")


async def forget_document(request: Request) -> Response:
    """Forget a document and all that was derived from it."""
    services = services_of(request)
    wanted = request.path_params["id"]
    forgotten = await run_in_threadpool(
        lambda: Forgetting(services.settings, services.database).document(wanted, "asked for through DELETE /documents")
    )
    return json_response(ForgottenOut.model_validate(forgotten))


OPERATIONS = (
    Operation(
        "POST",
        "/documents",
        add_documents,
        "Add documents of the author",
        DocumentsOut,
        DocumentsIn,
        errors=(404, 413, 422),
        needs="author",
        writes=True,
    ),
    Operation(
        "GET",
        "/documents/{id}",
        read_document,
        "A document as it was cleaned",
        DocumentOut,
        query={"author": "whose document it is; else any author's that the key may read"},
        errors=(404,),
    ),
    Operation(
        "DELETE",
        "/documents/{id}",
        forget_document,
        "Forget a document and all that was derived from it",
        ForgottenOut,
        errors=(404,),
        needs="author",
    ),
)
