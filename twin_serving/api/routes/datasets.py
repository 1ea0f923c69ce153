"""Dataset versions: which there are, and what changed between two."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.database.shards import of_each
from twin_resources.exporting.comparison import between
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.datasets import Datasets, DatasetVersion
from twin_resources.storage.inventory.datasets import Catalogue
from twin_resources.storage.inventory.paging import Place
from twin_serving.answering.services import Services
from twin_serving.api.operations import Needed, Operation
from twin_serving.api.problems import Problem
from twin_serving.api.requests import paging_of, services_of
from twin_serving.api.responses import json_response
from twin_serving.api.schemas.datasets import ChangedDocumentOut, DatasetDiffOut, DatasetOut, DatasetsOut


async def list_datasets(request: Request) -> Response:
    """Dataset versions, the newest first."""
    services = services_of(request)
    wanted, paging = request.query_params.get("author"), paging_of(request)
    author = services.author(wanted) if wanted else None
    kind = request.query_params.get("kind", "").replace("\x00", "") or None

    def look() -> DatasetsOut:
        parts = of_each(services.settings, lambda: Catalogue(services.database).part(author, kind, paging))
        found = paging.merge(parts, lambda each: Place(each.created_at, each.id))
        return DatasetsOut(datasets=[DatasetOut.model_validate(each) for each in found.items], next=found.next)

    return json_response(await run_in_threadpool(look))


async def dataset(request: Request) -> Response:
    """A dataset version."""
    services, version = services_of(request), request.path_params["version"]
    return json_response(await run_in_threadpool(lambda: _described(services, _known(services, version))))


async def dataset_diff(request: Request) -> Response:
    """What changed between two dataset versions."""
    services = services_of(request)
    names = [request.query_params.get(each) for each in ("from", "to")]

    def look() -> DatasetDiffOut:
        before, after = (_known(services, _given(name)) for name in names)
        found = between(Datasets(services.database), ArtifactStore.of(services.settings), before, after)
        return DatasetDiffOut(
            before=_described(services, before),
            after=_described(services, after),
            documents=[ChangedDocumentOut.model_validate(each) for each in found.changed],
            unchanged=len(found.documents) - len(found.changed),
            manifest={name: list(pair) for name, pair in found.manifest.items()},
        )

    return json_response(await run_in_threadpool(look))


def _given(name: str | None) -> str:
    if name is None:
        raise Problem(422, "wrong-input", "Name two versions: `from` and `to`.")
    return name


def _known(services: Services, wanted: str) -> DatasetVersion:
    found = Datasets(services.database).get(wanted.replace("\x00", ""))
    if found is None:
        raise Problem(404, "unknown-dataset", f"No one dataset version starts with {wanted!r}; see `GET /datasets`.")
    return found


def _described(services: Services, version: DatasetVersion) -> DatasetOut:
    return DatasetOut.model_validate(Catalogue(services.database).get(version.id))


OPERATIONS = (
    Operation(
        "GET",
        "/datasets",
        list_datasets,
        "Dataset versions, the newest first",
        DatasetsOut,
        query={"author": "only this author's", "kind": "instruct, preference or retrieval"},
        errors=(404, 422),
        needs="author",
        paged=True,
    ),
    Operation(
        "GET",
        "/datasets/diff",
        dataset_diff,
        "What changed between two dataset versions",
        DatasetDiffOut,
        query={
            "from": Needed("the earlier version, or the first digits of its id"),
            "to": Needed("the later version"),
        },
        errors=(404, 422),
        needs="author",
    ),
    Operation(
        "GET",
        "/datasets/{version}",
        dataset,
        "A dataset version, by its id or the first digits of it",
        DatasetOut,
        errors=(404,),
        needs="author",
    ),
)
