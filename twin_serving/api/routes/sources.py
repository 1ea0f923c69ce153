"""What is read for an author and what became of it: sources, documents, quarantine, and reading a file at once."""

from __future__ import annotations

import asyncio
import contextvars
import os
import re
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from twin_resources.errors import SourceError
from twin_resources.storage.inventory.documents import Inventory, Wanted
from twin_resources.storage.sources import Sources
from twin_resources.storage.warehouse import Warehouse
from twin_serving.answering.services import Services
from twin_serving.answering.sources import import_file, source_rows
from twin_serving.api.operations import Operation
from twin_serving.api.problems import Problem, problem_of
from twin_serving.api.requests import UPLOAD_LIMIT, paging_of, pieces_of, services_of, trace_of
from twin_serving.api.responses import event, json_response
from twin_serving.api.schemas.sources import (
    CountOut,
    ImportedOut,
    ListedOut,
    ListingOut,
    QuarantineOut,
    SourceOut,
    SourcesOut,
    UnreadableOut,
)

_FILTERS = {
    "q": "text",
    "platform": "platform",
    "category": "category",
    "state": "state",
    "source": "source_id",
    "excluded": "excluded",
}
_AUTHOR = {"author": "whose; may be left out where one author is configured"}
_LOOK_SECONDS = 0.25
_turn = threading.Lock()
"""One file is read at a time: two of one name would be in each other's place."""


async def list_sources(request: Request) -> Response:
    """What is read for an author, and what came of it."""
    services = services_of(request)
    wanted = request.query_params.get("author")
    shown = [services.author(wanted)] if wanted else [each.id for each in services.authors]
    known = services.settings.model_copy(
        update={"authors": [each for each in services.settings.authors if each.id in shown]}
    )
    rows = await run_in_threadpool(lambda: source_rows(known, Sources(services.database).readings()))
    return json_response(SourcesOut(sources=[SourceOut.model_validate(each) for each in rows]))


async def list_documents(request: Request) -> Response:
    """Documents of an author, with what became of them."""
    services, query = services_of(request), request.query_params
    author, paging = services.author(query.get("author")), paging_of(request)
    wanted = Wanted(**{name: query.get(given, "").replace("\x00", "") for given, name in _FILTERS.items()})

    def look() -> ListingOut:
        inventory = Inventory(services.database)
        found = inventory.documents(author, wanted, paging)
        return ListingOut(
            author=author,
            documents=[ListedOut.model_validate(each) for each in found.items],
            counts=[CountOut.model_validate(each) for each in inventory.counts(author)],
            next=found.next,
        )

    return json_response(await run_in_threadpool(look))


async def list_quarantine(request: Request) -> Response:
    """What could not be read, why, and what to do."""
    services = services_of(request)
    author, paging = services.author(request.query_params.get("author")), paging_of(request)

    def look() -> QuarantineOut:
        inventory = Inventory(services.database)
        found = inventory.quarantine(author, paging)
        items = [UnreadableOut.model_validate(each) for each in found.items]
        return QuarantineOut(author=author, items=items, total=inventory.quarantined(author), next=found.next)

    return json_response(await run_in_threadpool(look))


async def import_source(request: Request) -> Response:
    """Read an export or a text into the warehouse; as JSON, or as server-sent events where those are asked for."""
    services = services_of(request)
    author = services.author(request.query_params.get("author"))
    name = _safe(request.query_params.get("name", ""))
    folder = services.settings.home / "imports" / author
    await run_in_threadpool(lambda: folder.mkdir(parents=True, exist_ok=True))
    received = await _received(request, folder)

    def work(progress: Callable[[int], None]) -> ImportedOut:
        return _import(services, author, received, folder / name, progress)

    if "text/event-stream" in request.headers.get("accept", ""):
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(work, trace_of(request)), media_type="text/event-stream", headers=headers)
    return json_response(await run_in_threadpool(work, lambda _: None))


def _safe(name: str) -> str:
    """The name of a file, without any folder or sign that a file system takes amiss."""
    plain = re.sub(r"[^\w .()+-]+", "_", re.split(r"[/\\]", name)[-1]).strip(". ")
    return plain[-120:].strip(". ") or "upload"


async def _received(request: Request, folder: Path) -> Path:
    """The body of a request as a file, which is gone again where the body broke off."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=".receiving-")
    try:
        with os.fdopen(handle, "wb") as file:
            async for piece in pieces_of(request, UPLOAD_LIMIT):
                await run_in_threadpool(file.write, piece)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _import(
    services: Services, author: str, received: Path, target: Path, progress: Callable[[int], None]
) -> ImportedOut:
    """Read a file, and delete it: what it gave is in the warehouse, where it can be forgotten."""
    try:
        with _turn:
            os.replace(received, target)
            done = import_file(
                services.settings, Warehouse(services.database), services.settings.author(author), target, progress
            )
    except SourceError as error:
        raise Problem(415, "not-recognised", str(error).replace(str(target), target.name)) from None
    finally:
        received.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
    quarantined = [asdict(each) for each in done.report.quarantined]
    counts = {**done.report.as_dict(), "quarantined": quarantined}
    return ImportedOut.model_validate(
        {**counts, "author": author, "source_id": done.source_id, "kind": done.kind, "name": target.name}
    )


async def _events(work: Callable[[Callable[[int], None]], ImportedOut], trace_id: str) -> AsyncGenerator[str, None]:
    """How far the reading is, and last what it gave; it goes on to its end where nobody listens any more."""
    read = said = 0

    def progress(count: int) -> None:
        nonlocal read
        read = count

    context = contextvars.copy_context()
    running = asyncio.get_running_loop().run_in_executor(None, lambda: context.run(work, progress))
    while not running.done():
        await asyncio.wait({running}, timeout=_LOOK_SECONDS)
        if read != said:
            said = read
            yield event("progress", {"items": read})
    try:
        yield event("done", running.result())
    except Exception as error:
        yield event("error", problem_of(error).body(trace_id))


OPERATIONS = (
    Operation(
        "GET",
        "/sources",
        list_sources,
        "What is read for an author, and what came of it",
        SourcesOut,
        query={"author": "only this author's"},
        errors=(404,),
        needs="author",
    ),
    Operation(
        "POST",
        "/sources",
        import_source,
        "Read an export (Medium, Substack, LinkedIn), Markdown, text or JSON lines into the warehouse",
        ImportedOut,
        query={**_AUTHOR, "name": "of the file; a later one of the same name replaces what this one gave"},
        errors=(400, 404, 413, 415, 422),
        needs="author",
        upload=True,
        streams=True,
    ),
    Operation(
        "GET",
        "/documents",
        list_documents,
        "Documents of an author, with what became of them",
        ListingOut,
        query={
            **_AUTHOR,
            "q": "stands in the title or the address",
            "platform": "as `counts` names it",
            "category": "articles, posts or code",
            "state": "searchable, left_out or waiting",
            "source": "id of a source",
            "excluded": "the reason why it is left out",
        },
        errors=(404, 422),
        needs="author",
        paged=True,
    ),
    Operation(
        "GET",
        "/quarantine",
        list_quarantine,
        "What could not be read, why, and what to do",
        QuarantineOut,
        query=_AUTHOR,
        errors=(404, 422),
        needs="author",
        paged=True,
    ),
)
