"""The logical feature store: one way to read what was made of an author's work, for training and for serving.

Offline readers name a **version** and get the same rows for ever, even after the author has written more; online
readers name none and get what is newest (documents, passages) or served (search). Rows are never changed in place, so a
version is a list of ids. What was forgotten since is gone from every version; :class:`Snapshot` says how much.

See ``docs/features.md`` for examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from twin_resources.database.schema import chunk, clean_document
from twin_resources.errors import TwinError
from twin_resources.retrieval.search import Search
from twin_resources.retrieval.vectors import served_model
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.datasets import Datasets, DatasetVersion
from twin_resources.storage.warehouse import Warehouse


class FeatureError(TwinError):
    """A version that does not exist, or that does not say what it was made from; the message says what to do."""


@dataclass(frozen=True)
class Snapshot:
    """Rows as they stood; ``forgotten`` counts those that were deleted since, on request."""

    rows: list[dict[str, Any]]
    version: str | None
    forgotten: int = 0


@dataclass(frozen=True)
class Dataset:
    """A dataset version and the local folder with its files."""

    version: DatasetVersion
    folder: Path


class FeatureStore:
    """Reads features by author, and by dataset version or as they are now."""

    def __init__(self, engine: sa.Engine, artifacts: ArtifactStore | None = None) -> None:
        self.engine = engine
        self._artifacts = artifacts
        self._datasets = Datasets(engine)
        self._warehouse = Warehouse(engine)

    def documents(self, author_id: str, category: str | None = None, *, version: str | None = None) -> Snapshot:
        """Clean documents in use (rows of ``clean_document``), in the order of their ids.

        Args:
            version: a dataset version, for the clean documents it was made from; None for those of now.

        Raises:
            FeatureError: there is no such version of this author.
        """
        if version is None:
            return Snapshot(self._warehouse.clean_documents(author_id, category), None)
        query = sa.select(clean_document).where(clean_document.c.author == author_id)
        if category is not None:
            query = query.where(clean_document.c.category == category)
        found = self._version(author_id, version)
        ids = self._documents_of(found)
        rows = self._rows(query.where(clean_document.c.id.in_(ids)).order_by(clean_document.c.id))
        return Snapshot(rows, found.id, len(ids) - self._living(ids))

    def passages(self, author_id: str, category: str | None = None, *, version: str | None = None) -> Snapshot:
        """Passages (rows of ``chunk``) in the order of document and position; see :meth:`documents`.

        Raises:
            FeatureError: there is no such version of this author.
        """
        if version is None:
            return Snapshot(self._warehouse.chunks(author_id, category), None)
        query = sa.select(chunk).where(chunk.c.author == author_id)
        if category is not None:
            query = query.where(chunk.c.category == category)
        found = self._version(author_id, version)
        ids = self._documents_of(found)
        made = chunk.c.clean_document_id.in_(ids) & chunk.c.chunker.in_(found.manifest["snapshot"]["chunkers"])
        return Snapshot(
            self._rows(query.where(made).order_by(chunk.c.document_id, chunk.c.position)),
            found.id,
            len(ids) - self._living(ids),
        )

    def dataset(self, author_id: str, kind: str, *, version: str | None = None) -> Dataset | None:
        """A dataset of a kind with its files, by version or the newest; None where the author has none of the kind.

        Raises:
            FeatureError: there is no such version of this author.
        """
        assert self._artifacts is not None, "datasets are files; open the store with artifacts"
        found = self._datasets.newest(author_id, kind) if version is None else self._version(author_id, version)
        return Dataset(found, self._artifacts.folder(found.artifact)) if found else None

    def search(self, author_id: str, model: str | None = None) -> Search:
        """Search over the passages that are served.

        Args:
            model: the embedding model of the query's vector; None for the one that the author is served with.

        Raises:
            FeatureError: nothing of this author is served yet.
        """
        model = model or served_model(self.engine, author_id)
        if model is None:
            raise FeatureError(f"nothing of {author_id} is served yet; materialise the group `embed`")
        return Search(self.engine, model)

    def _version(self, author_id: str, version: str) -> DatasetVersion:
        found = self._datasets.get(version)
        if found is None or found.author != author_id:
            raise FeatureError(f"{author_id} has no one dataset version {version!r}; `twin datasets` lists them")
        return found

    def _documents_of(self, version: DatasetVersion) -> Sequence[str]:
        snapshot = version.manifest.get("snapshot")
        if snapshot is None:
            raise FeatureError(
                f"dataset {version.id} does not say which documents it was made from; "
                f"materialise datasets/{version.kind} once more"
            )
        return snapshot["clean_documents"]

    def _living(self, ids: Sequence[str]) -> int:
        with self.engine.connect() as session:
            return (
                session.scalar(
                    sa.select(sa.func.count()).select_from(clean_document).where(clean_document.c.id.in_(ids))
                )
                or 0
            )

    def _rows(self, query: sa.Select) -> list[dict[str, Any]]:
        with self.engine.connect() as session:
            return [dict(row) for row in session.execute(query).mappings()]
