"""The logical feature store: one way to read what was made of an author's work, for training and for serving.

Offline readers name a **version** and get the same rows for ever, even after the author has written more; online
readers name none and get what is newest (documents, passages) or served (search). Rows are never changed in place, so a
version is a list of ids. What was forgotten since is gone from every version; :class:`Features` says how much.

See ``docs/features.md`` for examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import sqlalchemy as sa

from twin_resources.errors import TwinError
from twin_resources.retrieval.search import Search
from twin_resources.retrieval.vectors import served_model
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.chunk_store import Chunk, ChunkStore
from twin_resources.storage.clean_store import CleanDocument, CleanStore
from twin_resources.storage.datasets import Datasets, DatasetVersion

Row = TypeVar("Row", covariant=True)


class FeatureError(TwinError):
    """A version that does not exist, or that does not say what it was made from; the message says what to do."""


@dataclass(frozen=True)
class Features(Generic[Row]):
    """Rows as they stood at a version, or as they stand where it is None.

    ``rows`` are read page by page whenever they are iterated, so an author's whole work is never in memory at once.
    ``forgotten`` counts documents that were deleted since, on request.
    """

    rows: Iterable[Row]
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
        self._clean = CleanStore(engine)
        self._chunks = ChunkStore(engine)
        self._searches: dict[str, Search] = {}

    def documents(
        self, author_id: str, category: str | None = None, *, version: str | None = None
    ) -> Features[CleanDocument]:
        """Clean documents in use, in the order of their ids.

        Args:
            version: a dataset version, for the clean documents it was made from; None for those of now.

        Raises:
            FeatureError: there is no such version of this author.
        """
        if version is None:
            return Features(self._clean.documents(author_id, category), None)
        found = self._version(author_id, version)
        ids = self._documents_of(found)
        rows = self._clean.documents_of(author_id, category, among=ids)
        return Features(rows, found.id, len(ids) - self._clean.count_of(ids))

    def passages(self, author_id: str, category: str | None = None, *, version: str | None = None) -> Features[Chunk]:
        """Passages in the order of document and position; see :meth:`documents`.

        Raises:
            FeatureError: there is no such version of this author.
        """
        if version is None:
            return Features(self._chunks.current(author_id, category), None)
        found = self._version(author_id, version)
        ids = self._documents_of(found)
        chunkers = found.manifest["snapshot"]["chunkers"]
        rows = self._chunks.chunks_of(author_id, category, clean_documents=ids, chunkers=chunkers)
        return Features(rows, found.id, len(ids) - self._clean.count_of(ids))

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
        if model not in self._searches:
            self._searches[model] = Search(self.engine, model)
        return self._searches[model]

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
