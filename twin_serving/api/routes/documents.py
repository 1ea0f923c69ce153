"""Adding and forgetting documents of the author."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.config.validation import sentence
from twin_resources.forgetting.forget import Forgetting
from twin_resources.sources.base import RawDocument
from twin_serving.answering.intake import Rejection
from twin_serving.answering.services import Services
from twin_serving.api.operations import Operation
from twin_serving.api.requests import DOCUMENTS_LIMIT, read, services_of
from twin_serving.api.responses import json_response
from twin_serving.api.schemas.documents import DocumentIn, DocumentsIn, DocumentsOut, ForgottenOut


async def add_documents(request: Request) -> Response:
    """Add documents of the author."""
    services = services_of(request)
    body = await read(request, DocumentsIn, limit=DOCUMENTS_LIMIT)
    author = services.author(body.author)
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
