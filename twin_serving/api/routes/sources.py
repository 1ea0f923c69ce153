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
from typing import cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from twin_resources.database.shards import rows_of_each
from twin_resources.errors import SourceError
from twin_resources.forgetting.forget import OUT_OF_REACH
from twin_resources.forgetting.holdings import holdings
from twin_resources.forgetting.rows import Erased
from twin_resources.storage.inventory.documents import Inventory, Wanted
from twin_resources.storage.sources import Reading, Sources
from twin_resources.storage.warehouse import Warehouse
from twin_serving.answering.services import Services
from twin_serving.answering.sources import Dropped, Way, drop, import_file, is_configured, source_rows
from twin_serving.api.operations import Needed, Operation
from twin_serving.api.problems import Problem, problem_of
from twin_serving.api.requests import (
    UPLOAD_LIMIT,
    note_author,
    paging_of,
    pieces_of,
    services_of,
    text_of,
    trace_of,
)
from twin_serving.api.responses import event, json_response
from twin_serving.api.schemas.documents import TrainedAdapter
from twin_serving.api.schemas.sources import (
    CountOut,
    DroppedOut,
    HeldOut,
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
_WAY = Needed(
    "`forget` to delete everything that came from it for good, or `stop` to read it no longer", "^(forget|stop)$"
)
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
    rows = await run_in_threadpool(lambda: source_rows(known, _readings(services)))
    return json_response(SourcesOut(sources=[SourceOut.model_validate(each) for each in rows]))


def _readings(services: Services) -> list[Reading]:
    return rows_of_each(services.settings, lambda: Sources(services.database).readings())


async def read_source(request: Request) -> Response:
    """What there is of a source, and would go with it."""
    services = services_of(request)

    def look() -> HeldOut:
        source = _source(request)
        held = holdings(services.database, source.author, source.id)
        return HeldOut(
            id=source.id,
            author=source.author,
            kind=source.kind,
            location=source.location,
            configured=is_configured(services.settings, source),
            **{**vars(held), "adapters": [TrainedAdapter.model_validate(each) for each in held.adapters]},
        )

    return json_response(await run_in_threadpool(look))


async def drop_source(request: Request) -> Response:
    """Drop a source: forget everything that came from it, or only read it no longer."""
    services = services_of(request)
    way = text_of(request, "way", _WAY)
    retire = request.query_params.get("retire") == "true"

    def work() -> DroppedOut:
        source = _source(request)
        note_author(request, source.author)
        why = "asked for through DELETE /sources"
        done = drop(services.settings, services.database, source, cast(Way, way), why=why, retire=retire)
        return _dropped(source, cast(Way, way), done)

    return json_response(await run_in_threadpool(work))


def _source(request: Request) -> Reading:
    """The source that a path names, of an author that may be read.

    Raises:
        Problem: 404.
    """
    services, wanted = services_of(request), request.path_params["id"]
    found = Sources(services.database).reading(wanted)
    if found is None or found.author not in {each.id for each in services.authors}:
        raise Problem(404, "not-found", f"There is no source {wanted}; GET /sources lists them.")
    return found


def _dropped(source: Reading, way: Way, done: Dropped) -> DroppedOut:
    """The outcome without the place of the source, which may name a document that is forgotten."""
    forgotten, erased = done.forgotten, done.forgotten.erased if done.forgotten else Erased()
    return DroppedOut(
        source_id=source.id,
        author=source.author,
        way=way,
        configured=done.configured,
        documents=done.gone,
        vectors=erased.vectors,
        questions=erased.interactions,
        reports=erased.reports,
        datasets=len(erased.datasets),
        adapters=list(forgotten.adapters) if forgotten else [],
        retired=list(forgotten.retired) if forgotten else [],
        out_of_reach=OUT_OF_REACH if forgotten else None,
    )


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
        "/sources/{id}",
        read_source,
        "What there is of a source, and would go with it",
        HeldOut,
        errors=(404,),
        needs="author",
    ),
    Operation(
        "DELETE",
        "/sources/{id}",
        drop_source,
        "Forget a source and everything that came from it, or only read it no longer",
        DroppedOut,
        query={
            "way": _WAY,
            "retire": "true takes the adapters that were trained on what is forgotten out of use",
        },
        errors=(404, 409, 422),
        needs="author",
        writes=True,
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
